//! What apt's configuration must say in effect, and the files that make it so.

use super::{AutoUpdates, Origins, PACKAGE, TIMERS};
use crate::fact::{AptConfig, Facts, Gap, Query};

const LISTS: &str = "APT::Periodic::Update-Package-Lists";
const DOWNLOAD: &str = "APT::Periodic::Download-Upgradeable-Packages";
const UPGRADE: &str = "APT::Periodic::Unattended-Upgrade";
/// Turns all of them off.
const ENABLE: &str = "APT::Periodic::Enable";
const PATTERNS: &str = "Unattended-Upgrade::Origins-Pattern";
/// The older way to say it, which counts as well.
const ALLOWED: &str = "Unattended-Upgrade::Allowed-Origins";
const HEAD: &str = "// Kept by steadfast: the next run writes it anew.\n";

/// What Debian and Ubuntu call their security updates; a pattern that means nothing here does no harm.
const SECURITY: [&str; 5] = [
    "origin=Debian,codename=${distro_codename},label=Debian-Security",
    "origin=Debian,codename=${distro_codename}-security,label=Debian-Security",
    "origin=Ubuntu,archive=${distro_codename}-security",
    "origin=UbuntuESMApps,archive=${distro_codename}-apps-security",
    "origin=UbuntuESM,archive=${distro_codename}-infra-security",
];
const ALL: [&str; 1] = ["origin=*"];

/// Whether apt takes this for yes.
fn truth(value: Option<&str>) -> bool {
    value.is_some_and(|value| {
        ["yes", "true", "with", "on", "enable", "1"].iter().any(|word| value.eq_ignore_ascii_case(word))
    })
}

/// Whether something happens every day: apt takes a number of days, 0 is never.
fn daily(config: &AptConfig, name: &str) -> bool {
    matches!(config.value(name), Some("1" | "always" | "1d"))
}

/// Whether something happens now and then.
fn ever(config: &AptConfig, name: &str) -> bool {
    config.value(name).is_some_and(|value| value == "always" || value.trim_end_matches(|c: char| c.is_ascii_alphabetic()).parse().is_ok_and(|days: u32| days > 0))
}

fn told(config: &AptConfig, name: &str) -> String {
    format!("{name} is {}", config.value(name).map_or("not set".into(), |value| format!("\"{value}\"")))
}

impl AutoUpdates {
    fn patterns(&self) -> &'static [&'static str] {
        match self.origins {
            Origins::Security => &SECURITY,
            Origins::All => &ALL,
        }
    }

    pub fn periodic_text(&self) -> String {
        let download = if self.download { "1" } else { "0" };
        format!("{HEAD}{ENABLE} \"1\";\n{LISTS} \"1\";\n{DOWNLOAD} \"{download}\";\n{UPGRADE} \"1\";\n")
    }

    pub fn upgrade_text(&self) -> String {
        let mut text = format!("{HEAD}#clear {ALLOWED};\n#clear {PATTERNS};\n");
        for pattern in self.patterns() {
            text.push_str(&format!("{PATTERNS}:: \"{pattern}\";\n"));
        }
        for (name, value) in self.values() {
            text.push_str(&format!("{name} \"{value}\";\n"));
        }
        text
    }

    /// The single values of the upgrade.
    fn values(&self) -> Vec<(&'static str, String)> {
        let reboot = self.reboot != "never";
        let mut values = vec![("Unattended-Upgrade::Automatic-Reboot", reboot.to_string())];
        if reboot {
            values.push(("Unattended-Upgrade::Automatic-Reboot-Time", self.reboot.clone()));
        }
        values.extend(self.mail.iter().map(|mail| ("Unattended-Upgrade::Mail", mail.clone())));
        values.push(("Unattended-Upgrade::Remove-Unused-Dependencies", self.remove_unused.to_string()));
        values.push(("Unattended-Upgrade::Remove-Unused-Kernel-Packages", self.remove_unused.to_string()));
        values
    }

    /// What keeps the daily run from its work.
    pub fn periodic_wrong(&self, config: &AptConfig) -> Option<String> {
        if config.value(ENABLE) == Some("0") {
            return Some(told(config, ENABLE));
        }
        let wrong = [LISTS, UPGRADE].into_iter().find(|name| !daily(config, name));
        let wrong = wrong.or_else(|| (ever(config, DOWNLOAD) != self.download).then_some(DOWNLOAD));
        wrong.map(|name| told(config, name))
    }

    /// What the upgrade would do that is not wanted.
    pub fn upgrade_wrong(&self, config: &AptConfig) -> Option<String> {
        let sorted = |mut list: Vec<String>| {
            list.sort();
            list.dedup();
            list
        };
        let owned = |list: &[&str]| sorted(list.iter().map(|item| (*item).to_owned()).collect());
        let (now, older) = (owned(&config.list(PATTERNS)), config.list(ALLOWED));
        if now != owned(self.patterns()) || !older.is_empty() {
            let items = [now, owned(&older)].concat();
            return Some(format!("{PATTERNS} is {}", if items.is_empty() { "empty".into() } else { items.join(" and ") }));
        }
        let differs = |(name, wanted): &(&'static str, String)| match wanted.as_str() {
            "true" | "false" => truth(config.value(name)) != (wanted == "true"),
            _ => config.value(name) != Some(wanted),
        };
        self.values().into_iter().find(differs).map(|(name, _)| told(config, name))
    }
}

/// What must be known to tell whether upgrades come by themselves.
pub fn schedule_facts() -> Vec<Query> {
    let units = TIMERS.map(|timer| Query::Unit(timer.into()));
    [Query::Package(PACKAGE.into()), Query::AptConfig].into_iter().chain(units).collect()
}

/// What keeps upgrades from coming by themselves, whoever set it up and whatever they take.
pub fn lacks(found: &Facts) -> Result<Vec<String>, Gap> {
    let config = found.apt_config()?;
    let mut lacks = Vec::new();
    if found.package(PACKAGE)?.is_none() {
        lacks.push(format!("{PACKAGE} is not installed"));
    }
    if config.value(ENABLE) == Some("0") {
        lacks.push(told(config, ENABLE));
    }
    lacks.extend([LISTS, UPGRADE].into_iter().filter(|name| !ever(config, name)).map(|name| told(config, name)));
    for timer in TIMERS {
        let unit = found.unit(timer)?;
        if unit.active != "active" || !unit.file.starts_with("enabled") {
            lacks.push(format!("{timer} is {} and {}", unit.active, if unit.file.is_empty() { &unit.load } else { &unit.file }));
        }
    }
    Ok(lacks)
}
