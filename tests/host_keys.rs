//! The keys of hosts are replaced on real hosts: strict all the time, known before they are shown, whatever breaks.

use crate::common::{Fleet, Run, ends, moment, told};
use std::path::PathBuf;
use std::sync::Mutex;
use steadfast::host::PublicKey;

fn on(fleet: &Fleet, state: &str, words: &[&str], die_at: Option<&str>) -> Run {
    let mut call = fleet.call(words);
    call.env("STEADFAST_STATE", fleet.0.dir().join(state));
    if let Some(at) = die_at {
        call.env("STEADFAST_DIE_AT", at);
    }
    told(&call.output().unwrap())
}

fn book(fleet: &Fleet, name: &str, since: &str) -> String {
    let path = fleet.0.dir().join(name);
    let text =
        format!("hosts: all\nbecome: true\nsteps:\n- id: key\n  host_key_rotation: {{made_since: \"{since}\"}}\n");
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

fn known_hosts(fleet: &Fleet) -> PathBuf {
    fleet.0.dir().join("known_hosts")
}

/// The keys by which the controller knows a host.
fn known(fleet: &Fleet, host: &str) -> Vec<PublicKey> {
    let address = &fleet.0.host(host).unwrap().address;
    let text = std::fs::read_to_string(known_hosts(fleet)).unwrap();
    let mine = text.lines().filter(|line| line.split_whitespace().next() == Some(address));
    mine.filter_map(PublicKey::of_line).collect()
}

/// The private halves on a host.
fn files(fleet: &Fleet, host: &str) -> Vec<String> {
    let all = fleet.inside(host, "ls /etc/ssh/ssh_host_*_key");
    all.out.lines().map(ToOwned::to_owned).collect()
}

/// Whether a login gets in that knows the host by this file alone.
fn believes(fleet: &Fleet, host: &str, file: &std::path::Path) -> bool {
    let own = fleet.0.dir().join("id_ed25519");
    fleet.logs_in(host, &own, file, &["StrictHostKeyChecking=yes", "GlobalKnownHostsFile=none"])
}

/// The keys of a host in a file of somebody else's.
fn in_file(fleet: &Fleet, host: &str, file: &std::path::Path) -> Vec<PublicKey> {
    let address = &fleet.0.host(host).unwrap().address;
    let text = std::fs::read_to_string(file).unwrap();
    text.lines().filter(|line| line.starts_with(&format!("{address} "))).filter_map(PublicKey::of_line).collect()
}

#[test]
fn with_an_overlap_others_learn_the_new_key_before_the_old_one_goes() {
    for release in ["bookworm", "trixie"] {
        let fleet = Fleet::of(release, 1);
        let inventory = fleet.inventory();
        ends(&fleet.inside("h1", "touch -d '3 years ago' /etc/ssh/ssh_host_*_key"), 0);
        let copy = |name: &str| {
            let file = fleet.0.dir().join(name);
            std::fs::copy(known_hosts(&fleet), &file).unwrap();
            file
        };
        let (strange, theirs, before) = (copy("strange"), copy("theirs"), known(&fleet, "h1"));
        let call = |words: &[&str], overlap: &str| {
            let path = fleet.0.dir().join("overlap.yml");
            let admins = format!("{}.1", fleet.0.subnet);
            let contain =
                format!("- id: contain\n  quarantine: {{admins: [{admins}], owner: alice, until: \"2999-01-31\"}}\n");
            let key = format!("- id: key\n  host_key_rotation: {{max_age: 730d, overlap: {overlap}}}\n");
            std::fs::write(&path, format!("hosts: all\nbecome: true\nsteps:\n{contain}{key}")).unwrap();
            on(&fleet, "one", &[words, &[&path.display().to_string(), "-i", &inventory]].concat(), None)
        };
        // The turns of the incident that the last run told, the containment aside.
        let turns = || -> Vec<(String, String)> {
            let report = on(&fleet, "one", &["report", "last", "--report", "json:-"], None);
            let report: serde_json::Value = serde_json::from_str(&report.out).unwrap();
            let all = report["incidents"][0]["turns"].as_array().cloned().unwrap_or_default();
            let word = |turn: &serde_json::Value, name: &str| turn[name].as_str().unwrap().to_owned();
            let turns = all.iter().map(|turn| (word(turn, "milestone"), word(turn, "told")));
            turns.filter(|(milestone, _)| milestone != "contained").collect()
        };
        let plan = call(&["check"], "12h");
        let doubt = "`key` answers an intrusion: with `overlap` the old key is trusted for that time";
        assert!(plan.err.contains(doubt), "{}", plan.err);
        assert_eq!((plan.code, plan.flat().contains("goes: present → absent after 12h")), (2, true), "{}", plan.out);
        let first = call(&["apply", "-y"], "12h");
        ends(&first, 0);
        assert!(first.flat().contains("host key overlap: the old ones are shown, and SHA256:"), "{}", first.out);
        let offered = turns();
        assert!(
            offered.len() == 1
                && offered[0].0 == "offered"
                && offered[0].1.contains("the old key is trusted beside it until 2"),
            "{release}: {offered:?}"
        );
        assert_eq!((files(&fleet, "h1").len(), known(&fleet, "h1").len()), (2, 2), "{release}");
        // Nothing more is done in this time, and it is told.
        let check = call(&["check"], "12h");
        assert_eq!(
            (check.code, check.flat().contains("the old ones are shown, and SHA256:")),
            (0, true),
            "{}",
            check.out
        );
        let again = call(&["apply", "-y"], "12h");
        assert_eq!((again.code, files(&fleet, "h1").len()), (0, 2), "{}", again.out);
        // Whoever knows the old one alone gets in, and whoever asks for it learns the new one.
        assert!(believes(&fleet, "h1", &strange), "{release}: the old key is not shown any more");
        let own = fleet.0.dir().join("id_ed25519");
        let learns = ["StrictHostKeyChecking=yes", "GlobalKnownHostsFile=none", "UpdateHostKeys=yes"];
        for _ in 0..10 {
            assert!(fleet.logs_in("h1", &own, &theirs, &learns), "{release}");
            if in_file(&fleet, "h1", &theirs).len() == 2 {
                break;
            }
        }
        assert_eq!(in_file(&fleet, "h1", &theirs).len(), 2, "{release}: nobody learnt the new key");
        // When it is over the rest is done.
        assert_eq!(call(&["check"], "1s").code, 2, "{release}");
        ends(&call(&["apply", "-y"], "1s"), 0);
        let told: Vec<String> = turns().into_iter().map(|(milestone, _)| milestone).collect();
        assert_eq!(told, ["offered", "rotated"], "{release}");
        let now = known(&fleet, "h1");
        assert!(now.len() == 1 && !now[0].is(&before[0]) && files(&fleet, "h1").len() == 1, "{release}: {now:?}");
        assert!(believes(&fleet, "h1", &theirs) && !believes(&fleet, "h1", &strange), "{release}");
        ends(&call(&["check"], "12h"), 0);
    }
}

#[test]
fn keys_of_two_hosts_are_replaced_and_the_old_ones_are_not_shown_any_more() {
    let fleet = Fleet::up(2);
    let inventory = fleet.inventory();
    // One host has a key of another type as well, which nobody here knows.
    ends(&fleet.inside("h1", "ssh-keygen -A >/dev/null && systemctl restart ssh"), 0);
    let before: Vec<Vec<PublicKey>> = ["h1", "h2"].iter().map(|host| known(&fleet, host)).collect();
    let old = fleet.0.dir().join("known_hosts.old");
    std::fs::copy(known_hosts(&fleet), &old).unwrap();
    let young = book(&fleet, "young.yml", "2020-01-01");
    ends(&on(&fleet, "one", &["check", &young, "-i", &inventory], None), 0);
    let path = book(&fleet, "first.yml", &moment());
    let run = on(&fleet, "one", &["check", &path, "-i", &inventory], None);
    ends(&run, 2);
    assert!(run.flat().contains("a new ed25519 key"), "{}", run.out);
    assert_eq!(files(&fleet, "h2").len(), 1, "a check makes nothing");
    let run = on(&fleet, "one", &["apply", &path, "-i", &inventory, "-y"], None);
    ends(&run, 0);
    for (n, host) in ["h1", "h2"].into_iter().enumerate() {
        let now = known(&fleet, host);
        assert!(now.len() == 1 && before[n].iter().all(|old| !old.is(&now[0])), "{host}: {now:?}");
        let files = files(&fleet, host);
        assert!(files.len() == 1 && files[0].starts_with("/etc/ssh/ssh_host_ed25519_2"), "{host}: {files:?}");
        assert!(believes(&fleet, host, &known_hosts(&fleet)), "{host} is not known any more");
        assert!(!believes(&fleet, host, &old), "{host} still shows its old key");
        let modes = fleet.inside(
            host,
            "stat -c '%a %U' /etc/ssh/ssh_host_*_key /etc/ssh/ssh_host_*_key.pub; ls -A /etc/ssh | grep -c steadfast-",
        );
        assert_eq!(modes.out, "600 root\n644 root\n0\n");
    }
    ends(&on(&fleet, "one", &["check", &path, "-i", &inventory], None), 0);
    let again = on(&fleet, "one", &["apply", &path, "-i", &inventory, "-y"], None);
    assert!(again.code == 0 && again.flat().contains("ok=1"), "{}{}", again.out, again.err);
    ends(&on(&fleet, "one", &["audit", "verify"], None), 0);
    let status = on(&fleet, "one", &["keys", "status", "-i", &inventory, "--json"], None);
    let status: serde_json::Value = serde_json::from_str(&status.out).unwrap();
    let own: Vec<_> = status["keys"].as_array().unwrap().iter().filter(|key| key["user"] == "host key").collect();
    assert!(own.len() == 2 && own.iter().all(|key| key["wrong"].as_array().unwrap().is_empty()), "{status}");
    // After a restart of the host as well.
    ends(&fleet.inside("h1", "systemctl restart ssh"), 0);
    assert!(believes(&fleet, "h1", &known_hosts(&fleet)));
}

#[test]
fn what_cannot_be_proven_goes_back_and_what_nobody_could_tell_others_is_not_begun() {
    let fleet = Fleet::of("trixie", 1);
    let inventory = fleet.inventory();
    let path = book(&fleet, "all.yml", &moment());
    let address = fleet.0.host("h1").unwrap().address.clone();
    let plain = std::fs::read_to_string(known_hosts(&fleet)).unwrap();
    // A pattern may stand for others.
    std::fs::write(known_hosts(&fleet), plain.replace(&address, &format!("{}*", &address[..address.len() - 1])))
        .unwrap();
    let run = on(&fleet, "one", &["apply", &path, "-i", &inventory, "-y"], None);
    ends(&run, 4);
    assert!(run.flat().contains("give it a line of its own"), "{}", run.out);
    std::fs::write(known_hosts(&fleet), &plain).unwrap();
    ends(&fleet.inside("h1", "echo 'HostKey /etc/ssh/other' >/etc/ssh/sshd_config.d/50-other.conf; cp /etc/ssh/ssh_host_ed25519_key /etc/ssh/other"), 0);
    let run = on(&fleet, "one", &["apply", &path, "-i", &inventory, "-y"], None);
    ends(&run, 3);
    assert!(run.flat().contains("another file of sshd sets HostKey /etc/ssh/other"), "{}", run.out);
    // sshd does not read what is written: nothing converges, and all goes back.
    ends(
        &fleet.inside(
            "h1",
            "rm /etc/ssh/sshd_config.d/50-other.conf; sed -i '/^Include/d' /etc/ssh/sshd_config; systemctl restart ssh",
        ),
        0,
    );
    let run = on(&fleet, "one", &["apply", &path, "-i", &inventory, "-y", "--guard-timeout", "60"], None);
    ends(&run, 5);
    assert_eq!(std::fs::read_to_string(known_hosts(&fleet)).unwrap(), plain);
    assert_eq!(fleet.inside("h1", "ls /etc/ssh/sshd_config.d").out, "");
    assert!(believes(&fleet, "h1", &known_hosts(&fleet)));
    ends(
        &fleet.inside(
            "h1",
            "sed -i '1i Include /etc/ssh/sshd_config.d/*.conf' /etc/ssh/sshd_config; systemctl restart ssh",
        ),
        0,
    );
    let run = on(&fleet, "one", &["apply", &path, "-i", &inventory, "-y"], None);
    ends(&run, 0);
    assert_eq!((files(&fleet, "h1").len(), known(&fleet, "h1").len()), (1, 1));
}

/// Where the controller is killed, and how often it passes there before.
const POINTS: &[&str] = &[
    "leased:1",
    "before-set:1",
    "after-set:1",
    "confirmed:1",
    "hostkey-made:1",
    "hostkey-noted:1",
    "hostkey-adding:1",
    "before-set:2",
    "after-set:2",
    "confirmed:2",
    "hostkey-offered:1",
    "hostkey-learnt:1",
    "before-set:3",
    "after-set:3",
    "host-login:1",
    "confirmed:3",
    "hostkey-shown:1",
    "hostkey-current:1",
    "hostkey-removing:1",
    "before-set:4",
    "after-set:4",
    "host-login:2",
    "confirmed:4",
    "hostkey-removed:1",
    "hostkey-refused:1",
    "hostkey-forgotten:1",
];

/// One change that is killed, and what must hold then and in the end.
fn killed(fleet: &Fleet, host: &str, point: &str) -> Result<(), String> {
    let inventory = fleet.inventory();
    let path = book(fleet, &format!("{host}.yml"), &moment());
    let old = known(fleet, host);
    let wrong = |what: &str, run: &Run| Err(format!("{host} {point}: {what}: {} {}{}", run.code, run.out, run.err));
    let run = on(fleet, host, &["apply", &path, "-i", &inventory, "-l", host, "-y"], Some(point));
    if run.code != -1 {
        return wrong("did not die", &run);
    }
    // Strict as ever, the host is known, whatever was left.
    if !believes(fleet, host, &known_hosts(fleet)) {
        return Err(format!("{host} {point}: nobody knows the host any more"));
    }
    let runs = on(fleet, host, &["runs", "-n", "1"], None).out;
    let died = runs.split_whitespace().next().ok_or("no run is remembered")?.to_owned();
    let run = on(fleet, host, &["resume", &died, "-y"], None);
    if run.code != 0 {
        return wrong("resume", &run);
    }
    let run = on(fleet, host, &["check", &path, "-i", &inventory, "-l", host], None);
    if run.code != 0 {
        return wrong("check", &run);
    }
    let now = known(fleet, host);
    if now.len() != 1 || old.iter().any(|key| key.is(&now[0])) || files(fleet, host).len() != 1 {
        return Err(format!("{host} {point}: old {old:?}, now {now:?}, {:?}", files(fleet, host)));
    }
    Ok(())
}

#[test]
fn a_controller_that_dies_anywhere_leaves_a_host_that_is_known() {
    let fleet = Fleet::up(3);
    let failed = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for (n, host) in ["h1", "h2", "h3"].into_iter().enumerate() {
            let (fleet, failed) = (&fleet, &failed);
            scope.spawn(move || {
                // A key of this very second is none of before it.
                let later = "until [ $(date +%s) -gt $(stat -c %Y /etc/ssh/ssh_host_*_key | sort -n | tail -n 1) ]; do sleep 0.1; done";
                assert_eq!(fleet.inside(host, later).code, 0);
                for point in POINTS.iter().skip(n).step_by(3) {
                    if let Err(why) = killed(fleet, host, point) {
                        failed.lock().unwrap().push(why);
                        return;
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    assert!(failed.is_empty(), "{}", failed.join("\n\n"));
    for host in ["h1", "h2", "h3"] {
        assert_eq!(on(&fleet, host, &["audit", "verify"], None).code, 0, "{host}");
    }
}
