//! A job of cron: one file in `/etc/cron.d`.
//!
//! `schedule` has the five fields of crontab(5) or a word such as `@daily`. A `%` in the command is written as cron
//! wants it. `env` sets variables for the job alone.
//!
//! ```yaml
//! - id: nightly-scan
//!   cron: {name: rootkit-scan, schedule: "30 3 * * *", user: root, command: "/usr/bin/rkhunter --cronjob --report-warnings-only"}
//! ```
//!
//! Drift is told for the file: `content`, `mode`, `owner`, `group`. With `state: absent` the file is gone.
//!
//! Way back: exact, the file as it was. Disruption: none; cron sees the file by itself.

use super::file::{own_file, set_files};
use super::words::place;
use super::{Check, Claim, Kind, Mode, Object, Presence, Row, Setting};
use crate::act::Act;
use crate::fact::{Facts, Gap, Query};
use crate::fault::{Fault, Faults};
use crate::yaml::Node;
use serde::Deserialize;
use std::collections::BTreeMap;

/// A job of cron.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cron {
    /// The file's name in `/etc/cron.d`: letters, digits, `_` and `-`, for cron passes over others.
    name: String,
    /// Five fields, or `@hourly`, `@daily`, `@weekly`, `@monthly`, `@yearly`, `@reboot`.
    #[serde(default)]
    schedule: Option<String>,
    /// Who it runs as.
    #[serde(default = "root")]
    user: String,
    /// What runs, on one line.
    #[serde(default)]
    command: Option<String>,
    /// Variables of the job.
    #[serde(default)]
    env: BTreeMap<String, String>,
    /// `present`, or `absent`.
    #[serde(default)]
    state: Presence,
}

fn root() -> String {
    "root".into()
}

const WORDS: &[&str] = &["@reboot", "@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly"];
/// Lowest and highest number of each field, with the names that stand for numbers.
const FIELDS: [(u32, u32, &[&str]); 5] = [
    (0, 59, &[]),
    (0, 23, &[]),
    (1, 31, &[]),
    (1, 12, &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]),
    (0, 7, &["sun", "mon", "tue", "wed", "thu", "fri", "sat"]),
];

/// What is wrong with a schedule.
fn schedule_fault(text: &str) -> Option<String> {
    if text.starts_with('@') {
        return (!WORDS.contains(&text)).then(|| format!("`{text}` is none of {}", WORDS.join(", ")));
    }
    let fields: Vec<&str> = text.split_whitespace().collect();
    if fields.len() != 5 {
        return Some(format!("a schedule has five fields, this has {}", fields.len()));
    }
    let bad = fields.iter().zip(FIELDS).find(|(field, (low, high, names))| !field.split(',').all(|part| is_part(part, *low, *high, names)));
    bad.map(|(field, (low, high, _))| format!("`{field}` is no list of numbers from {low} to {high}"))
}

fn is_part(part: &str, low: u32, high: u32, names: &[&str]) -> bool {
    let (range, step) = part.split_once('/').map_or((part, None), |(range, step)| (range, Some(step)));
    if step.is_some_and(|step| step.parse::<u32>().map_or(true, |step| step == 0)) {
        return false;
    }
    let number = |text: &str| {
        let known = names.iter().any(|name| name.eq_ignore_ascii_case(text));
        known || text.parse::<u32>().is_ok_and(|n| (low..=high).contains(&n))
    };
    range == "*" || range.split_once('-').map_or_else(|| number(range), |(a, b)| number(a) && number(b))
}

impl Check for Cron {
    fn check(&self, body: &Node) -> Result<(), Faults> {
        let mut faults = Vec::new();
        if self.name.is_empty() || !self.name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b)) {
            let fault = Fault::new(format!("cron passes over a file named `{}`", self.name)).at(place(body, "name"));
            faults.push(fault.hint("use letters, digits, `_` and `-`"));
        }
        match (self.state, &self.schedule, &self.command) {
            (Presence::Absent, ..) => {}
            (_, Some(schedule), Some(command)) => {
                faults.extend(schedule_fault(schedule).map(|what| Fault::new(what).at(place(body, "schedule"))));
                if command.contains(['\n', '\r']) {
                    faults.push(Fault::new("a job is one line").at(place(body, "command")));
                }
            }
            _ => faults.push(Fault::new("a job needs `schedule` and `command`").at(&body.place)),
        }
        let plain = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-$".contains(&b));
        if !plain(&self.user) {
            faults.push(Fault::new(format!("`{}` is no name of a user", self.user)).at(place(body, "user")));
        }
        faults.extend(super::words::env_faults(body, &self.env));
        if self.env.values().any(|value| value.contains(['\n', '\r', '"'])) {
            faults.push(Fault::new("cron's variables cannot hold quotes and ends of lines").at(place(body, "env")));
        }
        Faults::some(faults).map_or(Ok(()), Err)
    }
}

impl Cron {
    fn path(&self) -> String {
        format!("/etc/cron.d/{}", self.name)
    }

    fn content(&self) -> String {
        let mut text = String::from("# kept by steadfast\n");
        for (name, value) in &self.env {
            text.push_str(&format!("{name}=\"{value}\"\n"));
        }
        let command = self.command.as_deref().unwrap_or_default().replace('%', "\\%");
        text + &format!("{} {} {command}\n", self.schedule.as_deref().unwrap_or_default(), self.user)
    }
}

impl Kind for Cron {
    fn facts(&self) -> Vec<Query> {
        vec![Query::Stat(self.path()), Query::File(self.path()), Query::Stat("/etc/cron.d".into())]
    }

    fn plan(&self, found: &Facts) -> Result<Vec<Row>, Gap> {
        let path = self.path();
        if found.stat("/etc/cron.d")?.is_empty() && self.state == Presence::Present {
            return Err(Gap::Missing("/etc/cron.d does not exist: cron is not installed".into()));
        }
        own_file(&path, found, (self.state == Presence::Present).then(|| (self.content(), Mode(0o644))))
    }

    fn set(&self, to: &[Setting], _: &Facts) -> Vec<Act> {
        set_files(to, None)
    }

    fn claims(&self) -> Vec<Claim> {
        let value = if self.state == Presence::Absent { "absent".to_owned() } else { self.content() };
        vec![
            Claim::owns(Object::Path(self.path()), "content", value),
            Claim::Reads(Object::User(self.user.clone())),
            Claim::Reads(Object::Package("cron".into())),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::schedule_fault;

    #[test]
    fn schedules_are_checked_field_by_field() {
        for good in ["* * * * *", "30 3 * * 1-5", "*/15 0-6/2 1,15 jan-mar SUN", "@daily"] {
            assert_eq!(schedule_fault(good), None, "{good}");
        }
        for bad in ["* * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "*/0 * * * *", "@often", "a * * * *", "1- * * * *"] {
            assert!(schedule_fault(bad).is_some(), "{bad}");
        }
    }
}
