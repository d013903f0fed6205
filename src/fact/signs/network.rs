//! Sockets, as the kernel's tables and `ss` tell of them.

use super::{Line, Signs};
use crate::fact::read::{Sections, lossy};
use crate::fact::socket;
use std::collections::{BTreeMap, BTreeSet};

/// An end of a socket; an address of IPv4 is told as such where a socket of IPv6 has it.
fn end(text: &str) -> Option<(String, u16)> {
    socket::end(text).map(|(address, port)| (address.to_canonical().to_string(), port))
}

/// A line of the kernel's table, with the number by which processes hold it.
fn from_table(line: &str) -> Option<(Line, u64)> {
    let (table, rest) = line.strip_prefix("/proc/net/")?.split_once(':')?;
    let words: Vec<&str> = rest.split_whitespace().collect();
    let protocol = table.trim_end_matches('6');
    let ((address, port), (peer, peer_port)) = (end(words.get(1)?)?, end(words.get(2)?)?);
    let state = *words.get(3)?;
    let known = match protocol {
        "tcp" => matches!(state, "01" | "02" | "0A"),
        _ => matches!(state, "01" | "07"),
    };
    let inode = words.get(9)?.parse().ok()?;
    let listens = matches!((protocol, state), ("tcp", "0A") | ("udp", "07"));
    let line = Line { protocol: protocol.into(), address, port, peer, peer_port, listens, pids: vec![] };
    known.then_some((line, inode))
}

/// What tells a socket of one view from that of the other: its protocol and the ports.
type Ends = (String, u16, u16);

/// `tcp ESTAB 0 0 10.0.0.1:22 10.0.0.2:50000`
fn from_ss(line: &str) -> Option<Ends> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let protocol = *words.first().filter(|word| matches!(**word, "tcp" | "udp"))?;
    let port = |text: &str| {
        let port = text.rsplit_once(':')?.1;
        if port == "*" { Some(0) } else { port.parse::<u16>().ok() }
    };
    Some((protocol.to_owned(), port(words.get(4)?)?, port(words.get(5)?)?))
}

pub fn read(sections: &Sections<'_>, signs: &mut Signs) -> Result<(), String> {
    let mut tables: Vec<Vec<(Line, u64)>> = Vec::new();
    for word in ["signs-net-1", "signs-net-2"] {
        let section = sections.whole(word)?;
        if section.code == 200 {
            signs.lacks.push("the kernel's tables of sockets".into());
            return Ok(());
        }
        tables.push(section.lines().filter_map(|line| from_table(&lossy(line))).collect());
    }
    let mut holders: BTreeMap<u64, Vec<u32>> = BTreeMap::new();
    for line in sections.whole("signs-holders")?.lines().map(lossy) {
        let held = || {
            let rest = line.split_once("/proc/")?.1;
            let pid = rest.split('/').next()?.parse().ok()?;
            let inode = rest.rsplit_once('[')?.1.split(']').next()?.parse().ok()?;
            Some((inode, pid))
        };
        if let Some((inode, pid)) = held() {
            holders.entry(inode).or_default().push(pid);
        }
    }
    for (line, inode) in &tables[1] {
        let mut pids = holders.get(inode).cloned().unwrap_or_default();
        pids.sort_unstable();
        pids.dedup();
        signs.sockets.push(Line { pids, ..line.clone() });
    }
    signs.sockets.sort();
    views(sections, &tables, signs);
    Ok(())
}

fn views(sections: &Sections<'_>, tables: &[Vec<(Line, u64)>], signs: &mut Signs) {
    let mut told: Vec<BTreeSet<Ends>> = Vec::new();
    for word in ["signs-ss-1", "signs-ss-2"] {
        match sections.whole(word) {
            Ok(section) if section.code == 200 => return,
            Ok(section) if section.code == super::HANGS => return signs.contradicts("ss", "ss", "it does not answer"),
            Ok(section) => {
                let lines: Vec<String> = section.lines().map(lossy).collect();
                told.push(lines.iter().filter_map(|line| from_ss(line)).collect());
                if let Some(odd) = lines.iter().find(|line| from_ss(line).is_none()) {
                    signs.contradicts("ss", "ss", format!("it says what it never says: {}", cut(odd)));
                }
            }
            Err(_) => return signs.lacks.push("what ss tells".into()),
        }
    }
    let ends = |line: &Line| -> Ends { (line.protocol.clone(), line.port, line.peer_port) };
    let first: BTreeSet<Ends> = tables[0].iter().map(|(line, _)| ends(line)).collect();
    let second: BTreeSet<Ends> = tables[1].iter().map(|(line, _)| ends(line)).collect();
    for (line, _) in &tables[1] {
        let one = ends(line);
        if first.contains(&one) && told.iter().all(|view| !view.contains(&one)) {
            signs.contradicts(shown(line), "ss", "the kernel's own table has it");
        }
    }
    let all = told[0].intersection(&told[1]);
    let extra: Vec<&Ends> = all.filter(|one| !first.contains(*one) && !second.contains(*one)).collect();
    for (protocol, port, peer_port) in extra {
        let what = format!("{protocol} port {port}");
        let told = format!("ss tells of it all the time (other end: port {peer_port})");
        // What is on its way to being closed is in ss alone, by our own choice of states.
        if *peer_port == 0 {
            signs.contradicts(what, "/proc/net", told);
        }
    }
}

fn cut(text: &str) -> String {
    text.chars().take(120).collect()
}

/// `tcp 0.0.0.0:22`, `tcp 10.0.0.1:4000 to 192.0.2.1:443`
pub fn shown(line: &Line) -> String {
    let end = |address: &str, port: u16| {
        if address.contains(':') { format!("[{address}]:{port}") } else { format!("{address}:{port}") }
    };
    let own = end(&line.address, line.port);
    if line.listens {
        return format!("{} {own}", line.protocol);
    }
    format!("{} to {}", line.protocol, end(&line.peer, line.peer_port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_table_has_two_ends_and_a_number() {
        let text = "/proc/net/tcp:   2: 0100007F:1F90 0200000A:0050 01 0:0 00:0 0 0 0 4711 1 x";
        let (line, inode) = from_table(text).unwrap();
        assert_eq!((shown(&line).as_str(), line.listens, inode), ("tcp to 10.0.0.2:80", false, 4711));
        let udp = "/proc/net/udp:  1: 00000000:0045 00000000:0000 07 0:0 00:0 0 0 0 9 2 x";
        assert_eq!(shown(&from_table(udp).unwrap().0), "udp 0.0.0.0:69");
        assert_eq!(from_ss("tcp ESTAB 0 0 [::ffff:10.0.0.1]:22 10.0.0.2:5000"), Some(("tcp".into(), 22, 5000)));
        assert_eq!(from_ss("\u{1b}[2J"), None);
    }
}
