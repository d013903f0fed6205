//! What each state asks of one unit, and the verbs that lead there.

use crate::fact::{Gap, Unit};
use crate::step::{Row, Val};
use serde::Deserialize;

/// What is wanted of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Runs now and starts at boot (Ansible's `started` is understood).
    #[serde(alias = "started")]
    Running,
    /// Starts at boot.
    Enabled,
    /// Does not run now.
    Stopped,
    /// Does not run, and neither the boot nor a trigger starts it.
    Disabled,
    /// Disabled, and nobody can start it.
    Masked,
    /// No restart is due.
    Restarted,
    /// No reload is due.
    Reloaded,
}

/// Whether it does anything now, or is about to.
pub fn is_live(unit: &Unit) -> bool {
    !matches!(unit.active.as_str(), "inactive" | "failed" | "")
}

/// Whether this is a state in which nothing runs.
pub fn means_off(live: &Val) -> bool {
    matches!(live.as_text(), None | Some("inactive" | "failed" | "deactivating"))
}

/// How to get from one state of the unit file to another.
pub fn boot_verbs(now: &Val, to: &Val) -> Vec<&'static str> {
    let (now, to) = (now.as_text().unwrap_or_default(), to.as_text().unwrap_or_default());
    let unmask = if now.starts_with("masked") { vec!["unmask"] } else { vec![] };
    match to {
        // What it was enabled for stays beneath the mask, so that unmasking brings it back.
        "masked" => vec!["mask"],
        "enabled" => [unmask, vec!["enable"]].concat(),
        _ if now == "enabled" => vec!["disable"],
        _ => unmask,
    }
}

impl State {
    pub fn word(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Enabled => "enabled",
            Self::Stopped => "stopped",
            Self::Disabled => "disabled",
            Self::Masked => "masked",
            Self::Restarted => "restarted",
            Self::Reloaded => "reloaded",
        }
    }

    pub fn is_follow_up(self) -> bool {
        matches!(self, Self::Restarted | Self::Reloaded)
    }

    /// Whether triggers go the same way.
    pub fn is_off(self) -> bool {
        matches!(self, Self::Stopped | Self::Disabled | Self::Masked)
    }

    /// Whether no process of it may live on.
    pub fn leaves_nothing(self) -> bool {
        matches!(self, Self::Disabled | Self::Masked)
    }

    /// The values that are owned for `live` and `boot`.
    pub fn claims(self) -> (Option<&'static str>, Option<&'static str>) {
        match self {
            Self::Running => (Some("running"), Some("enabled")),
            Self::Enabled => (None, Some("enabled")),
            Self::Stopped => (Some("stopped"), None),
            Self::Disabled => (Some("stopped"), Some("disabled")),
            Self::Masked => (Some("stopped"), Some("masked")),
            Self::Restarted | Self::Reloaded => (None, None),
        }
    }

    /// What is not as wanted of one unit; `named` says that the playbook names it, else it is a trigger.
    pub fn rows(self, unit: &Unit, named: bool) -> Result<Vec<Row>, Gap> {
        let gone = unit.load == "not-found";
        match self {
            Self::Running | Self::Enabled if !named => Ok(vec![]),
            Self::Running | Self::Enabled => self.on(unit),
            _ if gone && !is_live(unit) => Ok(vec![]),
            _ => self.off(unit),
        }
    }

    fn on(self, unit: &Unit) -> Result<Vec<Row>, Gap> {
        match unit.load.as_str() {
            "loaded" | "masked" => {}
            "not-found" => return Err(Gap::Missing(format!("there is no unit {}", unit.id))),
            load => return Err(Gap::Impossible(format!("systemd cannot load {}: {load}", unit.id))),
        }
        let mut rows = Vec::new();
        match unit.file.as_str() {
            "disabled" | "masked" | "masked-runtime" | "enabled-runtime" => {
                rows.push(Row::new(&unit.id, "boot", unit.file.as_str(), "enabled"));
            }
            "linked" | "linked-runtime" => {
                let why = format!("{} is a link to a file elsewhere; put the file into /etc/systemd/system", unit.id);
                return Err(Gap::Impossible(why));
            }
            _ => {}
        }
        if self == Self::Running && !matches!(unit.active.as_str(), "active" | "reloading" | "refreshing") {
            rows.push(Row::new(&unit.id, "live", unit.active.as_str(), "active"));
        }
        Ok(rows)
    }

    fn off(self, unit: &Unit) -> Result<Vec<Row>, Gap> {
        let wanted = match (self, unit.file.as_str()) {
            (Self::Stopped, _) | (_, "masked") => None,
            (Self::Masked, _) => Some("masked"),
            (_, "enabled") => Some("disabled"),
            (_, "disabled" | "indirect" | "linked" | "alias" | "transient" | "") => None,
            (_, "static" | "generated" | "enabled-runtime" | "linked-runtime" | "masked-runtime") => Some("masked"),
            (_, file) => {
                return Err(Gap::Unknown(format!("systemd says `{file}` of {}, which is not understood", unit.id)));
            }
        };
        let mut rows = Vec::new();
        if let Some(wanted) = wanted {
            let found = if unit.file.is_empty() { Val::Absent } else { unit.file.as_str().into() };
            rows.push(Row::new(&unit.id, "boot", found, wanted));
        }
        if is_live(unit) {
            rows.push(Row::new(&unit.id, "live", unit.active.as_str(), "inactive"));
        }
        Ok(rows)
    }
}
