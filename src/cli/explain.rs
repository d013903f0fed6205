//! `explain`: handbook pages, and what is to be said of an error at length.

use super::{complete, controls, fields, say};
use crate::fault::{Fault, Faults, explained, pages};
use crate::playbook::HANDBOOK;
use crate::step::{KINDS, kind};

/// The handbook page of a kind, or the list of all.
#[derive(Debug, clap::Args)]
pub struct Explain {
    /// A kind of step, as written in a playbook; `playbook` for the language itself; the code of an error, as E0012; `errors` for
    /// the list of these.
    #[arg(add = complete::pages())]
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
        if name == "errors" {
            say(&pages().iter().map(|page| format!("{}  {}\n", page.code, page.title)).collect::<String>())?;
            return Ok(0);
        }
        if let Some(page) = explained(&name) {
            say(&format!("{}  {}\n\n{}", page.code, page.title, page.text))?;
            return Ok(0);
        }
        let known = KINDS.iter().map(|entry| entry.name).chain(pages().iter().map(|page| page.code));
        let entry = kind(&name)
            .ok_or_else(|| Fault::new(format!("there is no kind or error `{name}`")).nearest(&name, known))?;
        say(&format!("{}\n\n{}\n\n{}", entry.name, entry.page().trim_end(), fields::table(&entry.schema())))?;
        Ok(0)
    }
}
