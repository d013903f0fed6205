//! One line in a file: that it is there, or that it is not.
//!
//! With `match` (a regular expression) the last line that matches becomes `line`, and further ones that match go away, so
//! that exactly one is left; where none matches, `line` is added at the end or behind `after`. Without `match` only the
//! very line counts. With `state: absent` every line that equals `line` or matches `match` goes away.
//!
//! ```yaml
//! - id: no-root-cron
//!   line: {path: /etc/pam.d/su, match: '^#?\s*auth\s+required\s+pam_wheel\.so', line: "auth required pam_wheel.so use_uid"}
//! ```
//!
//! Drift is told as the whole `content` of the file; `--diff` shows the lines. A file that does not exist is missing,
//! unless `create: true` makes it or `if_present: true` says that it needs nothing then. `check` names a command that must accept the file once it is in place; if it does not, the
//! former file comes back.
//!
//! Way back: exact, the whole file as it was. Disruption: none; on a path that a login looks at (`/etc/ssh`, sudoers, PAM, homes, what the host's sshd names) it touches the way in.

use super::file::set_files;
use super::{Check, Claim, Kind, Mode, Object, Row, Setting, Val, Presence};
use crate::act::Act;
use crate::fact::{Content, Facts, Gap, Query};
use crate::fault::{Fault, Faults};
use crate::yaml::Node;
use regex::Regex;
use serde::Deserialize;

/// A line of a file.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// The file, absolute.
    path: String,
    /// The line, without its end.
    #[serde(default)]
    line: Option<String>,
    /// A regular expression for the lines that this one stands for.
    #[serde(default, rename = "match")]
    matches: Option<String>,
    /// A new line stands behind the last line that matches this expression, instead of at the end.
    #[serde(default)]
    after: Option<String>,
    /// `present`, or `absent`.
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

impl Check for Line {
    const SECRET: &'static [&'static str] = &["line"];

    fn check(&self, body: &Node) -> Result<(), Faults> {
        let mut faults = Vec::new();
        let place = |field: &str| &body.get(field).unwrap_or(body).place;
        for (field, text) in [("match", &self.matches), ("after", &self.after)] {
            if let Some(Err(error)) = text.as_deref().map(Regex::new) {
                let why = error.to_string().lines().last().unwrap_or_default().to_owned();
                faults.push(Fault::new("this is no regular expression").at(place(field)).why(why));
            }
        }
        if self.state == Presence::Present && self.line.is_none() {
            faults.push(Fault::new("a line that should be there must be said").at(&body.place).hint("add `line:`"));
        }
        if self.state == Presence::Absent && self.line.is_none() && self.matches.is_none() {
            faults.push(Fault::new("which line should be absent?").at(&body.place).hint("add `line:` or `match:`"));
        }
        if self.line.as_deref().is_some_and(|line| line.contains(['\n', '\r'])) {
            faults.push(Fault::new("a line cannot hold the end of a line").at(place("line")).hint("make a step for each line"));
        }
        if let (Some(line), Some(Ok(expression)), Presence::Present) = (&self.line, self.expression(), self.state)
            && !expression.is_match(line)
        {
            let fault = Fault::new("`line` does not match `match`, so each run would add it again").at(place("match"));
            faults.push(fault.hint("write an expression that the new line matches as well"));
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

impl Line {
    fn expression(&self) -> Option<Result<Regex, regex::Error>> {
        self.matches.as_deref().map(Regex::new)
    }

    /// The text as it should be.
    fn wanted(&self, text: &str) -> String {
        let expression = self.expression().and_then(Result::ok);
        let is_one = |line: &str| {
            self.line.as_deref() == Some(line) || expression.as_ref().is_some_and(|expression| expression.is_match(line))
        };
        let lines: Vec<&str> = text.lines().collect();
        let mut out: Vec<&str> = Vec::with_capacity(lines.len() + 1);
        match (self.state, self.line.as_deref()) {
            (Presence::Present, Some(wanted)) => {
                let last = lines.iter().rposition(|line| is_one(line));
                for (n, line) in lines.iter().enumerate() {
                    match last {
                        Some(last) if n == last => out.push(wanted),
                        Some(_) if is_one(line) && expression.is_some() => {}
                        _ => out.push(line),
                    }
                }
                if last.is_none() {
                    let after = self.after.as_deref().and_then(|after| Regex::new(after).ok());
                    let at = after.and_then(|after| out.iter().rposition(|line| after.is_match(line)));
                    out.insert(at.map_or(out.len(), |at| at + 1), wanted);
                }
            }
            _ => out.extend(lines.iter().filter(|line| !is_one(line))),
        }
        let changed = out != lines;
        if changed { out.iter().map(|line| format!("{line}\n")).collect() } else { text.to_owned() }
    }
}

impl Kind for Line {
    fn facts(&self) -> Vec<Query> {
        vec![Query::File(self.path.clone())]
    }

    fn plan(&self, found: &Facts) -> Result<Vec<Row>, Gap> {
        change(&self.path, found, self.create && self.state == Presence::Present, self.mode, |text| {
            if text.is_none() && self.state == Presence::Absent { String::new() } else { self.wanted(text.unwrap_or_default()) }
        }, self.state == Presence::Absent || self.if_present)
    }

    fn set(&self, to: &[Setting], _: &Facts) -> Vec<Act> {
        set_files(to, self.check.as_deref())
    }

    fn access(&self) -> bool {
        super::way_in::is_way_in(&self.path)
    }

    fn claims(&self) -> Vec<Claim> {
        let field = format!("line {}", self.matches.as_ref().or(self.line.as_ref()).cloned().unwrap_or_default());
        let value = if self.state == Presence::Absent { "absent".to_owned() } else { self.line.clone().unwrap_or_default() };
        let object = Object::Path(self.path.clone());
        vec![Claim::owns(object.clone(), field, value), Claim::Reads(Object::Other("file made at", self.path.clone()))]
    }
}

/// The rows for a text file that becomes another: content, and the mode where it is made.
pub(super) fn change(
    path: &str,
    found: &Facts,
    create: bool,
    mode: Option<Mode>,
    wanted: impl FnOnce(Option<&str>) -> String,
    gone_is_fine: bool,
) -> Result<Vec<Row>, Gap> {
    let content = found.file(path)?;
    let now = match content {
        Content::Regular(bytes) => {
            let text = content.text().ok_or_else(|| Gap::Impossible(format!("{path} is no text in UTF-8")))?;
            (Some(text), Val::Data(bytes.as_slice().into()))
        }
        Content::Absent if create => (None, Val::Absent),
        Content::Absent if gone_is_fine => return Ok(vec![]),
        Content::Absent => return Err(Gap::Missing(format!("{path} does not exist"))),
        Content::Other(what) => return Err(Gap::Impossible(format!("{path} is {what}"))),
    };
    let wanted = Val::Data(wanted(now.0).as_bytes().into());
    if now.1 == wanted {
        return Ok(vec![]);
    }
    let mut rows = Vec::new();
    let made = now.1 == Val::Absent;
    rows.push(Row::new(path, "content", now.1, wanted));
    if made {
        rows.push(Row::new(path, "mode", Val::Absent, mode.unwrap_or(Mode(0o644)).to_string()));
    }
    Ok(rows)
}
