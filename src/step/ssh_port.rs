//! Moves the port that sshd listens on, without a moment in which nobody gets in.
//!
//! ```yaml
//! - id: ssh-port
//!   ssh_port: {port: 2222}
//! ```
//!
//! It is one change in two stages, each written down and guarded by itself: first sshd listens on both ports, and a new
//! login must get in by the new one; only then the old port is closed, and once more a new login must get in. What
//! cannot be proven goes back by itself. Where systemd listens for sshd (`ssh.socket`), a drop-in for the socket says
//! the same ports.
//!
//! From then on the run speaks to the host by the new port and says so: write `ansible_port` into the inventory. Until
//! that is done, a playbook with this step finds its host by the new port when nobody listens at the old one.
//!
//! What differs is written as `Port` lines to `/etc/ssh/sshd_config.d/00-steadfast.conf` (see `sshd`); `Port` lines of
//! `/etc/ssh/sshd_config` itself are taken out, because ports of all files add up.
//!
//! Drift is told for the ports in effect, for the lines that set them, for the old port (`listening → closed`), and for
//! the socket's drop-in.
//!
//! Way back: none by `rollback`, whose proof would come by a port that it closes: move it back with another `ssh_port` step.
//! The guard's way back is exact. Disruption: reload; connections stay. It touches the way in.
//!
//! Traps:
//! - A firewall must let the new port in first. One of our own (`firewall`) that does not is a reason to do nothing;
//!   others make the proof fail, and the change goes back.
//! - Where SELinux rules, the new port must be an `ssh_port_t` first (`semanage port`).
//! - `Port` lines in other files of `sshd_config.d` add up as well: the step says which port it cannot take away.

use super::sshd::{self, SOCKET, Sshd};
use super::{Check, Claim, Disruption, Kind, Object, Row, Setting, Undo, Val};
use crate::act::Act;
use crate::fact::{Facts, Gap, Query};
use crate::fault::{Fault, Faults};
use crate::yaml::Node;
use serde::Deserialize;

/// The port of this host's sshd.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SshPort {
    /// The one port that sshd listens on.
    port: u16,
}

const SOCKET_DIRECTORY: &str = "/etc/systemd/system/ssh.socket.d";
const SOCKET_DROP_IN: &str = "/etc/systemd/system/ssh.socket.d/00-steadfast.conf";
/// The field of the row that is the second stage.
const OLD: &str = "old port";

impl Check for SshPort {
    fn check(&self, body: &Node) -> Result<(), Faults> {
        match self.port {
            0 => Err(Fault::new("no port has the number 0").at(super::words::place(body, "port")).into()),
            _ => Ok(()),
        }
    }
}

impl SshPort {
    /// The ports to listen on next: the old ones as well as long as the new one is not there.
    fn next(&self, now: &[u16]) -> Vec<u16> {
        if now.contains(&self.port) {
            return vec![self.port];
        }
        now.iter().copied().chain([self.port]).collect()
    }

    /// What listens for sshd, as a drop-in of systemd's.
    fn socket_text(ports: &[u16]) -> String {
        let lines: String = ports.iter().map(|port| format!("ListenStream={port}\n")).collect();
        format!("# kept by steadfast\n[Socket]\nListenStream=\n{lines}")
    }

    fn by_socket(found: &Facts) -> Result<bool, Gap> {
        Ok(found.unit(SOCKET)?.active == "active")
    }

    fn socket(found: &Facts, ports: &[u16], rows: &mut Vec<Row>) -> Result<(), Gap> {
        if !Self::by_socket(found)? {
            return Ok(());
        }
        let now = sshd::text(found, SOCKET_DROP_IN)?;
        let wanted = Self::socket_text(ports);
        if now != wanted && (ports != [22] || !now.is_empty()) {
            if found.stat(SOCKET_DIRECTORY)?.is_empty() {
                rows.push(Row::new(SOCKET_DIRECTORY, "directory", Val::Absent, "present"));
            }
            let now = if now.is_empty() { Val::Absent } else { Val::Text(now) };
            rows.push(Row::new(SOCKET_DROP_IN, "content", now, wanted));
        }
        Ok(())
    }
}

fn effective(found: &Facts) -> Result<Vec<u16>, Gap> {
    let told = found.sshd(None)?;
    let ports = told.0.get("port").map(Vec::as_slice).unwrap_or_default();
    let mut ports: Vec<u16> = ports.iter().filter_map(|port| port.parse().ok()).collect();
    ports.sort_unstable();
    ports.dedup();
    Ok(ports)
}

fn shown(ports: &[u16]) -> String {
    ports.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

impl Kind for SshPort {
    fn facts(&self) -> Vec<Query> {
        let more = [Query::Unit(SOCKET.into()), Query::File(SOCKET_DROP_IN.into()), Query::Stat(SOCKET_DIRECTORY.into())];
        let wall = super::firewall::facts_of_table();
        Sshd::listening(&[self.port]).facts().into_iter().chain(more).chain([wall]).collect()
    }

    fn plan(&self, found: &Facts) -> Result<Vec<Row>, Gap> {
        let inner = |ports: &[u16]| Sshd::listening(ports).plan(found);
        let now = effective(found).or_else(|gap| inner(&[self.port]).and(Err(gap)))?;
        let old: Vec<u16> = now.iter().copied().filter(|port| *port != self.port).collect();
        if old.is_empty() {
            let mut rows = inner(&[self.port])?;
            Self::socket(found, &[self.port], &mut rows)?;
            return Ok(rows);
        }
        if let Ok(Some(table)) = super::firewall::ours(found)
            && !super::firewall::table_opens(table, self.port)
        {
            let why = format!("the firewall of this host closes port {}; allow it there first", self.port);
            return Err(Gap::Impossible(why));
        }
        let next = self.next(&now);
        let mut rows = Vec::new();
        let main = sshd::main_lines(found, "Port")?;
        if !main.is_empty() {
            rows.push(Row::new(sshd::MAIN, "Port", main.join("\n"), Val::Absent));
        }
        rows.extend(inner(&next)?);
        Self::socket(found, &next, &mut rows)?;
        if next.len() > 1 {
            rows.push(Row::new("sshd", OLD, format!("{} listening", shown(&old)), "closed"));
        }
        Ok(rows)
    }

    fn set(&self, to: &[Setting], found: &Facts) -> Vec<Act> {
        let (mut acts, mut last) = (Vec::new(), Vec::new());
        let of = |object: &str| to.iter().find(|setting| setting.object == object);
        if let Some(setting) = of(SOCKET_DIRECTORY).filter(|setting| setting.to != Val::Absent) {
            let path = setting.object.clone();
            acts.push(Act::MakeDir { path, mode: 0o755, owner: None, group: None });
        }
        if let Some(setting) = of(SOCKET_DROP_IN) {
            let path = SOCKET_DROP_IN.to_owned();
            acts.push(match &setting.to {
                Val::Text(text) => Act::Write {
                    path,
                    content: text.clone().into_bytes(),
                    mode: Some(0o644),
                    owner: None,
                    group: None,
                    check: None,
                },
                _ => Act::Remove { path },
            });
            last.push(Act::ReloadUnits);
            last.push(Act::Unit { verb: "restart", name: SOCKET.into() });
        }
        let ports: Vec<u16> = found_ports(to).unwrap_or_else(|| vec![self.port]);
        let (of_main, mut rest): (Vec<Setting>, Vec<Setting>) =
            to.iter().cloned().partition(|setting| setting.object == sshd::MAIN);
        let field = |name: &str| of_main.iter().find(|setting| setting.field == name);
        match field("Port") {
            Some(port) => acts.extend(sshd::with_main_lines(found, "Port", &port.to, field("Include").is_some())),
            None => rest.extend(of_main),
        }
        let inner = Sshd::listening(&ports).set(&rest, found);
        if rest.iter().any(|setting| setting.object == "sshd" && setting.field != OLD) {
            acts.extend(inner);
        }
        acts.extend(last);
        acts
    }

    fn first(&self, rows: &[Row]) -> usize {
        rows.iter().position(|row| row.field == OLD).unwrap_or(rows.len())
    }

    fn door(&self) -> Option<u16> {
        Some(self.port)
    }

    fn claims(&self) -> Vec<Claim> {
        let mut claims = Sshd::listening(&[self.port]).claims();
        claims.push(Claim::Reads(Object::Unit(SOCKET.into())));
        claims
    }

    fn access(&self) -> bool {
        true
    }

    fn disruption(&self) -> Disruption {
        Disruption::Reload
    }

    fn undo(&self) -> Undo {
        Undo::None("a port is moved back by another `ssh_port` step, which proves the way in".into())
    }
}

/// The ports that these settings lead to.
fn found_ports(to: &[Setting]) -> Option<Vec<u16>> {
    let ports = to.iter().find(|setting| setting.object == "sshd" && setting.field == "Port")?;
    Some(ports.to.as_text()?.split(", ").filter_map(|port| port.parse().ok()).collect())
}
