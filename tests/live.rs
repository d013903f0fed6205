//! Connections that stand when a firewall comes, on real hosts: what is told of them is what becomes of them.

use crate::common::{Fleet, Run};
use std::net::TcpStream;
use std::time::{Duration, Instant};

fn step(fleet: &Fleet, words: &[&str], kind: &str, body: &str) -> Run {
    let path = fleet.0.dir().join("book.yml");
    std::fs::write(&path, format!("hosts: h1\nbecome: true\nsteps:\n  - {{id: step, {kind}: {{{body}}}}}\n")).unwrap();
    let (path, inventory) = (path.display().to_string(), fleet.inventory());
    fleet.steadfast(&[words, &[&path, "-i", &inventory]].concat())
}

fn apply(fleet: &Fleet, kind: &str, body: &str) -> Run {
    step(fleet, &["apply", "-y"], kind, body)
}

fn call(fleet: &Fleet, words: &[&str], rules: &str) -> Run {
    let run = step(fleet, words, "firewall", rules);
    assert!(matches!(run.code, 0 | 2), "{}{}", run.out, run.err);
    run
}

/// Says whatever it hears, to each of many.
const ECHO: &str = "systemd-run -q --unit=echo python3 -c \"
import socketserver
class Echo(socketserver.BaseRequestHandler):
    def handle(self):
        while True:
            got = self.request.recv(1)
            if not got: return
            self.request.sendall(got)
socketserver.ThreadingTCPServer.allow_reuse_address = True
socketserver.ThreadingTCPServer(('0.0.0.0', 8001), Echo).serve_forever()
\"; for n in 1 2 3 4 5 6 7 8 9; do ss -Hltn sport = :8001 | grep -q . && exit 0; sleep 1; done; exit 1";

/// Keeps one connection, and writes down how often it was answered, or that it is not any more.
fn talk(address: &str) -> String {
    format!(
        "rm -f /run/word; systemctl reset-failed; systemctl stop talk; systemd-run -q --collect --unit=talk python3 -c \"
import os, socket, time
def say(word):
    open('/run/new', 'w').write(word); os.rename('/run/new', '/run/word')
s = socket.create_connection(('{address}', 8001)); s.settimeout(4); n = 0
while True:
    try:
        s.sendall(b'x'); got = s.recv(1)
    except OSError:
        got = b''
    if not got:
        say('silent'); break
    n += 1; say(str(n)); time.sleep(0.3)
\""
    )
}

const UDP_ECHO: &str = "systemd-run -q --unit=udp python3 -c \"
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(('0.0.0.0', 8002))
while True:
    s.sendto(*s.recvfrom(9))
\"; for n in 1 2 3 4 5 6 7 8 9; do ss -Hlun sport = :8002 | grep -q . && exit 0; sleep 1; done; exit 1";

/// Talks for a minute, and says once that it was answered.
fn udp_talk(address: &str) -> String {
    format!(
        "rm -f /run/answered; systemd-run -q --collect --unit=udp python3 -c \"
import socket, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.connect(('{address}', 8002)); s.settimeout(2)
for n in range(200):
    s.send(b'x'); s.recv(9); open('/run/answered', 'w'); time.sleep(0.3)
\"; for n in 1 2 3 4 5 6 7 8 9; do [ -e /run/answered ] && exit 0; sleep 1; done; exit 1"
    )
}

fn word(fleet: &Fleet) -> String {
    fleet.inside("h2", "cat /run/word").out
}

fn until(what: &str, is: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !is() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn goes_on(fleet: &Fleet) -> bool {
    let count = || word(fleet).trim().parse::<u32>().unwrap_or(0);
    let before = count();
    let deadline = Instant::now() + Duration::from_secs(8);
    while Instant::now() < deadline && word(fleet) != "silent" {
        if count() > before + 2 {
            return true;
        }
    }
    false
}

#[test]
fn what_a_wall_would_cut_is_told_and_comes_true() {
    for release in ["bookworm", "trixie"] {
        let fleet = Fleet::of(release, 2);
        let (one, two) = (fleet.0.hosts[0].address.clone(), fleet.0.hosts[1].address.clone());
        assert_eq!(fleet.inside("h1", ECHO).code, 0);
        fleet.inside("h2", &talk(&one));
        until("the two talk", || goes_on(&fleet));
        // What was cut before may still stand there on one side.
        let told = |run: &Run, fate: &str| {
            let flat = run.flat();
            let row = flat.split("tcp port 8001 live connections: ").nth(1).unwrap_or_default();
            let row: String = row.chars().take(120).collect();
            assert!(row.contains(&format!("by python3: {two}")) && row.contains(fate), "{release} {fate}: {}", run.out);
        };

        // The kernel of this host remembers no connection yet.
        let check = call(&fleet, &["check"], "allow: [{port: 22}]");
        told(&check, "→ no new ones; these are cut, unless the host speaks first");
        assert!(!check.out.contains("tcp port 22"), "{}", check.out);
        // An answer that is on its way when the rules come would be a host that speaks first.
        fleet.inside("h2", "systemctl kill -s STOP talk");
        let apply = call(&fleet, &["apply", "-y"], "allow: [{port: 22}]");
        fleet.inside("h2", "systemctl kill -s CONT talk");
        told(&apply, "these are cut, unless");
        until("it is cut", || word(&fleet) == "silent");
        let quiet = call(&fleet, &["check"], "allow: [{port: 22}]");
        assert_eq!((quiet.code, quiet.out.contains("live")), (0, false), "{}", quiet.out);

        // Now it does, and the connection outlives the rules that let no other in.
        let open = call(&fleet, &["apply", "-y"], "allow: [{port: [22, 8001]}, {port: 8002, protocol: udp}]");
        assert!(!open.out.contains("live connections"), "{}", open.out);
        fleet.inside("h2", &talk(&one));
        until("the two talk again", || goes_on(&fleet));
        assert_eq!(fleet.inside("h1", UDP_ECHO).code, 0);
        assert_eq!(fleet.inside("h2", &udp_talk(&one)).code, 0, "the two talk by udp");
        let apply = call(&fleet, &["apply", "-y"], "allow: [{port: 22}]");
        told(&apply, "→ no new ones; these go on");
        // Its socket has no peer: the kernel remembers who talks to it.
        let by_udp = format!(
            "udp port 8002 live connections: 1 by python3: {two} → no new ones; these go on while they keep talking"
        );
        assert!(apply.flat().contains(&by_udp), "{release}: {}", apply.out);
        assert!(goes_on(&fleet), "{release}: {}", word(&fleet));
        assert_ne!(fleet.inside("h2", &format!("timeout 2 bash -c 'exec 3<>/dev/tcp/{one}/8001'")).code, 0);

        // What is blocked both ways is cut whatever the kernel remembers.
        let apply = call(&fleet, &["apply", "-y"], "allow: [{port: 22}], block: 8001/tcp");
        told(&apply, "→ cut");
        until("it is blocked", || word(&fleet) == "silent");
    }
}

const HOLDS: &str = "import socket, sys
def knock():
    try:
        return socket.create_connection((sys.argv[1], 8001), 2)
    except OSError:
        return None
";

fn rules(fleet: &Fleet) -> String {
    fleet.inside("h1", "nft -s list ruleset; cat /etc/nftables.conf /etc/nftables-steadfast.conf 2>&1").out
}

#[test]
fn one_connection_more_than_the_limit_is_refused() {
    for release in ["bookworm", "trixie"] {
        let fleet = Fleet::of(release, 2);
        let one = fleet.0.hosts[0].address.clone();
        assert_eq!(fleet.inside("h1", ECHO).code, 0);
        let before = rules(&fleet);
        let limit = "allow: [{port: 22}, {port: 8001, connections: 3}]";
        call(&fleet, &["apply", "-y"], limit);
        // Five are tried and three are let in; where one ends, another one gets in.
        let knocks = format!(
            "python3 -c \"{HOLDS}
held = [one for one in [knock() for _ in range(5)] if one]
print(len(held))
held.pop().close()
again = [one for one in [knock() for _ in range(4)] if one]
print(len(again))\" {one}"
        );
        assert_eq!(fleet.inside("h2", &knocks).out, "3\n1\n", "{release}");
        // Each address has its own.
        let address = format!("{one}:8001").parse().unwrap();
        let own: Vec<_> =
            (0..3).filter_map(|_| TcpStream::connect_timeout(&address, Duration::from_secs(2)).ok()).collect();
        assert_eq!(own.len(), 3, "{release}");
        // What was counted is no drift, and the way back is exact.
        assert_eq!(call(&fleet, &["check"], limit).code, 0, "{release}");
        let again = call(&fleet, &["apply", "-y"], limit);
        assert!(again.code == 0 && !again.out.contains("changed=1"), "{}", again.out);
        let back = fleet.steadfast(&["rollback", "last", "-y"]);
        assert_eq!((back.code, rules(&fleet)), (0, before), "{release}: {}{}", back.out, back.err);
    }
}

#[test]
fn what_is_usual_is_what_the_baseline_saw() {
    let fleet = Fleet::up(2);
    let one = fleet.0.hosts[0].address.clone();
    fleet.inside("h1", "timeout 60 systemctl is-system-running --wait; systemctl stop rpcbind.socket rpcbind.service");
    assert_eq!(fleet.inside("h1", ECHO).code, 0);
    let limit = "allow: [{port: 22}, {port: 8001, connections: 1.5 x usual}]";
    let never = apply(&fleet, "firewall", limit);
    assert_eq!((never.code, never.flat().contains("what is usual here was never kept")), (3, true), "{}", never.out);
    let crowd = format!(
        "systemd-run -q --unit=crowd python3 -c \"{HOLDS}
import time
held = [knock() for _ in range(40)]
time.sleep(3600)\" {one}; for n in 1 2 3 4 5 6 7 8 9; do [ $(ss -Htn state established dport = :8001 | wc -l) -ge 40 ] && exit 0; sleep 1; done; exit 1"
    );
    assert_eq!(fleet.inside("h2", &crowd).code, 0);
    let keep = "baseline: keep, listen: [22, 8001, 68/udp, 546/udp], known: [\"/run/systemd/transient/**\"]";
    // Behind a first look of the same playbook it is measured at its turn, also where the plan was approved before.
    let (both, plan) = (fleet.0.dir().join("both.yml"), fleet.0.dir().join("both.plan"));
    let steps = format!("  - {{id: look, triage: {{{keep}}}}}\n  - {{id: wall, firewall: {{{limit}}}}}\n");
    std::fs::write(&both, format!("hosts: h1\nbecome: true\nsteps:\n{steps}")).unwrap();
    let (both, plan, inventory) = (both.display().to_string(), plan.display().to_string(), fleet.inventory());
    let planned = fleet.steadfast(&["plan", &both, "-i", &inventory, "-o", &plan]);
    let said = planned.flat();
    let words = ["after h1/look", "never kept → known after `triage` has kept the host's baseline"];
    assert!(planned.code == 2 && words.iter().all(|word| said.contains(word)), "{}{}", planned.out, planned.err);
    let counts = |fleet: &Fleet| {
        fleet.inside("h1", "nft -s list table inet steadfast | grep -o 'ct count over [0-9]*' | sort -u").out
    };
    let applied = fleet.steadfast(&["apply", &plan]);
    assert_eq!(applied.code, 0, "{}{}", applied.out, applied.err);
    assert_eq!(counts(&fleet), "ct count over 60\n");
    let again = fleet.steadfast(&["apply", &both, "-i", &inventory, "-y"]);
    assert!(again.code == 0 && again.flat().contains("ok=2"), "{}{}", again.out, again.err);
    let loaded = |fleet: &Fleet| {
        let run = apply(fleet, "firewall", limit);
        assert_eq!(run.code, 0, "{}{}", run.out, run.err);
        counts(fleet)
    };
    // The peak stays when the crowd is gone.
    assert_eq!(fleet.inside("h2", "systemctl stop crowd").code, 0);
    let kept = apply(&fleet, "triage", &format!("{keep}, level: high"));
    assert_eq!(kept.code, 0, "{}{}", kept.out, kept.err);
    assert_eq!(loaded(&fleet), "ct count over 60\n");
}
