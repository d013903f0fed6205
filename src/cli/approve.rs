//! Who says yes to gates.

use super::terminal;
use crate::fault::{Fault, Faults};
use crate::plan::Plan;
use crate::report::safe_line;
use crate::run::Approvals;
use std::collections::BTreeSet;
use std::io::IsTerminal;
use std::sync::Arc;

/// Gates that are opened beforehand.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Approving {
    /// Open this gate without asking; once for each. `-y` opens none.
    #[arg(long = "approve", value_name = "STEP")]
    steps: Vec<String>,
}

impl Approving {
    /// What may be opened in this plan; with `asks` a person at the terminal is asked for the others.
    ///
    /// # Errors
    /// A name that is no gate's.
    pub fn of(&self, plan: &Plan, asks: bool) -> Result<Approvals, Faults> {
        let asking = |n: &usize| {
            let task = &plan.tasks[*n];
            task.is_gate() || task.hope().iter().any(|one| one.kind.rolls_back())
        };
        let known: BTreeSet<&str> =
            (0..plan.tasks.len()).filter(asking).map(|n| plan.tasks[n].step.id.as_str()).collect();
        let strange = |name: &&String| !known.contains(name.as_str());
        let fault = |name: &String| {
            let fault = Fault::new(format!("no gate is called `{name}`")).nearest(name, known.iter().copied());
            if known.is_empty() { fault.hint("there is no `approve` step in the playbooks") } else { fault }
        };
        if let Some(faults) = Faults::some(self.steps.iter().filter(strange).map(fault).collect()) {
            return Err(faults);
        }
        let somebody = asks && std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
        let ask = |question: &str| {
            let lines: Vec<String> = question.lines().map(|line| safe_line(line, 600)).collect();
            terminal::approve(&lines.join("\n")).unwrap_or(false)
        };
        Ok(Approvals {
            named: self.steps.iter().cloned().collect(),
            ask: somebody.then(|| Arc::new(ask) as Arc<dyn Fn(&str) -> bool + Send + Sync>),
        })
    }
}
