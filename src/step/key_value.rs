//! Settings in a file of settings: `KEY value`, `key = value`, with sections or without.
//!
//! The first line that sets the key gets the value, further ones that set it go away; where none does, the setting is
//! added at the end of its section (in a configuration of sshd before the first `Match`, and a line inside of one is
//! another setting: it is left alone). Comments stay as they are. `separator` is what stands between: a blank by default
//! (login.defs), `=` or ` = ` for ini-like files. Keys are compared without regard to case when `ignore_case: true`.
//!
//! ```yaml
//! - id: umask
//!   key_value: {path: /etc/login.defs, key: UMASK, value: "027", separator: "\t"}
//! ```
//!
//! ```yaml
//! - id: journal-persistent
//!   key_value: {path: /etc/systemd/journald.conf, section: Journal, key: Storage, value: persistent, separator: "="}
//! ```
//!
//! ```yaml
//! - id: faillock
//!   key_value: {path: /etc/security/faillock.conf, separator: " = ", values: {deny: "4", unlock_time: "900"}}
//! ```
//!
//! `values` sets several keys of one file in one change. A file that does not exist is missing, unless `create: true` makes it or
//! `if_present: true` says that it needs nothing then.
//!
//! Drift is told as the whole `content` of the file; `--diff` shows the lines.
//!
//! Way back: exact, the whole file as it was. Disruption: none; on a path that a login looks at (`/etc/ssh`, sudoers, PAM, homes, what the host's sshd names) it touches the way in.

use super::file::set_files;
use super::line::change;
use super::{Check, Claim, Kind, Mode, Object, Row, Setting, Presence};
use crate::act::Act;
use crate::fact::{Facts, Gap, Query};
use crate::fault::{Fault, Faults};
use crate::yaml::Node;
use serde::Deserialize;
use std::collections::BTreeMap;

/// A setting in a file.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KeyValue {
    /// The file, absolute.
    path: String,
    /// The setting's name.
    #[serde(default)]
    key: Option<String>,
    /// Its value; needed unless it should be absent.
    #[serde(default)]
    value: Option<String>,
    /// Several keys with their values, instead of `key` and `value`.
    #[serde(default)]
    values: BTreeMap<String, String>,
    /// The section of an ini file, without brackets.
    #[serde(default)]
    section: Option<String>,
    /// What stands between key and value.
    #[serde(default = "blank")]
    separator: String,
    /// `KEY` and `key` are the same.
    #[serde(default)]
    ignore_case: bool,
    /// `present`, or `absent`: no line sets the key.
    #[serde(default)]
    state: Presence,
    /// A file that does not exist is made.
    #[serde(default)]
    create: bool,
    /// A file that does not exist needs nothing.
    #[serde(default)]
    if_present: bool,
    /// Permission bits of a file that is made; 0644 unless told.
    #[serde(default)]
    mode: Option<Mode>,
    /// A command that must accept the file in its place; one that speaks of `$1` is asked about the new file there
    /// before it takes that place (`visudo -c ${1:+-f "$1"}`), and then once more without `$1`.
    #[serde(default)]
    check: Option<String>,
}

fn blank() -> String {
    " ".into()
}

impl Check for KeyValue {
    const SECRET: &'static [&'static str] = &["value", "values"];

    fn check(&self, body: &Node) -> Result<(), Faults> {
        let mut faults = Vec::new();
        let place = |field: &str| &body.get(field).unwrap_or(body).place;
        let lines = |text: &str| text.contains(['\n', '\r']);
        let several = !self.values.is_empty();
        if self.key.is_some() == several {
            let fault = Fault::new("say either `key`, or `values` of several keys").at(&body.place);
            faults.push(fault.hint("`key: UMASK` with `value: \"027\"`, or `values: {deny: 4, unlock_time: 900}`"));
        }
        let field = if several { "values" } else { "key" };
        let bad = |key: &str| key.trim() != key || key.is_empty() || lines(key) || key.starts_with(['#', ';', '[']);
        if self.key.iter().chain(self.values.keys()).any(|key| bad(key)) {
            faults.push(Fault::new("this cannot be a key").at(place(field)));
        }
        if self.value.iter().chain(self.values.values()).any(|value| lines(value)) {
            let field = if several { "values" } else { "value" };
            faults.push(Fault::new("a value cannot hold the end of a line").at(place(field)));
        }
        let valued = self.value.is_some() || several;
        if (self.state == Presence::Present) != valued || (several && self.value.is_some()) {
            let fault = Fault::new("a setting has a `value`, or is `state: absent`").at(&body.place);
            faults.push(fault.hint("say exactly one of the two"));
        }
        if self.create && self.if_present {
            faults.push(Fault::new("`create` and `if_present` contradict each other").at(place("if_present")));
        }
        if !super::way_in::is_plain(&self.path) {
            let fault = Fault::new("a path must be absolute").at(place("path"));
            faults.push(fault.hint("write it from `/` on, without `//`, `.` and `..` in it"));
        }
        Faults::some(faults).map_or(Ok(()), Err)
    }
}

impl KeyValue {
    /// The keys with the values that they should have; none where they should be absent.
    fn settings(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        let one = self.key.as_deref().map(|key| (key, self.value.as_deref()));
        one.into_iter().chain(self.values.iter().map(|(key, value)| (key.as_str(), Some(value.as_str()))))
    }

    /// The value that a line gives to a key.
    fn value_of<'a>(&self, key: &str, line: &'a str) -> Option<&'a str> {
        let line = line.trim_start();
        let (head, rest) = line.split_at_checked(key.len())?;
        let same = if self.ignore_case { head.eq_ignore_ascii_case(key) } else { head == key };
        let mark = self.separator.trim();
        let rest = if mark.is_empty() {
            (rest.is_empty() || rest.starts_with(char::is_whitespace)).then_some(rest)
        } else {
            rest.trim_start().strip_prefix(mark)
        };
        rest.filter(|_| same).map(str::trim)
    }

    /// Where the settings for everybody end: at the first `Match` or `Host` of a configuration of ssh, which goes on to
    /// the next one or the end.
    fn conditions(&self, lines: &[&str]) -> usize {
        let conditional = |line: &&str| {
            let word = line.trim_start().split(|sign: char| sign.is_whitespace() || sign == '=').next();
            let names = if self.path.starts_with("/etc/ssh/ssh_config") { &["match", "host"][..] } else { &["match"] };
            word.is_some_and(|word| names.iter().any(|name| word.eq_ignore_ascii_case(name)))
        };
        let ssh = self.path.starts_with("/etc/ssh/") && self.section.is_none();
        lines.iter().position(conditional).filter(|_| ssh).unwrap_or(lines.len())
    }

    fn wanted(&self, text: &str) -> String {
        self.settings().fold(text.to_owned(), |text, (key, right)| self.with(&text, key, right))
    }

    /// The text with one setting as it should be.
    fn with(&self, text: &str, key: &str, right: Option<&str>) -> String {
        let lines: Vec<&str> = text.lines().collect();
        let mut section: Option<&str> = None;
        let mut first = None;
        let whole = self.conditions(&lines);
        let mut end = self.section.is_none().then_some(whole);
        let mut ours = vec![false; lines.len()];
        for (n, line) in lines.iter().enumerate() {
            let bare = line.trim();
            if let Some(name) = bare.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).filter(|_| self.section.is_some()) {
                section = Some(name.trim());
            }
            if section == self.section.as_deref() {
                // Behind the last line of the section that says something.
                if self.section.is_some() && (!bare.is_empty() || end.is_none()) {
                    end = Some(n + 1);
                }
                ours[n] = n < whole && self.value_of(key, line).is_some();
                first = first.or(ours[n].then_some(n));
            }
        }
        let mut out: Vec<String> = Vec::new();
        let setting = right.map(|value| format!("{key}{}{value}", self.separator));
        for (n, line) in lines.iter().enumerate() {
            match (&setting, first == Some(n)) {
                // A line that says the same in another way stays as it is.
                (Some(_), true) if self.value_of(key, line) == right => out.push((*line).to_owned()),
                (Some(setting), true) => out.push(setting.clone()),
                _ if ours[n] => {}
                _ => out.push((*line).to_owned()),
            }
            if let (Some(setting), None) = (&setting, first)
                && end == Some(n + 1)
            {
                out.push(setting.clone());
            }
        }
        if let (Some(setting), None) = (setting, first) {
            match (&self.section, end) {
                (Some(name), None) => {
                    out.extend([format!("[{name}]"), setting]);
                }
                (None, Some(0)) => out.insert(0, setting),
                _ => {}
            }
        }
        if out.iter().map(String::as_str).eq(lines.iter().copied()) {
            return text.to_owned();
        }
        out.iter().map(|line| format!("{line}\n")).collect()
    }
}

impl Kind for KeyValue {
    fn facts(&self) -> Vec<Query> {
        vec![Query::File(self.path.clone())]
    }

    fn plan(&self, found: &Facts) -> Result<Vec<Row>, Gap> {
        let absent = self.state == Presence::Absent || self.if_present;
        change(&self.path, found, self.create && !absent, self.mode, |text| self.wanted(text.unwrap_or_default()), absent)
    }

    fn set(&self, to: &[Setting], _: &Facts) -> Vec<Act> {
        set_files(to, self.check.as_deref())
    }

    fn access(&self) -> bool {
        super::way_in::is_way_in(&self.path)
    }

    fn claims(&self) -> Vec<Claim> {
        let section = self.section.as_ref().map(|section| format!("[{section}] ")).unwrap_or_default();
        let claim = |(key, value): (&str, Option<&str>)| {
            let key = if self.ignore_case { key.to_lowercase() } else { key.to_owned() };
            Claim::owns(Object::Path(self.path.clone()), format!("{section}{key}"), value.unwrap_or("absent"))
        };
        self.settings().map(claim).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(section: Option<&str>, key: &str, value: Option<&str>, separator: &str) -> KeyValue {
        KeyValue {
            path: "/f".into(),
            key: Some(key.into()),
            value: value.map(Into::into),
            values: BTreeMap::new(),
            section: section.map(Into::into),
            separator: separator.into(),
            ignore_case: false,
            state: if value.is_some() { Presence::Present } else { Presence::Absent },
            create: false,
            if_present: false,
            mode: None,
            check: None,
        }
    }

    #[test]
    fn settings_are_found_replaced_and_added() {
        let umask = one(None, "UMASK", Some("027"), "\t");
        assert_eq!(umask.wanted("# UMASK 022\nUMASK\t\t022\nUMASKX 1\nUMASK 1\n"), "# UMASK 022\nUMASK\t027\nUMASKX 1\n");
        assert_eq!(umask.wanted("UMASK     027\n"), "UMASK     027\n", "other blanks are the same value");
        assert_eq!(umask.wanted(""), "UMASK\t027\n");
        let storage = one(Some("Journal"), "Storage", Some("persistent"), "=");
        assert_eq!(storage.wanted("[Journal]\n#Storage=auto\n"), "[Journal]\n#Storage=auto\nStorage=persistent\n");
        assert_eq!(storage.wanted("[A]\nStorage=x\n"), "[A]\nStorage=x\n[Journal]\nStorage=persistent\n");
        assert_eq!(storage.wanted("[Journal]\na=1\n\n[B]\nb=1\n"), "[Journal]\na=1\nStorage=persistent\n\n[B]\nb=1\n");
        assert_eq!(storage.wanted("[Journal]\n Storage = persistent\n"), "[Journal]\n Storage = persistent\n");
        let port = KeyValue { path: "/etc/ssh/sshd_config".into(), ..one(None, "MaxAuthTries", Some("3"), " ") };
        assert_eq!(port.wanted("A 1\nMatch User x\n MaxAuthTries 9\n"), "A 1\nMaxAuthTries 3\nMatch User x\n MaxAuthTries 9\n");
        assert_eq!(port.wanted("match all\n A 1\n"), "MaxAuthTries 3\nmatch all\n A 1\n");
        assert_eq!(port.wanted("MaxAuthTries 6\nMatch all\n"), "MaxAuthTries 3\nMatch all\n");
        let values = [("deny", "4"), ("audit", "1")].map(|(key, value)| (key.to_owned(), value.to_owned()));
        let several = KeyValue { key: None, values: values.into(), ..one(None, "", Some(""), " = ") };
        let several = KeyValue { value: None, ..several };
        assert_eq!(several.wanted("# deny = 3\ndeny = 9\n"), "# deny = 3\ndeny = 4\naudit = 1\n");
        assert_eq!(several.wanted("audit=1\ndeny=4\n"), "audit=1\ndeny=4\n", "nothing to do");
        assert_eq!(one(None, "x", None, "=").wanted("a=1\nx = 2\nxy=3\n"), "a=1\nxy=3\n");
    }
}
