//! `man`: manual pages, made of the same words as `--help`.

use super::{Cli, say};
use crate::fault::{Fault, Faults};
use clap::{Command, CommandFactory};
use clap_mangen::Man as Page;
use std::path::PathBuf;

/// A manual page, to standard output (`steadfast man check | man -l -`), or all of them to a directory.
#[derive(Debug, clap::Args)]
pub struct Man {
    /// The command it is of; without one, of steadfast itself.
    #[arg(value_name = "COMMAND")]
    of: Vec<String>,
    /// Write all pages here: `steadfast.1`, `steadfast-check.1`.
    #[arg(long, value_name = "DIR", conflicts_with = "of")]
    to: Option<PathBuf>,
}

impl Man {
    pub fn run(self) -> Result<u8, Faults> {
        let mut root = Cli::command();
        root.build();
        let Some(directory) = self.to else {
            let mut at = &root;
            for word in &self.of {
                let known = at.get_subcommands().map(Command::get_name);
                let fault = || Fault::new(format!("there is no command `{word}`")).nearest(word, known);
                at = at.find_subcommand(word).ok_or_else(fault)?;
            }
            say(&page(at)?)?;
            return Ok(0);
        };
        let cannot = |error: std::io::Error| Fault::new("cannot write the manual pages").why(error.to_string());
        std::fs::create_dir_all(&directory).map_err(cannot)?;
        let mut all = vec![&root];
        while let Some(command) = all.pop() {
            all.extend(command.get_subcommands().filter(|inner| inner.get_name() != "help"));
            std::fs::write(directory.join(format!("{}.1", name(command))), page(command)?).map_err(cannot)?;
        }
        Ok(0)
    }
}

/// `steadfast-runs-diff`.
fn name(command: &Command) -> String {
    command.get_display_name().unwrap_or_else(|| command.get_name()).to_owned()
}

fn page(command: &Command) -> Result<String, Fault> {
    let mut text = Vec::new();
    let made = Page::new(command.clone()).render(&mut text);
    made.map_err(|error| Fault::new("cannot write the manual pages").why(error.to_string()))?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}
