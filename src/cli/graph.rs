//! `graph`: the DAG as text.

use super::{Scope, load, say};
use crate::fault::Faults;
use crate::plan::{Format, draw};

/// The graph of tasks.
#[derive(Debug, clap::Args)]
pub struct Graph {
    #[command(flatten)]
    scope: Scope,
    /// The language of the graph.
    #[arg(long, value_enum, default_value = "dot")]
    format: Format,
}

impl Graph {
    pub fn run(self) -> Result<u8, Faults> {
        say(&draw(&load::closed(&self.scope)?, self.format))?;
        Ok(0)
    }
}
