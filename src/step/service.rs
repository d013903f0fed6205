//! Services: what runs and starts by itself, and what never may.
//!
//! | state | means |
//! |---|---|
//! | `running` | active, and enabled for the next boot (a static unit only active) |
//! | `stopped` | not active now; nothing is said of the next boot |
//! | `disabled` | not active, not enabled, and nothing that could start it (`.socket`, `.path`, `.timer`) either |
//! | `masked` | as `disabled`, and linked to nothing, so that nobody can start it at all |
//! | `reloaded`, `restarted` | only when it is due: another step changed what it reads and names this one in `on_change` |
//!
//! A name without an ending is a `.service`; a `.socket` or `.timer` may be named as well. What must not run and does not
//! exist is true already. A unit that is `static` or pulled in by others cannot be disabled: say `masked` for those.
//!
//! ```yaml
//! - id: rpcbind-off
//!   title: Nobody needs rpcbind
//!   service: {name: rpcbind, state: masked}
//! ```
//!
//! ```yaml
//! - id: nginx-reloaded
//!   service: {name: nginx, state: reloaded}
//! ```
//!
//! Drift is told for each unit that is touched, by field: `active` and `boot` (enabled, disabled, masked); `follow-up`
//! where a reload or restart is due. The mark of a follow-up lies on the host, so it survives a run that breaks.
//!
//! Way back: exact for active and boot of every unit; a reload or restart has none. Disruption: restart.

use super::{Check, Claim, Disruption, Kind, Many, Object, Row, Setting, Undo};
use crate::act::Act;
use crate::fact::{Facts, Gap, Query, Unit};
use crate::fault::{Fault, Faults};
use crate::yaml::Node;
use serde::Deserialize;

/// Units of systemd.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Service {
    /// One name or several.
    name: Many,
    /// What is wanted.
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
enum State {
    Running,
    Stopped,
    Disabled,
    Masked,
    Reloaded,
    Restarted,
}

const ENDINGS: &[&str] = &[".service", ".socket", ".timer", ".path", ".target", ".mount", ".automount"];

impl Check for Service {
    fn check(&self, body: &Node) -> Result<(), Faults> {
        let place = &body.get("name").unwrap_or(body).place;
        let good = |name: &str| {
            let rest = |c: char| c.is_ascii_alphanumeric() || ":-_.\\@".contains(c);
            !name.is_empty() && !name.starts_with('-') && name.chars().all(rest)
        };
        let bad = self.name.0.iter().filter(|name| !good(name));
        let mut faults: Vec<Fault> = bad.map(|name| Fault::new(format!("`{name}` is no name of a unit")).at(place)).collect();
        if self.name.0.is_empty() {
            faults.push(Fault::new("no service is named").at(place));
        }
        Faults::some(faults).map_or(Ok(()), Err)
    }
}

fn full(name: &str) -> String {
    if ENDINGS.iter().any(|ending| name.ends_with(ending)) { name.to_owned() } else { format!("{name}.service") }
}

/// The socket, path and timer that a service of this name would have.
fn triggers(unit: &str) -> Vec<String> {
    let stem = unit.strip_suffix(".service");
    stem.map(|stem| [".socket", ".path", ".timer"].iter().map(|ending| format!("{stem}{ending}")).collect()).unwrap_or_default()
}

fn exists(unit: &Unit) -> bool {
    !unit.load.is_empty() && unit.load != "not-found"
}

fn is_active(unit: &Unit) -> bool {
    matches!(unit.active.as_str(), "active" | "activating" | "reloading" | "deactivating")
}

impl Service {
    fn units(&self) -> impl Iterator<Item = String> + '_ {
        self.name.0.iter().map(|name| full(name))
    }

    fn is_off(&self) -> bool {
        matches!(self.state, State::Disabled | State::Masked)
    }

    fn mark(&self) -> Option<String> {
        let verb = match self.state {
            State::Reloaded => "reload",
            State::Restarted => "restart",
            _ => return None,
        };
        Some(format!("{verb}.{}", self.units().collect::<Vec<_>>().join("+")))
    }

    /// Rows for one unit that should be off.
    fn off(&self, name: &str, unit: &Unit, main: bool, rows: &mut Vec<Row>) {
        if !exists(unit) {
            return;
        }
        if is_active(unit) {
            rows.push(Row::new(name, "active", "active", "inactive"));
        }
        let boot = unit.file.as_str();
        match (self.state, boot) {
            (_, "masked" | "masked-runtime") => {}
            (State::Masked, _) => rows.push(Row::new(name, "boot", boot, "masked")),
            (_, "enabled" | "enabled-runtime" | "linked" | "linked-runtime") if main || boot.starts_with("enabled") => {
                rows.push(Row::new(name, "boot", boot, "disabled"));
            }
            _ => {}
        }
    }
}

impl Kind for Service {
    fn facts(&self) -> Vec<Query> {
        let own = self.units().flat_map(|unit| {
            let more = if self.is_off() { triggers(&unit) } else { vec![] };
            std::iter::once(unit).chain(more)
        });
        own.map(Query::Unit).chain(self.mark().map(Query::Due)).collect()
    }

    fn plan(&self, found: &Facts) -> Result<Vec<Row>, Gap> {
        let mut rows = Vec::new();
        if let Some(mark) = self.mark() {
            if *found.due(&mark)? {
                let wanted = if self.state == State::Reloaded { "reloaded" } else { "restarted" };
                rows.extend(self.units().map(|unit| Row::new(unit, "follow-up", "due", wanted)));
            }
            return Ok(rows);
        }
        for name in self.units() {
            let unit = found.unit(&name)?;
            match self.state {
                State::Running => {
                    if !exists(unit) {
                        return Err(Gap::Missing(format!("there is no unit {name}")));
                    }
                    if unit.file == "masked" {
                        rows.push(Row::new(&name, "boot", "masked", "enabled"));
                    } else if unit.file == "disabled" {
                        rows.push(Row::new(&name, "boot", "disabled", "enabled"));
                    }
                    if !is_active(unit) {
                        rows.push(Row::new(&name, "active", unit.active.as_str(), "active"));
                    }
                }
                State::Stopped => {
                    if is_active(unit) {
                        rows.push(Row::new(&name, "active", "active", "inactive"));
                    }
                }
                _ => {
                    // What could start it goes first, or it would be back at once.
                    for trigger in triggers(&name) {
                        self.off(&trigger, found.unit(&trigger)?, false, &mut rows);
                    }
                    self.off(&name, unit, true, &mut rows);
                }
            }
        }
        Ok(rows)
    }

    fn set(&self, to: &[Setting], _: &Facts) -> Vec<Act> {
        let mut acts = Vec::new();
        let unit = |verb, name: &str| Act::Unit { verb, name: name.to_owned() };
        // Off: stop before closing the door to the boot. On: open it before starting.
        let boot = to.iter().filter(|setting| setting.field == "boot");
        for setting in boot.clone().filter(|setting| setting.now.as_text() == Some("masked")) {
            acts.push(unit("unmask", &setting.object));
        }
        for setting in boot.clone().filter(|setting| setting.to.as_text().is_some_and(|to| to.starts_with("enabled"))) {
            acts.push(unit("enable", &setting.object));
        }
        for setting in to.iter().filter(|setting| setting.field == "active") {
            let verb = if setting.to.as_text() == Some("active") { "start" } else { "stop" };
            acts.push(unit(verb, &setting.object));
        }
        for setting in boot {
            match setting.to.as_text() {
                Some("disabled") => acts.push(unit("disable", &setting.object)),
                Some("masked") => acts.push(unit("mask", &setting.object)),
                _ => {}
            }
        }
        for setting in to.iter().filter(|setting| setting.field == "follow-up") {
            match setting.to.as_text() {
                Some("reloaded") => acts.push(unit("reload-or-restart", &setting.object)),
                Some("restarted") => acts.push(unit("restart", &setting.object)),
                _ => {}
            }
        }
        if let Some(name) = self.mark().filter(|_| !acts.is_empty()) {
            acts.push(Act::ClearDue { name });
        }
        acts
    }

    fn claims(&self) -> Vec<Claim> {
        let mut claims = Vec::new();
        for name in self.units() {
            let stem = name.rsplit_once('.').map_or(name.as_str(), |(stem, _)| stem).to_owned();
            claims.push(Claim::Reads(Object::Package(stem)));
            let field = match self.state {
                State::Reloaded | State::Restarted => continue,
                _ => "state",
            };
            claims.push(Claim::owns(Object::Unit(name), field, format!("{:?}", self.state).to_lowercase()));
        }
        claims
    }

    fn disruption(&self) -> Disruption {
        if self.state == State::Reloaded { Disruption::Reload } else { Disruption::Restart }
    }

    fn undo(&self) -> Undo {
        match self.state {
            State::Reloaded | State::Restarted => Undo::None("what was reloaded stays so".into()),
            _ => Undo::Exact,
        }
    }

    fn follow_up(&self) -> Option<String> {
        self.mark()
    }
}
