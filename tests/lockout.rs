//! Nobody is locked out: configurations that shut others' users out, each on a real host. With the controller alive the
//! run says `reverted`; with the controller killed right after the change the host goes back by itself. Afterwards a new
//! login gets in, and the host is as it was.

use crate::common::{Fleet, contents, differences, told};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// What a login and a run write, and what tells only when something was done.
const OURS: &[&str] =
    &["/var/log", "/run", "/tmp", "/var/lib/steadfast", "/usr/lib/steadfast-lab", "/home/admin/.local"];

/// Name, who logs in, steps.
const CASES: &[(&str, &str, &str)] = &[
    ("allow-users", "root", "sshd: {AllowUsers: nobody}"),
    ("allow-groups", "admin", "sshd: {AllowGroups: nogroup}"),
    ("deny-users", "root", "sshd: {DenyUsers: root}"),
    ("keys-moved", "root", "sshd: {AuthorizedKeysFile: /etc/ssh/none/%u}"),
    ("no-keys", "root", "sshd: {PubkeyAuthentication: \"no\"}"),
    ("key-algorithms", "root", "sshd: {PubkeyAcceptedAlgorithms: rsa-sha2-512}"),
    ("no-sessions", "root", "sshd: {MaxSessions: 0}"),
    ("forced-command", "root", "sshd: {ForceCommand: /bin/false}"),
    ("other-port", "root", "sshd: {Port: 2222}"),
    ("other-address", "root", "sshd: {ListenAddress: 127.0.0.1}"),
    ("no-root", "root", "sshd: {PermitRootLogin: \"no\"}"),
    ("old-cipher", "root", "sshd: {Ciphers: 3des-cbc}"),
    ("host-key", "root", "sshd: {HostKeyAlgorithms: rsa-sha2-512}"),
    ("methods", "root", "sshd: {AuthenticationMethods: \"publickey,password\"}"),
    (
        "key-swapped",
        "root",
        "authorized_key: {user: root, exclusive: true, key: \"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBrhkEKp6Y4Zz7kBlsSL5vNFyBOn0vJzXIPSrNYuuT5x a@b\"}",
    ),
    ("account-expired", "admin", "user: {name: admin, expires: \"1970-01-02\"}"),
    ("shell-changed", "admin", "user: {name: admin, shell: /usr/sbin/nologin}"),
    ("home-moved", "admin", "user: {name: admin, home: /nonexistent}"),
    ("no-sudo-group", "admin", "file: {path: /etc/sudoers.d/zz, content: \"admin ALL=(ALL) !ALL\\n\", mode: \"0440\"}"),
    ("home-mode", "root", "directory: {path: /root, mode: \"0777\"}"),
    ("keys-owner", "admin", "file: {path: /home/admin/.ssh/authorized_keys, owner: nobody, mode: \"0600\"}"),
    ("nologin", "admin", "file: {path: /etc/nologin, content: \"closed\\n\", mode: \"0644\"}"),
    (
        "pam",
        "root",
        "line: {path: /etc/pam.d/sshd, line: \"account required pam_deny.so\", match: '^account\\s+required\\s+pam_(nologin|deny)'}",
    ),
    ("ssh-stopped", "root", "service: {name: ssh, state: masked}"),
    (
        "link-down",
        "root",
        "command: {access: true, check: 'ip link show dev host0 | grep -q \"state DOWN\"', run: ip link set dev host0 down, undo: ip link set dev host0 up}",
    ),
    (
        "firewall",
        "root",
        "command: {access: true, check: 'nft list table inet lock', run: 'nft add table inet lock && nft add chain inet lock in \"{ type filter hook input priority 0; policy drop; }\"', undo: nft delete table inet lock}",
    ),
    (
        "half-done",
        "root",
        "command: {access: true, check: 'nft list table inet half', run: 'nft add table inet half && nft add chain inet half in \"{ type filter hook input priority 0; policy drop; }\" && false', undo: nft delete table inet half}",
    ),
    ("hosts-deny", "root", "file: {path: /etc/hosts.deny, content: \"ALL: ALL\\n\"}"),
    ("shell-mode", "root", "file: {path: /usr/bin/bash, mode: \"0600\"}"),
    ("first-drop-in", "root", "file: {path: /etc/ssh/sshd_config.d/00-aaa.conf, content: \"AllowUsers nobody\\n\"}"),
    ("only-on-disk", "root", "line: {path: /etc/ssh/sshd_config, line: \"DenyGroups root\"}"),
];

struct Case<'a> {
    fleet: &'a Fleet,
    host: String,
    book: String,
    inventory: String,
}

impl Case<'_> {
    fn call(&self, words: &[&str], die_at: Option<&str>) -> crate::common::Run {
        let common = ["-i", &self.inventory, "-l", &self.host];
        let mut call = self.fleet.call(&[words, &[self.book.as_str()], &common].concat());
        call.env("STEADFAST_STATE", self.fleet.0.dir().join(format!("state-{}", self.host)));
        if let Some(at) = die_at {
            call.env("STEADFAST_DIE_AT", at);
        }
        told(&call.output().unwrap())
    }

    /// A new login gets in and finds the change to be made, as before.
    fn is_open(&self) -> bool {
        self.call(&["check"], None).code == 2
    }
}

pub fn one(fleet: &Fleet, host: &str, (name, user, step): (&str, &str, &str)) -> Result<(), String> {
    let host = host.to_owned();
    let dir = fleet.0.dir();
    let book = dir.join(format!("{name}.yml"));
    std::fs::write(&book, format!("hosts: all\nbecome: true\nsteps:\n- id: {name}\n  {step}\n")).unwrap();
    let inventory = dir.join(format!("{name}.inventory.yml"));
    let text = std::fs::read_to_string(fleet.inventory()).unwrap();
    std::fs::write(&inventory, text.replace("ansible_user: root", &format!("ansible_user: {user}"))).unwrap();
    let path = |path: std::path::PathBuf| path.display().to_string();
    let case = Case { fleet, host: host.clone(), book: path(book), inventory: path(inventory) };
    if !case.is_open() {
        return Err(format!("{name}: not open before: {:?}", case.call(&["check"], None)));
    }
    let picture = || contents(&fleet.root(&host), OURS);
    let before = picture();
    let alive = case.call(&["apply", "-y", "--guard-timeout", "60"], None);
    if alive.code != 5 {
        return Err(format!("{name}: alive: {} {}{}", alive.code, alive.out, alive.err));
    }
    let changed = differences(&before, &picture());
    if !changed.is_empty() || !case.is_open() {
        return Err(format!("{name}: alive: left {changed:?}, or closed: {:?}", case.call(&["check"], None)));
    }
    let reverted = || fleet.inside(&host, "grep -lx reverted /var/lib/steadfast/guard/*/end 2>/dev/null | sort").out;
    let earlier = reverted();
    let killed = case.call(&["apply", "-y", "--guard-timeout", "10"], Some("after-set:1"));
    if killed.code != -1 {
        return Err(format!("{name}: not killed: {} {}{}", killed.code, killed.out, killed.err));
    }
    let until = Instant::now() + Duration::from_secs(60);
    while reverted().lines().all(|end| earlier.contains(end)) {
        if Instant::now() > until {
            let left =
                fleet.inside(&host, "cd /var/lib/steadfast/guard; ls -l *; cat */log; systemctl list-timers --all");
            return Err(format!("{name}: killed: never went back: {}{}", left.out, left.err));
        }
        std::thread::sleep(Duration::from_millis(500));
    }
    let until = Instant::now() + Duration::from_secs(10);
    while !case.is_open() {
        if Instant::now() > until {
            return Err(format!("{name}: killed: closed: {:?}", case.call(&["check"], None)));
        }
    }
    let changed = differences(&before, &picture());
    if !changed.is_empty() {
        return Err(format!("{name}: killed: left {changed:?}"));
    }
    // The killed run holds its lease until that ends by itself.
    let freed = told(&fleet.call(&["unlock", &host, "-i", &case.inventory, "-y"]).output().unwrap());
    if freed.code == 0 { Ok(()) } else { Err(format!("{name}: unlock: {}{}", freed.out, freed.err)) }
}

/// Tries all cases, some side by side: each leaves its host as it was, so the next one can have it.
pub fn all(cases: &[(&str, &str, &str)]) {
    let fleet = Fleet::up(5);
    let next = Mutex::new(cases.iter());
    let failed = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for worker in 1..=5 {
            let (fleet, next, failed) = (&fleet, &next, &failed);
            scope.spawn(move || {
                let host = format!("h{worker}");
                loop {
                    let Some(case) = next.lock().unwrap().next() else { break };
                    if let Err(why) = one(fleet, &host, *case) {
                        failed.lock().unwrap().push(why);
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    assert!(failed.is_empty(), "{} of {}:\n{}", failed.len(), cases.len(), failed.join("\n\n"));
}

#[test]
fn nobody_is_locked_out_by_sshd() {
    all(&CASES[..14]);
}

#[test]
fn nobody_is_locked_out_by_anything_else() {
    all(&CASES[14..]);
}

/// Waits for something on a host.
fn awaited(fleet: &Fleet, host: &str, script: &str) {
    awaited_for(90, fleet, host, script);
}

fn awaited_for(seconds: u64, fleet: &Fleet, host: &str, script: &str) {
    let until = Instant::now() + Duration::from_secs(seconds);
    while fleet.inside(host, script).code != 0 {
        if Instant::now() > until {
            let left =
                fleet.inside(host, "cd /var/lib/steadfast/guard; ls -l *; cat */log; systemctl list-timers --all");
            panic!("{host}: never: {script}: {}{}", left.out, left.err);
        }
        std::thread::sleep(Duration::from_millis(300));
    }
}

/// A run that dies right after a change to the way in, with this time to prove it.
fn killed(fleet: &Fleet, host: &str, step: &str, seconds: &str) -> String {
    let book = fleet.0.dir().join(format!("{host}.yml"));
    std::fs::write(&book, format!("hosts: {host}\nsteps:\n- {step}\n")).unwrap();
    let book = book.display().to_string();
    let words = ["apply", &book, "-y", "-i", &fleet.inventory(), "--guard-timeout", seconds];
    let died = told(&fleet.call(&words).env("STEADFAST_DIE_AT", "after-set:1").output().unwrap());
    assert_eq!(died.code, -1, "{}{}", died.out, died.err);
    book
}

const BROKEN_OFF: &str = "cd /var/lib/steadfast/guard/*/ && systemctl stop 'steadfast-guard-*.timer' && mv armed fired";

#[test]
fn a_way_back_that_was_broken_off_is_taken_up_again() {
    let fleet = Fleet::up(3);
    std::thread::scope(|scope| {
        // Who went back died, and the host starts again; half a unit was there from a crash before.
        scope.spawn(|| {
            assert_eq!(fleet.inside("h1", ": >/etc/systemd/system/steadfast-guard.service").code, 0);
            let book = killed(&fleet, "h1", "sshd: {AllowUsers: nobody}", "300");
            assert_eq!(fleet.inside("h1", BROKEN_OFF).code, 0);
            fleet.inside("h1", "systemctl reboot");
            awaited(&fleet, "h1", "grep -qx reverted /var/lib/steadfast/guard/*/end && systemctl is-active -q ssh");
            let check = fleet.steadfast(&["check", &book, "-i", &fleet.inventory()]);
            assert_eq!(check.code, 2, "{}{}", check.out, check.err);
            assert!(check.flat().contains("was taken back"), "{}{}", check.out, check.err);
        });
        // Who went back died, and the next run comes.
        scope.spawn(|| {
            killed(&fleet, "h2", "file: {path: /etc/nologin, content: \"closed\\n\"}", "300");
            assert_eq!(fleet.inside("h2", &format!("{BROKEN_OFF}; mkdir -m 700 ../a ../zz")).code, 0);
            let freed = fleet.steadfast(&["unlock", "h2", "-i", &fleet.inventory(), "-y"]);
            assert_eq!(freed.code, 0, "{}{}", freed.out, freed.err);
            let book = fleet.0.dir().join("other.yml");
            std::fs::write(&book, "hosts: h2\nsteps:\n- file: {path: /etc/motd, content: \"x\\n\"}\n").unwrap();
            let next = fleet.steadfast(&["apply", &book.display().to_string(), "-y", "-i", &fleet.inventory()]);
            assert_eq!(next.code, 0, "{}{}", next.out, next.err);
            assert!(
                next.flat().contains("was never proven by a new login and was taken back"),
                "{}{}",
                next.out,
                next.err
            );
            let left = fleet.inside("h2", "ls -A /etc/nologin /var/lib/steadfast/guard");
            assert_eq!(left.out.trim(), "/var/lib/steadfast/guard:", "{}", left.out);
        });
        // What cannot go back now is said, and goes back when it can.
        scope.spawn(|| {
            let book = killed(&fleet, "h3", "file: {path: /etc/nologin, content: \"closed\\n\"}", "10");
            assert_eq!(fleet.inside("h3", "mount --bind /etc/nologin /etc/nologin").code, 0);
            awaited(&fleet, "h3", "grep -qx failed /var/lib/steadfast/guard/*/end");
            let check = fleet.steadfast(&["check", &book, "-i", &fleet.inventory()]);
            assert!(check.flat().contains("could NOT be taken back so far"), "{}{}", check.out, check.err);
            assert_eq!(fleet.inside("h3", "umount /etc/nologin").code, 0);
            awaited(&fleet, "h3", "grep -qx reverted /var/lib/steadfast/guard/*/end && [ ! -e /etc/nologin ]");
        });
    });
}

#[test]
fn a_change_that_takes_longer_than_its_guard_is_waited_for() {
    let fleet = Fleet::up(3);
    let slow = |file: &str| {
        format!(
            "command: {{access: true, check: \"test -e {file}\", undo: \"rm -f {file}\",\n    run: \"touch /run/began; sleep 25; echo closed >{file}\"}}"
        )
    };
    let book = |host: &str, file: &str| {
        let book = fleet.0.dir().join(format!("{host}.yml"));
        std::fs::write(&book, format!("hosts: {host}\nsteps:\n- id: slow\n  {}\n", slow(file))).unwrap();
        book.display().to_string()
    };
    std::thread::scope(|scope| {
        // Nobody is there any more when it ends: it goes back after it, not beside it.
        scope.spawn(|| {
            let words = ["apply", &book("h1", "/etc/nologin"), "-y", "-i", &fleet.inventory(), "--guard-timeout", "10"]
                .map(str::to_owned);
            let mut run = fleet.call(&words.iter().map(String::as_str).collect::<Vec<_>>()).spawn().unwrap();
            awaited(&fleet, "h1", "test -e /run/began");
            run.kill().unwrap();
            run.wait().unwrap();
            awaited(&fleet, "h1", "grep -qx reverted /var/lib/steadfast/guard/*/end");
            let left = fleet.inside("h1", "test ! -e /etc/nologin");
            assert_eq!(left.code, 0, "it was overtaken by what it took back: {}{}", left.out, left.err);
        });
        // What never ends is ended, and does not keep the way shut.
        scope.spawn(|| {
            let book = fleet.0.dir().join("h3.yml");
            let cut = "ip link set host0 down; touch /run/began; sleep 100000";
            let step = format!("command: {{access: true, timeout: 5, check: test -e /etc/never, run: \"{cut}\", undo: ip link set host0 up}}");
            std::fs::write(&book, format!("hosts: h3\nsteps:\n- {step}\n")).unwrap();
            let words = ["apply", &book.display().to_string(), "-y", "-i", &fleet.inventory(), "--guard-timeout", "10"]
                .map(str::to_owned);
            let mut run = fleet.call(&words.iter().map(String::as_str).collect::<Vec<_>>()).spawn().unwrap();
            awaited(&fleet, "h3", "test -e /run/began");
            run.kill().unwrap();
            run.wait().unwrap();
            // Five seconds of its own, two minutes of the lease, and then the guard's time.
            awaited_for(240, &fleet, "h3", "grep -qx reverted /var/lib/steadfast/guard/*/end");
            let until = Instant::now() + Duration::from_secs(60);
            while !fleet.lets_in("h3", &fleet.0.dir().join("id_ed25519")) {
                assert!(Instant::now() < until, "it went back, and nobody gets in");
            }
        });
        // The run is there, and proves the way in once it is done.
        scope.spawn(|| {
            let words = ["apply", &book("h2", "/etc/slow"), "-y", "-i", &fleet.inventory(), "--guard-timeout", "10"]
                .map(str::to_owned);
            let done = fleet.steadfast(&words.iter().map(String::as_str).collect::<Vec<_>>());
            assert_eq!(done.code, 0, "{}{}", done.out, done.err);
            assert_eq!(fleet.inside("h2", "cat /etc/slow").out, "closed\n");
        });
    });
}

/// What a set of the packet filter held is no state of its table, and comes back all the same.
#[test]
fn a_block_list_that_is_there_already_holds_what_it_held() {
    let fleet = Fleet::up(1);
    let book = fleet.0.dir().join("list.yml");
    let call = |verb: &[&str], addresses: &str| {
        let step = format!("blocklist: {{name: bad, addresses: [{addresses}], allow_lockout: true}}");
        std::fs::write(&book, format!("hosts: all\nsteps:\n- id: list\n  {step}\n")).unwrap();
        fleet.steadfast(&[verb, &[&book.display().to_string(), "-i", &fleet.inventory()]].concat())
    };
    let first = call(&["apply", "-y"], "192.0.2.0/24");
    assert_eq!(first.code, 0, "{}{}", first.out, first.err);
    let rules = || fleet.inside("h1", "nft list ruleset").out;
    let before = rules();
    assert!(before.contains("192.0.2.0/24"), "{before}");
    // Whence this run comes.
    let shut = call(&["apply", "-y", "--guard-timeout", "15"], &format!("{}.1", fleet.0.subnet));
    assert_eq!(shut.code, 5, "{}{}", shut.out, shut.err);
    assert_eq!(rules(), before);
    assert_eq!(call(&["check"], "192.0.2.0/24").code, 0);
}

/// Where a login by the files on disk proves nothing, because what they say depends on whence one comes, nothing is left to the next
/// start of sshd.
#[test]
fn what_no_login_can_be_tried_against_is_not_left_to_the_next_start() {
    let fleet = Fleet::up(1);
    let allow = format!(
        "echo 'AllowUsers root@{}.*' >/etc/ssh/sshd_config.d/50-from.conf && systemctl restart ssh",
        fleet.0.subnet
    );
    assert_eq!(fleet.inside("h1", &allow).code, 0);
    let book = fleet.0.dir().join("files.yml");
    let apply = |steps: &str| {
        std::fs::write(&book, format!("hosts: all\nsteps:\n{steps}")).unwrap();
        fleet.steadfast(&["apply", "-y", &book.display().to_string(), "-i", &fleet.inventory()])
    };
    let before = fleet.inside("h1", "sha256sum /etc/ssh/sshd_config").out;
    let line = "line: {path: /etc/ssh/sshd_config, line: \"DenyGroups root\"}";
    let alone = apply(&format!("- id: deny\n  {line}\n"));
    assert_eq!(alone.code, 5, "{}{}", alone.out, alone.err);
    assert!(alone.flat().contains("on_change"), "{}", alone.out);
    let read = "- id: read\n  service: {name: ssh, state: reloaded}\n";
    let proven = apply(&format!("- id: deny\n  on_change: [read]\n  {line}\n{read}"));
    assert_eq!(proven.code, 5, "{}{}", proven.out, proven.err);
    assert_eq!(fleet.inside("h1", "sha256sum /etc/ssh/sshd_config").out, before);
    // Modes are nothing that a start reads otherwise.
    assert_eq!(apply("- file: {path: /etc/ssh/sshd_config, mode: \"0600\"}\n").code, 0);
}

#[test]
fn what_nothing_runs_without_is_not_taken_away() {
    let fleet = Fleet::up(1);
    for (step, why) in [
        ("package: {name: openssh-client, state: absent}", "would take away openssh-server"),
        ("file: {path: /usr/bin/dash, mode: \"0600\"}", "nobody could run"),
        ("file: {path: /usr/bin/sha256sum, state: absent}", "nothing runs"),
        ("file: {path: /usr/bin/dash, content: \"#!/bin/false\\n\", mode: \"0755\"}", "not written over"),
        ("file: {path: /usr/lib/x86_64-linux-gnu/libc.so.6, state: absent}", "nothing runs"),
        ("file: {path: /usr/lib/x86_64-linux-gnu/libselinux.so.1, content: x}", "not written over"),
        ("file: {path: /lib64, state: absent}", "nothing runs"),
    ] {
        let book = fleet.0.dir().join("needed.yml");
        std::fs::write(&book, format!("hosts: all\nsteps:\n- {step}\n")).unwrap();
        let run = fleet.steadfast(&["apply", &book.display().to_string(), "-y", "-i", &fleet.inventory()]);
        assert_ne!(run.code, 0, "{step}: {}{}", run.out, run.err);
        assert!(run.flat().contains(why), "{step}: {}{}", run.out, run.err);
    }
    let left = fleet.inside("h1", "systemctl is-active ssh && test -x /bin/sh && sha256sum </dev/null");
    assert_eq!(left.code, 0, "{}{}", left.out, left.err);
}

#[test]
fn changes_that_follow_each_other_are_proven_by_one_login() {
    let fleet = Fleet::up(1);
    let logins =
        || fleet.inside("h1", "journalctl -q | grep -c 'Accepted publickey'").out.trim().parse::<i32>().unwrap();
    let apply = |steps: &str| {
        let book = fleet.0.dir().join("shared.yml");
        std::fs::write(&book, format!("hosts: h1\nsteps:\n{steps}")).unwrap();
        let before = logins();
        let run = fleet.steadfast(&["apply", &book.display().to_string(), "-y", "-i", &fleet.inventory()]);
        assert_eq!(run.code, 0, "{}{}", run.out, run.err);
        logins() - before
    };
    let one = apply("- sshd: {MaxAuthTries: 5}\n");
    // What is left, or is so already, does not come between; what is told only once another is done belongs to them.
    let many = apply(
        "- sshd: {MaxAuthTries: 4}
- {id: left, when: exists('/nowhere'), file: {path: /etc/left, content: x}}
- {id: so, file: {path: /etc/passwd, mode: \"0644\"}}
- {id: one, user: {name: games, shell: /usr/sbin/nologin, locked: true}}
- {id: two, needs: [one], command: {access: true, check: test -e /etc/two, run: touch /etc/two, undo: rm -f /etc/two}}
- {id: three, needs: [two], directory: {path: /root, mode: \"0750\"}}
",
    );
    assert_eq!(many, one);
    // Something else between them has the first proven before it, and the second after.
    let apart = apply(
        "- sshd: {MaxAuthTries: 3}
- {id: other, file: {path: /etc/other, content: x}}
- {id: three, directory: {path: /root, mode: \"0700\"}}
",
    );
    assert!(apart > one, "{apart} logins");
    // A package that cannot be had takes nothing back but itself, neither before nor behind it.
    let book = fleet.0.dir().join("away.yml");
    let steps = "- {id: before, sshd: {MaxAuthTries: 6}}\n- {id: away, needs: [before], package: {name: ufw}}\n- {id: behind, sshd: {MaxStartups: \"9:30:60\"}}\n";
    std::fs::write(&book, format!("hosts: h1\nsteps:\n{steps}")).unwrap();
    let run = fleet.steadfast(&["apply", &book.display().to_string(), "-y", "-i", &fleet.inventory()]);
    assert_eq!(run.code, 5, "{}{}", run.out, run.err);
    assert!(run.flat().contains("changed=2 reverted=1") && run.flat().contains("reverted away"), "{}", run.out);
    assert_eq!(fleet.inside("h1", "sshd -T | grep -cxE 'maxauthtries 6|maxstartups 9:30:60'").out, "2\n");
}

#[test]
fn what_is_read_again_goes_back_with_what_it_reads() {
    let fleet = Fleet::up(2);
    let scene = fleet.inside(
        "h1",
        "mkdir -p /etc/odd; echo 'Include /etc/odd/*.conf' >/etc/ssh/sshd_config.d/odd.conf; systemctl restart ssh",
    );
    assert_eq!(scene.code, 0, "{}", scene.err);
    let scene = fleet.inside(
        "h2",
        "mkdir -p /etc/odd; echo 'include \"/etc/odd/*.nft\"' >>/etc/nftables.conf; systemctl start nftables",
    );
    assert_eq!(scene.code, 0, "{}", scene.err);
    let wall = "table inet odd {\\n chain all {\\n  type filter hook input priority 0; policy drop;\\n }\\n}\\n";
    for (host, service, file, content) in
        [("h1", "ssh", "/etc/odd/x.conf", "AllowGroups ops\\n"), ("h2", "nftables", "/etc/odd/x.nft", wall)]
    {
        let book = fleet.0.dir().join("read.yml");
        let steps = format!(
            "- id: again\n  needs: [read]\n  when: exists('/etc/odd')\n  service: {{name: {service}, state: restarted}}\n- id: read\n  on_change: [again]\n  file: {{path: {file}, content: \"{content}\", mode: \"0644\"}}\n"
        );
        std::fs::write(&book, format!("hosts: {host}\nsteps:\n{steps}")).unwrap();
        let words = ["apply", &book.display().to_string(), "-y", "-i", &fleet.inventory(), "--guard-timeout", "20"]
            .map(str::to_owned);
        let run = fleet.steadfast(&words.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(run.code, 5, "{host}: {}{}", run.out, run.err);
        assert!(fleet.lets_in(host, &fleet.0.dir().join("id_ed25519")), "{host}: {}", run.out);
        assert_ne!(fleet.inside(host, &format!("test -e {file}")).code, 0, "{host}: {}", run.out);
    }
}

/// Several steps later, when what was written is proven and told long since.
#[test]
fn what_was_written_goes_back_with_the_restart_that_reads_it_whatever_stands_between() {
    let fleet = Fleet::up(3);
    let scene = |host: &str, script: &str| assert_eq!(fleet.inside(host, script).code, 0, "{host}: {script}");
    scene(
        "h1",
        // No configuration names it, so that nothing tells before the restart.
        "mkdir /etc/odd; echo '# mine' >/etc/odd/x.conf; echo 'SSHD_OPTS=\"-f /etc/odd/x.conf\"' >/etc/default/ssh; systemctl restart ssh",
    );
    let nftables = "mkdir /etc/odd; echo 'include \"/etc/odd/*.nft\"' >>/etc/nftables.conf; echo '# mine' >/etc/odd/x.nft; systemctl enable --now nftables";
    scene("h2", nftables);
    scene("h3", nftables);
    let wall = "add table inet odd; add chain inet odd every { type filter hook input priority 0; policy drop; }";
    let key = fleet.0.dir().join("id_ed25519");
    let one = |host: &str, service: &str, file: &str, content: &str| {
        let book = fleet.0.dir().join(format!("{host}.yml"));
        let steps = format!(
            "- {{id: read, on_change: [again], line: {{path: {file}, line: \"{content}\"}}}}\n\
             - {{id: other, needs: [read], file: {{path: /etc/other, content: x}}}}\n\
             - {{id: same, needs: [other], line: {{path: {file}, line: \"# a word of another step\"}}}}\n\
             - {{id: apart, needs: [same], file: {{path: /etc/apart, content: x}}}}\n\
             - {{id: again, needs: [apart], service: {{name: {service}, state: restarted}}}}\n"
        );
        std::fs::write(&book, format!("hosts: {host}\nsteps:\n{steps}")).unwrap();
        let call = |words: &[&str], die_at: &str| {
            let mut call = fleet.call(words);
            call.env("STEADFAST_STATE", fleet.0.dir().join(format!("state-{host}"))).env("STEADFAST_DIE_AT", die_at);
            told(&call.output().unwrap())
        };
        let (book, inventory) = (book.display().to_string(), fleet.inventory());
        let apply = |seconds: &str, die_at: &str| {
            call(&["apply", &book, "-y", "-i", &inventory, "--guard-timeout", seconds, "--json"], die_at)
        };
        // Each is told as what became of it: what has nothing to do with it stays.
        let is_back = |run: &crate::common::Run| {
            assert_eq!(run.code, 5, "{host}: {}{}", run.out, run.err);
            for (step, end) in
                [("read", "reverted"), ("same", "reverted"), ("again", "reverted"), ("other", ""), ("apart", "")]
            {
                let of_it = |line: &&str| line.contains("task_done") && line.contains(&format!("\"step\":\"{step}\""));
                let last = run.out.lines().rfind(of_it).unwrap_or_default();
                let reverted = last.contains("\"outcome\":\"reverted\"");
                assert_eq!(reverted, end == "reverted", "{host}: {step}: {last}");
            }
            assert!(fleet.lets_in(host, &key), "{host}: {}", run.out);
            assert_eq!(
                fleet
                    .inside(
                        host,
                        &format!("grep -qx '# mine' {file} && [ $(wc -l <{file}) = 1 ] && test -e /etc/other")
                    )
                    .code,
                0,
                "{host}: {}",
                run.out
            );
        };
        let begun = || {
            let count = format!("journalctl --sync; journalctl -q -b -u {service} | grep -c ' Starting '");
            fleet.inside(host, &count).out.trim().parse::<u32>().unwrap()
        };
        let before = begun();
        is_back(&apply("20", ""));
        // Once forward and once back.
        assert_eq!(begun() - before, 2, "{host}");
        assert_eq!(fleet.inside(host, "rm /etc/other /etc/apart").code, 0);
        // Nobody is there any more.
        let died = apply("10", "after-set:5");
        assert_eq!(died.code, -1, "{host}: {}{}", died.out, died.err);
        awaited(&fleet, host, "grep -qx reverted /var/lib/steadfast/guard/*/end");
        let until = Instant::now() + Duration::from_secs(60);
        while !fleet.lets_in(host, &key) {
            assert!(Instant::now() < until, "{host}: it went back, and nobody gets in");
        }
        assert_eq!(
            fleet.inside(host, &format!("grep -qx '# mine' {file} && [ $(wc -l <{file}) = 1 ]")).code,
            0,
            "{host}"
        );
        let resumed = call(&["resume", "last", "-y", "--guard-timeout", "20", "--json"], "");
        is_back(&resumed);
        for step in ["read", "again"] {
            let note = format!("step {step} of run ");
            assert!(
                resumed.out.lines().any(|line| line.contains(&note) && line.contains("was taken back")),
                "{host}: {}",
                resumed.out
            );
        }
        // Nor is the host.
        let died = apply("3600", "after-set:3");
        assert_eq!(died.code, -1, "{host}: {}{}", died.out, died.err);
        let boot = || fleet.inside(host, "cat /proc/sys/kernel/random/boot_id").out;
        let first = boot();
        fleet.inside(host, "systemctl --no-block reboot");
        let until = Instant::now() + Duration::from_secs(90);
        while boot() == first || !fleet.lets_in(host, &key) {
            assert!(Instant::now() < until, "{host}: nobody gets in after a restart");
            std::thread::sleep(Duration::from_millis(300));
        }
        assert_eq!(
            fleet.inside(host, &format!("grep -qx '# mine' {file} && [ $(wc -l <{file}) = 1 ]")).code,
            0,
            "{host}"
        );
    };
    std::thread::scope(|scope| {
        scope.spawn(|| one("h1", "ssh", "/etc/odd/x.conf", "AllowGroups ops"));
        scope.spawn(|| one("h2", "nftables", "/etc/odd/x.nft", wall));
        // It cannot even be read.
        scope.spawn(|| one("h3", "nftables", "/etc/odd/x.nft", "add table odd odd odd"));
    });
}

#[test]
fn a_rollback_does_not_take_away_who_makes_it() {
    let fleet = Fleet::up(1);
    let key = std::fs::read_to_string(fleet.0.dir().join("id_ed25519.pub")).unwrap();
    let apply = |steps: &str| {
        let book = fleet.0.dir().join("users.yml");
        std::fs::write(&book, format!("hosts: h1\nbecome: true\nsteps:\n{steps}")).unwrap();
        let run = fleet.steadfast(&["apply", &book.display().to_string(), "-y", "-i", &fleet.inventory()]);
        assert_eq!(run.code, 0, "{}{}", run.out, run.err);
    };
    let as_user = |user: &str| {
        let path = fleet.0.dir().join(format!("{user}.yml"));
        let text = std::fs::read_to_string(fleet.inventory()).unwrap();
        std::fs::write(&path, text.replace("ansible_user: root", &format!("ansible_user: {user}"))).unwrap();
        path.display().to_string()
    };
    let back = |user: &str| fleet.steadfast(&["rollback", "last", "-y", "-i", &as_user(user), "--guard-timeout", "20"]);
    apply(&format!(
        "- user: {{name: ops, create_home: true}}\n- authorized_key: {{user: ops, key: \"{}\"}}\n- sudo_rule: {{name: ops, user: ops, commands: ALL, run_as: ALL, password: false}}\n",
        key.trim()
    ));
    let back_by_ops = back("ops");
    assert_eq!(back_by_ops.code, 5, "{}{}", back_by_ops.out, back_by_ops.err);
    assert_eq!(fleet.inside("h1", "id ops").code, 0, "{}", back_by_ops.out);
    // A step that is put back with an earlier one is guarded as it would be alone.
    assert_eq!(fleet.inside("h1", "usermod -s /usr/sbin/nologin admin").code, 0);
    apply("- {id: svc, user: {name: svc1}}\n- {id: adm, needs: [svc], user: {name: admin, shell: /bin/bash}}\n");
    let back_by_admin = back("admin");
    assert_eq!(back_by_admin.code, 5, "{}{}", back_by_admin.out, back_by_admin.err);
    assert!(fleet.inside("h1", "getent passwd admin").out.contains("/bin/bash"), "{}", back_by_admin.out);
}
