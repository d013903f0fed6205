//! The port of sshd is moved on real hosts: nobody is locked out on the way, and what cannot be proven goes back.

use crate::common::{Fleet, Run, told, ubuntu};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

fn call(fleet: &Fleet, words: &[&str], steps: &str, die_at: Option<&str>) -> Run {
    let path = fleet.0.dir().join("port.yml");
    std::fs::write(&path, format!("hosts: h1\nbecome: true\nsteps:\n{steps}")).unwrap();
    let (path, inventory) = (path.display().to_string(), fleet.0.dir().join("admin.yml"));
    let text = std::fs::read_to_string(fleet.inventory()).unwrap();
    std::fs::write(&inventory, text.replace("ansible_user: root", "ansible_user: admin")).unwrap();
    let inventory = inventory.display().to_string();
    let mut call = fleet.call(&[words, &[&path, "-i", &inventory]].concat());
    if let Some(at) = die_at {
        call.env("STEADFAST_DIE_AT", at);
    }
    told(&call.output().unwrap())
}

fn ends(run: &Run, code: i32) {
    assert_eq!(run.code, code, "{}{}", run.out, run.err);
}

fn greets(fleet: &Fleet, port: u16) -> bool {
    let address: SocketAddr = format!("{}:{port}", fleet.0.host("h1").unwrap().address).parse().unwrap();
    TcpStream::connect_timeout(&address, Duration::from_millis(700)).is_ok()
}

fn until(what: &str, so: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !so() {
        assert!(Instant::now() < end, "{what}");
        std::thread::sleep(Duration::from_millis(200));
    }
}

const TO_2222: &str = "- {id: port, ssh_port: {port: 2222}}\n";

#[test]
fn a_port_is_moved_and_found_again() {
    let fleet = Fleet::up(1);
    let open = || [greets(&fleet, 22), greets(&fleet, 2222)];
    let free = || ends(&told(&fleet.call(&["unlock", "h1", "-i", &fleet.inventory(), "-y"]).output().unwrap()), 0);
    let run = call(&fleet, &["check"], TO_2222, None);
    ends(&run, 2);
    assert!(run.flat().contains("sshd old port: 22 listening → closed"), "{}", run.out);
    // A firewall of ours that keeps the new port shut: nothing is done.
    let walled = "- {id: wall, firewall: {allow: [{port: 22}]}}\n";
    ends(&call(&fleet, &["apply", "-y"], walled, None), 0);
    let run = call(&fleet, &["apply", "-y"], TO_2222, None);
    ends(&run, 3);
    assert!(run.flat().contains("the firewall of this host closes port 2222; allow it there first"), "{}", run.out);
    assert_eq!(open(), [true, false]);
    // Somebody else's firewall that nobody could foresee: the first stage is not proven and goes back.
    let foreign = "nft add table inet foreign && nft add chain inet foreign in '{ type filter hook input priority 5; }' \
                   && nft add rule inet foreign in tcp dport 2222 drop";
    ends(&call(&fleet, &["apply", "-y"], "- {id: wall, firewall: {allow: [{port: [22, 2222]}]}}\n", None), 0);
    ends(&fleet.inside("h1", foreign), 0);
    ends(&call(&fleet, &["apply", "-y", "--guard-timeout", "30"], TO_2222, None), 5);
    assert_eq!(fleet.inside("h1", "sshd -T | grep '^port '").out, "port 22\n");
    ends(&fleet.inside("h1", "nft delete table inet foreign"), 0);
    assert_eq!(open(), [true, false]);
    // Killed after the first stage was set: the host goes back by itself.
    let killed = call(&fleet, &["apply", "-y", "--guard-timeout", "10"], TO_2222, Some("after-set:1"));
    ends(&killed, -1);
    until("it goes back", || open() == [true, false]);
    free();
    // Killed between the stages: both doors are open, and the next run closes the old one.
    let killed = call(&fleet, &["apply", "-y"], TO_2222, Some("confirmed:1"));
    ends(&killed, -1);
    assert_eq!(open(), [true, true]);
    free();
    let run = call(&fleet, &["apply", "-y"], TO_2222, None);
    ends(&run, 0);
    assert_eq!(open(), [false, true]);
    assert!(run.out.contains("ansible_port: 2222") || run.err.contains("ansible_port: 2222"), "{}{}", run.out, run.err);
    // The old inventory still finds it, by the step that moved it.
    let run = call(&fleet, &["apply", "-y"], TO_2222, None);
    ends(&run, 0);
    assert!(run.flat().contains("ok=1"), "{}", run.out);
    // From one unusual port to another, past a firewall that closes the last one in the same run.
    let text = std::fs::read_to_string(fleet.inventory()).unwrap();
    std::fs::write(
        fleet.0.inventory(),
        text.replace("ansible_user: root", "ansible_port: 2222\n    ansible_user: root"),
    )
    .unwrap();
    ends(&call(&fleet, &["apply", "-y"], "- {id: wall, firewall: {allow: [{port: [2222, 2022]}]}}\n", None), 0);
    let both = "- {id: port, ssh_port: {port: 2022}}\n- {id: wall, firewall: {allow: [{port: 2022}]}}\n";
    ends(&call(&fleet, &["apply", "-y"], both, None), 0);
    assert_eq!([greets(&fleet, 22), greets(&fleet, 2222), greets(&fleet, 2022)], [false, false, true]);
}

#[test]
fn a_port_that_systemd_listens_on_is_moved() {
    // Ubuntu comes so; its socket listens as a generator says.
    for release in [&["bookworm", "trixie"], ubuntu()].concat() {
        let fleet = Fleet::of(release, 1);
        let by_socket = "systemctl disable --now ssh.service && systemctl enable --now ssh.socket";
        ends(&fleet.inside("h1", by_socket), 0);
        let run = call(&fleet, &["apply", "-y"], TO_2222, None);
        ends(&run, 0);
        assert_eq!([greets(&fleet, 22), greets(&fleet, 2222)], [false, true], "{release}");
        let run = call(&fleet, &["check"], TO_2222, None);
        ends(&run, 0);
    }
}
