//! How many connections are usual on this host, as the runs that kept its baseline saw it.

use super::words::Count;
use super::{Allow, Firewall};
use crate::fact::{Facts, Gap};
use crate::step::Row;
use crate::step::net::span::Of;
use std::collections::BTreeMap;

/// The most that one address had at a time, by port.
#[derive(Debug, Default)]
pub struct Usual(BTreeMap<u16, u32>);

impl Usual {
    /// How many connections this rule lets one address have, where it says.
    pub fn most(&self, rule: &Allow) -> Option<u32> {
        let own = |port: u16| rule.port.0.iter().any(|span| span.has(Of::Port, port.into()));
        let busiest = self.0.iter().filter(|(port, _)| own(**port)).map(|(_, count)| *count).max();
        rule.connections.map(|count| count.of(busiest.unwrap_or(0)))
    }
}

impl Firewall {
    pub(super) fn asks_what_is_usual(&self) -> bool {
        self.allow.iter().any(|one| matches!(one.connections, Some(Count::Usual(_))))
    }

    /// What is usual here, where that matters.
    pub(super) fn usual(&self, found: &Facts) -> Result<Usual, Gap> {
        if !self.asks_what_is_usual() {
            return Ok(Usual::default());
        }
        let kept = found.baseline()?.as_ref().and_then(|kept| kept.busiest.clone());
        let why = "what is usual here was never kept: `triage: {baseline: keep}` does it";
        kept.map(Usual).ok_or_else(|| Gap::Missing(why.into()))
    }

    /// That it is not known yet, where that matters.
    pub(super) fn unmeasured(&self, found: &Facts) -> Option<Row> {
        const KNOWN: &str = "known after `triage` has kept the host's baseline";
        let lacks = matches!(self.usual(found), Err(Gap::Missing(_)));
        lacks.then(|| Row::new("connections of one address", "usual", "never kept", KNOWN))
    }

    /// What it wants of any host, whatever is usual there.
    pub(super) fn wish(&self) -> String {
        let counts: Vec<_> = self.allow.iter().filter_map(|one| one.connections).collect();
        format!("{}{counts:?}", self.text(false, &Usual::default()))
    }
}
