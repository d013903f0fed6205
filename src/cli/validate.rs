//! `validate`: everything that can be told without a host.

use super::{Scope, Told, load, say};
use crate::fault::Faults;
use crate::plan::Plan;
use std::collections::HashSet;

/// Read playbooks and inventory and tell every mistake.
#[derive(Debug, clap::Args)]
pub struct Validate {
    #[command(flatten)]
    scope: Scope,
}

impl Validate {
    /// Several playbooks are looked at one by one: they need not go together into one run.
    pub fn run(self, _: Told) -> Result<u8, Faults> {
        let (mut said, mut faults) = (String::new(), Vec::new());
        for playbook in &self.scope.playbooks {
            let alone = Scope { playbooks: vec![playbook.clone()], ..self.scope.clone() };
            match load::closed(&alone) {
                Ok(plan) if self.scope.playbooks.len() == 1 => said = format!("valid: {}\n", counted(&plan)),
                Ok(plan) => said += &format!("valid: {}: {}\n", playbook.display(), counted(&plan)),
                Err(more) => faults.extend(more.into_vec()),
            }
        }
        say(&said)?;
        // What several of them include is wrong once.
        let mut seen = HashSet::new();
        faults.retain(|fault| seen.insert(format!("{fault:?}")));
        Faults::some(faults).map_or(Ok(0), Err)
    }
}

/// `4 steps, 2 hosts, 8 tasks`
fn counted(plan: &Plan) -> String {
    let steps: HashSet<&str> = plan.tasks.iter().map(|task| task.step.id.as_str()).collect();
    let count = |n: usize, thing: &str| format!("{n} {thing}{}", if n == 1 { "" } else { "s" });
    [count(steps.len(), "step"), count(plan.hosts.len(), "host"), count(plan.tasks.len(), "task")].join(", ")
}
