//! Who listens, and who talks to whom.

use super::{Finding, Level, Scene, port, spans};
use crate::fact::signs::{Line, describe, shown};
use crate::probe::Reach;
use crate::step::net::span::address;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

const DATABASES: [u16; 7] = [3306, 5432, 6379, 9200, 11211, 27017, 1433];
/// Programs that open a connection for whoever types.
const SHELLS: [&str; 14] =
    ["sh", "bash", "dash", "zsh", "ksh", "nc", "ncat", "netcat", "socat", "telnet", "perl", "php", "ruby", "busybox"];

fn loopback(address: &str) -> bool {
    address.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
}

/// Who holds a socket, and whether a package brought all of it.
fn holders(scene: &Scene<'_>, line: &Line) -> (String, bool) {
    let mut owned = true;
    let mut told: Vec<String> = Vec::new();
    for process in line.pids.iter().filter_map(|pid| scene.signs.process(*pid)) {
        let file = super::processes::file(process);
        owned &= file.is_none_or(|file| scene.is_known(file) || scene.owned(file) != Some(false));
        told.push(format!("process {}: {}", process.pid, describe(process)));
    }
    if told.is_empty() {
        told.push("no process that can be seen: the kernel itself, or hidden".into());
    }
    (told.join("; "), owned)
}

/// When the first of those that hold a socket began.
fn began(scene: &Scene<'_>, line: &Line) -> Option<i64> {
    line.pids.iter().filter_map(|pid| scene.signs.process(*pid)?.started).min()
}

pub fn judge(scene: &Scene<'_>) -> Vec<Finding> {
    let signs = scene.signs;
    let allowed: Vec<_> = scene.wish.listen.iter().filter_map(port).collect();
    let mut all = Vec::new();
    let listening: BTreeSet<(&str, u16)> =
        signs.sockets.iter().filter(|line| line.listens).map(|line| (line.protocol.as_str(), line.port)).collect();
    for line in &signs.sockets {
        let (told, owned) = holders(scene, line);
        if line.listens {
            all.extend(listens(line, &allowed, told, owned).map(|one| one.since(began(scene, line))));
        } else if !listening.contains(&(line.protocol.as_str(), line.port)) && !loopback(&line.peer) {
            all.extend(talks(scene, line, told, owned).map(|one| one.since(began(scene, line))));
        }
    }
    for one in &signs.contradictions {
        let told = format!("{} does not agree: {}", one.view, one.told);
        all.push(Finding::new(Level::High, "contradiction", &one.what, told).but("the same by all views"));
    }
    if signs.names_asked > scene.wish.names_per_minute {
        let told = format!("{} questions in one minute", signs.names_asked);
        all.push(Finding::new(Level::Medium, "names", "name service", told).but("below the threshold"));
    }
    if signs.timeouts > scene.wish.timeouts_per_day {
        let told = format!("{} lines about time-outs in logs of a day", signs.timeouts);
        all.push(Finding::new(Level::Low, "time-outs", "databases", told).but("below the threshold"));
    }
    all
}

fn listens(
    line: &Line,
    allowed: &[(&str, crate::step::net::span::Span)],
    told: String,
    owned: bool,
) -> Option<Finding> {
    let declared = allowed
        .iter()
        .any(|(protocol, span)| *protocol == line.protocol && (span.from..=span.to).contains(&u128::from(line.port)));
    let (tftp, inside) = (line.protocol == "udp" && line.port == 69, loopback(&line.address));
    let level = match (declared, owned, inside) {
        (true, true, _) => return None,
        // A program of a package may talk to its own host, and give itself any port for datagrams.
        (false, true, true) => Level::Low,
        (false, true, false) if tftp || DATABASES.contains(&line.port) => Level::High,
        (false, true, false) if line.protocol == "udp" && line.port >= 32_768 => Level::Low,
        (false, true, false) => Level::Medium,
        (_, false, true) => Level::Medium,
        (_, false, false) => Level::High,
    };
    Some(Finding::new(level, if tftp { "tftp" } else { "listening" }, shown(line), told))
}

fn talks(scene: &Scene<'_>, line: &Line, told: String, owned: bool) -> Option<Finding> {
    let allowed = spans(&scene.wish.outbound).unwrap_or_default();
    let peer = line.peer.parse::<IpAddr>().ok()?.to_canonical();
    let (of, number) = address(peer);
    let goes = allowed.iter().any(|span| span.has(of, number));
    let by_shell = line.pids.iter().filter_map(|pid| scene.signs.process(*pid)).any(|process| {
        let name = super::processes::file(process).and_then(|file| file.rsplit('/').next());
        name.is_some_and(|name| SHELLS.contains(&name) || name.starts_with("python") || name.starts_with("perl"))
    });
    if line.protocol == "udp" && line.peer_port == 69 {
        return Some(Finding::new(Level::High, "tftp", shown(line), told));
    }
    let level = match () {
        () if goes => return None,
        () if !owned || by_shell => Level::High,
        () if line.protocol == "udp" && matches!(line.peer_port, 53 | 67 | 123 | 547) => return None,
        () if !allowed.is_empty() => Level::Medium,
        () => Level::Low,
    };
    Some(Finding::new(level, "outbound", shown(line), told))
}

/// What answers from outside and is not there inside.
pub fn outside(scene: &Scene<'_>, seen: &BTreeMap<u16, Reach>) -> Vec<Finding> {
    let inside: BTreeSet<u16> =
        scene.signs.sockets.iter().filter(|line| line.listens && line.protocol == "tcp").map(|line| line.port).collect();
    let open = seen.iter().filter(|(port, reach)| **reach == Reach::Open && !inside.contains(port));
    let one = |(port, _): (&u16, &Reach)| {
        let told = "it answers from outside, and nothing that can be seen listens inside";
        Finding::new(Level::High, "contradiction", format!("tcp port {port}"), told).but("the same by all views")
    };
    open.map(one).collect()
}
