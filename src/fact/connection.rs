//! Connections that stand (tcp): who talks to which port of the host, and to whom the host itself talks.

use super::read::{Asking, Sections, lossy};
use super::{Answer, Facts, Query, socket};
use std::collections::BTreeSet;
use std::net::IpAddr;

/// One connection of tcp.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct Connection {
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

pub fn ask(queries: &[Query]) -> Vec<Asking> {
    if !queries.contains(&Query::Connections) {
        return vec![];
    }
    // The last line says who spoke; where it is missing, there was more. A name of a program is no line of ours there.
    let script = format!(
        r#"t=; [ ! -r /proc/sys/net/netfilter/nf_conntrack_count ] || read -r t </proc/sys/net/netfilter/nf_conntrack_count; printf '%s\n' "${{t:-0}}"
{{ r=1; if command -v ss >/dev/null; then ss -Htnp state established state listening; r=$?; fi
b=little; [ -r /sys/kernel/cpu_byteorder ] && read -r b </sys/kernel/cpu_byteorder
if [ $r -eq 0 ]; then printf 'end ss\n'; elif [ "$b" != little ] || [ ! -r /proc/net/tcp ]; then printf 'end none\n'
else grep -aHsE '^ *[0-9]+: [0-9A-F]+:[0-9A-F]+ [0-9A-F]+:[0-9A-F]+ 0[1A] ' /proc/net/tcp /proc/net/tcp6; printf 'end proc\n'; fi; }} | head -n {MOST}
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
    Listens(u16),
    Stands(Connection),
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
    let mut listening = BTreeSet::new();
    let mut all = Vec::new();
    for line in lines {
        // What ss said before it failed does not count.
        if from_kernel && !line.starts_with("/proc/net/") {
            continue;
        }
        match if from_kernel { of_kernel(line) } else { of_ss(line) } {
            Some(Line::Listens(port)) => _ = listening.insert(port),
            Some(Line::Stands(one)) => all.push(one),
            None => lack = Some(socket::misread(line)),
        }
    }
    all.iter_mut().for_each(|one| one.incoming = listening.contains(&one.port));
    all.sort();
    Ok(Connections { all, tracked: tracked.parse::<u64>().is_ok_and(|count| count > 0), lack })
}

fn stands((address, port): (IpAddr, u16), (peer, peer_port): (IpAddr, u16), process: Option<String>) -> Line {
    let (address, peer) = (address.to_canonical(), peer.to_canonical());
    Line::Stands(Connection { incoming: false, address, port, peer, peer_port, process })
}

/// `ESTAB 0 0 10.0.0.1:22 10.0.0.2:50000 users:(("sshd",pid=7,fd=4))`
fn of_ss(line: &str) -> Option<Line> {
    let end = |text: &str| {
        let (address, port) = text.rsplit_once(':')?;
        let address = address.split('%').next()?.trim_start_matches('[').trim_end_matches(']');
        Some((address.parse::<IpAddr>().ok()?, port.parse::<u16>().ok()?))
    };
    let words: Vec<&str> = line.split_whitespace().collect();
    match words.as_slice() {
        ["LISTEN", _, _, local, ..] => Some(Line::Listens(local.rsplit_once(':')?.1.parse().ok()?)),
        ["ESTAB", _, _, local, peer, ..] => {
            let name = line.split_once("users:((\"").and_then(|(_, rest)| rest.split_once("\",pid="));
            Some(stands(end(local)?, end(peer)?, name.map(|(name, _)| name.chars().take(LONGEST_NAME).collect())))
        }
        _ => None,
    }
}

/// `/proc/net/tcp:  2: 0100000A:0016 0200000A:C350 01 …`; the kernel's table names no program.
fn of_kernel(line: &str) -> Option<Line> {
    let mut words = line.strip_prefix("/proc/net/")?.split_once(':')?.1.split_whitespace().skip(1);
    let (local, peer, state) = (socket::end(words.next()?)?, socket::end(words.next()?)?, words.next()?);
    if state == "0A" { Some(Line::Listens(local.1)) } else { Some(stands(local, peer, None)) }
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
                "{}:{} {arrow} {}:{} {}",
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
        let ss = "12\nLISTEN 0 128 0.0.0.0:22 0.0.0.0:* users:((\"sshd\",pid=1,fd=3))\nESTAB 0 0 10.0.0.1:22 10.0.0.2:50000 users:((\"sshd\",pid=7,fd=4))\n\
                  ESTAB 0 0 [::ffff:10.0.0.1]:40000 [::ffff:192.0.2.9]:443\nESTAB 0 0 [fe80::1]%eth0:40001 [fe80::2]%eth0:9 users:((\"a \"b\",pid=9,fd=1))\nend ss";
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
    fn what_was_cut_or_is_odd_is_never_all() {
        let cut = told("3\nLISTEN 0 128 *:22 *:*\nESTAB 0 0 10.0.0.1:22 10.0.0.2:5").unwrap();
        assert_eq!((cut.all.len(), cut.lack.as_deref()), (1, Some("there are more than can be told")));
        let odd =
            told("3\nESTAB 0 0 10.0.0.1:22 10.0.0.2:5 users:((\"a\nend ss\n\u{1b}[2J\",pid=1,fd=2))\nend ss").unwrap();
        assert_eq!(odd.all.len(), 1);
        assert!(odd.lack.unwrap().contains("not understood"));
        assert!(told("0\nend none").is_err() && told("").is_err());
    }
}
