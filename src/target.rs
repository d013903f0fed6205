//! A host as the plan and the run see it: questions and effects, no shell.
//!
//! Planning gets a [`Reader`] and nothing else, so a dry run cannot write: there is no method to do it with.

use crate::act::{Act, Hold, Intent, Lease, Verb};
use crate::fact::{Baseline, Facts, Query};
use crate::host::{Later, Loss, Reply};
use std::time::Duration;

mod baseline;
mod disk;
mod handshake;
mod ledger;
mod remote;
pub mod world;

pub use ledger::{FenceNote, FenceWord, KeyNote, Ledger};
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

/// What is to be done for one task.
#[derive(Debug, Clone)]
pub struct Job {
    pub acts: Vec<Act>,
    /// What to write down before; nothing where nobody may want it back.
    pub intent: Option<Intent>,
    /// What to read once all is done.
    pub queries: Vec<Query>,
    /// How long the acts may take.
    pub timeout: Duration,
}

/// What became of a guard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It was told that the way in is proven.
    Confirmed,
    /// It waits, and will fire.
    Armed,
    /// It is going back.
    Fired,
    /// It went back, and all is as it was.
    Reverted,
    /// It could not go back.
    Failed,
    /// Nothing is known of it.
    None,
}

/// Something that can be changed as well.
pub trait Target: Reader {
    /// Does the acts in order and stops at the first failure.
    fn set<'a>(&'a self, acts: &'a [Act], timeout: Duration) -> Later<'a, Result<Done, Loss>>;

    /// Writes the journal, does the acts and, when all of them are done, reads: one round trip where the host can do
    /// all of it in one go.
    fn carry_out<'a>(&'a self, job: &'a Job) -> Later<'a, Result<(Done, Facts), Loss>> {
        Box::pin(async move {
            let done = self.set(&job.acts, job.timeout).await?;
            let facts = if done == Done::All { self.read(&job.queries).await? } else { Facts::default() };
            Ok((done, facts))
        })
    }

    /// Runs a script of the room of evidence, which only reads; its answer is at most 8 MiB.
    fn grab<'a>(&'a self, _script: String) -> Later<'a, Result<Reply, Loss>> {
        Box::pin(async { Ok(Reply::default()) })
    }

    /// Keeps on the controller what the host is like now that nothing is wrong with it.
    ///
    /// # Errors
    /// Nobody keeps it, or it cannot be written.
    fn keep(&self, _: &Baseline) -> Result<(), String> {
        Err("nobody keeps baselines here".into())
    }

    /// Asks for the host, or gives it back.
    fn lease<'a>(&'a self, what: &'a Lease) -> Later<'a, Result<Hold, Loss>>;

    /// Asks or tells something of a guard; gives the host's word for what became of it, and what it said to that.
    fn guard<'a>(&'a self, verb: Verb, token: &'a str) -> Later<'a, Result<(Fate, String), Loss>>;

    /// Ends the line in good order.
    fn close(&self) -> Later<'_, ()>;
}
