//! The configuration of sshd, as it is in effect.
//!
//! ```yaml
//! - id: sshd
//!   sshd: {PasswordAuthentication: "no", PermitRootLogin: prohibit-password, MaxAuthTries: 3}
//! ```
//!
//! The body is a map of `sshd_config` keywords to their values; a list where a keyword takes several. Drift is read from
//! `sshd -T`, so it does not matter in which file a value stands, and spelling does not either: `1m` is `60`, `true` is
//! `yes`, `without-password` is `prohibit-password`, `10` startups are `10:30:10`. Lists of algorithms are compared with
//! their order; `+`, `-` and `^` before them mean what they mean to sshd.
//!
//! What differs is written to `/etc/ssh/sshd_config.d/00-steadfast.conf`, which sshd reads first, and the first value
//! of a keyword wins. Several `sshd` steps share the file, each with its own lines; what is in effect already is left
//! where it stands. A main configuration that includes no such directory gets an `Include` of that one file as its
//! first line. Every file is tried with `sshd -t` and put back if that fails. Then a running sshd is told to reload;
//! the mark that says so is on the host before the change, so a lost reload is found and done by the next run.
//!
//! Drift is told for each keyword (`now in effect`), for its line in the drop-in, for the `Include`, and for a due reload.
//!
//! Way back: exact, line by line. Disruption: reload; connections stay. It touches the way in.
//!
//! Traps:
//! - What a `Match` block says for some users or addresses is not seen: `sshd -T` tells what holds outside of them.
//! - Keywords that add up over all files (AcceptEnv, AllowUsers, HostKey, Port …) cannot take away what another file
//!   adds; the step says which value it is. Take it out there, with `key_value` or `line`.
//! - `HostKey` is offered in the order of its lines, so their order counts, and a line that two files have counts once.
//! - On a host through which others of the inventory are reached (`-J`, `ProxyJump`, a `ProxyCommand`, in the inventory or in your
//!   `~/.ssh/config`), what shuts the way to them (`AllowTcpForwarding`, `DisableForwarding`, `PermitOpen`) is taken back.
//! - A `Port` other than the one that the run comes in by is taken back: `ssh_port` moves it.
//! - `Match` and `Include` cannot be set here.
//! - Where `sshd -T` cannot be read (not root, no sshd) the step is unknown.

use super::{Check, Claim, Disruption, Kind, Many, Object, Row, Setting, Val};
use crate::act::Act;
use crate::fact::{Content, Effective, Facts, Gap, Query};
use crate::fault::{Fault, Faults};
use crate::yaml::{Node, Value};
use keyword::{Keyword, Meaning};
use serde::Deserialize;
use std::collections::BTreeMap;

mod drop_in;
pub(super) mod keyword;

/// Keywords of sshd_config with their values.
#[derive(Debug, Clone, Deserialize)]
#[serde(transparent)]
pub struct Sshd(BTreeMap<String, Many>);

impl schemars::JsonSchema for Sshd {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Sshd".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let one = serde_json::json!({"type": ["string", "number", "boolean"]});
        let value = serde_json::json!({"anyOf": [one, {"type": "array", "items": one}]});
        let known: serde_json::Map<_, _> = keyword::ALL.iter().map(|k| (k.name.into(), value.clone())).collect();
        // sshd does not care about the case of a keyword, so other spellings are let through and checked on reading.
        schemars::json_schema!({
            "type": "object", "minProperties": 1, "properties": known, "additionalProperties": value
        })
    }
}

pub(super) const MAIN: &str = "/etc/ssh/sshd_config";
const DIRECTORY: &str = "/etc/ssh/sshd_config.d";
const DROP_IN: &str = "/etc/ssh/sshd_config.d/00-steadfast.conf";
const INCLUDE: &str = "Include /etc/ssh/sshd_config.d/00-steadfast.conf";
/// The follow-up's mark, also for an `on_change:` that leads to a step of this kind.
const DUE: &str = "reloaded:sshd";
const UNITS: [&str; 2] = ["ssh.service", "sshd.service"];
/// Where systemd listens for sshd.
pub(super) const SOCKET: &str = "ssh.socket";
/// sshd wants its run directory, which a stopped server may not have.
const TRY: &str = "mkdir -p -m 755 /run/sshd && /usr/sbin/sshd -t";

impl Check for Sshd {
    fn check(&self, body: &Node) -> Result<(), Faults> {
        let entries = if let Value::Map(entries) = &body.value { entries.as_slice() } else { &[] };
        let mut faults = Vec::new();
        for (n, (key, node)) in entries.iter().enumerate() {
            let lower = key.text.to_ascii_lowercase();
            let Some(keyword) = keyword::find(&key.text) else {
                let fault = Fault::new(match lower.as_str() {
                    "match" | "include" => format!("`{}` cannot be set here", key.text),
                    _ => format!("sshd has no keyword `{}`", key.text),
                });
                faults.push(fault.at(&key.place).nearest(&key.text, keyword::ALL.iter().map(|known| known.name)));
                continue;
            };
            let same = |(other, _): &&(crate::yaml::Key, Node)| {
                keyword::find(&other.text).is_some_and(|other| other.name == keyword.name)
            };
            if let Some((first, _)) = entries[..n].iter().find(same) {
                let fault = Fault::new(format!("`{}` is set twice", keyword.name)).at(&key.place);
                faults.push(fault.also(&first.place, "first set here"));
            }
            let values = self.0.get(&key.text).map(|many| many.0.as_slice()).unwrap_or_default();
            let bad = |value: &String| value.trim().is_empty() || value.chars().any(char::is_control);
            if values.iter().any(bad) {
                faults.push(Fault::new("a value needs text of one line").at(&node.place));
            } else if let Err(why) = keyword.normal(values) {
                faults.push(Fault::new(format!("`{}` {why}", keyword.name)).at(&node.place));
            }
        }
        if entries.is_empty() {
            faults.push(Fault::new("`sshd` needs at least one keyword").at(&body.place));
        }
        Faults::some(faults).map_or(Ok(()), Err)
    }
}

/// The lines of the main configuration that set a keyword.
pub(super) fn main_lines(found: &Facts, name: &str) -> Result<Vec<String>, Gap> {
    let main = text(found, MAIN)?;
    Ok(keyword::find(name).map(|keyword| drop_in::lines(&main, keyword)).unwrap_or_default())
}

/// Sets the lines of the main configuration for a keyword, and includes our drop-in where it is told to.
pub(super) fn with_main_lines(found: &Facts, name: &str, to: &Val, include: bool) -> Option<Act> {
    let main = drop_in::with(&text(found, MAIN).ok()?, keyword::find(name)?, to);
    Some(write(MAIN, if include { format!("{INCLUDE}\n{main}") } else { main }, None))
}

impl Sshd {
    /// What listens on these ports.
    pub(super) fn listening(ports: &[u16]) -> Self {
        Self(BTreeMap::from([("Port".into(), Many(ports.iter().map(ToString::to_string).collect()))]))
    }

    fn wanted(&self) -> impl Iterator<Item = (&'static Keyword, &[String])> {
        self.0.iter().filter_map(|(name, values)| Some((keyword::find(name)?, values.0.as_slice())))
    }

    /// The rows of one keyword that is not as wanted.
    fn keyword(keyword: &Keyword, wanted: &[String], found: &Facts) -> Result<Vec<Row>, Gap> {
        let effective = found.sshd(None)?;
        let ours = text(found, DROP_IN)?;
        let line = drop_in::lines(&ours, keyword);
        let spelled = keyword.spelled(effective);
        let new = keyword.lines(spelled, wanted);
        let Some(now) = keyword.effective(effective) else {
            // Never told by any sshd: what our file says is all that can be known.
            if keyword.meaning == Meaning::Silent {
                let row = Row::new(DROP_IN, keyword.name, drop_in::val(&line), drop_in::val(&new));
                return Ok(if line == new { vec![] } else { vec![row] });
            }
            return Err(Gap::Impossible(format!("this host's sshd does not know {}", keyword.name)));
        };
        if keyword.satisfied(now, wanted) {
            return Ok(vec![]);
        }
        if let Some(other) = keyword.added_elsewhere(now, wanted, &line) {
            let why = format!("{} adds up over all files, and another file sets {other}", keyword.name);
            return Err(Gap::Impossible(why));
        }
        if line == new {
            let why = format!("{DROP_IN} says so, but sshd reads another {} before it", keyword.name);
            return Err(Gap::Impossible(why));
        }
        Ok(vec![
            Row::new("sshd", keyword.name, told(now.join(", ")), told(keyword.shown(wanted))),
            Row::new(DROP_IN, keyword.name, drop_in::val(&line), drop_in::val(&new)),
        ])
    }
}

pub(super) fn text(found: &Facts, path: &str) -> Result<String, Gap> {
    match found.file(path)? {
        Content::Absent => Ok(String::new()),
        Content::Other(what) => Err(Gap::Impossible(format!("{path} is {what}"))),
        content => {
            let text = content.text().map(Into::into);
            text.ok_or_else(|| Gap::Impossible(format!("{path} is not UTF-8 text")))
        }
    }
}

/// No value at all is absent.
fn told(values: String) -> Val {
    if values.is_empty() { Val::Absent } else { Val::Text(values) }
}

/// The sshd that runs as a unit; one that a socket starts for each connection reads its configuration by itself.
fn running(found: &Facts) -> Option<String> {
    let live = |name: &&&str| found.unit(name).is_ok_and(|unit| matches!(unit.active.as_str(), "active" | "reloading"));
    UNITS.iter().find(live).and_then(|name| found.unit(name).ok()).map(|unit| unit.id.clone())
}

/// The units of sshd, for whoever has it read its files anew.
pub(super) fn units() -> Vec<String> {
    UNITS.into_iter().chain([SOCKET]).map(Into::into).collect()
}

/// Has the sshd that runs read its files anew, once these are tried.
pub(super) fn anew(found: &Facts) -> Option<Act> {
    // What systemd listens for is handed over at a start alone: a reload would find its address taken. Sessions stay.
    let by_socket = found.unit(SOCKET).is_ok_and(|unit| unit.active == "active");
    let verb = if by_socket { "restart" } else { "reload" };
    running(found).map(|name| Act::Unit { verb, name })
}

fn write(path: &str, content: String, mode: Option<u32>) -> Act {
    let check = Some(TRY.to_owned());
    Act::Write { path: path.into(), content: content.into_bytes(), mode, owner: None, group: None, check }
}

impl Kind for Sshd {
    fn facts(&self) -> Vec<Query> {
        let files = [MAIN, DROP_IN].map(|path| Query::File(path.into()));
        let units = UNITS.into_iter().chain([SOCKET]).map(|name| Query::Unit(name.into()));
        let rest = [Query::Sshd { user: None }, Query::Due(DUE.into()), Query::Stat(DIRECTORY.into())];
        files.into_iter().chain(units).chain(rest).collect()
    }

    fn plan(&self, found: &Facts) -> Result<Vec<Row>, Gap> {
        // A package that an earlier step installs may bring it.
        found.sshd(None).map_err(|gap| match gap {
            Gap::Unknown(why) if why.ends_with("is not installed") => Gap::Missing(why),
            gap => gap,
        })?;
        let mut rows = Vec::new();
        for (keyword, wanted) in self.wanted() {
            rows.extend(Self::keyword(keyword, wanted, found)?);
        }
        if !rows.is_empty() {
            if found.stat(DIRECTORY)?.is_empty() {
                rows.push(Row::new(DIRECTORY, "directory", Val::Absent, "present"));
            }
            let main = text(found, MAIN)?;
            match drop_in::included(&main, &rows) {
                drop_in::Included::First => {}
                drop_in::Included::Never => rows.push(Row::new(MAIN, "Include", Val::Absent, INCLUDE)),
                drop_in::Included::After(keyword) => {
                    let why = format!("{MAIN} sets {keyword} before it includes {DROP_IN}; move the Include line up");
                    return Err(Gap::Impossible(why));
                }
            }
        }
        if *found.due(DUE)? {
            rows.push(Row::new("sshd", "reload", "due", "done"));
        }
        Ok(rows)
    }

    fn set(&self, to: &[Setting], found: &Facts) -> Vec<Act> {
        let mut acts = vec![Act::MarkDue { name: DUE.into() }];
        let ours: Vec<&Setting> = to.iter().filter(|setting| setting.object == DROP_IN).collect();
        let before = text(found, DROP_IN).unwrap_or_default();
        let include = to.iter().find(|setting| setting.object == MAIN);
        let after = ours.iter().fold(before.clone(), |text, setting| {
            keyword::find(&setting.field).map_or(text.clone(), |keyword| drop_in::with(&text, keyword, &setting.to))
        });
        let directory = to.iter().find(|setting| setting.object == DIRECTORY);
        if directory.is_some_and(|directory| directory.to != Val::Absent) {
            acts.push(Act::MakeDir { path: DIRECTORY.into(), mode: 0o755, owner: None, group: None });
        }
        if after != before {
            if drop_in::is_empty(&after) {
                acts.push(Act::Remove { path: DROP_IN.into() });
            } else {
                acts.push(write(DROP_IN, after, Some(0o600)));
            }
        }
        if directory.is_some_and(|directory| directory.to == Val::Absent) {
            acts.push(Act::RemoveDir { path: DIRECTORY.into() });
        }
        if let (Some(include), Ok(main)) = (include, text(found, MAIN)) {
            let without: String = main.split_inclusive('\n').filter(|line| line.trim_end() != INCLUDE).collect();
            let main = if include.to == Val::Absent { without } else { format!("{INCLUDE}\n{without}") };
            acts.push(write(MAIN, main, None));
        }
        let only_a_mark_back = to.iter().all(|setting| setting.field == "reload" && setting.to.as_text() == Some("due"));
        if only_a_mark_back {
            return vec![];
        }
        acts.extend(anew(found));
        acts.push(Act::ClearDue { name: DUE.into() });
        acts
    }

    fn claims(&self) -> Vec<Claim> {
        let mut claims = vec![
            Claim::owns(Object::Path(DROP_IN.into()), "content", "kept line by line by `sshd` steps"),
            Claim::Reads(Object::Path(MAIN.into())),
            Claim::Reads(Object::Package("openssh-server".into())),
        ];
        for (keyword, wanted) in self.wanted() {
            let object = Object::Other("sshd", keyword.name.into());
            claims.push(Claim::owns(object, "value", keyword.shown(wanted)));
            let words = || wanted.iter().flat_map(|value| value.split_whitespace());
            let paths = words().filter(|word| word.starts_with('/'));
            claims.extend(paths.map(|path| Claim::Reads(Object::Path(path.into()))));
            let named = |word: &&str| !word.contains(['*', '?', '!', '@']);
            match keyword.name {
                "Port" => claims.extend(words().filter_map(|port| port.parse().ok()).map(Claim::Door)),
                "AllowUsers" => claims.extend(words().filter(named).map(|u| Claim::Reads(Object::User(u.into())))),
                "AllowGroups" => claims.extend(words().filter(named).map(|g| Claim::Reads(Object::Group(g.into())))),
                _ => {}
            }
        }
        claims
    }

    fn access(&self) -> bool {
        true
    }

    fn disruption(&self) -> Disruption {
        Disruption::Reload
    }

    fn follow_up(&self) -> Option<String> {
        Some(DUE.into())
    }
}

/// What is in effect, for the rooms beside.
type Told = Effective;
