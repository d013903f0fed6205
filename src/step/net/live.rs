//! Connections that stand and would not begin any more: told with the change that shuts them out, for whoever decides.

use crate::fact::{Connection, Facts, Query};
use crate::step::Row;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// What becomes of a connection that has no rule.
pub const CUT: &str = "cut";
pub const LAST: &str = "no new ones; these go on";
/// By udp the kernel forgets whoever is silent for a while.
pub const WHILE: &str = "no new ones; these go on while they keep talking";
/// The kernel keeps no memory of connections yet: what the other end says first is taken for something new.
pub const DOUBT: &str = "no new ones; these are cut, unless the host speaks first";

/// How many ports are told, and how many addresses of each.
const PORTS: usize = 20;
const PEERS: usize = 3;

/// Whether it is how the host gets its address, which all our tables let through.
pub fn is_dhcp(one: &Connection) -> bool {
    one.udp && matches!((one.port, one.peer_port), (68, 67) | (546, 547))
}

pub fn fact() -> Query {
    Query::Connections
}

/// The connections of one port that fare alike.
#[derive(Default)]
struct Group {
    peers: BTreeMap<IpAddr, usize>,
    processes: BTreeSet<String>,
}

impl Group {
    fn count(&self) -> usize {
        self.peers.values().sum()
    }

    /// `4 by postgres: 10.0.0.9 (3), 10.0.0.10`
    fn told(&self) -> String {
        let names: Vec<&str> = self.processes.iter().map(String::as_str).collect();
        let by = match names.as_slice() {
            [] => String::new(),
            [one] => format!(" by {one}"),
            [one, two] => format!(" by {one} and {two}"),
            [one, ..] => format!(" by {one} and others"),
        };
        let mut peers: Vec<(&IpAddr, usize)> = self.peers.iter().map(|(peer, count)| (peer, *count)).collect();
        peers.sort_by_key(|(peer, count)| (Reverse(*count), **peer));
        let one =
            |(peer, count): &(&IpAddr, usize)| if *count == 1 { peer.to_string() } else { format!("{peer} ({count})") };
        let shown: Vec<String> = peers.iter().take(PEERS).map(one).collect();
        let more = peers.len().checked_sub(PEERS).filter(|more| *more > 0);
        let more = more.map(|more| format!(" and {more} more addresses")).unwrap_or_default();
        format!("{}{by}: {}{more}", self.count(), shown.join(", "))
    }
}

/// How they fare, whether by udp, whether the other end began, and which port.
type Key = (String, bool, bool, u16);

/// A row for each port with connections that stand and that have a `fate`; what stays on the host itself has none.
pub fn rows(found: &Facts, fate: impl Fn(&Connection) -> Option<String>) -> Vec<Row> {
    let known = match found.connections() {
        Ok(known) => known,
        Err(gap) => return vec![Row::new("live connections", "known", gap.why(), "yes")],
    };
    let mut groups: BTreeMap<Key, Group> = BTreeMap::new();
    for one in known.all.iter().filter(|one| !one.peer.is_loopback() && one.peer != one.address) {
        let Some(fate) = fate(one) else { continue };
        let port = if one.incoming { one.port } else { one.peer_port };
        let group = groups.entry((fate, one.udp, one.incoming, port)).or_default();
        *group.peers.entry(one.peer).or_default() += 1;
        group.processes.extend(one.process.clone());
    }
    let mut groups: Vec<(Key, Group)> = groups.into_iter().collect();
    groups.sort_by_key(|(key, group)| (Reverse(group.count()), key.clone()));
    let row = |((fate, udp, incoming, port), group): &(Key, Group)| {
        let whose = if *incoming { "" } else { " of others" };
        let protocol = if *udp { "udp" } else { "tcp" };
        Row::new(format!("{protocol} port {port}{whose}"), "live connections", group.told(), fate.as_str())
    };
    let mut rows: Vec<Row> = groups.iter().take(PORTS).map(row).collect();
    let rest = groups.iter().skip(PORTS).map(|(_, group)| group.count()).sum::<usize>();
    if rest > 0 {
        let told = format!("{rest} on {} more ports", groups.len() - PORTS);
        rows.push(Row::new("other ports", "live connections", told, "no new ones"));
    }
    rows.extend(known.lack.iter().map(|why| Row::new("live connections", "known", why.as_str(), "yes")));
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fact::{Answer, Connections};

    fn one(port: u16, peer: &str, process: &str) -> Connection {
        let (address, peer) = ("10.0.0.1".parse().unwrap(), peer.parse().unwrap());
        Connection { udp: false, incoming: true, address, port, peer, peer_port: 5, process: Some(process.to_owned()) }
    }

    fn told(all: Vec<Connection>) -> Vec<String> {
        let all = Connections { all, tracked: true, lack: None };
        let facts = Facts::from_iter([(Query::Connections, Ok(Answer::Connections(all)))]);
        rows(&facts, |_| Some(CUT.to_owned())).iter().map(|row| format!("{}: {}", row.object, row.found)).collect()
    }

    #[test]
    fn many_are_few_lines() {
        let busy = (0..200).map(|n| one(443, &format!("192.0.2.{n}"), "nginx"));
        let twice = [one(443, "192.0.2.7", "nginx"), one(22, "127.0.0.1", "sshd"), one(23, "10.0.0.1", "x")];
        let lines = told(busy.chain(twice).collect());
        assert_eq!(lines, ["tcp port 443: 201 by nginx: 192.0.2.7 (2), 192.0.2.0, 192.0.2.1 and 197 more addresses"]);
        let wide = told((1..=30).map(|port| one(port, "192.0.2.7", &format!("p{port}"))).collect());
        assert_eq!((wide.len(), wide[20].as_str()), (21, "other ports: 10 on 10 more ports"));
    }

    #[test]
    fn what_was_not_read_is_not_nothing() {
        let facts = Facts::from_iter([(Query::Connections, Err("the line was lost".to_owned()))]);
        assert_eq!(rows(&facts, |_| None)[0].found.to_string(), "the line was lost");
    }
}
