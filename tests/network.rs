//! The kinds for what listens, starts, lies open and passes, as a user meets them: from the controller, on a real host.

use crate::common::{Fleet, Run, contents, differences};
use std::path::PathBuf;

fn playbook(fleet: &Fleet, steps: &str) -> PathBuf {
    let path = fleet.0.dir().join("book.yml");
    std::fs::write(&path, format!("hosts: all\nsteps:\n{steps}")).unwrap();
    path
}

fn run(fleet: &Fleet, words: &[&str], steps: &str) -> Run {
    let path = playbook(fleet, steps).display().to_string();
    let inventory = fleet.inventory();
    fleet.steadfast(&[words, &[&path, "-i", &inventory, "-b"]].concat())
}

const PORTS: &str = "  - id: ports
    ports:
      allow: [{port: 22, process: [sshd, systemd], package: [openssh-server, systemd], required: true}]
      dynamic: [systemd-network]
      outside: [3333, 4444]
";

#[test]
fn a_port_that_nobody_declared_is_told_and_one_that_hides_as_well() {
    let fleet = Fleet::up(1);
    fleet.inside("h1", "systemctl stop rpcbind.socket rpcbind.service");
    let quiet = run(&fleet, &["check"], PORTS);
    assert_eq!(quiet.code, 0, "{}{}", quiet.out, quiet.err);
    // Somebody listens, and somebody answers whom nobody sees: calls to 3333 are turned to sshd before they arrive.
    let odd = fleet.inside(
        "h1",
        "systemd-run -q --unit=odd --socket-property=ListenStream=2222 /bin/cat && nft 'table ip turned { chain p { \
         type nat hook prerouting priority dstnat; tcp dport 3333 redirect to :22; }; }'",
    );
    assert_eq!(odd.code, 0, "{}", odd.err);
    let told = run(&fleet, &["check"], PORTS);
    assert_eq!(told.code, 2, "{}{}", told.out, told.err);
    let flat = told.flat();
    assert!(flat.contains("tcp [::]:2222") && flat.contains("/systemd of systemd"), "{flat}");
    assert!(flat.contains("tcp port 2222") && flat.contains("tcp port 3333"), "{flat}");
    assert!(flat.contains("it answers from outside, and nothing that can be seen listens inside"), "{flat}");
    assert!(!flat.contains("4444"), "{flat}");
    // It only looks: an apply says so and changes nothing.
    let applied = run(&fleet, &["apply", "-y"], PORTS);
    assert!(applied.out.contains("3333"), "{}", applied.out);
    fleet.inside("h1", "systemctl stop odd.socket; nft delete table ip turned");
    assert_eq!(run(&fleet, &["check"], PORTS).code, 0);
}

const ALL: &str = "  - {id: writable, sweep: {what: writable_files}}
  - {id: sticky, sweep: {what: open_directories}}
  - {id: nobodys, sweep: {what: unowned, owner: root}}
  - {id: setuid, sweep: {what: setuid}}
  - {id: services, services: {basics: true, only: [lab-*]}}
  - {id: blocked, blocklist: {name: bad, addresses: [192.0.2.0/24], timeout: 7d}}
  - id: wall
    firewall:
      allow: [{port: 22, rate: 500/minute, connections: 100}]
      limit: {new: 500/second}
      block: [tftp]
      egress: deny
      allow_out: [{port: 53, protocol: both}]
      forward: deny
";
/// What a login and the clock write, and what steadfast keeps.
const OTHERS: &[&str] =
    &["/var/log", "/run", "/tmp", "/proc", "/sys", "/dev", "/var/lib/steadfast", "/var/lib/systemd"];

#[test]
fn what_is_swept_and_shut_stays_so_and_goes_back() {
    for release in ["bullseye", "bookworm", "trixie"] {
        let fleet = Fleet::of(release, 1);
        let scene = fleet.inside(
            "h1",
            r#"mkdir -p /srv/open; chmod 777 /srv/open; cd /srv; n=$(printf 'a\nb $(touch PWNED)'); echo x >"$n"; echo x >-rf; chmod 666 "./$n" ./-rf
            echo x >left; chown 4242:4243 left; cp /bin/true /usr/local/bin/planted; chmod 6755 /usr/local/bin/planted
            printf '[Service]\nExecStart=/bin/sleep 1d\n[Install]\nWantedBy=multi-user.target\n' >/usr/lib/systemd/system/odd.service
            systemctl daemon-reload; systemctl enable -q --now odd
            systemd-run -q sh -c 'cd /run; while :; do mkdir -p come/and/go; touch come/and/x; rm -rf come; done'"#,
        );
        assert_eq!(scene.code, 0, "{}", scene.err);
        let look = "find /srv /usr/local/bin -printf '%m %U:%G %p\\n' | sort; systemctl is-enabled odd; systemctl is-active odd; \
                    systemctl is-enabled nftables; nft -s list ruleset";
        let (before, tree) = (fleet.inside("h1", look), contents(&fleet.root("h1"), OTHERS));
        let first = run(&fleet, &["apply", "-y"], ALL);
        assert_eq!(first.code, 0, "{release}: {}{}", first.out, first.err);
        let during = fleet.inside("h1", look);
        assert!(during.out.contains("664 0:0 /srv/-rf") && !during.out.contains("PWNED)\n666"), "{}", during.out);
        assert!(
            during.out.contains("1777 0:0 /srv/open") && during.out.contains("755 0:0 /usr/local/bin/planted"),
            "{}",
            during.out
        );
        assert!(
            during.out.contains("644 0:0 /srv/left") && during.out.contains("disabled\ninactive"),
            "{}",
            during.out
        );
        let second = run(&fleet, &["check"], ALL);
        assert_eq!(second.code, 0, "{release}: {}{}", second.out, second.err);
        let back = fleet.steadfast(&["rollback", "last", "-y"]);
        assert_eq!(back.code, 0, "{release}: {}{}", back.out, back.err);
        assert_eq!(before.out, fleet.inside("h1", look).out, "{release}: {}", back.out);
        assert_eq!(differences(&tree, &contents(&fleet.root("h1"), OTHERS)), Vec::<String>::new(), "{release}");
    }
}

/// What a baseline takes as variables is the whole of what the kinds behind it can say.
#[test]
fn the_firewall_of_the_baseline_knows_sets_limits_and_lists() {
    let fleet = Fleet::up(1);
    fleet.inside("h1", "timeout 60 systemctl is-system-running --wait; systemctl stop rpcbind.socket rpcbind.service");
    let dir = fleet.0.dir().join("baselines");
    std::fs::create_dir(&dir).unwrap();
    std::fs::copy("playbooks/baselines/firewall.yml", dir.join("firewall.yml")).unwrap();
    std::fs::write(dir.join("drop.txt"), "198.51.100.0/24 ; SBL1\n127.0.0.9\n").unwrap();
    let book = |more: &str| {
        format!(
            "  - {{id: look, triage: {{baseline: keep, listen: [22, 68/udp, 546/udp]}}}}
  - include:
      file: baselines/firewall.yml
      vars:
        firewall_sets: {{admins: [{}.0/24, 192.0.2.7]}}
        firewall_allow:
          - {{port: 22, from: \"@admins\", rate: 100/minute}}
          - {{port: 80, connections: 3 x usual}}
{more}",
            fleet.0.subnet
        )
    };
    let plain = run(&fleet, &["apply", "-y"], &book(""));
    assert_eq!(plain.code, 0, "{}{}", plain.out, plain.err);
    let rules = || fleet.inside("h1", "nft -s list ruleset").out;
    let without = rules();
    assert!(without.contains("192.0.2.7") && without.contains("ct count over 32"), "{without}");
    assert!(!without.contains("limit rate over 2000/second") && !without.contains("steadfast_feeds"), "{without}");

    let more = "        firewall_limit: {new: 2000/second, connections: 50000}
        blocklist_feeds: [drop.txt]
        blocklist_timeout: 7d
        blocklist_addresses: [203.0.113.9]
";
    let full = run(&fleet, &["apply", "-y"], &book(more));
    assert_eq!(full.code, 0, "{}{}", full.out, full.err);
    let held = rules();
    for wanted in ["limit rate over 2000/second", "ct count over 50000", "timeout 7d", "198.51.100.0/24", "203.0.113.9"]
    {
        assert!(held.contains(wanted), "{wanted}: {held}");
    }
    // A feed cannot cut a host off from itself.
    assert!(!held.contains("127.0.0.9"), "{held}");
    assert_eq!(run(&fleet, &["check"], &book(more)).code, 0);
    std::fs::write(dir.join("drop.txt"), "198.51.100.0/25\n").unwrap();
    let other = run(&fleet, &["check"], &book(more));
    assert!(other.code == 2 && other.flat().contains("NET-04 "), "{}{}", other.out, other.err);
    let back = fleet.steadfast(&["rollback", "last", "-y"]);
    assert_eq!((back.code, rules()), (0, without.clone()), "{}{}", back.out, back.err);
    // Who takes the addresses out of the variables has no such list any more.
    assert_eq!(run(&fleet, &["apply", "-y"], &book(more)).code, 0);
    let less = run(&fleet, &["apply", "-y"], &book(""));
    assert_eq!((less.code, rules()), (0, without), "{}{}", less.out, less.err);
}
