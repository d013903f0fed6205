//! Handshakes from this machine: what a server says to somebody who comes from outside.

use crate::fact::{Answer, Facts, Query};
use crate::host::{Door, Offer, probe};

/// Answers the queries that are not the host's to answer.
pub async fn shake(queries: &[Query], facts: &mut Facts) {
    for query in queries {
        let Query::Handshakes(door) = query else { continue };
        let seen = at(door).await;
        facts.put(query.clone(), seen.map(Answer::Handshakes));
    }
}

async fn at(door: &Door) -> Result<Vec<(Offer, crate::fact::TlsSaid)>, String> {
    let said = probe(door, &Offer::ALL).await.map_err(|why| format!("{}: {why}", door.shown()))?;
    Ok(said.into_iter().map(|(offer, heard)| (offer, heard.into())).collect())
}
