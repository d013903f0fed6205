//! `check`, `plan` and `apply`: one flow that stops at different places.

use super::session::{self, Guarding, Session, Way};
use super::{Scope, Told, load, say};
use crate::event::Mode;
use crate::fault::Faults;
use crate::plan::Plan as Graph;
use clap::Args;
use std::sync::Arc;

/// Dry run: read every host, tell what differs, change nothing.
#[derive(Debug, Args)]
pub struct Check {
    #[command(flatten)]
    scope: Scope,
    #[command(flatten)]
    way: Way,
}

/// Show what `apply` would do.
#[derive(Debug, Args)]
pub struct Plan {
    #[command(flatten)]
    scope: Scope,
    #[command(flatten)]
    way: Way,
}

/// Plan, show, ask, change, read again.
#[derive(Debug, Args)]
pub struct Apply {
    #[command(flatten)]
    scope: Scope,
    #[command(flatten)]
    way: Way,
    /// Do not ask.
    #[arg(short = 'y', long = "auto-approve", visible_alias = "yes")]
    yes: bool,
    /// Only tell what would be done, as `check`.
    #[arg(short = 'C', long)]
    check: bool,
    #[command(flatten)]
    guarding: Guarding,
}

impl Check {
    pub fn run(self, told: Told) -> Result<u8, Faults> {
        go(&self.scope, &self.way, told, Intent::Look(Mode::Check), None)
    }
}

impl Plan {
    pub fn run(self, told: Told) -> Result<u8, Faults> {
        go(&self.scope, &self.way, told, Intent::Look(Mode::Plan), None)
    }
}

impl Apply {
    pub fn run(self, told: Told) -> Result<u8, Faults> {
        let intent = match (self.check, self.yes) {
            (true, _) => Intent::Look(Mode::Check),
            (_, true) => Intent::Do,
            _ => Intent::Ask,
        };
        go(&self.scope, &self.way, told, intent, self.guarding.seconds())
    }
}

/// How far a run goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Intent {
    Look(Mode),
    Ask,
    Do,
}

fn go(scope: &Scope, way: &Way, told: Told, intent: Intent, guard: Option<u64>) -> Result<u8, Faults> {
    let plan = Arc::new(load::plan(scope)?);
    if way.list_hosts || way.list_steps {
        return list(&plan, way).map(|()| 0);
    }
    if intent == Intent::Ask {
        session::somebody()?;
    }
    session::block_on(async {
        let session = Session::new(way, told, guard, scope.call())?;
        match intent {
            Intent::Look(mode) => Ok(session.look(&plan, mode).await?.1),
            Intent::Do => session.apply(&plan, Mode::Apply, None).await,
            Intent::Ask => session.ask_and_apply(&plan, Mode::Apply).await,
        }
    })
}

fn list(plan: &Graph, way: &Way) -> Result<(), Faults> {
    let mut out = String::new();
    if way.list_hosts {
        for host in &plan.hosts {
            out.push_str(&format!("{}\n", host.name));
        }
    }
    if way.list_steps {
        let mut seen = std::collections::HashSet::new();
        for task in &plan.order {
            let step = &plan.tasks[*task].step;
            if seen.insert(step.id.clone()) {
                let tags = if step.tags.is_empty() { String::new() } else { format!("  [{}]", step.tags.join(", ")) };
                out.push_str(&format!("{}  {}{tags}\n", step.id, step.title));
            }
        }
    }
    say(&out)
}
