//! A service, running or off, with all that can start it.
//!
//! ```yaml
//! - id: telnet-off
//!   service: {name: telnet, state: disabled}
//! ```
//!
//! A name without a suffix is a `.service`; a `.socket`, `.timer` or `.path` may be named as well.
//!
//! | state | is true when |
//! |---|---|
//! | `running` | it runs now and starts at boot; a unit that cannot be enabled (static) has only to run |
//! | `enabled` | it starts at boot; whether it runs now is left as it is |
//! | `stopped` | it does not run now; what happens at boot is left as it is |
//! | `disabled` | it does not run, does not start at boot, and its `.socket`, `.path` and `.timer` do neither |
//! | `masked` | that, and nobody can start it, by hand or as another unit's dependency |
//! | `restarted`, `reloaded` | nothing is due: see below |
//!
//! `disabled` is stricter than systemctl's: a unit that cannot be disabled (static, generated from an init script) is
//! masked, for else any other unit could start it. A unit that the host does not have is off already, masked or not. `also:` names more
//! units that go the same way; a trigger that systemd knows and that is named neither by the service nor by `also:` makes
//! the step unknown, with the name to add.
//!
//! `restarted` and `reloaded` are follow-ups: another step's `on_change:` leads here. The change leaves a mark on the host
//! before it begins, so the follow-up is due until it is done, also after a failed run. A unit that is not running is
//! not started by it. A service that cannot reload fails: use `restarted`.
//!
//! Drift is told for `live` (running now) and `boot` (what systemd calls the unit file's state), and for `disabled` and `masked`
//! also for `processes`: those that systemd left alive in the unit's control group although it calls the unit off. They
//! may still listen; stopping is tried, and where they live on the step has failed, with their names.
//!
//! Way back: exact for the former states of each unit; none for a restart. Disruption: reload or restart. Any unit may carry a
//! firewall, a network or a mount, so each touches the way in but web servers, databases and others that no login needs, and these
//! as well where a proxy on the host carries the connection or a database knows the accounts; what sshd requires is not stopped under it.
//!
//! Traps:
//! - A unit whose file lies in `/etc/systemd/system` itself cannot be masked.
//! - A one-shot unit that ends after its work never runs: use `enabled`, or name its timer.
//! - Instances that a socket has started (`telnet@0-…`) live until their connection ends.

use super::words::place;
use super::{Check, Claim, Disruption, Kind, Many, Object, Row, Setting, Undo, Val};
use crate::act::Act;
use crate::fact::{Facts, Gap, Query};
use crate::fault::{Fault, Faults};
use crate::yaml::Node;
use serde::Deserialize;
use state::is_live;
pub(super) use state::{State, boot_verbs, means_off};

pub(super) mod state;

/// One or several services.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Service {
    /// Units; without a suffix a `.service`.
    name: Many,
    state: State,
    /// More units that go the same way: triggers under other names, helpers.
    #[serde(default)]
    also: Many,
}

const SUFFIXES: [&str; 8] = [".service", ".socket", ".path", ".timer", ".target", ".mount", ".automount", ".slice"];
const TRIGGERS: [&str; 3] = [".socket", ".path", ".timer"];

/// What one comes in by.
pub(super) const DOORS: [&str; 19] = [
    "ssh",
    "sshd",
    "dropbear",
    "networking",
    "NetworkManager",
    "systemd-networkd",
    "nftables",
    "iptables",
    "firewalld",
    "ufw",
    "sssd",
    "tailscaled",
    "systemd-user-sessions",
    "systemd-logind",
    "openvpn",
    "wg-quick",
    "strongswan",
    "ipsec",
    "systemd-resolved",
];

/// Services on which no login hangs. Any other may carry a firewall, a mount or a network of its own, or what sshd requires.
const QUIET: [&str; 36] = [
    "nginx", "apache2", "httpd", "redis", "redis-server", "mariadb", "mysql", "mysqld", "postgresql", "cron",
    "crond", "anacron", "atd", "rsyslog", "systemd-journald", "avahi-daemon", "cups", "cups-browsed", "rpcbind", "exim4", "postfix",
    "dovecot", "vsftpd", "tftpd-hpa", "bluetooth", "unattended-upgrades", "apt-daily", "apt-daily-upgrade", "sysstat",
    "systemd-timesyncd", "chrony", "chronyd", "ntp", "ntpsec", "logrotate", "fstrim",
];

/// Services whose package has another name.
const PACKAGES: [(&str, &str); 12] = [
    ("ssh", "openssh-server"),
    ("sshd", "openssh-server"),
    ("mysql", "mysql-server"),
    ("mariadb", "mariadb-server"),
    ("redis", "redis-server"),
    ("chronyd", "chrony"),
    ("httpd", "apache2"),
    ("named", "bind9"),
    ("smbd", "samba"),
    ("nfs-server", "nfs-kernel-server"),
    ("auditd", "audit"),
    ("crond", "cronie"),
];

pub(super) fn suffixed(name: &str) -> String {
    let whole = SUFFIXES.iter().any(|suffix| name.ends_with(suffix));
    if whole { name.into() } else { format!("{name}.service") }
}

pub(super) fn plain(name: &str) -> bool {
    !name.is_empty()
        && name.len() < 240
        && !name.starts_with(['-', '.', '@'])
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b":_.\\@-".contains(&b))
}

impl Check for Service {
    fn check(&self, body: &Node) -> Result<(), Faults> {
        let mut faults = self.name.faults(body, "name", plain);
        faults.extend(self.also.faults(body, "also", plain));
        if self.state.is_follow_up() && !self.also.0.is_empty() {
            let fault = Fault::new("`also` says nothing for a follow-up").at(place(body, "also"));
            faults.push(fault.hint("put these units under `name`"));
        }
        Faults::some(faults).map_or(Ok(()), Err)
    }
}

impl Service {
    /// The units that were named.
    fn named(&self) -> impl Iterator<Item = String> {
        self.name.iter().chain(self.also.iter()).map(suffixed)
    }

    /// The named units with what usually starts them; what starts comes before what is started.
    fn units(&self) -> Vec<String> {
        let mut units: Vec<String> = Vec::new();
        for name in self.named() {
            let stem = name.strip_suffix(".service");
            let triggers = stem.into_iter().flat_map(|stem| TRIGGERS.map(|suffix| format!("{stem}{suffix}")));
            units.extend(triggers.chain([name.clone()]).filter(|unit| !units.contains(unit)).collect::<Vec<_>>());
        }
        units
    }

    fn mark(&self) -> Option<String> {
        let names: Vec<String> = self.named().collect();
        self.state.is_follow_up().then(|| format!("{}:{}", self.state.word(), names.join(",")))
    }

    fn follow(&self, found: &Facts) -> Vec<Act> {
        let Some(mark) = self.mark() else { return vec![] };
        let mut acts = reload_units(&self.named().collect::<Vec<_>>(), found);
        for name in self.named() {
            let Ok(unit) = found.unit(&name) else { continue };
            let verb = match self.state {
                State::Reloaded if is_live(unit) => "reload",
                // A service that failed may have done so for what was changed since.
                State::Restarted if is_live(unit) || unit.active == "failed" => "restart",
                _ => continue,
            };
            acts.push(Act::Unit { verb, name: unit.id.clone() });
        }
        acts.push(Act::ClearDue { name: mark });
        acts
    }

    /// Enabling or disabling a unit takes those along that its `Also=` names: the others get back what they were.
    fn keep_others(&self, to: &[Setting], found: &Facts) -> Vec<Act> {
        let mut acts = Vec::new();
        for name in self.units() {
            let Ok(unit) = found.unit(&name) else { continue };
            let verb = match unit.file.as_str() {
                "enabled" => "enable",
                "disabled" => "disable",
                _ => continue,
            };
            let told = to.iter().any(|setting| setting.object == unit.id && setting.field == "boot");
            if !told && unit.load == "loaded" {
                acts.push(Act::Unit { verb, name: unit.id.clone() });
            }
        }
        acts
    }
}

pub(super) fn reload_units(names: &[String], found: &Facts) -> Vec<Act> {
    let stale = names.iter().any(|name| found.unit(name).is_ok_and(|unit| unit.needs_reload));
    if stale { vec![Act::ReloadUnits] } else { vec![] }
}

impl Kind for Service {
    fn facts(&self) -> Vec<Query> {
        let units = if self.state.is_follow_up() { self.named().collect() } else { self.units() };
        let left = units.iter().filter(|_| self.state.leaves_nothing()).cloned().map(Query::Leftover).collect::<Vec<_>>();
        units.into_iter().map(Query::Unit).chain(left).chain(self.mark().map(Query::Due)).collect()
    }

    fn plan(&self, found: &Facts) -> Result<Vec<Row>, Gap> {
        if let Some(mark) = self.mark() {
            let names: Vec<String> = self.named().collect();
            let due = *found.due(&mark)?;
            return Ok(if due { vec![Row::new(names.join(", "), self.state.word(), "due", "done")] } else { vec![] });
        }
        let named: Vec<String> = self.named().collect();
        let units = self.units();
        let mut rows: Vec<Row> = Vec::new();
        for name in &units {
            let unit = found.unit(name)?;
            if rows.iter().any(|row| row.object == unit.id) {
                continue;
            }
            rows.extend(self.state.rows(unit, named.contains(name))?);
            if self.state.leaves_nothing() && !is_live(unit) {
                let left = found.leftover(name)?.join(", ");
                rows.extend((!left.is_empty()).then(|| Row::new(&unit.id, "processes", left, Val::Absent)));
            }
            if self.state == State::Disabled {
                let other = unit.triggered_by.iter().find(|by| {
                    !units.contains(by) && !units.iter().any(|u| found.unit(u).is_ok_and(|unit| unit.id == **by))
                });
                if let Some(other) = other {
                    let why = format!("{other} can start {}, and is not named: add it to `also`", unit.id);
                    return Err(Gap::Unknown(why));
                }
            }
        }
        Ok(rows)
    }

    fn set(&self, to: &[Setting], found: &Facts) -> Vec<Act> {
        if self.state.is_follow_up() {
            let due = to.iter().any(|setting| setting.to.as_text() == Some("done"));
            return if due { self.follow(found) } else { vec![] };
        }
        let mut acts = reload_units(&self.units(), found);
        let main = |setting: &&Setting| setting.object.ends_with(".service");
        // A service's `Also=` reaches its triggers, so services go first, and each trigger then gets its own.
        let boot = || to.iter().filter(|setting| setting.field == "boot");
        let mut one_taken_along = false;
        for setting in boot().filter(main).chain(boot().filter(|s| !main(s))) {
            let verbs = state::boot_verbs(&setting.now, &setting.to);
            one_taken_along |= verbs.iter().any(|verb| matches!(*verb, "enable" | "disable"));
            acts.extend(verbs.into_iter().map(|verb| Act::Unit { verb, name: setting.object.clone() }));
        }
        if one_taken_along {
            acts.extend(self.keep_others(to, found));
        }
        // A trigger that listens would start the service again, and cannot listen while the service runs.
        let live = || to.iter().filter(|setting| setting.field == "live");
        for setting in live().filter(|s| !main(s)).chain(live().filter(main)) {
            let verb = if state::means_off(&setting.to) { "stop" } else { "start" };
            acts.push(Act::Unit { verb, name: setting.object.clone() });
        }
        let left = to.iter().filter(|setting| setting.field == "processes" && setting.to == Val::Absent);
        acts.extend(left.map(|setting| Act::Unit { verb: "stop", name: setting.object.clone() }));
        acts
    }

    fn claims(&self) -> Vec<Claim> {
        let mut claims = Vec::new();
        for name in self.units() {
            let (live, boot) = self.state.claims();
            let named = self.named().any(|own| own == name);
            if named || self.state.is_off() {
                let unit = || Object::Unit(name.clone());
                claims.extend(live.map(|value| Claim::owns(unit(), "live", value)));
                claims.extend(boot.map(|value| Claim::owns(unit(), "boot", value)));
            }
            if self.state.is_follow_up() && named {
                claims.push(Claim::Reads(Object::Unit(name.clone())));
            }
            if let (Some(stem), true) = (name.strip_suffix(".service"), named) {
                let stem = stem.split('@').next().unwrap_or(stem);
                let other = PACKAGES.iter().find(|(service, _)| *service == stem).map(|(_, package)| *package);
                let packages = [stem].into_iter().chain(other);
                claims.extend(packages.map(|package| Claim::Reads(Object::Package(package.into()))));
            }
            claims.push(Claim::Reads(Object::Path(format!("/etc/systemd/system/{name}"))));
            claims.push(Claim::Reads(Object::Path(format!("/etc/systemd/system/{name}.d"))));
        }
        claims
    }

    fn access(&self) -> bool {
        // Starting one cuts as well: a firewall begins to rule then.
        let quiet = |name: &str| QUIET.contains(&name.split(['.', '@']).next().unwrap_or(name)) && !name.ends_with("mount");
        !self.name.iter().chain(self.also.iter()).all(quiet)
    }

    fn disruption(&self) -> Disruption {
        match self.state {
            State::Running | State::Enabled => Disruption::None,
            State::Reloaded => Disruption::Reload,
            State::Stopped | State::Disabled | State::Masked | State::Restarted => Disruption::Restart,
        }
    }

    fn undo(&self) -> Undo {
        if self.state.is_follow_up() {
            return Undo::None(format!("what was {} has read its new configuration", self.state.word()));
        }
        Undo::Exact
    }

    fn follow_up(&self) -> Option<String> {
        self.mark()
    }

    fn patience(&self) -> u64 {
        180
    }
}

#[cfg(test)]
mod tests {
    use super::{DOORS, Service};
    use crate::step::Kind;

    #[test]
    fn what_one_comes_in_by_is_guarded_with_all_that_starts_it() {
        let access = |name: &str| {
            let service: Service = serde_json::from_value(serde_json::json!({"name": name, "state": "masked"})).unwrap();
            service.access()
        };
        for name in DOORS {
            assert!(access(name), "{name}");
        }
        for name in ["ssh.socket", "systemd-user-sessions.service", "ufw", "NetworkManager.service", "wg-quick@wg0", "home.mount", "netfilter-persistent", "autofs", "my-firewall"] {
            assert!(access(name), "{name}");
        }
        for name in ["nginx", "rpcbind", "cups.socket"] {
            assert!(!access(name), "{name}");
        }
    }
}
