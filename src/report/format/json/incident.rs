//! Incidents in JSON.

use super::super::super::fold::Report;
use super::super::super::timeline::{Timeline, timelines};
use crate::event::rfc3339;
use crate::fact::Milestone;
use schemars::JsonSchema;
use serde::Serialize;

/// An incident on one host, in the order of time. Lengths are none where it has not come to that.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Incident {
    host: String,
    /// From the first evidence until it was found.
    unnoticed_ms: Option<u64>,
    /// From when it was found until nobody got in or out.
    contain_ms: Option<u64>,
    /// From when it was found until the host was let go.
    recover_ms: Option<u64>,
    turns: Vec<Turn>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Turn {
    milestone: Milestone,
    /// RFC 3339, in UTC.
    at: String,
    told: String,
    /// By which run.
    run: String,
}

/// The incidents of a run.
pub fn incidents(report: &Report) -> Vec<Incident> {
    let turn = |turn: &&crate::fact::Turn| Turn {
        milestone: turn.milestone,
        at: rfc3339(turn.at),
        told: turn.told.clone(),
        run: turn.run.clone(),
    };
    let one = |one: Timeline<'_>| Incident {
        host: one.host.to_owned(),
        unnoticed_ms: one.unnoticed,
        contain_ms: one.contain,
        recover_ms: one.recover,
        turns: one.turns.iter().map(turn).collect(),
    };
    timelines(report).into_iter().map(one).collect()
}
