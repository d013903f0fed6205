//! Upgrades that come by themselves, every day.
//!
//! ```yaml
//! - id: security-updates
//!   auto_updates: {origins: security, reboot: never, mail: root@example.org}
//! ```
//!
//! | field | is |
//! |---|---|
//! | `origins` | `security` (the default): what the distribution calls a security update; `all`: whatever the configured repositories bring |
//! | `reboot` | `never` (the default), or the time of day at which a host that must start anew does so: `"02:00"` |
//! | `mail` | who is told; left as it is where it is not said |
//! | `remove_unused` | what nothing needs any more goes away, old kernels with it (default: true) |
//! | `download` | what waits is fetched ahead (default: true) |
//!
//! It is true when all of this is: `unattended-upgrades` is installed; apt's configuration in effect (`apt-config dump`, all
//! files together) lets the daily run fetch the lists, upgrade, and take these origins alone; `apt-daily.timer` and
//! `apt-daily-upgrade.timer` are enabled and run. What differs is written into `/etc/apt/apt.conf.d/20auto-upgrades` and
//! `/etc/apt/apt.conf.d/52steadfast`, whole; a host whose own files say the same is left alone.
//!
//! Drift is told for the package (`version`), for the two files (`content`, with `--diff` line by line) and for the timers
//! (`boot`, `live`).
//!
//! Way back: partial. The files and timers are as they were; packages that were installed along with
//! `unattended-upgrades` stay. Disruption: none now; an upgrade that comes by itself restarts the services that it touches.
//!
//! Traps:
//! - A file of apt.conf.d that is read later (`99local`) wins. Where it keeps this from becoming true the step says which
//!   value it is, and is impossible until you change that file.
//! - Repositories of others (Docker, PostgreSQL) bring no security updates by the distribution's name: take `origins: all`
//!   for them, or upgrade them by hand.
//! - A host without `reboot` goes on with its old kernel: `expect: {updates: {reboot_required: false}}` tells it.
//! - Debian and Ubuntu only. With dnf take `package` (dnf-automatic), `key_value` (`/etc/dnf/automatic.conf`) and `service`
//!   (`dnf-automatic.timer`).

use super::service::reload_units;
use super::words::place;
use super::{Check, Claim, Disruption, Kind, Object, Row, Setting, Undo, Val};
use crate::act::Act;
use crate::fact::{Content, Facts, Gap, Query};
use crate::fault::{Fault, Faults};
use crate::yaml::Node;
use serde::Deserialize;

mod effective;

pub(super) use effective::{lacks, schedule_facts};

/// What comes by itself.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AutoUpdates {
    /// Where upgrades may come from.
    #[serde(default)]
    origins: Origins,
    /// `never`, or a time of day: `"02:00"`.
    #[serde(default = "never")]
    reboot: String,
    /// Who is told what was done.
    mail: Option<String>,
    /// What nothing needs any more goes away.
    #[serde(default = "yes")]
    remove_unused: bool,
    /// What waits is fetched ahead.
    #[serde(default = "yes")]
    download: bool,
}

fn never() -> String {
    "never".into()
}

fn yes() -> bool {
    true
}

/// Where upgrades may come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Origins {
    /// What the distribution calls a security update.
    #[default]
    Security,
    /// Every repository that is configured.
    All,
}

const PACKAGE: &str = "unattended-upgrades";
const PERIODIC: &str = "/etc/apt/apt.conf.d/20auto-upgrades";
const DROP_IN: &str = "/etc/apt/apt.conf.d/52steadfast";
const TIMERS: [&str; 2] = ["apt-daily.timer", "apt-daily-upgrade.timer"];

impl Check for AutoUpdates {
    fn check(&self, body: &Node) -> Result<(), Faults> {
        let mut faults = Vec::new();
        let number = |text: &str, below: u8| text.len() == 2 && text.parse::<u8>().is_ok_and(|number| number < below);
        let time = self.reboot.split_once(':').is_some_and(|(hour, minute)| number(hour, 24) && number(minute, 60));
        if !time && self.reboot != "never" {
            let fault = Fault::new(format!("`{}` is no time of day", self.reboot)).at(place(body, "reboot"));
            faults.push(fault.hint("write `reboot: \"02:00\"`, or `never`"));
        }
        let plain = |c: char| c.is_ascii_alphanumeric() || "@.,+_=-".contains(c);
        if self.mail.as_ref().is_some_and(|mail| mail.is_empty() || !mail.chars().all(plain)) {
            faults.push(Fault::new("this is no address that apt can be told").at(place(body, "mail")));
        }
        Faults::some(faults).map_or(Ok(()), Err)
    }
}

impl AutoUpdates {
    /// The row of a file that must say something, or that its word does not count.
    fn file(path: &str, wrong: Option<String>, wanted: &str, found: &Facts) -> Result<Option<Row>, Gap> {
        let Some(wrong) = wrong else { return Ok(None) };
        let now = match found.file(path)? {
            Content::Absent => Val::Absent,
            Content::Regular(bytes) => Val::Data(bytes.as_slice().into()),
            Content::Other(what) => return Err(Gap::Impossible(format!("{path} is {what}"))),
        };
        let wanted = Val::Data(wanted.as_bytes().into());
        if now == wanted {
            let why = format!("{wrong} in effect, whatever {path} says: another file that apt reads later decides otherwise");
            return Err(Gap::Impossible(why));
        }
        Ok(Some(Row::new(path, "content", now, wanted)))
    }

    fn timers(found: &Facts) -> Result<Vec<Row>, Gap> {
        let mut rows = Vec::new();
        for timer in TIMERS {
            rows.extend(super::service::State::Running.rows(found.unit(timer)?, true)?);
        }
        Ok(rows)
    }
}

impl Kind for AutoUpdates {
    fn facts(&self) -> Vec<Query> {
        let files = [PERIODIC, DROP_IN].map(|path| Query::File(path.into()));
        [Query::Os].into_iter().chain(files).chain(schedule_facts()).collect()
    }

    fn plan(&self, found: &Facts) -> Result<Vec<Row>, Gap> {
        let manager = found.os()?.packages.as_str();
        if manager != "dpkg" {
            let why = "it is apt that is told to upgrade by itself, and there is none here; see the page for dnf";
            return Err(Gap::Impossible(why.into()));
        }
        let config = found.apt_config()?;
        let mut rows = Vec::new();
        if found.package(PACKAGE)?.is_none() {
            rows.push(Row::new(PACKAGE, "version", Val::Absent, "any"));
        }
        rows.extend(Self::file(PERIODIC, self.periodic_wrong(config), &self.periodic_text(), found)?);
        rows.extend(Self::file(DROP_IN, self.upgrade_wrong(config), &self.upgrade_text(), found)?);
        rows.extend(Self::timers(found)?);
        Ok(rows)
    }

    fn set(&self, to: &[Setting], found: &Facts) -> Vec<Act> {
        let packages = |gone: bool| {
            let of = to.iter().filter(|s| s.field == "version" && (s.to == Val::Absent) == gone);
            of.map(|setting| setting.object.clone()).collect::<Vec<_>>()
        };
        let mut acts = Vec::new();
        // First the package, which brings files of its own; on the way back it goes last.
        if !packages(false).is_empty() {
            acts.push(Act::Install { packages: packages(false) });
        }
        for setting in to.iter().filter(|setting| setting.field == "content") {
            let path = setting.object.clone();
            acts.push(match &setting.to {
                Val::Data(content) => {
                    // Everybody may ask apt for its configuration.
                    let mode = (setting.now == Val::Absent).then_some(0o644);
                    Act::Write { path, content: content.to_vec(), mode, owner: None, group: None, check: Some(TRY.into()) }
                }
                _ => Act::Remove { path },
            });
        }
        acts.extend(reload_units(&TIMERS.map(String::from), found));
        for setting in to.iter().filter(|setting| setting.field == "boot") {
            let verbs = super::service::boot_verbs(&setting.now, &setting.to);
            acts.extend(verbs.into_iter().map(|verb| Act::Unit { verb, name: setting.object.clone() }));
        }
        for setting in to.iter().filter(|setting| setting.field == "live") {
            let verb = if super::service::means_off(&setting.to) { "stop" } else { "start" };
            acts.push(Act::Unit { verb, name: setting.object.clone() });
        }
        if !packages(true).is_empty() {
            acts.push(Act::Uninstall { packages: packages(true) });
        }
        acts
    }

    fn claims(&self) -> Vec<Claim> {
        let text = [(PERIODIC, self.periodic_text()), (DROP_IN, self.upgrade_text())];
        let mut claims = vec![Claim::owns(Object::Package(PACKAGE.into()), "state", "present")];
        claims.extend(text.map(|(path, text)| Claim::owns(Object::Path(path.into()), "content", text)));
        for timer in TIMERS {
            let unit = || Object::Unit(timer.into());
            claims.extend([Claim::owns(unit(), "live", "running"), Claim::owns(unit(), "boot", "enabled")]);
        }
        claims
    }

    fn disruption(&self) -> Disruption {
        Disruption::None
    }

    fn undo(&self) -> Undo {
        Undo::Partial("packages that were installed along with it stay".into())
    }

    fn hangs_on_others(&self) -> bool {
        true
    }

    fn patience(&self) -> u64 {
        600
    }
}

/// A file that apt cannot read would stop all its work.
const TRY: &str = "apt-config dump APT::Periodic >/dev/null";
