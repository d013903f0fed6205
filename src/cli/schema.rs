//! `schema`: JSON Schemas for editors, and for who reads reports.

use super::say;
use crate::fault::Faults;
use crate::{inventory, plan, playbook, report};

/// A JSON Schema, to standard output.
#[derive(Debug, clap::Args)]
pub struct Schema {
    /// Of what.
    #[arg(value_enum)]
    of: Of,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Of {
    Playbook,
    /// A file of steps that playbooks include.
    Included,
    Inventory,
    /// A file of waivers.
    Waivers,
    /// What `--report json:PATH` writes.
    Report,
}

impl Schema {
    pub fn run(self) -> Result<u8, Faults> {
        let schema = match self.of {
            Of::Playbook => playbook::schema(),
            Of::Included => playbook::included_schema(),
            Of::Inventory => inventory::schema(),
            Of::Waivers => plan::waivers_schema(),
            Of::Report => report::schema(),
        };
        say(&format!("{schema:#}\n"))?;
        Ok(0)
    }
}
