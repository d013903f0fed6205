//! One line of a service in `/etc/pam.d`: which module is asked, when, and what its word counts.
//!
//! ```yaml
//! - id: su-wheel
//!   pam: {service: su, type: auth, control: required, module: pam_wheel.so, args: [use_uid, group=sudo], position: {after: pam_rootok.so}}
//! ```
//!
//! A line is known by its `type` (`auth`, `account`, `password`, `session`) and its `module`; `control` and `args` are what it should say.
//! Where there is none it is added: at the end, or at the `position`. That is `first` or `last` among the lines of its type
//! (includes count as lines of each), or `{before: NAME}` or `{after: NAME}`, a module or the name of an include. A line that stands
//! elsewhere is moved. Without `position` it stays where it is. `state: absent` takes all lines of the type that name the module away.
//!
//! Drift is told as the whole `content` of the file; `--diff` shows the lines. Blanks and comments are no drift. A service
//! without a file, and a module that is not installed, are missing: an earlier step may bring them.
//!
//! Way back: exact, the whole file as it was. It touches the way in: only a new login, with its sudo, proves it.
//!
//! Traps:
//! - `common-auth` and the other `common-` files belong to Debian's `pam-auth-update`, which stops looking after a file that somebody
//!   else changed, so they are refused here. Bring a profile instead: a `file` step for `/usr/share/pam-configs/NAME`, then a
//!   `command` with `run: pam-auth-update --package --enable NAME`. On Red Hat's systems `authselect` does that.
//! - What an include says is not seen, nor is what a module does. A line behind one that is `sufficient` or jumps may
//!   never be asked.
//! - The order counts. Several lines of one type with one module, and lines that go on with `\`, are left to `line`.

use super::file::set_files;
use super::line::change;
use super::words::place;
use super::{Check, Claim, Disruption, Kind, Many, Object, Presence, Row, Setting};
use crate::act::Act;
use crate::fact::{Content, Facts, Gap, Query};
use crate::fault::{Fault, Faults};
use crate::yaml::Node;
use serde::Deserialize;

mod stack;

/// A line of a PAM service.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pam {
    /// The name of a file in `/etc/pam.d`.
    service: String,
    r#type: Type,
    /// `required`, `requisite`, `sufficient`, `optional`, or `[success=1 default=ignore]`.
    #[serde(default)]
    control: Option<String>,
    /// `pam_access.so`, or a whole path.
    module: String,
    #[serde(default)]
    args: Many,
    #[serde(default)]
    state: Presence,
    /// Where it stands.
    #[serde(default)]
    position: Option<Position>,
}

/// What is decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Type {
    Auth,
    Account,
    Password,
    Session,
}

/// Where a line stands among those of its type.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Position {
    First,
    Last,
    Before(String),
    After(String),
}

impl Type {
    fn word(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::Account => "account",
            Self::Password => "password",
            Self::Session => "session",
        }
    }
}

/// One word of a line: blanks only where brackets hold them.
fn is_word(text: &str) -> bool {
    let brackets = text.starts_with('[')
        && text.ends_with(']')
        && !text[1..].contains('[')
        && text.find(']') == Some(text.len() - 1);
    let plain = !text.contains(|c: char| c.is_control() || c == '#' || c == '\\');
    plain && !text.is_empty() && (brackets || !text.contains([' ', '[', ']']))
}

fn is_control(text: &str) -> bool {
    matches!(text, "required" | "requisite" | "sufficient" | "optional")
        || (text.starts_with('[') && text.contains('=') && is_word(text))
}

fn is_module(text: &str) -> bool {
    let name = text.rsplit('/').next().unwrap_or(text);
    let good = |b: u8| b.is_ascii_alphanumeric() || b"/._-".contains(&b);
    (text.starts_with('/') || !text.contains('/'))
        && !text.contains("..")
        && text.bytes().all(good)
        && name.ends_with(".so")
}

impl Check for Pam {
    fn check(&self, body: &Node) -> Result<(), Faults> {
        let mut faults = Vec::new();
        let mut wrong = |field: &str, what: String, hint: &str| {
            faults.push(Fault::new(what).at(place(body, field)).hint(hint));
        };
        let good = |b: u8| b.is_ascii_alphanumeric() || b"_-".contains(&b);
        if self.service.is_empty() || !self.service.bytes().all(good) {
            wrong("service", format!("`{}` is no name of a service", self.service), "the name of a file in /etc/pam.d");
        } else if self.service.starts_with("common-") {
            let what = format!("`{}` belongs to pam-auth-update", self.service);
            wrong("service", what, "bring a profile in /usr/share/pam-configs, see `steadfast explain pam`");
        }
        if !is_module(&self.module) {
            wrong("module", format!("`{}` is no module", self.module), "write pam_access.so, or its whole path");
        }
        match (&self.control, self.state) {
            (None, Presence::Present) => {
                wrong("type", "what does the module's word count?".into(), "add `control:`, such as required")
            }
            (Some(control), _) if !is_control(control) => {
                let hint = "required, requisite, sufficient, optional, or [success=1 default=ignore]";
                wrong("control", format!("`{control}` is no control"), hint);
            }
            _ => {}
        }
        if let Some(bad) = self.args.iter().find(|arg| !is_word(arg)) {
            wrong("args", format!("`{bad}` is no argument"), "one word each; brackets around what holds blanks");
        }
        if self.state == Presence::Absent
            && (self.position.is_some() || !self.args.0.is_empty() || self.control.is_some())
        {
            wrong(
                "state",
                "a line that is absent says nothing and stands nowhere".into(),
                "take the other fields away",
            );
        }
        Faults::some(faults).map_or(Ok(()), Err)
    }
}

impl Pam {
    fn path(&self) -> String {
        format!("/etc/pam.d/{}", self.service)
    }

    fn line(&self) -> String {
        let control = self.control.as_deref().unwrap_or_default();
        [self.r#type.word(), control, &self.module].into_iter().chain(self.args.iter()).collect::<Vec<_>>().join(" ")
    }

    /// Where the module may lie.
    fn places(&self) -> Vec<String> {
        if self.state == Presence::Absent {
            return vec![];
        }
        if self.module.starts_with('/') {
            return vec![self.module.clone()];
        }
        ["/usr/lib/*/security", "/lib/*/security", "/usr/lib64/security", "/usr/lib/security", "/lib/security"]
            .map(|directory| format!("{directory}/{}", self.module))
            .into()
    }
}

impl Kind for Pam {
    fn facts(&self) -> Vec<Query> {
        [Query::File(self.path())].into_iter().chain(self.places().into_iter().map(Query::Stat)).collect()
    }

    fn plan(&self, found: &Facts) -> Result<Vec<Row>, Gap> {
        let path = self.path();
        let present = self.state == Presence::Present;
        let places = self.places();
        let is_there = |place: &String| found.stat(place).map(|entries| !entries.is_empty());
        let there = places.iter().map(is_there).collect::<Result<Vec<_>, _>>()?;
        if present && !there.contains(&true) {
            return Err(Gap::Missing(format!("the module {} is not installed", self.module)));
        }
        let line = self.line();
        let wanted = stack::Wanted {
            kind: self.r#type.word(),
            module: self.module.rsplit('/').next().unwrap_or(&self.module),
            line: present.then_some(line.as_str()),
            position: self.position.as_ref(),
        };
        // What is no text is told below.
        let text = found.file(&path).ok().and_then(Content::text);
        let wanted = text.map_or(Ok(String::new()), |text| wanted.apply(text));
        let wanted = wanted.map_err(|why| Gap::Impossible(format!("{path} {why}")))?;
        change(&path, found, false, None, |_| wanted, !present)
    }

    fn set(&self, to: &[Setting], _: &Facts) -> Vec<Act> {
        set_files(to, None)
    }

    fn claims(&self) -> Vec<Claim> {
        let value = if self.state == Presence::Absent { "absent".to_owned() } else { self.line() };
        let path = Object::Path(self.path());
        let mut claims = vec![
            Claim::owns(path.clone(), format!("{} {}", self.r#type.word(), self.module), value),
            Claim::Reads(Object::Other("file made at", self.path())),
        ];
        // Debian's package of a module is named after it.
        let name = self.module.trim_start_matches("pam_").trim_end_matches(".so");
        claims.push(Claim::Reads(Object::Package(format!("libpam-{name}"))));
        claims.extend(
            self.args
                .iter()
                .filter_map(|arg| arg.split_once('='))
                .filter(|(_, path)| path.starts_with('/'))
                .map(|(_, path)| Claim::Reads(Object::Path(path.into()))),
        );
        claims
    }

    fn access(&self) -> bool {
        true
    }

    fn disruption(&self) -> Disruption {
        Disruption::Access
    }
}
