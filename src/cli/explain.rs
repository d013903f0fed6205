//! `explain`: handbook pages.

use super::{controls, fields, say};
use crate::fault::{Fault, Faults};
use crate::playbook::HANDBOOK;
use crate::step::{KINDS, kind};

/// The handbook page of a kind, or the list of all.
#[derive(Debug, clap::Args)]
pub struct Explain {
    /// A kind of step, as written in a playbook; or `playbook` for the language itself.
    kind: Option<String>,
    /// The controls of playbooks instead, as a page in Markdown.
    #[arg(long, value_name = "PLAYBOOK", num_args = 1.., conflicts_with = "kind")]
    controls: Vec<std::path::PathBuf>,
}

impl Explain {
    pub fn run(self) -> Result<u8, Faults> {
        if !self.controls.is_empty() {
            say(&controls::page(&crate::playbook::load(&self.controls)?))?;
            return Ok(0);
        }
        let Some(name) = self.kind else {
            let width = KINDS.iter().map(|entry| entry.name.len()).max().unwrap_or(0);
            let line = |entry: &crate::step::Entry| {
                let page = entry.page();
                format!("{:width$}  {}\n", entry.name, page.lines().next().unwrap_or_default())
            };
            let kinds = KINDS.iter().map(line).collect::<String>();
            say(&format!(
                "{:width$}  The language of playbooks: steps, variables, conditions, loops.\n{kinds}",
                "playbook"
            ))?;
            return Ok(0);
        };
        if name == "playbook" {
            say(HANDBOOK)?;
            return Ok(0);
        }
        let entry = kind(&name).ok_or_else(|| {
            Fault::new(format!("there is no kind `{name}`")).nearest(&name, KINDS.iter().map(|entry| entry.name))
        })?;
        say(&format!("{}\n\n{}\n\n{}", entry.name, entry.page().trim_end(), fields::table(&entry.schema())))?;
        Ok(0)
    }
}
