//! `cloud`: what concerns the account in a cloud that hosts are in.

use super::{Scope, load, say};
use crate::cloud::policy;
use crate::fault::{Fault, Faults};
use clap::{Args, Subcommand};
use std::collections::BTreeSet;

/// What concerns the account in a cloud that hosts are in.
#[derive(Debug, Args)]
pub struct Cloud {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// The policy (Tencent CAM) that allows what these playbooks need, and nothing else. Only an inventory that is a cloud's is asked.
    Policy(Box<Scope>),
}

impl Cloud {
    pub fn run(self) -> Result<u8, Faults> {
        let Verb::Policy(scope) = self.verb;
        let plan = load::closed(&scope)?;
        let mut permits = crate::inventory::permits(&load::sources(&scope.inventory, &scope.playbooks));
        let kinds = plan.tasks.iter().flat_map(|task| task.hope()).map(|one| &one.kind);
        permits.extend(kinds.flat_map(|kind| kind.permits()).collect::<BTreeSet<_>>());
        if permits.is_empty() {
            let fault = Fault::new("nothing of this asks a cloud for anything");
            return Err(fault
                .hint("`steadfast explain security_group`, `snapshot`, `quarantine` tell what does")
                .into());
        }
        let text = serde_json::to_string_pretty(&policy(&permits)).map_err(|error| Fault::new(error.to_string()))?;
        say(&format!("{text}\n"))?;
        Ok(0)
    }
}
