//! `check`, `plan` and `apply`: one flow that stops at different places.

use super::approve::Approving;
use super::session::{self, Session};
use super::terminal;
use super::way::{Guarding, Listing, Way};
use super::{Scope, Told, load, saved, say, say_error};
use crate::event::Mode;
use crate::fault::{Fault, Faults};
use crate::plan::Plan as Graph;
use clap::Args;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Dry run: read every host, tell what differs, change nothing.
#[derive(Debug, Args)]
pub struct Check {
    #[command(flatten)]
    scope: Scope,
    #[command(flatten)]
    way: Way,
    #[command(flatten)]
    listing: Listing,
}

/// Show what `apply` would do; with `-o`, keep it, to be applied as it is or not at all.
#[derive(Debug, Args)]
pub struct Plan {
    #[command(flatten)]
    scope: Scope,
    #[command(flatten)]
    way: Way,
    #[command(flatten)]
    listing: Listing,
    /// Keep the plan in this file: `steadfast apply FILE` does exactly that, once.
    #[arg(short, long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Hours after which a kept plan is too old.
    #[arg(long, value_name = "HOURS", default_value_t = 24, value_parser = clap::value_parser!(u64).range(1..=8760))]
    expires: u64,
}

/// Plan, show, ask, change, read again.
#[derive(Debug, Args)]
pub struct Apply {
    #[command(flatten)]
    scope: Scope,
    #[command(flatten)]
    way: Way,
    #[command(flatten)]
    listing: Listing,
    /// Do not ask.
    #[arg(short = 'y', long = "auto-approve", visible_alias = "yes")]
    yes: bool,
    /// Only tell what would be done, as `check`.
    #[arg(short = 'C', long)]
    check: bool,
    #[command(flatten)]
    guarding: Guarding,
    #[command(flatten)]
    approving: Approving,
}

impl Listing {
    /// Shows what is asked for; says whether anything is.
    fn show(self, scope: &Scope) -> Result<bool, Faults> {
        let asked = self.list_hosts || self.list_steps;
        if asked {
            list(&load::closed(scope)?, self)?;
        }
        Ok(asked)
    }
}

impl Check {
    pub fn run(self, told: Told) -> Result<u8, Faults> {
        if self.listing.show(&self.scope)? {
            return Ok(0);
        }
        go(&self.scope, &self.way, told, Intent::Look(Mode::Check), None, &Approving::default())
    }
}

impl Plan {
    pub fn run(self, told: Told) -> Result<u8, Faults> {
        if self.listing.show(&self.scope)? {
            return Ok(0);
        }
        let Some(out) = &self.out else {
            return go(&self.scope, &self.way, told, Intent::Look(Mode::Plan), None, &Approving::default());
        };
        let plan = Arc::new(load::plan(&self.scope)?);
        session::block_on(async {
            let session = Session::new(&self.way, told, None, self.scope.call())?;
            let (decisions, exit) = session.look(&plan, Mode::Plan).await?;
            if exit == 4 {
                return Err(Fault::new("a plan in which something is unknown is not kept")
                    .hint("`-l` leaves hosts out, `--skip-tags` steps")
                    .into());
            }
            saved::save(out, &plan, &self.scope, &decisions, self.expires)?;
            let again = super::words_again(&self.scope.extra_vars);
            say_error(&format!("kept in {0}: `steadfast apply {0}{again}` does exactly that", out.display()));
            Ok(exit)
        })
    }
}

impl Apply {
    pub fn run(self, told: Told) -> Result<u8, Faults> {
        let intent = match (self.check, self.yes) {
            (true, _) => Intent::Look(Mode::Check),
            (_, true) => Intent::Do,
            _ => Intent::Ask,
        };
        match self.scope.playbooks.as_slice() {
            [file] if saved::is_plan(file) => self.saved(file, told),
            _ if self.listing.show(&self.scope)? => Ok(0),
            _ => go(&self.scope, &self.way, told, intent, self.guarding.seconds(), &self.approving),
        }
    }

    /// Carries out a plan that was kept.
    fn saved(&self, file: &Path, told: Told) -> Result<u8, Faults> {
        let given = &self.scope;
        let told_by_plan = [
            ("--limit", given.limit.is_some()),
            ("--tags", !given.tags.is_empty()),
            ("--skip-tags", !given.skip_tags.is_empty()),
            ("--become", given.become_root),
            ("--waivers", !given.waivers.is_empty()),
            ("--check", self.check),
            ("--list-hosts", self.listing.list_hosts),
            ("--list-steps", self.listing.list_steps),
        ];
        // None of them may be passed over: who says --check must not change a host.
        let strange: Vec<&str> = told_by_plan.into_iter().filter(|(_, is)| *is).map(|(flag, _)| flag).collect();
        if !strange.is_empty() {
            return Err(Fault::new("a kept plan says itself on which hosts it does what")
                .why(format!("it takes no {}, and nothing was done", strange.join(", ")))
                .hint("take these away, or make another plan; `steadfast check` and `plan` look at playbooks without changing")
                .into());
        }
        let opened = saved::Opened::read(file)?;
        let scope = Scope::of(opened.call(), given.extra_vars.clone());
        let plan = match load::plan(&scope) {
            Ok(plan) => Arc::new(plan),
            Err(faults) => return Ok(saved::refuse(&format!("{faults}{}", opened.same_vars()))),
        };
        if let Some(why) = opened.stale(&plan)? {
            return Ok(saved::refuse(&why));
        }
        session::block_on(async {
            let mut session = Session::new(&self.way, told, self.guarding.seconds(), scope.call())?;
            session.approvals = self.approving.of(&plan, !self.yes)?;
            opened.apply(&plan, &mut session).await
        })
    }
}

/// How far a run goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Intent {
    Look(Mode),
    Ask,
    Do,
}

/// Goes as far as that.
pub fn go(
    scope: &Scope,
    way: &Way,
    told: Told,
    intent: Intent,
    guard: Option<u64>,
    approving: &Approving,
) -> Result<u8, Faults> {
    let plan = Arc::new(load::plan(scope)?);
    if intent == Intent::Ask {
        terminal::somebody()?;
    }
    session::block_on(async {
        let mut session = Session::new(way, told, guard, scope.call())?;
        session.approvals = approving.of(&plan, intent == Intent::Ask)?;
        match intent {
            Intent::Look(mode) => Ok(session.look(&plan, mode).await?.1),
            Intent::Do => session.apply(&plan, Mode::Apply, None).await,
            Intent::Ask => session.ask_and_apply(&plan, Mode::Apply).await,
        }
    })
}

fn list(plan: &Graph, listing: Listing) -> Result<(), Faults> {
    let mut out = String::new();
    if listing.list_hosts {
        for host in &plan.hosts {
            out.push_str(&format!("{}\n", host.name));
        }
    }
    if listing.list_steps {
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
