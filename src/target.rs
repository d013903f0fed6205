//! A host as the plan and the run see it: questions and effects, no shell.
//!
//! Planning gets a [`Reader`] and nothing else, so a dry run cannot write: there is no method to do it with.

use crate::act::Act;
use crate::fact::{Facts, Query};
use crate::host::{Later, Loss};
use std::time::Duration;

mod remote;
pub mod world;

pub use remote::Remote;

/// Something that can be read.
pub trait Reader: Send + Sync {
    /// All of it in about one round trip. A query that could not be answered is unknown in the facts; a loss is the
    /// host's, not a query's.
    fn read<'a>(&'a self, queries: &'a [Query]) -> Later<'a, Result<Facts, Loss>>;
}

/// What became of a list of acts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Done {
    All,
    /// The act that failed (from 0), and why.
    Failed {
        act: usize,
        why: String,
    },
    TimedOut,
}

/// Something that can be changed as well.
pub trait Target: Reader {
    /// Does the acts in order and stops at the first failure.
    fn set<'a>(&'a self, acts: &'a [Act], timeout: Duration) -> Later<'a, Result<Done, Loss>>;

    /// Does the acts and, when all of them are done, reads: one round trip where the host can do both in one go.
    fn set_then_read<'a>(
        &'a self,
        acts: &'a [Act],
        queries: &'a [Query],
        timeout: Duration,
    ) -> Later<'a, Result<(Done, Facts), Loss>> {
        Box::pin(async move {
            let done = self.set(acts, timeout).await?;
            let facts = if done == Done::All { self.read(queries).await? } else { Facts::default() };
            Ok((done, facts))
        })
    }

    /// Ends the line in good order.
    fn close(&self) -> Later<'_, ()>;
}
