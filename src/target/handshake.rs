//! Handshakes from this machine: what a server says to somebody who comes from outside.

use crate::fact::{Answer, Facts, Query, TlsSaid};
use crate::host::{Door, Lines, Login, Offer, probe};
use std::sync::Arc;

/// Answers the queries that are not the host's to answer; `outside` is how the host is found without ssh.
pub async fn shake(outside: Option<&(Arc<Lines>, Login)>, queries: &[Query], facts: &mut Facts) {
    for query in queries {
        let Query::Handshakes(door) = query else { continue };
        let seen = match at(outside, door).await {
            Ok(door) => said(&door).await,
            Err(why) => Err(why),
        };
        facts.put(query.clone(), seen.map(Answer::Handshakes).map_err(|why| format!("{}: {why}", door.shown())));
    }
}

/// The door with an address.
async fn at(outside: Option<&(Arc<Lines>, Login)>, door: &Door) -> Result<Door, String> {
    let address = match (&door.address, outside) {
        (Some(address), _) => address.clone(),
        (None, Some((lines, login))) => lines.address(login).await?,
        (None, None) => return Err("this machine cannot be seen from outside by itself; say `address:`".into()),
    };
    Ok(Door { address: Some(address), ..door.clone() })
}

async fn said(door: &Door) -> Result<Vec<(Offer, TlsSaid)>, String> {
    let said = probe(door, &Offer::ALL).await?;
    Ok(said.into_iter().map(|(offer, heard)| (offer, heard.into())).collect())
}
