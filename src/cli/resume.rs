//! `resume`: a run that was broken off is made again from its beginning. What it left running is awaited, what it left
//! unproven is taken back, everything is read again; what is true already is left alone.

use super::approve::Approving;
use super::session::{self, Session};
use super::terminal;
use super::way::{Guarding, Way};
use super::{Scope, Told, load};
use crate::event::Mode;
use crate::fault::{Fault, Faults};
use crate::store::Store;
use clap::Args;
use std::sync::Arc;

/// Go on with a run that was broken off: read everything again, do what is left.
#[derive(Debug, Args)]
pub struct Resume {
    /// The run, or `last`.
    run: String,
    /// Variables that win over all others; those of the run itself were not kept.
    #[arg(short, long, value_name = "VARS")]
    extra_vars: Vec<String>,
    /// Do not ask.
    #[arg(short = 'y', long = "auto-approve", visible_alias = "yes")]
    yes: bool,
    #[command(flatten)]
    guarding: Guarding,
    #[command(flatten)]
    approving: Approving,
    #[command(flatten)]
    way: Way,
}

impl Resume {
    pub fn run(mut self, told: Told) -> Result<u8, Faults> {
        let store = Store::open()?;
        let record = store.run(&self.run)?;
        if record.mode != "apply" {
            let what = format!("run `{}` was a {}, which leaves nothing to go on with", record.id, record.mode);
            return Err(Fault::new(what).hint("`steadfast runs` lists all").into());
        }
        let work = store.work(&record)?;
        if !record.call.extra_vars.is_empty() && self.extra_vars.is_empty() {
            let names = record.call.extra_vars.join(" ");
            let fault = Fault::new(format!("run `{}` had extra variables, whose values are not kept", record.id));
            return Err(fault.hint(format!("give them again with -e: {names}")).into());
        }
        let scope = Scope::of(&record.call, self.extra_vars.clone());
        self.way.user = self.way.user.take().or(record.call.user.clone());
        self.way.private_key = self.way.private_key.take().or(record.call.private_key.clone());
        self.way.wait_for_hosts();
        let plan = Arc::new(load::plan(&scope)?);
        if !self.yes {
            terminal::somebody()?;
        }
        session::block_on(async {
            let mut session = Session::new(&self.way, told, self.guarding.seconds(), scope.call())?;
            session.approvals = self.approving.of(&plan, !self.yes)?;
            session.call.resumes = Some(record.id.clone());
            session.work = work.names();
            session.over = work.over;
            if self.yes {
                session.apply(&plan, Mode::Apply, None).await
            } else {
                session.ask_and_apply(&plan, Mode::Apply).await
            }
        })
    }
}
