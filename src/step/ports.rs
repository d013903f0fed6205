//! What may listen, and on which address; steadfast looks, a person (or a `service` step) mends.
//!
//! ```yaml
//! - id: ports
//!   ports:
//!     allow:
//!       - {port: 22, process: sshd, package: openssh-server, required: true}
//!       - {port: [80, 443], process: nginx}
//!       - {port: 3306, address: internal}
//!       - {port: 68, protocol: udp, process: [dhclient, systemd-networkd]}
//!     dynamic: [named, rpc.statd]
//!     outside: true
//! ```
//!
//! Every listening tcp socket and every unconnected udp socket is held against the list: what is not on it, listens on
//! another address than it may, or belongs to another program is drift, with the program, its file and its package.
//!
//! | field of `allow` | says |
//! |---|---|
//! | `port`, `protocol` | as in `firewall`: a number, a range or a list; `tcp` (the default), `udp` or `both` |
//! | `address` | `any` (the default), `loopback`, `internal` (private networks), or addresses and networks |
//! | `process` | names, files (with a `/`) or globs of these; all processes that hold the socket must be among them |
//! | `package` | packages, one of which must have brought the file that the process runs |
//! | `required` | that nothing listens there is drift as well |
//! | `forwarded` | it is handed on (to a container, say): it may answer from outside although nothing listens here |
//!
//! `loopback: true` (the default) lets anything listen where only the host itself can get. `dynamic` names programs that may
//! listen on any port of the range that the kernel gives out (`net.ipv4.ip_local_port_range`).
//!
//! **Contradictions.** The sockets are read twice over, by `ss` and from the kernel's own tables; what one of them leaves
//! out all the time is told as `contradiction`: a program that hides is a sign of an intrusion. With `outside: true` the
//! controller also calls every tcp port that is declared or found, and with `outside: [2222, 1-1024]` these as well. What
//! answers and is not declared is drift; what answers and nothing listens there is a contradiction. A call is a TCP
//! connection that is closed at once: at most 4096 ports, 2 s each.
//!
//! Way back: none is needed, for it never changes anything. Disruption: none.
//!
//! Traps:
//! - A program can call itself anything. To be sure say its file, or the package.
//! - Where systemd listens for a service, it holds the socket, alone or beside the service: say
//!   `process: [sshd, systemd]`.
//! - Needs root to see other people's programs: else a step that asks for them is unknown. A socket without any process is
//!   the kernel's own (NFS, WireGuard), or hidden.
//! - A call from outside is a connection: it starts what systemd starts by one, and stands in the service's log.
//! - Sockets of containers with a network of their own are theirs and not seen.
//! - A host behind a jump host cannot be called; then `outside` leaves the step unknown, whatever else is as it should be.
//!   That a port does not answer from outside is no drift: a firewall may rightly see to that.
//! - It is judged at its place in the playbook: write `needs` for the steps that close something.

use super::net::Ports as Numbers;
use super::words::place;
use super::{Check, Claim, Kind, Many, Row, Setting, Val};
use crate::act::Act;
use crate::fact::{Facts, Gap, Listener, Listeners, Query};
use crate::fault::{Fault, Faults};
use crate::probe::{MOST, Reach};
use crate::yaml::Node;
use globset::Glob;
use serde::Deserialize;
use std::collections::BTreeSet;
use words::{Allowed, is_loopback, is_one_of};

mod words;

/// What may listen.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Ports {
    allow: Vec<Allowed>,
    /// Anything may listen where only the host itself can get.
    #[serde(default = "yes")]
    loopback: bool,
    /// Programs that may listen on any port that the kernel gives out.
    #[serde(default)]
    dynamic: Many,
    /// Whether the controller calls the ports as well; ports beside those that are declared or found.
    #[serde(default)]
    outside: Outside,
}

fn yes() -> bool {
    true
}

/// Whether the controller calls the ports.
#[derive(Debug, Clone, Default, Deserialize, schemars::JsonSchema)]
#[serde(try_from = "Many")]
#[schemars(with = "OutsideSchema")]
enum Outside {
    #[default]
    No,
    Yes,
    Also(Numbers),
}

#[derive(schemars::JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "only its schema is used")]
enum OutsideSchema {
    Whether(bool),
    Also(Numbers),
}

impl TryFrom<Many> for Outside {
    type Error = String;
    fn try_from(many: Many) -> Result<Self, String> {
        match many.0.as_slice() {
            [one] if one == "true" => Ok(Self::Yes),
            [one] if one == "false" => Ok(Self::No),
            _ => Numbers::try_from(many).map(Self::Also),
        }
    }
}

const RANGE: &str = "net.ipv4.ip_local_port_range";

impl Check for Ports {
    fn check(&self, body: &Node) -> Result<(), Faults> {
        let mut faults = Vec::new();
        let patterns = self.allow.iter().flat_map(|one| one.process.iter()).chain(self.dynamic.iter());
        faults.extend(
            patterns
                .filter(|pattern| pattern.is_empty() || Glob::new(pattern).is_err())
                .map(|bad| Fault::new(format!("`{bad}` is no name of a program")).at(place(body, "allow"))),
        );
        if self.called().is_some_and(|ports| ports.len() > MOST) {
            let fault = Fault::new(format!("more than {MOST} ports cannot be called")).at(place(body, "outside"));
            faults.push(fault.hint("call fewer, or leave `outside` out"));
        }
        Faults::some(faults).map_or(Ok(()), Err)
    }
}

impl Ports {
    /// The ports that are called whatever is found; `None`: nobody calls.
    fn called(&self) -> Option<BTreeSet<u16>> {
        let declared = self.allow.iter().filter(|one| one.protocol.words().contains(&"tcp")).map(|one| &one.port);
        let also = match &self.outside {
            Outside::No => return None,
            Outside::Yes => None,
            Outside::Also(ports) => Some(ports),
        };
        // A wide range is declared for programs that choose from it: those that are open are found.
        let narrow = declared.flat_map(|ports| &ports.0).filter(|span| span.to - span.from < 256);
        let spans = narrow.chain(also.into_iter().flat_map(|ports| &ports.0));
        Some(spans.flat_map(|span| span.from..=span.to).filter_map(|port| u16::try_from(port).ok()).collect())
    }

    /// What is wrong with one that listens; a gap where it must be known whose it is, and that cannot be seen.
    fn wrong(&self, listener: &Listener, found: &Facts, veil: Option<&String>) -> Result<Option<Row>, Gap> {
        if self.loopback && is_loopback(&listener.address) {
            return Ok(None);
        }
        let speaking: Vec<&Allowed> =
            self.allow.iter().filter(|one| one.speaks_of(&listener.protocol, listener.port)).collect();
        let there: Vec<&&Allowed> = speaking.iter().filter(|one| one.address.has(&listener.address)).collect();
        if there.iter().any(|one| one.holds(listener)) {
            return Ok(None);
        }
        let object = shown(&listener.protocol, &listener.address, listener.port);
        if let (Some(why), true) = (veil, !there.is_empty()) {
            return Err(Gap::Unknown(format!("{object}: {why}")));
        }
        if !self.dynamic.0.is_empty() && self.in_range(listener.port, found)? {
            if let Some(why) = veil {
                return Err(Gap::Unknown(format!("{object}: {why}")));
            }
            let holders = &listener.holders;
            if !holders.is_empty() && holders.iter().all(|holder| is_one_of(&self.dynamic, holder)) {
                return Ok(None);
            }
        }
        Ok(Some(match (there.first(), speaking.first()) {
            (Some(one), _) => Row::new(object, "process", whose(listener, veil), one.whose()),
            (None, Some(_)) => {
                let words: Vec<&str> = speaking.iter().map(|one| one.address.words.as_str()).collect();
                let at = format!("{}, {}", listener.address, whose(listener, veil));
                Row::new(object, "address", at, words.join(" or "))
            }
            (None, None) => Row::new(object, "listening", whose(listener, veil), Val::Absent),
        }))
    }

    fn in_range(&self, port: u16, found: &Facts) -> Result<bool, Gap> {
        let range = found.sysctl(RANGE)?.clone().unwrap_or_default();
        let mut ends = range.split_whitespace().filter_map(|end| end.parse::<u16>().ok());
        Ok(matches!((ends.next(), ends.next()), (Some(from), Some(to)) if (from..=to).contains(&port)))
    }

    /// What is required and does not listen.
    fn missing<'a>(&'a self, listeners: &'a Listeners) -> impl Iterator<Item = Row> + 'a {
        let is_there = |one: &Allowed| {
            let mut all = listeners.all.iter();
            all.any(|listener| one.speaks_of(&listener.protocol, listener.port) && one.address.has(&listener.address))
        };
        self.allow.iter().filter(move |one| one.required && !is_there(one)).map(|one| {
            let ports: Vec<String> = one.port.0.iter().map(ToString::to_string).collect();
            let object = format!("{} port {}", one.protocol.words().join(" or "), ports.join(", "));
            let whose = one.whose();
            Row::new(object, "listening", Val::Absent, if whose.is_empty() { "yes".into() } else { whose })
        })
    }

    /// What answers from outside and should not, or has nothing behind it.
    fn answering(&self, port: u16, listeners: &Listeners) -> Option<Row> {
        let reachable = |one: &&Listener| one.protocol == "tcp" && one.port == port && !is_loopback(&one.address);
        let inside = listeners.all.iter().find(reachable);
        let mut declared = self.allow.iter().filter(|one| one.speaks_of("tcp", port) && one.address.is_outside());
        let (is, forwarded) = (declared.clone().next().is_some(), declared.any(|one| one.forwarded));
        let object = format!("tcp port {port}");
        match inside {
            None if !forwarded => {
                let found = "it answers from outside, and nothing that can be seen listens inside";
                Some(Row::new(object, "contradiction", found, "the same from inside and outside"))
            }
            Some(_) if !is => Some(Row::new(object, "outside", "it answers", Val::Absent)),
            _ => None,
        }
    }
}

/// `tcp 0.0.0.0:22`, `udp [::]:53`
fn shown(protocol: &str, address: &str, port: u16) -> String {
    if address.contains(':') { format!("{protocol} [{address}]:{port}") } else { format!("{protocol} {address}:{port}") }
}

/// Whose it is, for a report.
fn whose(listener: &Listener, veil: Option<&String>) -> String {
    let mut all: Vec<String> = Vec::new();
    for holder in &listener.holders {
        let package = holder.package.as_deref().map_or("of no package".to_owned(), |name| format!("of {name}"));
        let told = match &holder.exe {
            Some(exe) => format!("{} ({exe} {package})", holder.name),
            None => holder.name.clone(),
        };
        if !all.contains(&told) {
            all.push(told);
        }
    }
    match (all.is_empty(), veil) {
        (false, _) => all.join(", "),
        (true, Some(_)) => "a program that cannot be seen".into(),
        (true, None) => "no process: the kernel itself, or hidden".into(),
    }
}

impl Kind for Ports {
    fn facts(&self) -> Vec<Query> {
        let range = (!self.dynamic.0.is_empty()).then(|| Query::Sysctl(RANGE.into()));
        [Query::Listeners].into_iter().chain(range).chain(self.called().map(Query::Outside)).collect()
    }

    fn plan(&self, found: &Facts) -> Result<Vec<Row>, Gap> {
        let listeners = found.listeners()?;
        let (mut rows, mut gap) = (Vec::new(), None);
        for listener in &listeners.all {
            match self.wrong(listener, found, listeners.veil.as_ref()) {
                Ok(row) => rows.extend(row),
                Err(why) => gap = Some(why),
            }
        }
        rows.extend(self.missing(listeners));
        rows.extend(listeners.hidden.iter().map(|one| {
            let object = shown(&one.protocol, &one.address, one.port);
            Row::new(object, "contradiction", format!("{} does not tell of it", one.from), "told by ss and by /proc/net")
        }));
        if let Some(ports) = self.called() {
            match found.outside(&ports) {
                Ok(seen) => {
                    let open = seen.iter().filter(|(_, reach)| **reach == Reach::Open);
                    rows.extend(open.filter_map(|(port, _)| self.answering(*port, listeners)));
                }
                Err(why) => gap = Some(why),
            }
        }
        // What could not be told hides nothing of what could.
        match gap {
            Some(gap) if rows.is_empty() => Err(gap),
            Some(Gap::Unknown(why) | Gap::Missing(why) | Gap::Impossible(why)) => {
                rows.push(Row::new("ports", "known", why, "yes"));
                Ok(rows)
            }
            None => Ok(rows),
        }
    }

    fn set(&self, _: &[Setting], _: &Facts) -> Vec<Act> {
        vec![]
    }

    fn claims(&self) -> Vec<Claim> {
        vec![]
    }

    fn read_only(&self) -> bool {
        true
    }
}
