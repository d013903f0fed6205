//! Firewall, sudo and PAM on real hosts: what they close is closed, what they shut is opened again, and the way back is exact.

use crate::common::{Fleet, Run, contents, differences, steadfast};
use crate::lockout;
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

const OURS: &[&str] = &["/var/log", "/run", "/tmp", "/var/lib/steadfast", "/usr/lib/steadfast-lab"];

fn book(fleet: &Fleet, steps: &str) -> String {
    let path = fleet.0.dir().join("book.yml");
    std::fs::write(&path, format!("hosts: h1\nsteps:\n{steps}")).unwrap();
    path.display().to_string()
}

fn call(fleet: &Fleet, word: &str, steps: &str) -> Run {
    let book = book(fleet, steps);
    let mut words = vec![word, &book];
    let inventory = fleet.inventory();
    words.extend(["-i", &inventory]);
    if word == "apply" {
        words.push("-y");
    }
    fleet.steadfast(&words)
}

fn ends(run: &Run, code: i32) {
    assert_eq!(run.code, code, "{}{}", run.out, run.err);
}

/// Whether a new connection is taken; what is dropped is never answered.
fn connects(address: &str, port: u16) -> bool {
    let address: SocketAddr = format!("{address}:{port}").parse().unwrap();
    TcpStream::connect_timeout(&address, Duration::from_millis(700)).is_ok()
}

#[test]
fn nobody_is_locked_out_by_a_door() {
    lockout::all(&[
        ("firewall-shut", "root", "firewall: {allow: [{port: 80}], allow_lockout: true}"),
        ("firewall-for-others", "admin", "firewall: {allow: [{port: 22, from: 192.0.2.0/24}], allow_lockout: true}"),
        ("sudo-asks", "admin", "sudo_rule: {name: zz, user: admin, commands: ALL, run_as: ALL}"),
        ("sudo-gone", "admin", "sudo_rule: {name: lab, state: absent}"),
        (
            "pam-login",
            "root",
            "pam: {service: sshd, type: account, control: required, module: pam_deny.so, position: first}",
        ),
        (
            "pam-sudo",
            "admin",
            "pam: {service: sudo, type: account, control: requisite, module: pam_deny.so, position: first}",
        ),
    ]);
}

const DOORS: &str = r#"
  - id: firewall
    firewall: {allow: [{port: 22, rate: 200/minute}, {port: [8001, 8002], from: [10.0.0.0/8, "fd00::/64"]}]}
  - {id: ops, sudo_rule: {name: ops, user: admin, commands: [/usr/bin/id], password: false}}
  - {id: wheel, pam: {service: su, type: auth, control: required, module: pam_wheel.so, args: [use_uid], position: {after: pam_rootok.so}}}
"#;

#[test]
fn all_three_are_set_once_and_taken_back_to_the_byte() {
    let fleet = Fleet::up(1);
    // Others' tables stay, and an older table of our name comes back.
    let scene = "nft add table ip theirs; nft add chain ip theirs c '{ type filter hook input priority 5; }'; nft add rule ip theirs c counter accept; \
                 nft add table inet steadfast; nft add chain inet steadfast old; nft add rule inet steadfast old tcp dport 1 accept comment '\"it'\\''s\"'";
    ends(&fleet.inside("h1", scene), 0);
    let picture = || {
        (
            contents(&fleet.root("h1"), OURS),
            fleet.inside("h1", "nft -s list ruleset; systemctl is-enabled nftables").out,
        )
    };
    let before = picture();
    ends(&call(&fleet, "apply", DOORS), 0);
    ends(&call(&fleet, "check", DOORS), 0);
    let again = call(&fleet, "apply", DOORS);
    ends(&again, 0);
    assert_ne!(picture().1, before.1);
    // Somebody opens a port: seen, and closed again.
    ends(&fleet.inside("h1", "nft insert rule inet steadfast input tcp dport 31337 accept"), 0);
    let seen = call(&fleet, "check", DOORS);
    ends(&seen, 2);
    assert!(seen.out.contains("rules"), "{}", seen.out);
    ends(&fleet.inside("h1", "nft add rule inet steadfast input udp dport 9 accept"), 0);
    ends(&call(&fleet, "check", DOORS), 2);
    ends(&call(&fleet, "apply", DOORS), 0);
    ends(&call(&fleet, "check", DOORS), 0);
    ends(&fleet.steadfast(&["rollback", "last", "-y"]), 0);
    ends(&call(&fleet, "check", DOORS), 2);
    ends(&call(&fleet, "apply", DOORS), 0);
    let runs = fleet.steadfast(&["runs"]).out;
    let first = runs.lines().last().unwrap().split_whitespace().next().unwrap().to_owned();
    // The table is as the first run left it, but a later run made it so: who goes back past that says so.
    let held = fleet.steadfast(&["rollback", &first, "-y"]);
    ends(&held, 3);
    assert!(held.out.contains("changed it later"), "{}", held.out);
    ends(&fleet.steadfast(&["rollback", &first, "-y", "--force"]), 0);
    let after = picture();
    assert_eq!(differences(&before.0, &after.0), Vec::<String>::new());
    assert_eq!(after.1, before.1);
}

#[test]
fn what_is_closed_is_closed_and_stays_so_after_a_restart() {
    let fleet = Fleet::up(2);
    let address = fleet.0.hosts[0].address.clone();
    let serve = "ip -6 addr add fd00::1/64 dev host0 nodad; for p in 8001 8002 8003; do systemd-run -q --unit=s$p python3 -c \"
import socket
s = socket.socket(socket.AF_INET6); s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0); s.bind(('::', $p)); s.listen(50)
while True: s.accept()
\"; done";
    ends(&fleet.inside("h1", serve), 0);
    ends(&fleet.inside("h2", "ip -6 addr add fd00::2/64 dev host0 nodad"), 0);
    let until = Instant::now() + Duration::from_secs(10);
    while !(8001..=8003).all(|port| connects(&address, port)) {
        assert!(Instant::now() < until, "the servers do not start");
    }
    let steps = "  - {id: firewall, firewall: {allow: [{port: 22}, {port: 8001}, {port: 8002, rate: 2/hour, from: \"fd00::/64\"}]}}\n";
    ends(&call(&fleet, "apply", steps), 0);
    let open: Vec<u16> = [22, 8001, 8002, 8003].into_iter().filter(|port| connects(&address, *port)).collect();
    assert_eq!(open, [22, 8001]);
    // The same over IPv6, for which neighbours must be found first; five at once, then no more in this hour.
    let knock = "ip -6 neigh flush dev host0; for p in 8001 8003 8002 8002 8002 8002 8002 8002 8002; do timeout 1 python3 -c \"import socket; socket.create_connection(('fd00::1', $p), 0.7)\" 2>/dev/null && printf '%s ' $p; done; \
                 ping -6 -c 1 -W 1 fd00::1 >/dev/null 2>&1; true";
    assert_eq!(fleet.inside("h2", knock).out.trim(), "8001 8002 8002 8002 8002 8002");
    // What the table remembers of those who came is no drift.
    ends(&call(&fleet, "check", steps), 0);

    let boot = || fleet.inside("h1", "cat /proc/sys/kernel/random/boot_id").out;
    let (was, rules) = (boot(), fleet.inside("h1", "nft -s -t list table inet steadfast").out);
    fleet.inside("h1", "systemctl reboot");
    let until = Instant::now() + Duration::from_secs(60);
    while boot() == was || boot().is_empty() || !connects(&address, 22) {
        assert!(Instant::now() < until, "it does not come back");
    }
    assert_eq!(fleet.inside("h1", "nft -s -t list table inet steadfast").out, rules);
    ends(&call(&fleet, "check", steps), 0);
    // A reload of the service flushes everything and brings ours back.
    ends(&fleet.inside("h1", "systemctl reload nftables"), 0);
    ends(&call(&fleet, "check", steps), 0);
}

#[test]
fn a_firewall_that_would_shut_us_out_is_refused() {
    let fleet = Fleet::up(1);
    let refused = |steps: &str, why: &str| {
        let before = fleet.inside("h1", "nft list ruleset").out;
        let run = call(&fleet, "apply", steps);
        ends(&run, 3);
        let flat = run.flat();
        assert!(flat.contains(why), "{}", run.out);
        assert_eq!(fleet.inside("h1", "nft list ruleset").out, before);
    };
    refused("  - {id: f, firewall: {allow: [{port: 80}]}}\n", "port 22, on which sshd listens, would be closed");
    refused("  - {id: f, firewall: {allow: [{port: 22, from: 192.0.2.0/24}]}}\n", "port 22 would be closed to 10.");
    ends(
        &fleet.inside("h1", "printf 'Port 22\\nPort 2222\\n' >/etc/ssh/sshd_config.d/p.conf; systemctl restart ssh"),
        0,
    );
    refused("  - {id: f, firewall: {allow: [{port: 22}]}}\n", "port 2222, on which sshd listens, would be closed");
}

#[test]
fn steps_that_shut_each_others_way_in_are_a_mistake_in_the_playbook() {
    let dir = tempfile::tempdir().unwrap();
    let check = |firewall: &str| {
        let path = dir.path().join("book.yml");
        let text = format!(
            "hosts: all\nsteps:\n  - id: login\n    sshd: {{Port: [22, 2222]}}\n  - id: wall\n    firewall: {firewall}\n"
        );
        std::fs::write(&path, text).unwrap();
        steadfast(&["graph", &path.display().to_string(), "-i", "192.0.2.1,"])
    };
    let shut = check("{allow: [{port: 22}]}");
    ends(&shut, 1);
    for says in ["`wall` would close port 2222", "book.yml:5", "3 |   - id: login", "`login` brings port 2222"] {
        assert!(shut.err.contains(says), "{says}: {}", shut.err);
    }
    let slow = check("{allow: [{port: 22}, {port: 2000-3000, rate: 10/hour}]}");
    ends(&slow, 1);
    for says in
        ["by `rate: 10/hour` `wall` lets fewer logins in on port 2222", "book.yml:5", "`login` brings port 2222"]
    {
        assert!(slow.err.contains(says), "{says}: {}", slow.err);
    }
    ends(&check("{allow: [{port: [22, 2000-3000], rate: 10/minute}]}"), 0);
    ends(&check("{allow: [{port: [22, 2000-3000]}]}"), 0);
    ends(&check("{allow: [{port: 22}], allow_lockout: true}"), 0);
}

#[test]
fn a_limit_that_a_run_uses_up_is_refused_before_anything_is_done() {
    let fleet = Fleet::up(1);
    let slow = |rate: &str| format!("  - {{id: wall, firewall: {{allow: [{{port: 22, rate: {rate}}}]}}}}\n");
    let refused = call(&fleet, "apply", &slow("1/minute"));
    ends(&refused, 3);
    assert!(refused.out.contains("`rate: 1/minute` would let too few of the logins from"), "{}", refused.out);
    assert!(fleet.inside("h1", "nft list table inet steadfast").code != 0);
    // What is let through is enough for runs that follow each other: each changes something and proves it.
    ends(&call(&fleet, "apply", &slow("10/minute")), 0);
    for mode in ["0600", "0640", "0600"] {
        let step = format!("  - {{id: f, file: {{path: /etc/security/zz, content: \"# \\n\", mode: \"{mode}\"}}}}\n");
        ends(&call(&fleet, "apply", &step), 0);
    }
}
