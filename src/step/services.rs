//! Only these services may start; all others that are enabled are drift.
//!
//! ```yaml
//! - id: only-these-services
//!   services:
//!     basics: true
//!     only: [nginx, "php*-fpm", mariadb, backup.timer]
//!     mask: true
//! ```
//!
//! Held against the list is every service, socket, timer and path unit that is enabled (an instance of a template as a unit of
//! its own), every init script that runs, and what the super-servers start: the lines of `/etc/inetd.conf` and the
//! services in `/etc/xinetd.d`, by their names there. A name without a suffix is the service with its socket, timer and
//! path; with a suffix it is that unit alone. `*`, `?` and `[…]` match as in the shell.
//!
//! `basics: true` adds what a Debian or Ubuntu server needs to be one, and what its base packages enable: systemd's own units,
//! dbus, getty, the network, ssh and firewalls, clocks, cron, logs, apt's and dpkg's timers, care of file systems,
//! apparmor, auditd, fail2ban, and the agents of clouds and hypervisors (`src/step/services/basics.txt` has them all).
//!
//! What is not listed is stopped and disabled, or, with `mask: true`, masked, so that nobody can start it. A unit that cannot
//! be disabled (an init script) is masked in any case. A service that one of its triggers started is stopped with it. A line
//! of inetd is marked with `#<off># `, a service of xinetd gets `disable = yes`, and the super-server reads its files again.
//!
//! What one comes in by (ssh, networking, firewalls, VPNs …), and what takes changes back when the host starts, is never turned off here, listed or not: use `service` for that.
//!
//! Way back: exact for the former states of each unit and line. Disruption: restart. It is guarded as what touches the way in.
//!
//! Traps:
//! - What is not enabled and only started by another unit (static) is that unit's affair. What somebody started by hand ends
//!   with the next restart of the host.
//! - A unit that is enabled by its package comes back when a new package brings it: the next check tells it.
//! - Units of users (`systemctl --user`) are not looked at.

use super::service::state::{State, boot_verbs, is_live, means_off};
use super::service::{DOORS, suffixed};
use super::words::place;
use super::{Check, Claim, Disruption, Kind, Many, Object, Row, Setting};
use crate::act::Act;
use crate::fact::{Facts, Gap, Query, Unit, UnitFile, UnitFiles};
use crate::fault::{Fault, Faults};
use crate::yaml::Node;
use globset::{Glob, GlobSet, GlobSetBuilder};
use serde::Deserialize;
use std::collections::BTreeSet;

mod super_server;

/// What may start.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Services {
    /// Names or globs; without a suffix the service with all that starts it.
    #[serde(default)]
    only: Many,
    /// What a server needs to be one may start as well.
    #[serde(default)]
    basics: bool,
    /// What may not start is masked.
    #[serde(default)]
    mask: bool,
}

const SUFFIXES: [&str; 4] = [".service", ".socket", ".timer", ".path"];
const BASICS: &str = include_str!("services/basics.txt");

impl Check for Services {
    fn check(&self, body: &Node) -> Result<(), Faults> {
        let good = |name: &str| !name.is_empty() && !name.contains(['/', ' ']) && Glob::new(name).is_ok();
        let mut faults = self.only.faults(body, "only", good);
        if self.only.0.is_empty() && !self.basics && faults.is_empty() {
            let fault = Fault::new("nothing may start: a host without services is none").at(place(body, "only"));
            faults.push(fault.hint("name what may start, or say `basics: true`"));
        }
        Faults::some(faults).map_or(Ok(()), Err)
    }
}

/// What may start, ready to be asked.
struct Allowed {
    /// Names without their suffix.
    stems: GlobSet,
    names: GlobSet,
}

impl Allowed {
    fn has(&self, name: &str) -> bool {
        let stem = stem(name);
        let door = stem.split('@').next().unwrap_or(stem);
        self.names.is_match(name) || self.stems.is_match(stem) || DOORS.contains(&door) || VPNS.contains(&door)
    }
}

/// Tunnels that one may come in by, beside the doors that `service` knows.
const VPNS: [&str; 8] = [
    "wg-quick",
    "openvpn-client",
    "openvpn-server",
    "strongswan",
    "strongswan-starter",
    "ipsec",
    "zerotier-one",
    "wpa_supplicant",
];

fn stem(name: &str) -> &str {
    SUFFIXES.iter().find_map(|suffix| name.strip_suffix(suffix)).unwrap_or(name)
}

impl Services {
    fn allowed(&self) -> Allowed {
        let (mut stems, mut names) = (GlobSetBuilder::new(), GlobSetBuilder::new());
        let basics = BASICS.lines().filter(|line| self.basics && !line.starts_with('#'));
        // What takes changes back when the host starts is never in the way of anybody.
        for pattern in self.only.iter().chain(["steadfast-*"]).chain(basics) {
            if let Ok(glob) = Glob::new(pattern) {
                if stem(pattern) == pattern { stems.add(glob) } else { names.add(glob) };
            }
        }
        Allowed { stems: stems.build().unwrap_or_default(), names: names.build().unwrap_or_default() }
    }

    fn state(&self) -> State {
        if self.mask { State::Masked } else { State::Disabled }
    }

    /// The units that start and may not, with the services that their triggers started.
    fn wrong<'a>(&self, files: &'a UnitFiles, allowed: &Allowed) -> Vec<&'a UnitFile> {
        let template = |unit: &UnitFile| stem(&unit.name).ends_with('@');
        let of = |unit: &&UnitFile| SUFFIXES.iter().any(|suffix| unit.name.ends_with(suffix)) && !template(unit);
        let mut wrong: Vec<&UnitFile> =
            files.units.iter().filter(of).filter(|unit| starts(unit)).filter(|unit| !allowed.has(&unit.name)).collect();
        let triggered: BTreeSet<String> = wrong.iter().map(|unit| format!("{}.service", stem(&unit.name))).collect();
        let started = |unit: &&UnitFile| unit.active == "active" && triggered.contains(&unit.name) && !starts(unit);
        wrong.extend(files.units.iter().filter(started).filter(|unit| !allowed.has(&unit.name)));
        wrong
    }
}

/// Whether it starts by itself.
fn starts(unit: &UnitFile) -> bool {
    match unit.file.as_str() {
        "enabled" | "enabled-runtime" => true,
        "generated" => unit.active == "active",
        _ => false,
    }
}

fn unit(file: &UnitFile) -> Unit {
    let load = if file.file.starts_with("masked") { "masked" } else { "loaded" };
    let (active, state, id) = (file.active.clone(), file.file.clone(), file.name.clone());
    Unit { load: load.into(), active, file: state, id, ..Unit::default() }
}

/// All units that are enabled and disabled together with these.
fn taken_along<'a>(files: &'a UnitFiles, names: &[&str]) -> Vec<&'a UnitFile> {
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    let mut waiting: Vec<&str> = names.to_vec();
    let find = |name: &str| files.units.iter().find(|unit| unit.name == name);
    let mut all = Vec::new();
    while let Some(name) = waiting.pop() {
        for other in find(name).into_iter().flat_map(|file| &file.also) {
            if let Some(other) = find(other).filter(|other| seen.insert(&other.name)) {
                all.push(other);
                waiting.push(&other.name);
            }
        }
    }
    all
}

impl Kind for Services {
    fn facts(&self) -> Vec<Query> {
        vec![Query::UnitFiles]
    }

    fn plan(&self, found: &Facts) -> Result<Vec<Row>, Gap> {
        let files = found.unit_files()?;
        let allowed = self.allowed();
        let mut rows = Vec::new();
        for file in self.wrong(files, &allowed) {
            let own = self.state().rows(&unit(file), true)?;
            // What a trigger started has only to end with it.
            rows.extend(own.into_iter().filter(|row| self.mask || starts(file) || row.field == "live"));
        }
        rows.extend(super_server::rows(files, |name| allowed.has(name)));
        Ok(rows)
    }

    fn set(&self, to: &[Setting], found: &Facts) -> Vec<Act> {
        let Ok(files) = found.unit_files() else { return vec![] };
        let mut acts = Vec::new();
        let main = |setting: &&Setting| setting.object.ends_with(".service");
        let act = |verb: &'static str, name: &str| Act::Unit { verb, name: name.to_owned() };
        // A service's `Also=` reaches its triggers, so services go first, and each trigger then gets its own.
        let boot: Vec<&Setting> = to.iter().filter(|setting| setting.field == "boot").collect();
        let mut moved: Vec<(&str, &'static str)> = Vec::new();
        for setting in boot.iter().filter(|s| main(s)).chain(boot.iter().filter(|s| !main(s))) {
            for verb in boot_verbs(&setting.now, &setting.to) {
                acts.push(act(verb, &setting.object));
                if matches!(verb, "enable" | "disable") {
                    moved.push((&setting.object, verb));
                }
            }
        }
        for (verb, was, again) in [("disable", "enabled", "enable"), ("enable", "disabled", "disable")] {
            let names: Vec<&str> = moved.iter().filter(|(_, done)| *done == verb).map(|(name, _)| *name).collect();
            let others = taken_along(files, &names).into_iter().filter(|unit| unit.file == was);
            let others = others.filter(|unit| !boot.iter().any(|setting| setting.object == unit.name));
            acts.extend(others.map(|unit| act(again, &unit.name)));
        }
        // A trigger that listens would start the service again, and cannot listen while the service runs.
        let live = || to.iter().filter(|setting| setting.field == "live");
        for setting in live().filter(|s| !main(s)).chain(live().filter(main)) {
            acts.push(act(if means_off(&setting.to) { "stop" } else { "start" }, &setting.object));
        }
        let before = acts.len();
        for file in &files.supers {
            let own: Vec<&Setting> = to.iter().filter(|setting| setting.object == file.path).collect();
            if !own.is_empty() {
                let content = super_server::with(file, &own).into_bytes();
                acts.push(Act::Write { path: file.path.clone(), content, mode: None, owner: None, group: None, check: None });
            }
        }
        if acts.len() > before {
            let turned_off = |name: &str| live().any(|setting| setting.object == name);
            let runs = files.units.iter().filter(|file| super_server::UNITS.contains(&file.name.as_str()));
            let runs = runs.filter(|file| is_live(&unit(file)) && !turned_off(&file.name));
            acts.extend(runs.map(|file| act("reload-or-restart", &file.name)));
        }
        acts
    }

    fn claims(&self) -> Vec<Claim> {
        let names = self.only.iter().filter(|name| !name.contains(['*', '?', '[']));
        let units = names.map(|name| Claim::Reads(Object::Unit(suffixed(name))));
        let value = format!("{:?} {} {}", self.only, self.basics, self.mask);
        units.chain([Claim::owns(Object::Other("all", "services".into()), "boot", value)]).collect()
    }

    fn access(&self) -> bool {
        true
    }

    fn disruption(&self) -> Disruption {
        Disruption::Restart
    }

    fn patience(&self) -> u64 {
        300
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_without_a_suffix_is_all_that_starts_the_service() {
        let services = Services { only: Many(vec!["nginx".into(), "backup.timer".into(), "php*-fpm".into()]), basics: true, mask: false };
        let allowed = services.allowed();
        for name in ["nginx.service", "nginx.socket", "backup.timer", "php8.2-fpm.service", "ssh.socket", "getty@tty1.service", "apt-daily.timer", "wg-quick@wg0.service"] {
            assert!(allowed.has(name), "{name}");
        }
        for name in ["backup.service", "cups.socket", "telnet.socket", "nginx-debug.service", "rpcbind.service"] {
            assert!(!allowed.has(name), "{name}");
        }
    }

    #[test]
    fn every_basic_is_a_pattern() {
        assert!(BASICS.lines().filter(|line| !line.starts_with('#')).all(|line| Glob::new(line).is_ok() && line.trim() == line && !line.is_empty()));
    }
}
