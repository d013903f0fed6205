//! `runs`: what this controller remembers, newest first.

use super::say;
use crate::fault::Faults;
use crate::store::Store;
use clap::Args;
use std::fmt::Write;

/// The runs that this controller remembers, newest first.
#[derive(Debug, Args)]
pub struct Runs {
    /// At most so many.
    #[arg(short = 'n', long, default_value_t = 20)]
    count: usize,
}

impl Runs {
    pub fn run(self) -> Result<u8, Faults> {
        let mut out = String::new();
        for run in Store::open()?.runs(self.count)? {
            let end = run.exit.map_or_else(|| "not ended".to_owned(), |exit| format!("exit {exit}"));
            let books: Vec<String> = run.call.playbooks.iter().map(|book| book.display().to_string()).collect();
            let hosts = match run.call.hosts.as_slice() {
                [one] => one.clone(),
                many => format!("{} hosts", many.len()),
            };
            let _ = writeln!(out, "{}  {:<8}  {end:<9}  {hosts}  {}", run.id, run.mode, books.join(", "));
        }
        say(&out)?;
        Ok(0)
    }
}
