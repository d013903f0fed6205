//! An assertion on what is found; steadfast looks, a person mends.
//!
//! ```yaml
//! - id: only-root-is-root
//!   expect: {accounts: {uid: 0, only: [root]}}
//! ```
//!
//! The body names one subject:
//!
//! | subject | fields | is true when |
//! |---|---|---|
//! | `accounts` | `uid`, `system`, `password`, `shell`, `group`; `only` | nobody but these has all of the former |
//! | `file` | `path`; `state`, `equals`, `contains`, `lacks`, `matches` | the file's text is like that |
//! | `stat` | `path` (may be a glob); `exists`, `max_mode`, `owner`, `group` | all that match are like that |
//! | `mount` | `path`; `options`, `fs` | it is mounted so |
//! | `socket` | `port`; `protocol`, `state`, `only` | something listens there (on these addresses alone), or nothing |
//! | `sysctl` | `key`, `equals` | the kernel says this value now |
//! | `package` | `name`; `state`, `min_version` | it is installed (at least so new), or not |
//! | `service` | `name`; `running`, `enabled` | it is so, unlike the kind `service` without anything around it |
//! | `module` | `name`; `loaded`, `blocked` | the kernel module is so |
//! | `sshd` | `keyword`, `equals`; `user` | sshd's value in effect, for this user's login |
//! | `updates` | `max_age`, `security_pending`, `pending`, `reboot_required`, `lists_max_age`, `automatic` | the host is so new |
//! | `shellshock` | none: `{}` | bash takes no functions from variables |
//! | `tls` | `port`; `address`, `min_version`, `start`, `server_name` | from where steadfast runs, nothing older and no weak cipher is taken, and something newer is |
//! | `shell` | `run`; `env`, `code`, `equals`, `matches`, `lacks` | the script ends so and says so |
//!
//! Versions are compared as dpkg does (`~` before nothing, epochs first) or as rpm does, by what rules on the host.
//! `matches` is a regular expression that must be found somewhere; `lacks` and `contains` are plain text.
//!
//! `updates` looks at the logs and lists that are on the host; it fetches nothing, so say `lists_max_age` as well where you ask
//! what waits. Ages are `90d`, `2w`, `36h`. `max_age` holds when the last upgrade is no older, be it of one package by
//! hand, or when nothing waits by lists that are no older. What is held back waits too. apt alone can tell what waits
//! without writing; for the others that is unknown. In a container only `/run/reboot-required` counts.
//!
//! ```yaml
//! - id: patched
//!   expect: {updates: {max_age: 90d, security_pending: 0, reboot_required: false, lists_max_age: 7d, automatic: true}}
//! ```
//!
//! An expectation that does not hold is drift that steadfast cannot mend: a check exits as for any drift, an apply goes on
//! and reports it for a person.
//!
//! Way back: none is needed, for it never changes anything. Disruption: none.
//!
//! Traps:
//! - It is judged at its place in the playbook. What it finds through a file, package, unit or parameter that another
//!   step owns comes after that step by itself; for `socket`, `mount`, `accounts`, `tls` and `shell` write `needs`.
//! - `shell` only looks: it is run by `steadfast check` as well. Templates are refused in it; use `env`.

use super::words::{Mode, env_faults, place};
use super::{Check, Claim, Kind, Many, Object, Row, Setting, Undo, Val};
use crate::act::Act;
use crate::fact::{Facts, Gap, Query};
use crate::fault::{Fault, Faults};
use crate::yaml::Node;
use serde::Deserialize;

mod accounts;
mod files;
mod pattern;
mod script;
mod system;
mod updates;
mod tls;
pub(super) mod version;

/// One assertion.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Expect {
    /// Who may be like that.
    Accounts(accounts::Accounts),
    /// The text of a file.
    File(files::File),
    /// What stands at a path.
    Stat(files::Stat),
    /// A mount and its options.
    Mount(files::Mount),
    /// What listens at a port.
    Socket(system::Socket),
    /// A kernel parameter's live value.
    Sysctl(system::Sysctl),
    /// A package and its version.
    Package(system::Package),
    /// One unit by itself.
    Service(system::Service),
    /// A kernel module.
    Module(system::Module),
    /// One value of sshd's configuration in effect.
    Sshd(system::Sshd),
    /// How new the host is.
    Updates(updates::Updates),
    /// bash takes no functions from variables.
    Shellshock(updates::Shellshock),
    /// What a TLS server takes, seen from outside.
    Tls(tls::Tls),
    /// What a read-only script says.
    Shell(script::Shell),
}

/// What each subject can do.
trait Subject {
    fn facts(&self) -> Vec<Query>;
    /// What is not as expected.
    fn rows(&self, found: &Facts) -> Result<Vec<Row>, Gap>;
    /// What it looks at that other steps may own.
    fn reads(&self) -> Vec<Object> {
        vec![]
    }
    /// The rules that are broken, with the field where each is.
    fn broken(&self) -> Vec<(&'static str, String)> {
        vec![]
    }
}

impl Expect {
    fn subject(&self) -> (&'static str, &dyn Subject) {
        match self {
            Self::Accounts(subject) => ("accounts", subject),
            Self::File(subject) => ("file", subject),
            Self::Stat(subject) => ("stat", subject),
            Self::Mount(subject) => ("mount", subject),
            Self::Socket(subject) => ("socket", subject),
            Self::Sysctl(subject) => ("sysctl", subject),
            Self::Package(subject) => ("package", subject),
            Self::Service(subject) => ("service", subject),
            Self::Module(subject) => ("module", subject),
            Self::Sshd(subject) => ("sshd", subject),
            Self::Updates(subject) => ("updates", subject),
            Self::Shellshock(subject) => ("shellshock", subject),
            Self::Tls(subject) => ("tls", subject),
            Self::Shell(subject) => ("shell", subject),
        }
    }
}

impl Check for Expect {
    const CLOSED: &'static [&'static str] = &["shell.run"];
    const SECRET: &'static [&'static str] = &["shell.env"];

    fn check(&self, body: &Node) -> Result<(), Faults> {
        let (word, subject) = self.subject();
        let inner = body.get(word).unwrap_or(body);
        let fault = |(field, what): (&str, String)| Fault::new(what).at(place(inner, field));
        let mut faults: Vec<Fault> = subject.broken().into_iter().map(fault).collect();
        if let Self::Shell(shell) = self {
            faults.extend(env_faults(inner, &shell.env.values));
        }
        Faults::some(faults).map_or(Ok(()), Err)
    }
}

impl Kind for Expect {
    fn facts(&self) -> Vec<Query> {
        self.subject().1.facts()
    }

    fn plan(&self, found: &Facts) -> Result<Vec<Row>, Gap> {
        self.subject().1.rows(found)
    }

    fn set(&self, _: &[Setting], _: &Facts) -> Vec<Act> {
        vec![]
    }

    fn claims(&self) -> Vec<Claim> {
        self.subject().1.reads().into_iter().map(Claim::Reads).collect()
    }

    fn undo(&self) -> Undo {
        Undo::Exact
    }

    fn opaque(&self) -> bool {
        matches!(self, Self::Shell(_))
    }

    fn read_only(&self) -> bool {
        true
    }
}

fn yes(is: bool) -> &'static str {
    if is { "yes" } else { "no" }
}
