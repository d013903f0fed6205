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
use super::{Check, Claim, Kind, Object, Row, Setting, Val};
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
        Faults::some(faults).map_or(Ok(()), Err)
    }
}

impl Sysctl {
    fn path(&self) -> String {
        format!("/etc/sysctl.d/zz-steadfast-{}.conf", self.key.replace('/', "-"))
    }

    fn wanted(&self) -> String {
        self.value.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    fn line(&self) -> Vec<u8> {
        format!("# kept by steadfast\n{} = {}\n", self.key, self.wanted()).into_bytes()
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
        if *live != self.wanted() {
            rows.push(Row::new(&self.key, "live", live.as_str(), self.wanted()));
        }
        let boot = match found.file(&self.path())? {
            Content::Absent => Val::Absent,
            Content::Regular(bytes) => Val::Data(bytes.as_slice().into()),
            Content::Other(what) => return Err(Gap::Impossible(format!("{} is {what}", self.path()))),
        };
        let wanted = Val::Data(self.line().into());
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
