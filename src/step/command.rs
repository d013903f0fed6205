//! A command of your own, with a check that says whether it is needed.
//!
//! ```yaml
//! - id: time-zone
//!   command:
//!     check: test "$(readlink /etc/localtime)" = "/usr/share/zoneinfo/$ZONE"
//!     run: ln -sfn "/usr/share/zoneinfo/$ZONE" /etc/localtime
//!     env: {ZONE: "{{ zone }}"}
//! ```
//!
//! All three texts are run by the host's `sh`. `check` only looks: it is run by `steadfast check` as well, so it must
//! change nothing. Its exit code 0 says that all is as it should be, 1 that `run` is needed, and any other that this
//! cannot be told. After `run` the check is run again and must say 0.
//!
//! Values come in by `env`, as variables that the shell does not interpret; a template in a shell text is refused.
//! A variable that holds a secret is one of the shell alone and is not exported, for others could read it in the
//! environment of a program: hand it on with `printf %s "$NAME" | program`, never as an argument. `undo` does not get it.
//!
//! Without a `check` nobody can say whether the command is needed or what it did: a plan shows it as unknown, an apply
//! runs it each time and reports it as unknown. Prefer a kind that knows what it does.
//!
//! Drift is told as `check`: its exit code.
//!
//! Way back: what `undo` says, as good as it is, also where `run` failed or was broken off: then there may be nothing to take back, so that it fails counts for nothing; without it the files under `changes` come back as they were; none without both. Disruption: as you say by `disruption`; say
//! `access: true` for a command that touches the way in.
//!
//! `changes` names the files that `run` changes. A way in among them has the step guarded as `access` does, and `triage` knows by it whose
//! change it was. Links and directories are refused: name the files themselves.
//!
//! Traps:
//! - A check sees the host as it is at its turn; name the steps whose outcome it looks at under `needs`.
//! - The shell is `sh`, not bash: no arrays, no `[[ … ]]`.

use super::words::{Env, env_faults, place};
use super::way_in::{is_plain, is_way_in};
use super::{Check, Claim, Disruption, Kind, Many, Row, Setting, Undo};
use crate::act::Act;
use crate::fact::{Facts, Gap, Query};
use crate::fault::{Fault, Faults};
use crate::yaml::Node;
use serde::Deserialize;

/// A command with its check.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    /// What makes it so.
    run: String,
    /// What tells, without changing anything: 0 it is so, 1 it is not.
    check: Option<String>,
    /// What takes it back.
    undo: Option<String>,
    /// Files that `run` changes.
    #[serde(default)]
    changes: Many,
    /// Variables for all of them.
    #[serde(default)]
    env: Env,
    /// Seconds that `run` or `undo` may take.
    #[serde(default = "two_minutes")]
    timeout: u64,
    /// What `run` disturbs.
    #[serde(default)]
    disruption: Disruption,
    /// It may cut the way in.
    #[serde(default)]
    access: bool,
}

fn two_minutes() -> u64 {
    120
}

impl Check for Command {
    const CLOSED: &'static [&'static str] = &["run", "check", "undo"];
    const SECRET: &'static [&'static str] = &["env"];

    fn check(&self, body: &Node) -> Result<(), Faults> {
        let mut faults = env_faults(body, &self.env.values);
        for (field, text) in [("run", Some(&self.run)), ("check", self.check.as_ref()), ("undo", self.undo.as_ref())] {
            if text.is_some_and(|text| text.trim().is_empty() || text.contains('\0')) {
                faults.push(Fault::new(format!("`{field}` needs shell text")).at(place(body, field)));
            }
        }
        let whole = |path: &&str| is_plain(path) && !path.contains(['*', '?', '[', '\0']);
        for path in self.changes.iter().filter(|path| !whole(path)) {
            faults.push(Fault::new(format!("`{path}` is no whole path of a file")).at(place(body, "changes")));
        }
        if let Some(name) = self.undo.as_ref().and_then(|undo| self.env.secret_in(undo)) {
            let fault = Fault::new(format!("`undo` speaks of `{name}`, which is a secret")).at(place(body, "undo"));
            faults.push(fault.hint("what takes a command back is kept on the host, and secrets are not"));
        }
        if !(1..=86_400).contains(&self.timeout) {
            faults.push(Fault::new("`timeout` needs 1 to 86400 seconds").at(place(body, "timeout")));
        }
        Faults::some(faults).map_or(Ok(()), Err)
    }
}

impl Command {
    fn question(&self) -> Option<String> {
        self.check.as_ref().map(|check| self.env.before(check))
    }
}

impl Kind for Command {
    fn facts(&self) -> Vec<Query> {
        self.question().map(Query::Shell).into_iter().collect()
    }

    fn plan(&self, found: &Facts) -> Result<Vec<Row>, Gap> {
        let Some(question) = self.question() else {
            return Err(Gap::Unknown("a command without `check:` cannot be predicted".into()));
        };
        let said = found.shell(&question)?;
        match said.code {
            0 => Ok(vec![]),
            1 => Ok(vec![Row::new("command", "check", "1", "0")]),
            code => {
                let why = said.err.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it said nothing");
                let why: String = why.trim().chars().take(300).collect();
                Err(Gap::Unknown(format!("the check ended with {code}: {why}")))
            }
        }
    }

    fn set(&self, to: &[Setting], _: &Facts) -> Vec<Act> {
        let back = to.iter().any(|setting| setting.to.as_text() == Some("1"));
        let text = if back { self.undo.as_ref() } else { Some(&self.run) };
        let undo = self.undo.as_ref().filter(|_| !back).map(|undo| self.env.before_kept(undo));
        text.map(|text| Act::Shell { script: self.env.before(text), undo, changes: self.paths() }).into_iter().collect()
    }

    fn claims(&self) -> Vec<Claim> {
        vec![]
    }

    fn paths(&self) -> Vec<String> {
        self.changes.iter().map(ToOwned::to_owned).collect()
    }

    fn access(&self) -> bool {
        self.access || self.changes.iter().any(is_way_in)
    }

    fn disruption(&self) -> Disruption {
        self.disruption
    }

    fn undo(&self) -> Undo {
        match self.undo {
            Some(_) => Undo::Partial("as good as its `undo:` is".into()),
            None if !self.changes.0.is_empty() => Undo::Partial("the files of `changes:`".into()),
            None => Undo::None("the playbook gives no `undo:`".into()),
        }
    }

    fn opaque(&self) -> bool {
        true
    }

    fn blind(&self) -> bool {
        self.check.is_none()
    }

    fn patience(&self) -> u64 {
        self.timeout
    }
}
