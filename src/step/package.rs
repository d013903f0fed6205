//! Packages: installed, or not installed.
//!
//! Uses the host's own manager (apt, dnf, apk), without questions and without replacing changed configuration files.
//! When a package is not found, the lists are read anew once. Several names are installed in one go.
//!
//! ```yaml
//! - id: no-telnet
//!   title: The telnet client is not installed
//!   package: {name: telnet, state: absent}
//! ```
//!
//! Drift is told as `version`: the one that is installed, or none. Versions themselves are not compared; `expect` does that.
//!
//! Way back: partial. A package that was installed is removed again, what came with it stays; a package that was removed
//! comes back in the version that the archive has then. Disruption: restart (packages start and stop their services).

use super::{Check, Claim, Disruption, Kind, Many, Object, Row, Setting, Undo, Val};
use crate::act::Act;
use crate::fact::{Facts, Gap, Query};
use crate::fault::{Fault, Faults};
use crate::yaml::Node;
use serde::Deserialize;

/// Packages of the host's own manager.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Package {
    /// One name or several.
    name: Many,
    /// `present`, or `absent`.
    #[serde(default)]
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
enum State {
    #[default]
    Present,
    Absent,
}

impl Check for Package {
    fn check(&self, body: &Node) -> Result<(), Faults> {
        let place = &body.get("name").unwrap_or(body).place;
        let good = |name: &str| {
            let rest = |c: char| c.is_ascii_alphanumeric() || "+-._:".contains(c);
            name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.chars().all(rest)
        };
        let bad = self.name.0.iter().filter(|name| !good(name));
        let mut faults: Vec<Fault> = bad.map(|name| Fault::new(format!("`{name}` is no name of a package")).at(place)).collect();
        if self.name.0.is_empty() {
            faults.push(Fault::new("no package is named").at(place));
        }
        Faults::some(faults).map_or(Ok(()), Err)
    }
}

impl Kind for Package {
    fn facts(&self) -> Vec<Query> {
        self.name.0.iter().map(|name| Query::Package(name.clone())).collect()
    }

    fn plan(&self, found: &Facts) -> Result<Vec<Row>, Gap> {
        let mut rows = Vec::new();
        for name in &self.name.0 {
            match (found.package(name)?, self.state) {
                (None, State::Present) => rows.push(Row::new(name, "version", Val::Absent, "installed")),
                (Some(version), State::Absent) => rows.push(Row::new(name, "version", version.as_str(), Val::Absent)),
                _ => {}
            }
        }
        Ok(rows)
    }

    fn set(&self, to: &[Setting], _: &Facts) -> Vec<Act> {
        let names = |absent: bool| -> Vec<String> {
            to.iter().filter(|s| (s.to == Val::Absent) == absent).map(|s| s.object.clone()).collect()
        };
        let (gone, here) = (names(true), names(false));
        let mut acts = Vec::new();
        if !gone.is_empty() {
            acts.push(Act::Uninstall { packages: gone });
        }
        if !here.is_empty() {
            acts.push(Act::Install { packages: here });
        }
        acts
    }

    fn claims(&self) -> Vec<Claim> {
        let state = if self.state == State::Present { "present" } else { "absent" };
        self.name.0.iter().map(|name| Claim::owns(Object::Package(name.clone()), "state", state)).collect()
    }

    fn disruption(&self) -> Disruption {
        Disruption::Restart
    }

    fn undo(&self) -> Undo {
        match self.state {
            State::Present => Undo::Partial("packages that came with it stay".into()),
            State::Absent => Undo::Partial("it comes back in the version that the archive has then".into()),
        }
    }

    fn patience(&self) -> u64 {
        900
    }
}
