//! What a host looks like from outside: plain TCP connects from the controller, bounded in time and number.
//!
//! A connection is made and closed at once; nothing is sent and nothing is read.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use tokio::net::{TcpStream, lookup_host};
use tokio::task::JoinSet;
use tokio::time::timeout;

/// What a port did when it was called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reach {
    /// No answer at all in time.
    Silent,
    /// The host said that nobody is there.
    Closed,
    /// Somebody took the call.
    Open,
}

/// How many ports are called at most, and how many at the same time.
pub const MOST: usize = 4096;
const SIDE: usize = 64;
/// How many addresses of a name are called.
const ADDRESSES: usize = 4;
/// How long one call may take, and all of them together.
const EACH: Duration = Duration::from_secs(2);
const WHOLE: Duration = Duration::from_secs(45);

/// Calls these ports of a host, by its name or address. Of several addresses the most open one counts.
///
/// # Errors
/// The host has no address, no way leads there, or it took too long: then nothing is told of any port.
pub async fn call(host: &str, ports: &BTreeSet<u16>) -> Result<BTreeMap<u16, Reach>, String> {
    if ports.len() > MOST {
        return Err(format!("{} ports are too many to be called; at most {MOST}", ports.len()));
    }
    let found = timeout(EACH * 2, lookup_host((host, 0))).await;
    let found = found.map_err(|_| format!("looking up {host} takes too long"))?;
    let mut addresses: Vec<IpAddr> = found.map_err(|error| format!("{host}: {error}"))?.map(|to| to.ip()).collect();
    addresses.dedup();
    addresses.truncate(ADDRESSES);
    let all = timeout(WHOLE, call_all(&addresses, ports)).await;
    all.map_err(|_| format!("calling the ports of {host} takes longer than {} s", WHOLE.as_secs()))?
}

async fn call_all(addresses: &[IpAddr], ports: &BTreeSet<u16>) -> Result<BTreeMap<u16, Reach>, String> {
    let every = |address: &IpAddr| ports.iter().map(|port| SocketAddr::new(*address, *port)).collect::<Vec<_>>();
    let mut waiting = addresses.iter().flat_map(every).collect::<Vec<_>>().into_iter();
    let (mut calls, mut seen, mut lost) = (JoinSet::new(), BTreeMap::<u16, Reach>::new(), None);
    loop {
        while calls.len() < SIDE
            && let Some(to) = waiting.next()
        {
            calls.spawn(async move { (to, one(to).await) });
        }
        let Some(done) = calls.join_next().await else { break };
        match done {
            Ok((to, Ok(reach))) => {
                let known = seen.entry(to.port()).or_insert(reach);
                *known = reach.max(*known);
            }
            Ok((to, Err(why))) => lost = Some(format!("{}: {why}", to.ip())),
            Err(error) => lost = Some(error.to_string()),
        }
    }
    // One address without a way there (no IPv6 here, say) says nothing of the others.
    match lost {
        Some(why) if seen.len() < ports.len() => Err(why),
        _ => Ok(seen),
    }
}

async fn one(to: SocketAddr) -> Result<Reach, String> {
    use std::io::ErrorKind::{ConnectionRefused, ConnectionReset, TimedOut};
    match timeout(EACH, TcpStream::connect(to)).await {
        Ok(Ok(_)) => Ok(Reach::Open),
        Err(_) => Ok(Reach::Silent),
        Ok(Err(error)) => match error.kind() {
            ConnectionRefused | ConnectionReset => Ok(Reach::Closed),
            TimedOut => Ok(Reach::Silent),
            _ => Err(error.to_string()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_open_port_is_told_from_a_closed_one() {
        let (open, closed) = (listener(), listener());
        let (is, was) = (open.local_addr().unwrap().port(), closed.local_addr().unwrap().port());
        drop(closed);
        let seen = call("127.0.0.1", &BTreeSet::from([is, was])).await.unwrap();
        assert_eq!(seen, BTreeMap::from([(is, Reach::Open), (was, Reach::Closed)]));
    }

    fn listener() -> std::net::TcpListener {
        std::net::TcpListener::bind("127.0.0.1:0").unwrap()
    }

    #[tokio::test]
    async fn what_has_no_address_is_not_known() {
        assert!(call("no-such-host.invalid", &BTreeSet::from([22])).await.is_err());
        let many = (1..=u16::MAX).collect();
        assert!(call("127.0.0.1", &many).await.unwrap_err().contains("too many"));
    }
}
