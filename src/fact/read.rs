//! From queries to one reading script, and from its output back to answers.

use super::{Answer, Facts, Query};

/// One family's part of a reading.
pub struct Section {
    /// What the family's script wrote to its standard output, as it came.
    pub out: Vec<u8>,
}

/// A reading script with what is needed to understand its output. Only this room can make one, and `check` can send
/// nothing else: that is what makes a dry run dry.
#[derive(Debug, Clone)]
pub struct Reading {
    script: String,
    nonce: String,
    queries: Vec<Query>,
}

impl Reading {
    /// The POSIX shell text.
    pub fn script(&self) -> &str {
        &self.script
    }
    pub fn queries(&self) -> &[Query] {
        &self.queries
    }
}

/// The reading scripts for these queries: the first holds all families, each further one a single shell query.
pub fn script(queries: &[Query], nonce: &str) -> Vec<Reading> {
    let _ = (queries, nonce);
    Vec::new()
}

/// The answers in a reading's output; a query without an answer is unknown, with the reason.
pub fn answers(reading: &Reading, reply: &crate::host::Reply) -> Facts {
    let _ = reply;
    let _ = &reading.nonce;
    reading.queries.iter().map(|q| (q.clone(), Err::<Answer, _>("not answered".into()))).collect()
}
