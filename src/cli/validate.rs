//! `validate`: everything that can be told without a host.

use super::{Scope, Told, load, say};
use crate::fault::Faults;

/// Read playbooks and inventory and tell every mistake.
#[derive(Debug, clap::Args)]
pub struct Validate {
    #[command(flatten)]
    scope: Scope,
}

impl Validate {
    pub fn run(self, _: Told) -> Result<u8, Faults> {
        let plan = load::closed(&self.scope)?;
        let mut steps: Vec<&str> = plan.tasks.iter().map(|task| task.step.id.as_str()).collect();
        steps.sort_unstable();
        steps.dedup();
        let count = |n: usize, thing: &str| format!("{n} {thing}{}", if n == 1 { "" } else { "s" });
        let (hosts, tasks) = (count(plan.hosts.len(), "host"), count(plan.tasks.len(), "task"));
        say(&format!("valid: {}, {hosts}, {tasks}\n", count(steps.len(), "step")))?;
        Ok(0)
    }
}
