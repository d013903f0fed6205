//! A kernel parameter, now and after the next boot.
//!
//! The live value is set at once; a file under `/etc/sysctl.d` keeps it. The kernel answers lists with tabs and people
//! write them with blanks: both are the same here.
//!
//! ```yaml
//! - id: no-redirects
//!   sysctl: {key: net.ipv4.conf.all.accept_redirects, value: "0"}
//! ```
//!
//! Where a value that is stricter still shall stay, name the values from mild to strict; of these, one that stands behind the
//! wanted one is neither lowered now nor at the next boot:
//!
//! ```yaml
//! - id: bpf
//!   # 1 cannot be taken back before the next boot, 2 can.
//!   sysctl: {key: kernel.unprivileged_bpf_disabled, value: "2", mild_to_strict: ["0", "2", "1"]}
//! ```
//!
//! Drift is told for both: `live` (the running kernel) and `boot` (the file). A parameter that the kernel does not have
//! is impossible, unless `if_present: true`.
//!
//! Way back: exact, both the live value and the file. Disruption: none. Those of the network, of memory, and limits of processes
//! and open files decide whether a new login gets in: they touch the way in.
//!
//! Traps:
//! - The boot reads the files of all `sysctl.d` directories in the order of their names and the last value stays, so
//!   ours is named `zz-steadfast-KEY.conf`: after `99-sysctl.conf`, which on Debian is `/etc/sysctl.conf`. A file that
//!   sorts even later still wins; then `live` tells it after the next boot.
//! - A name with a dot in one of its parts is written with a slash there: `net.ipv4.conf.eth0/1.rp_filter`, or with slashes
//!   between the parts: `net/ipv4/conf/eth0.1/rp_filter`.
//! - In a container most parameters are the machine's own, and setting them fails.

use super::words::place;
use super::{Check, Claim, Kind, Many, Object, Row, Setting, Val};
use crate::act::Act;
use crate::fact::{Content, Facts, Gap, Query};
use crate::fault::{Fault, Faults};
use crate::yaml::Node;
use serde::Deserialize;

/// A kernel parameter.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sysctl {
    /// Dotted name, as `sysctl` writes it.
    #[serde(deserialize_with = "dotted")]
    key: String,
    /// The wanted value; lists with single blanks.
    value: String,
    /// A kernel without this parameter is fine.
    #[serde(default)]
    if_present: bool,
    /// Values from mild to strict: one of them behind the wanted one stays as it is.
    #[serde(default)]
    mild_to_strict: Many,
}

/// A name by dots, of one that may be written by slashes: whichever comes first separates, and the other one is a character
/// of a part (sysctl.d(5)).
fn dotted<'de, D: serde::Deserializer<'de>>(written: D) -> Result<String, D::Error> {
    let name = String::deserialize(written)?;
    if name.find(['.', '/']).is_some_and(|at| name[at..].starts_with('/')) {
        let swapped = |c| match c {
            '/' => '.',
            '.' => '/',
            c => c,
        };
        return Ok(name.chars().map(swapped).collect());
    }
    Ok(name)
}

/// Beginnings of names that decide whether a host answers at all (arp_ignore, rp_filter, disable_ipv6), or whether a
/// new login still gets a process, memory, an open file and a key ring.
const LIMITS: [&str; 12] = [
    "net",
    "fs.epoll.",
    "fs.file-max",
    "fs.inotify.",
    "fs.nr_open",
    "kernel.keys.",
    "kernel.modules_disabled",
    "kernel.pid_max",
    "kernel.pty.",
    "kernel.threads-max",
    "user.max_",
    "vm.",
];

impl Check for Sysctl {
    fn check(&self, body: &Node) -> Result<(), Faults> {
        let mut faults = Vec::new();
        // Part of a path and of a line in a file; what the kernel has is the kernel's to say.
        let bad = |c: char| c.is_control() || "=#;".contains(c);
        let parts = || self.key.split(['.', '/']);
        if self.key.contains(bad) || parts().any(str::is_empty) {
            let fault = Fault::new(format!("`{}` cannot be the name of a kernel parameter", self.key));
            faults.push(fault.at(place(body, "key")).hint("write it as sysctl does: `net.ipv4.ip_forward`"));
        }
        if self.wanted().is_empty() || self.value.chars().any(|c| c.is_control() && c != '\t') {
            faults.push(Fault::new("a kernel parameter needs a value of one line").at(place(body, "value")));
        }
        faults.extend(self.mild_to_strict.faults(body, "mild_to_strict", |one| one == words(one)));
        if !self.mild_to_strict.0.is_empty() && self.rank(&self.wanted()).is_none() {
            let fault = Fault::new(format!("`mild_to_strict` does not have the wanted value `{}`", self.wanted()));
            faults.push(fault.at(place(body, "mild_to_strict")));
        }
        Faults::some(faults).map_or(Ok(()), Err)
    }
}

/// A value as the kernel's and people's lists are compared.
fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

impl Sysctl {
    fn path(&self) -> String {
        format!("/etc/sysctl.d/zz-steadfast-{}.conf", self.key.replace('/', "-"))
    }

    fn wanted(&self) -> String {
        words(&self.value)
    }

    fn rank(&self, value: &str) -> Option<usize> {
        self.mild_to_strict.iter().position(|one| one == value)
    }

    /// The stricter one of both; the second where there is no order.
    fn stricter<'v>(&self, there: &'v str, wanted: &'v str) -> &'v str {
        if self.rank(there) > self.rank(wanted) { there } else { wanted }
    }

    fn line(&self, value: &str) -> Vec<u8> {
        format!("# kept by steadfast\n{} = {value}\n", self.key).into_bytes()
    }

    /// What the file shall hold: what was written there before stays where it is stricter than what is to run.
    fn kept(&self, boot: &Content, value: &str) -> Vec<u8> {
        let strictest = |found: &[u8]| {
            let behind = self.mild_to_strict.iter().filter(|one| self.rank(one) > self.rank(value));
            behind.map(|one| self.line(one)).find(|line| line == found)
        };
        if let Content::Regular(found) = boot { strictest(found) } else { None }.unwrap_or_else(|| self.line(value))
    }
}

impl Kind for Sysctl {
    fn facts(&self) -> Vec<Query> {
        vec![Query::Sysctl(self.key.clone()), Query::File(self.path())]
    }

    fn plan(&self, found: &Facts) -> Result<Vec<Row>, Gap> {
        let Some(live) = found.sysctl(&self.key)? else {
            return if self.if_present {
                Ok(vec![])
            } else {
                Err(Gap::Impossible(format!("the kernel has no parameter {}", self.key)))
            };
        };
        let mut rows = Vec::new();
        let wanted = self.wanted();
        let value = self.stricter(live, &wanted);
        if live != value {
            rows.push(Row::new(&self.key, "live", live.as_str(), value));
        }
        let file = found.file(&self.path())?;
        let boot = match file {
            Content::Absent => Val::Absent,
            Content::Regular(bytes) => Val::Data(bytes.as_slice().into()),
            Content::Other(what) => return Err(Gap::Impossible(format!("{} is {what}", self.path()))),
        };
        let wanted = Val::Data(self.kept(file, value).into());
        if boot != wanted {
            rows.push(Row::new(&self.key, "boot", boot, wanted));
        }
        Ok(rows)
    }

    fn set(&self, to: &[Setting], _: &Facts) -> Vec<Act> {
        let mut acts = Vec::new();
        for setting in to {
            match (setting.field.as_str(), &setting.to) {
                ("boot", Val::Data(content)) => acts.push(Act::Write {
                    path: self.path(),
                    content: content.to_vec(),
                    mode: Some(0o644),
                    owner: None,
                    group: None,
                    check: None,
                }),
                ("boot", _) => acts.push(Act::Remove { path: self.path() }),
                (_, to) => acts.push(Act::Sysctl { key: self.key.clone(), value: to.to_string() }),
            }
        }
        acts
    }

    fn access(&self) -> bool {
        LIMITS.iter().any(|start| self.key.starts_with(start))
    }

    fn claims(&self) -> Vec<Claim> {
        let object = Object::Sysctl(self.key.clone());
        vec![Claim::owns(object, "value", self.wanted()), Claim::owns(Object::Path(self.path()), "content", self.wanted())]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fact::Answer;

    #[test]
    fn what_is_stricter_stays_now_and_at_the_next_boot() {
        let step = |value: &str, order: &[&str]| -> Sysctl {
            let body = serde_json::json!({"key": "kernel.a", "value": value, "mild_to_strict": order});
            serde_json::from_value(body).unwrap()
        };
        let rows = |step: &Sysctl, live: &str, boot: Option<&str>| {
            let mut facts = Facts::default();
            facts.put(Query::Sysctl("kernel.a".into()), Ok(Answer::Sysctl(Some(live.into()))));
            let content = boot.map_or(Content::Absent, |value| Content::Regular(step.line(value)));
            facts.put(Query::File(step.path()), Ok(Answer::File(content)));
            let told = step.plan(&facts).unwrap();
            told.into_iter().map(|row| (row.field, row.wanted)).collect::<Vec<_>>()
        };
        let line = |step: &Sysctl, value: &str| ("boot".to_owned(), Val::Data(step.line(value).into()));
        let live = |value: &str| ("live".to_owned(), Val::text(value));
        let bpf = step("2", &["0", "2", "1"]);
        let both = |value: &str| vec![live(value), line(&bpf, value)];
        assert_eq!(rows(&bpf, "0", None), both("2"));
        // What runs and cannot be lowered is not written down lower either.
        for before in [None, Some("0"), Some("2")] {
            assert_eq!(rows(&bpf, "1", before), both("1")[1..]);
        }
        for (now, boot) in [("2", "2"), ("1", "1"), ("2", "1")] {
            assert_eq!(rows(&bpf, now, Some(boot)), []);
        }
        // What will be stricter at the next boot stays so, and what runs is made as wanted.
        assert_eq!(rows(&bpf, "0", Some("1")), both("2")[..1]);
        // A value that the order does not know is another one.
        assert_eq!(rows(&bpf, "7", Some("2")), both("2")[..1]);
        // Without an order the value is the value.
        let exact = step("3", &[]);
        assert_eq!(rows(&exact, "4", Some("3")), [live("3")]);
        assert_eq!(rows(&exact, "3", Some("4")), [line(&exact, "3")]);
    }
}
