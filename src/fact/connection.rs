//! Connections that stand: who talks to which port of the host, and to whom the host itself talks. What udp knows of them is sockets with
//! one peer, and what the kernel's memory of connections (conntrack) holds, where it may be read.

use super::read::{Asking, Sections, lossy};
use super::{Answer, Facts, Query, socket};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// One connection of tcp, or two ends that talk by udp.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct Connection {
    /// By udp, which has no connections of its own.
    pub udp: bool,
    /// The other end began it: something listens on the host's port.
    pub incoming: bool,
    pub address: IpAddr,
    pub port: u16,
    pub peer: IpAddr,
    pub peer_port: u16,
    /// The program's name, where it may be seen.
    pub process: Option<String>,
}

/// All of them, as far as they are told.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize)]
pub struct Connections {
    pub all: Vec<Connection>,
    /// The kernel keeps a memory of connections, so that a rule for those that stand knows them.
    pub tracked: bool,
    /// Why there may be more.
    pub lack: Option<String>,
}

const WORD: &str = "connections";
/// How many lines are taken.
const MOST: usize = 20_000;
const LONGEST_NAME: usize = 32;
/// Before what the kernel remembers.
const MEMORY: &str = "/proc/net/nf_conntrack:";
/// Before an address of the host.
const OWN: &str = "own ";

pub fn ask(queries: &[Query]) -> Vec<Asking> {
    if !queries.contains(&Query::Connections) {
        return vec![];
    }
    // The last line says who spoke; where it is missing, there was more. A name of a program is no line of ours there.
    let script = format!(
        r#"t=; [ ! -r /proc/sys/net/netfilter/nf_conntrack_count ] || read -r t </proc/sys/net/netfilter/nf_conntrack_count; printf '%s\n' "${{t:-0}}"
{{ r=1; if command -v ss >/dev/null; then ss -Htunp state established state listening state unconnected; r=$?; fi
b=little; [ -r /sys/kernel/cpu_byteorder ] && read -r b </sys/kernel/cpu_byteorder
if [ $r -eq 0 ]; then w=ss; elif [ "$b" != little ] || [ ! -r /proc/net/tcp ]; then w=none
else w=proc; grep -aHsE '^ *[0-9]+: [0-9A-F]+:[0-9A-F]+ [0-9A-F]+:[0-9A-F]+ 0[17A] ' /proc/net/tcp /proc/net/tcp6 /proc/net/udp /proc/net/udp6; fi
if [ "${{t:-0}}" != 0 ] && [ -r /proc/net/nf_conntrack ] && command -v ip >/dev/null; then
ip -o addr show | while read -r n i f a x; do printf 'own %s\n' "$a"; done
grep -aHs ' udp ' /proc/net/nf_conntrack | grep -av UNREPLIED; fi
printf 'end %s\n' "$w"; }} | head -n {MOST}
c 0"#
    );
    vec![Asking::new(WORD, script)]
}

pub fn answer(sections: &Sections<'_>, queries: &[Query], facts: &mut Facts) {
    if queries.contains(&Query::Connections) {
        let lines = sections.whole(WORD).map(|section| section.lines().map(lossy).collect::<Vec<_>>());
        facts.put(Query::Connections, lines.and_then(|lines| read(&lines)).map(Answer::Connections));
    }
}

/// One line of a table: what listens on this port, or a connection.
enum Line {
    Listens {
        udp: bool,
        port: u16,
        process: Option<String>,
    },
    Stands(Connection),
    /// Of another state.
    Else,
}

fn read(lines: &[String]) -> Result<Connections, String> {
    let (tracked, mut lines) = lines.split_first().ok_or("the host says nothing of its connections")?;
    let mut lack = None;
    let mut from_kernel = lines.first().is_some_and(|line| line.starts_with("/proc/net/"));
    match lines.split_last() {
        Some((end, rest)) if end.starts_with("end ") => {
            match end.as_str() {
                "end ss" => from_kernel = false,
                "end proc" => from_kernel = true,
                _ => return Err("neither ss nor the kernel tells the connections".into()),
            }
            lines = rest;
        }
        _ => lack = Some("there are more than can be told".to_owned()),
    }
    let mut listening: BTreeMap<(bool, u16), Option<String>> = BTreeMap::new();
    let (mut all, mut own, mut remembered) = (Vec::new(), BTreeSet::new(), Vec::new());
    for line in lines {
        if let Some(address) = line.strip_prefix(OWN) {
            own.extend(address.split('/').next().and_then(|address| address.parse::<IpAddr>().ok()));
            continue;
        }
        if let Some(told) = line.strip_prefix(MEMORY) {
            remembered.extend(of_memory(told));
            continue;
        }
        // What ss said before it failed does not count.
        if from_kernel && !line.starts_with("/proc/net/") {
            continue;
        }
        match if from_kernel { of_kernel(line) } else { of_ss(line) } {
            Some(Line::Listens { udp, port, process }) => _ = listening.insert((udp, port), process),
            Some(Line::Stands(one)) => all.push(one),
            Some(Line::Else) => {}
            None => lack = Some(socket::misread(line)),
        }
    }
    all.iter_mut().for_each(|one| one.incoming = listening.contains_key(&(one.udp, one.port)));
    let mut known: BTreeSet<_> = all.iter().filter(|one| one.udp).map(ends).collect();
    for one in remembered.into_iter().filter_map(|flow| of_host(flow, &own, &listening)) {
        if known.insert(ends(&one)) {
            all.push(one);
        }
    }
    all.sort();
    Ok(Connections { all, tracked: tracked.parse::<u64>().is_ok_and(|count| count > 0), lack })
}

fn ends(one: &Connection) -> (IpAddr, u16, IpAddr, u16) {
    (one.address, one.port, one.peer, one.peer_port)
}

fn stands(
    udp: bool,
    (address, port): (IpAddr, u16),
    (peer, peer_port): (IpAddr, u16),
    process: Option<String>,
) -> Line {
    let (address, peer) = (address.to_canonical(), peer.to_canonical());
    Line::Stands(Connection { udp, incoming: false, address, port, peer, peer_port, process })
}

/// `tcp ESTAB 0 0 10.0.0.1:22 10.0.0.2:50000 users:(("sshd",pid=7,fd=4))`
fn of_ss(line: &str) -> Option<Line> {
    let end = |text: &str| {
        let (address, port) = text.rsplit_once(':')?;
        let address = address.split('%').next()?.trim_start_matches('[').trim_end_matches(']');
        Some((address.parse::<IpAddr>().ok()?, port.parse::<u16>().ok()?))
    };
    let name = line.split_once("users:((\"").and_then(|(_, rest)| rest.split_once("\",pid="));
    let process = name.map(|(name, _)| name.chars().take(LONGEST_NAME).collect());
    let words: Vec<&str> = line.split_whitespace().collect();
    match words.as_slice() {
        ["tcp", "LISTEN", _, _, local, ..] | ["udp", "UNCONN", _, _, local, ..] => {
            Some(Line::Listens { udp: words[0] == "udp", port: local.rsplit_once(':')?.1.parse().ok()?, process })
        }
        [protocol @ ("tcp" | "udp"), "ESTAB", _, _, local, peer, ..] => {
            Some(stands(*protocol == "udp", end(local)?, end(peer)?, process))
        }
        ["tcp", "UNCONN", ..] => Some(Line::Else),
        _ => None,
    }
}

/// `/proc/net/tcp:  2: 0100000A:0016 0200000A:C350 01 …`; the kernel's table names no program.
fn of_kernel(line: &str) -> Option<Line> {
    let (table, rest) = line.strip_prefix("/proc/net/")?.split_once(':')?;
    let mut words = rest.split_whitespace().skip(1);
    let (local, peer, state) = (socket::end(words.next()?)?, socket::end(words.next()?)?, words.next()?);
    let udp = table.starts_with("udp");
    Some(match (udp, state) {
        (false, "0A") | (true, "07") => Line::Listens { udp, port: local.1, process: None },
        (_, "01") => stands(udp, local, peer, None),
        _ => Line::Else,
    })
}

/// Who began to talk to whom: `ipv4 2 udp 17 29 src=10.0.0.2 dst=10.0.0.1 sport=40000 dport=53 src=… [ASSURED] …`
fn of_memory(line: &str) -> Option<[(IpAddr, u16); 2]> {
    let value = |name: &str| line.split_whitespace().find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
    let address = |name: &str| value(name)?.parse::<IpAddr>().ok();
    let port = |name: &str| value(name)?.parse::<u16>().ok();
    let answered = line.split_whitespace().any(|word| word == "udp") && !line.contains("[UNREPLIED]");
    answered.then_some([(address("src")?, port("sport")?), (address("dst")?, port("dport")?)])
}

/// The same from the host's side; what it hands on for others is none of it.
fn of_host(
    [from, to]: [(IpAddr, u16); 2],
    own: &BTreeSet<IpAddr>,
    listening: &BTreeMap<(bool, u16), Option<String>>,
) -> Option<Connection> {
    let (incoming, ours, theirs) = match (own.contains(&to.0), own.contains(&from.0)) {
        (true, _) => (true, to, from),
        (false, true) => (false, from, to),
        (false, false) => return None,
    };
    let process = listening.get(&(true, ours.1)).cloned().flatten();
    Some(Connection {
        udp: true,
        incoming,
        address: ours.0,
        port: ours.1,
        peer: theirs.0,
        peer_port: theirs.1,
        process,
    })
}

#[cfg(test)]
mod tests {
    use super::{Connections, read};

    fn told(text: &str) -> Result<Connections, String> {
        read(&text.lines().map(ToOwned::to_owned).collect::<Vec<_>>())
    }

    fn shown(found: &Connections) -> Vec<String> {
        let one = |c: &super::Connection| {
            let arrow = if c.incoming { "<" } else { ">" };
            format!(
                "{}{}:{} {arrow} {}:{} {}",
                if c.udp { "udp " } else { "" },
                c.address,
                c.port,
                c.peer,
                c.peer_port,
                c.process.as_deref().unwrap_or("-")
            )
        };
        found.all.iter().map(one).collect()
    }

    #[test]
    fn who_began_is_told_by_what_listens() {
        let ss = "12\ntcp LISTEN 0 128 0.0.0.0:22 0.0.0.0:* users:((\"sshd\",pid=1,fd=3))\ntcp ESTAB 0 0 10.0.0.1:22 10.0.0.2:50000 users:((\"sshd\",pid=7,fd=4))\n\
                  tcp ESTAB 0 0 [::ffff:10.0.0.1]:40000 [::ffff:192.0.2.9]:443\ntcp ESTAB 0 0 [fe80::1]%eth0:40001 [fe80::2]%eth0:9 users:((\"a \"b\",pid=9,fd=1))\nend ss";
        let found = told(ss).unwrap();
        let want = [
            "10.0.0.1:40000 > 192.0.2.9:443 -",
            "fe80::1:40001 > fe80::2:9 a \"b",
            "10.0.0.1:22 < 10.0.0.2:50000 sshd",
        ];
        assert_eq!((shown(&found), found.tracked, found.lack), (want.map(String::from).to_vec(), true, None));
        let proc = "0\nError: no netlink\n/proc/net/tcp:   0: 00000000:0016 00000000:0000 0A 0\n/proc/net/tcp:   1: 0100000A:0016 0200000A:C350 01 0\nend proc";
        let found = told(proc).unwrap();
        assert_eq!(
            (shown(&found), found.tracked, found.lack),
            (vec!["10.0.0.1:22 < 10.0.0.2:50000 -".into()], false, None)
        );
    }

    #[test]
    fn udp_is_told_by_sockets_with_one_peer_and_by_what_the_kernel_remembers() {
        let memory =
            |ends: &str| format!("/proc/net/nf_conntrack:ipv4     2 udp      17 29 {ends} mark=0 zone=0 use=2");
        let flow = |from: &str, to: &str, sport: u16, dport: u16| {
            format!("src={from} dst={to} sport={sport} dport={dport} src={to} dst={from} sport={dport} dport={sport}")
        };
        let lines = [
            "7".to_owned(),
            "udp UNCONN 0 0 0.0.0.0:53 0.0.0.0:* users:((\"named\",pid=7,fd=4))".into(),
            "udp ESTAB 0 0 10.0.0.1:40000 192.0.2.9:51820 users:((\"vpn\",pid=8,fd=4))".into(),
            "tcp LISTEN 0 1 0.0.0.0:40000 0.0.0.0:*".into(),
            "tcp UNCONN 0 0 0.0.0.0:9 0.0.0.0:*".into(),
            "own 127.0.0.1/8".into(),
            "own 10.0.0.1/24".into(),
            memory(&format!("{} [ASSURED]", flow("10.0.0.7", "10.0.0.1", 5353, 53))),
            // Once more what a socket told; one that nobody answered; what is handed on for others; what is no line of theirs.
            memory(&flow("10.0.0.1", "192.0.2.9", 40000, 51820)),
            memory(&flow("10.0.0.9", "10.0.0.1", 1, 53)).replace(" src=10.0.0.1 ", " [UNREPLIED] src=10.0.0.1 "),
            memory(&flow("10.0.0.9", "198.51.100.1", 1, 53)),
            memory("src=10.0.0.9"),
            memory(&flow("10.0.0.1", "10.0.0.53", 41000, 53)),
            "end ss".into(),
        ];
        let found = read(&lines).unwrap();
        let want = [
            "udp 10.0.0.1:40000 > 192.0.2.9:51820 vpn",
            "udp 10.0.0.1:41000 > 10.0.0.53:53 -",
            "udp 10.0.0.1:53 < 10.0.0.7:5353 named",
        ];
        assert_eq!((shown(&found), found.lack), (want.map(String::from).to_vec(), None));
        let proc = "0\n/proc/net/udp:   1: 0100000A:0035 00000000:0000 07 0\n/proc/net/udp:   2: 0100000A:0035 0200000A:C350 01 0\n/proc/net/tcp: 3: 0100000A:0035 0200000A:C350 07 0\nend proc";
        assert_eq!(shown(&told(proc).unwrap()), ["udp 10.0.0.1:53 < 10.0.0.2:50000 -"]);
    }

    #[test]
    fn what_was_cut_or_is_odd_is_never_all() {
        let cut = told("3\ntcp LISTEN 0 128 *:22 *:*\ntcp ESTAB 0 0 10.0.0.1:22 10.0.0.2:5").unwrap();
        assert_eq!((cut.all.len(), cut.lack.as_deref()), (1, Some("there are more than can be told")));
        let odd = told("3\ntcp ESTAB 0 0 10.0.0.1:22 10.0.0.2:5 users:((\"a\nend ss\n\u{1b}[2J\",pid=1,fd=2))\nend ss")
            .unwrap();
        assert_eq!(odd.all.len(), 1);
        assert!(odd.lack.unwrap().contains("not understood"));
        assert!(told("0\nend none").is_err() && told("").is_err());
    }
}
