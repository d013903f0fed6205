//! Software packages, installed or gone, by the host's own manager (apt, dnf, apk).
//!
//! ```yaml
//! - id: no-cleartext-logins
//!   package: {name: [telnetd, rsh-server], state: absent}
//! ```
//!
//! `present` is satisfied by any version; updates are another matter, and a version that must at least be there is said
//! by `expect: {package: {name: …, min_version: …}}`. `absent` removes a package and keeps its configuration files,
//! so that what you wrote is not lost; a package of which only these are left counts as absent.
//!
//! Drift is told as `version`: the one that is found, `any`, or absent.
//!
//! Way back: partial. What was installed is removed again; settings that were left here before stay, and so does what others
//! installed since. What was removed is installed again in the version that the repositories have then;
//! what its removal wrote elsewhere, such as a line of /etc/inetd.conf, stays. Disruption: restart, for services of a package start
//! or end with it. What people come in by (sshd, sudo, PAM, firewalls, networks) touches the way in, whether it comes or goes, and so does whatever goes: it may be a shell.
//!
//! Traps:
//! - A virtual name (`mail-transport-agent`) is not a package: it is never found installed. Name a real one.
//! - Removing a package removes what depends on it. See what that is with `apt-get -s remove NAME` first. What people come in by never
//!   goes along unasked: openssh-client would take openssh-server with it, so the step fails and says so, unless it names both. So does a package that would take it away by coming.
//! - A service of the package is stopped by `service: {state: disabled}` as well, which also holds when somebody
//!   installs the package again.

use super::{Check, Claim, Disruption, Kind, Many, Object, Row, Setting, Undo, Val};
use crate::act::{Act, at_the_door};
use crate::fact::{Facts, Gap, Query};
use crate::fault::Faults;
use crate::yaml::Node;
use serde::Deserialize;

/// One or several packages.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Package {
    /// As the package manager names them.
    name: Many,
    #[serde(default)]
    state: State,
}

/// What is wanted of a package.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
enum State {
    /// Installed, in any version.
    #[default]
    Present,
    /// Not installed; configuration files may be left.
    Absent,
}

pub(super) fn plain(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.len() < 200
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"+.:_~-".contains(&b))
}

impl Check for Package {
    fn check(&self, body: &Node) -> Result<(), Faults> {
        Faults::some(self.name.faults(body, "name", plain)).map_or(Ok(()), Err)
    }
}

impl Kind for Package {
    fn facts(&self) -> Vec<Query> {
        self.name.iter().map(|name| Query::Package(name.into())).collect()
    }

    fn plan(&self, found: &Facts) -> Result<Vec<Row>, Gap> {
        let mut rows = Vec::new();
        for name in self.name.iter() {
            match (found.package(name)?, self.state) {
                (None, State::Present) => rows.push(Row::new(name, "version", Val::Absent, "any")),
                (Some(version), State::Absent) => {
                    rows.push(Row::new(name, "version", version.as_str(), Val::Absent));
                }
                _ => {}
            }
        }
        Ok(rows)
    }

    fn set(&self, to: &[Setting], _: &Facts) -> Vec<Act> {
        // One call of the manager for all, so that it can see the whole.
        let (gone, wanted): (Vec<_>, Vec<_>) = to.iter().partition(|setting| setting.to == Val::Absent);
        let names = |settings: Vec<&Setting>| settings.iter().map(|s| s.object.clone()).collect::<Vec<_>>();
        let mut acts = Vec::new();
        if !gone.is_empty() {
            acts.push(Act::Uninstall { packages: names(gone) });
        }
        if !wanted.is_empty() {
            acts.push(Act::Install { packages: names(wanted) });
        }
        acts
    }

    fn claims(&self) -> Vec<Claim> {
        let state = if self.state == State::Present { "present" } else { "absent" };
        self.name.iter().map(|name| Claim::owns(Object::Package(name.into()), "state", state)).collect()
    }

    fn access(&self) -> bool {
        // Installing one cuts as well: a firewall begins to rule, a stack of logins is written anew. One that goes may be
        // somebody's shell.
        self.state == State::Absent || self.name.iter().any(at_the_door)
    }

    fn disruption(&self) -> Disruption {
        Disruption::Restart
    }

    fn undo(&self) -> Undo {
        Undo::Partial(match self.state {
            State::Present => "packages that were installed along with it stay".into(),
            State::Absent => "it comes back in the version that the repositories have then".into(),
        })
    }

    fn hangs_on_others(&self) -> bool {
        true
    }

    fn patience(&self) -> u64 {
        600
    }
}
