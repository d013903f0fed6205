//! Sockets, parameters, packages, units, modules and sshd.

use super::files::State;
use super::version;
use super::{Many, Object, Row, Subject, Val, yes};
use crate::fact::{Facts, Gap, Query};
use crate::step::sshd::keyword;
use serde::Deserialize;

/// What listens at a port.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Socket {
    port: u16,
    /// Both when it is not said.
    protocol: Option<Protocol>,
    #[serde(default)]
    state: Listening,
    /// On no other addresses than these.
    only: Option<Many>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Protocol {
    Tcp,
    Udp,
}

/// Whether anything listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Listening {
    #[default]
    Listening,
    Absent,
}

impl Subject for Socket {
    fn facts(&self) -> Vec<Query> {
        vec![Query::Sockets]
    }

    fn rows(&self, found: &Facts) -> Result<Vec<Row>, Gap> {
        let word = match self.protocol {
            Some(Protocol::Tcp) => "tcp",
            Some(Protocol::Udp) => "udp",
            None => "",
        };
        let sockets = found.sockets()?;
        let here = sockets.iter().filter(|s| s.port == self.port && (word.is_empty() || s.protocol == word));
        let allowed = |address: &str| self.only.as_ref().is_none_or(|only| only.iter().any(|one| one == address));
        let object = if word.is_empty() { format!("port {}", self.port) } else { format!("{word} port {}", self.port) };
        let told = |socket: &crate::fact::Socket| match &socket.process {
            Some(process) => format!("{} {} ({process})", socket.protocol, socket.address),
            None => format!("{} {}", socket.protocol, socket.address),
        };
        let all: Vec<&crate::fact::Socket> = here.collect();
        Ok(match self.state {
            Listening::Listening if all.is_empty() => vec![Row::new(object, "listening", "no", "yes")],
            Listening::Listening => {
                let others: Vec<String> = all.into_iter().filter(|s| !allowed(&s.address)).map(told).collect();
                let only = self.only.as_ref().map(|only| only.0.join(", ")).unwrap_or_default();
                let row = Row::new(object, "listening", others.join(", "), format!("only on {only}"));
                if others.is_empty() { vec![] } else { vec![row] }
            }
            Listening::Absent if all.is_empty() => vec![],
            Listening::Absent => {
                let found = all.into_iter().map(told).collect::<Vec<_>>().join(", ");
                vec![Row::new(object, "listening", found, "no")]
            }
        })
    }

    fn broken(&self) -> Vec<(&'static str, String)> {
        let both = self.state == Listening::Absent && self.only.is_some();
        if both { vec![("only", "`only` says nothing where nothing may listen".into())] } else { vec![] }
    }
}

/// A kernel parameter's live value.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sysctl {
    key: String,
    /// Lists with single blanks.
    equals: String,
}

impl Subject for Sysctl {
    fn facts(&self) -> Vec<Query> {
        vec![Query::Sysctl(self.key.clone())]
    }

    fn rows(&self, found: &Facts) -> Result<Vec<Row>, Gap> {
        let wanted = self.equals.split_whitespace().collect::<Vec<_>>().join(" ");
        let now = found.sysctl(&self.key)?.clone().map_or(Val::Absent, Val::Text);
        Ok(if now.as_text() == Some(&wanted) { vec![] } else { vec![Row::new(&self.key, "live", now, wanted)] })
    }

    fn reads(&self) -> Vec<Object> {
        vec![Object::Sysctl(self.key.clone())]
    }
}

/// A package, perhaps at least so new.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Package {
    name: String,
    #[serde(default)]
    state: State,
    /// As the package manager writes versions (`1:9.2`).
    min_version: Option<String>,
}

impl Subject for Package {
    fn facts(&self) -> Vec<Query> {
        vec![Query::Package(self.name.clone()), Query::Os]
    }

    fn rows(&self, found: &Facts) -> Result<Vec<Row>, Gap> {
        let now = found.package(&self.name)?;
        let row = |found: Val, wanted: Val| vec![Row::new(&self.name, "version", found, wanted)];
        let wanted = self.min_version.as_ref().map_or("any".into(), |version| format!("at least {version}"));
        match (now, self.state, &self.min_version) {
            (None, State::Absent, _) | (Some(_), State::Present, None) => Ok(vec![]),
            (None, State::Present, _) => Ok(row(Val::Absent, wanted.into())),
            (Some(version), State::Absent, _) => Ok(row(version.as_str().into(), Val::Absent)),
            (Some(version), State::Present, Some(least)) => {
                let manager = &found.os()?.packages;
                let order = version::compare(manager, version, least)
                    .ok_or_else(|| Gap::Unknown(format!("versions of {manager} cannot be compared")))?;
                Ok(if order.is_lt() { row(version.as_str().into(), wanted.into()) } else { vec![] })
            }
        }
    }

    fn reads(&self) -> Vec<Object> {
        vec![Object::Package(self.name.clone())]
    }

    fn broken(&self) -> Vec<(&'static str, String)> {
        let both = self.state == State::Absent && self.min_version.is_some();
        if both { vec![("min_version", "a package that is absent has no version".into())] } else { vec![] }
    }
}

/// One unit by itself.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Service {
    /// Without a suffix a `.service`.
    name: String,
    running: Option<bool>,
    enabled: Option<bool>,
}

impl Service {
    fn unit(&self) -> String {
        crate::step::service::suffixed(&self.name)
    }
}

impl Subject for Service {
    fn facts(&self) -> Vec<Query> {
        vec![Query::Unit(self.unit())]
    }

    fn rows(&self, found: &Facts) -> Result<Vec<Row>, Gap> {
        let unit = found.unit(&self.unit())?;
        let mut rows = Vec::new();
        let running = matches!(unit.active.as_str(), "active" | "reloading");
        let enabled = unit.file.starts_with("enabled");
        for (field, is, wanted) in [("running", running, self.running), ("enabled", enabled, self.enabled)] {
            if let Some(wanted) = wanted.filter(|wanted| *wanted != is) {
                rows.push(Row::new(self.unit(), field, yes(is), yes(wanted)));
            }
        }
        Ok(rows)
    }

    fn reads(&self) -> Vec<Object> {
        vec![Object::Unit(self.unit())]
    }

    fn broken(&self) -> Vec<(&'static str, String)> {
        let none = self.running.is_none() && self.enabled.is_none();
        if none { vec![("name", "say what is expected: `running` or `enabled`".into())] } else { vec![] }
    }
}

/// A kernel module.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Module {
    name: String,
    /// In the running kernel, be it built in.
    loaded: Option<bool>,
    /// `modprobe` refuses it.
    blocked: Option<bool>,
}

impl Subject for Module {
    fn facts(&self) -> Vec<Query> {
        vec![Query::Module(self.name.clone())]
    }

    fn rows(&self, found: &Facts) -> Result<Vec<Row>, Gap> {
        let module = found.module(&self.name)?;
        let fields = [
            ("loaded", module.loaded || module.builtin, self.loaded),
            ("blocked", module.blocked, self.blocked),
        ];
        let differs = |(field, is, wanted): (&str, bool, Option<bool>)| {
            let wanted = wanted.filter(|wanted| *wanted != is)?;
            Some(Row::new(&self.name, field, yes(is), yes(wanted)))
        };
        Ok(fields.into_iter().filter_map(differs).collect())
    }

    fn reads(&self) -> Vec<Object> {
        vec![Object::Module(self.name.replace('-', "_"))]
    }

    fn broken(&self) -> Vec<(&'static str, String)> {
        let none = self.loaded.is_none() && self.blocked.is_none();
        if none { vec![("name", "say what is expected: `loaded` or `blocked`".into())] } else { vec![] }
    }
}

/// One value of sshd's configuration in effect.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sshd {
    keyword: String,
    equals: Many,
    /// For this user's login, `Match` blocks included.
    user: Option<String>,
}

impl Subject for Sshd {
    fn facts(&self) -> Vec<Query> {
        vec![Query::Sshd { user: self.user.clone() }]
    }

    fn rows(&self, found: &Facts) -> Result<Vec<Row>, Gap> {
        let told = found.sshd(self.user.as_deref())?;
        let Some(keyword) = keyword::find(&self.keyword) else { return Ok(vec![]) };
        let now = keyword
            .effective(told)
            .ok_or_else(|| Gap::Unknown(format!("this host's sshd does not tell {}", keyword.name)))?;
        let row = || Row::new("sshd", keyword.name, now.join(", "), keyword.shown(&self.equals.0));
        Ok(if keyword.satisfied(now, &self.equals.0) { vec![] } else { vec![row()] })
    }

    fn reads(&self) -> Vec<Object> {
        let name = keyword::find(&self.keyword).map_or(self.keyword.clone(), |keyword| keyword.name.into());
        vec![Object::Other("sshd", name)]
    }

    fn broken(&self) -> Vec<(&'static str, String)> {
        match keyword::find(&self.keyword) {
            None => vec![("keyword", format!("sshd has no keyword `{}`", self.keyword))],
            Some(keyword) => match keyword.normal(&self.equals.0) {
                Ok(_) => vec![],
                Err(why) => vec![("equals", format!("`{}` {why}", keyword.name))],
            },
        }
    }
}
