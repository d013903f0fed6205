//! The night of an intrusion, whole, on real hosts: a clean snapshot, somebody breaks in, and one playbook finds every sign, keeps
//! evidence, cuts the host off, goes back, hardens, replaces the keys, looks again and lets the host go. The report tells the night.

use crate::common::{Fleet, Run, all_planted, findings, told};
use serde_json::Value as Json;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const RECOVERY: &str = "playbooks/post-incident-recovery.yml";
const PLANT: &str = include_str!("compromised/plant.sh");
/// What the other host hears on the beacon's port grows.
const HEARS: &str = "a=$(wc -c </run/heard); sleep 1.5; [ $(wc -c </run/heard) -gt $a ]";
/// It listens by a socket of systemd, and writes down what it hears.
const LISTENS: &str = "cd /run/systemd/system; printf '[Socket]\nListenStream=4444\nAccept=yes\n' >c2.socket
    printf '[Service]\nStandardInput=socket\nStandardOutput=append:/run/heard\nExecStart=/bin/cat\n' >c2@.service
    touch /run/heard; systemctl daemon-reload; systemctl start c2.socket";
/// A step of the hardening, done on the day before: the disk that comes back knows nothing of it.
const DAY_BEFORE: &str = "hosts: all\nbecome: true\nsteps:\n- id: core-dumps-limit\n  title: Nobody leaves core dumps\n  file:\n    \
    path: /etc/security/limits.d/60-steadfast.conf\n    content: \"# kept by steadfast\\n* soft core 0\\n* hard core 0\\n\"\n    mode: \"0644\"\n    \
    owner: root\n    group: root\n";

fn ends(run: &Run, code: i32, says: &str) {
    assert!(run.code == code && run.flat().contains(says), "{code} {says}: {} {}{}", run.code, run.out, run.err);
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64
}

/// The keeper of the lab's disks, as `disk_tool` is called.
fn tool(fleet: &Fleet) -> String {
    let path = fleet.0.dir().join("disk-tool");
    let text = format!(
        "#!/bin/sh\nverb=$1 host=$2 id=$3\ns={}\nl=\"--name {}\"\ncase $verb in\nlist) exec $s lab snapshots $l $host ;;\n\
         create) exec $s lab snapshot $l $host $id ;;\napply) exec $s lab restore $l $host $id ;;\nstop|start) exec $s lab $verb $l $host ;;\n\
         status) echo done; exit 0 ;;\nesac\nexit 1\n",
        env!("CARGO_BIN_EXE_steadfast"),
        fleet.0.name
    );
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path.display().to_string()
}

/// Waits until this is so.
fn until(what: &str, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !holds() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// A pair of the intruder's own, whose public half is left on the host.
fn own_key(fleet: &Fleet) -> PathBuf {
    let path = fleet.0.dir().join("intruder");
    let made =
        std::process::Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&path).status();
    assert!(made.unwrap().success());
    let public = std::fs::read_to_string(path.with_extension("pub")).unwrap();
    ends(&fleet.inside("h1", &format!("echo '{}' >>/root/.ssh/authorized_keys", public.trim())), 0, "");
    path
}

/// The turns of the one incident of a JSON report: the word, when, what, by which run.
fn turns(report: &Json) -> Vec<(String, String, String, String)> {
    let incident = &report["incidents"][0];
    assert_eq!((report["incidents"].as_array().unwrap().len(), &incident["host"]), (1, &Json::from("h1")), "{report}");
    let text = |turn: &Json, field: &str| turn[field].as_str().unwrap().to_owned();
    let one = |turn: &Json| (text(turn, "milestone"), text(turn, "at"), text(turn, "told"), text(turn, "run"));
    incident["turns"].as_array().unwrap().iter().map(one).collect()
}

fn json(path: &Path) -> Json {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

#[test]
fn a_host_that_was_broken_into_is_found_contained_put_back_hardened_and_let_go_and_the_report_tells_the_night() {
    let fleet = Fleet::up(2);
    let (inventory, tool, dir) = (fleet.inventory(), tool(&fleet), fleet.0.dir());
    let call = |words: &[&str]| {
        let mut call = fleet.call(&[words, &["-i", &inventory, "-l", "h1"]].concat());
        told(&call.env("STEADFAST_KEYS_PASSPHRASE", "drill-5521").output().unwrap())
    };
    let other = fleet.0.host("h2").unwrap().address.clone();
    let old = dir.join("id_ed25519");
    // The base has a service that nobody wants, so that others can find it; it is no sign here.
    let listen = serde_json::json!([22, "68/udp", "546/udp", 111, "111/udp"]);
    // The nightly policy makes the clean snapshot; a day later something is hardened.
    let disk = serde_json::json!({"disk_tool": tool}).to_string();
    ends(&call(&["apply", "playbooks/snapshot-policy.yml", "-y", "-e", &disk]), 0, "changed=1");
    let snapshot_by = now();
    let day_before = dir.join("day-before.yml");
    std::fs::write(&day_before, DAY_BEFORE).unwrap();
    ends(&call(&["apply", &day_before.display().to_string(), "-y"]), 0, "changed=1");
    // Moments of files and processes are whole seconds, which are never told later than they were.
    until("the clock stands still", || now() > snapshot_by + 3000);

    // Somebody breaks in.
    ends(&fleet.inside("h2", LISTENS), 0, "");
    let broken_in = now();
    let planted = fleet.inside("h1", &format!("set -- {other}\n{PLANT}"));
    assert_eq!(planted.code, 0, "{}{}", planted.out, planted.err);
    let theirs = own_key(&fleet);
    assert!(fleet.lets_in("h1", &theirs), "the intruder's key lets nobody in");
    until("the beacon is not heard", || fleet.inside("h2", HEARS).code == 0);

    // The nightly look finds every sign that was planted.
    let only = serde_json::json!({"listen": listen}).to_string();
    let found = call(&["check", "playbooks/intrusion-triage.yml", "--json", "-e", &only]);
    assert_eq!(found.code, 2, "{}{}", found.out, found.err);
    all_planted(&findings(&found), &other);

    // Evidence is kept and the host cut off, and nothing more before somebody says yes.
    let vars = serde_json::json!({
        "disk_tool": tool,
        "clean_at_least": "1s",
        "admins": [format!("{}.1", fleet.0.subnet)],
        "owner": "alice, incident 4711",
        "keys_exclusive": true,
        "listen": listen,
    })
    .to_string();
    let first = dir.join("first.json");
    let wanted = format!("json:{}", first.display());
    let held = call(&["apply", RECOVERY, "-y", "-e", &vars, "--report", &wanted]);
    ends(&held, 3, "`--approve go-back`");
    ends(&held, 3, "time to recover not yet");
    all_planted(&results_of(&json(&first), "signs"), &other);
    let evidence = dir.join("state/evidence");
    let bundles: Vec<PathBuf> =
        std::fs::read_dir(&evidence).unwrap().map(|entry| entry.unwrap().path().join("h1")).collect();
    assert_eq!(bundles.len(), 1);
    let signer = dir.join("signers");
    std::fs::write(&signer, format!("lab {}", std::fs::read_to_string(old.with_extension("pub")).unwrap())).unwrap();
    let verify =
        ["evidence", "verify", &bundles[0].display().to_string(), "--allowed-signers", &signer.display().to_string()];
    assert_eq!(fleet.steadfast(&verify).code, 0, "{}", fleet.steadfast(&verify).err);
    let got = |name: &str| {
        let names = std::fs::read_dir(&bundles[0]).unwrap().map(|entry| entry.unwrap().path());
        let texts: Vec<String> = names
            .filter_map(|path| std::fs::read(path).ok())
            .map(|t| String::from_utf8_lossy(&t).into_owned())
            .collect();
        texts.iter().any(|text| text.contains(name))
    };
    assert!(got("/usr/local/sbin/beacon") && got("toor"), "the evidence does not hold what was planted");
    // The beacon is cut, while its process lives and the operator gets in.
    until("the beacon is still heard", || fleet.inside("h2", HEARS).code != 0);
    until("its connection stands", || fleet.inside("h1", "ss -Htn state established | grep -q ':4444'").code != 0);
    assert_eq!(fleet.inside("h1", "pgrep -x beacon >/dev/null").code, 0);
    assert!(fleet.lets_in("h1", &old), "the operator is shut out");

    // The rest of the night, in another run.
    let reports: Vec<String> = ["json", "html", "md"]
        .iter()
        .map(|word| format!("{word}:{}", dir.join(format!("night.{word}")).display()))
        .collect();
    let mut words = vec!["apply", RECOVERY, "-y", "-e", &vars, "--approve", "go-back", "--approve", "let-go-yes"];
    reports.iter().for_each(|report| words.extend(["--report", report.as_str()]));
    let done = call(&words);
    ends(&done, 0, "it runs on its disk of");
    for part in [
        "approved by",
        "its machine is stopped",
        "its disk is put back",
        "its machine starts",
        "is gone, and cannot be taken back",
    ] {
        assert!(done.flat().contains(part), "{part}: {}", done.out);
    }

    // Nothing of what was planted is left, the host is let go, and it answers nobody on the intruder's ports.
    let state = fleet.inside(
        "h1",
        "id toor; ls /etc/cron.d/sysupdate /etc/systemd/system/dbus-helper.service /usr/local/sbin/beacon /root/.ssh/id_backup /usr/bin/redis-server
         pgrep -x beacon; ss -Htuln | grep -E ':(2222|6379|69) '; nft list tables | grep quarantine; grep -c -e intruder -e steadfast-lab /root/.ssh/authorized_keys",
    );
    assert_eq!(state.out, "0\n", "{}{}", state.out, state.err);
    assert_eq!(fleet.inside("h1", &format!("timeout 2 bash -c 'exec 3<>/dev/tcp/{other}/22'")).code, 0, "it is let go");
    assert_ne!(fleet.inside("h2", HEARS).code, 0, "the beacon is heard again");
    // The keys of before are dead, theirs and ours; the one of the ledger gets in, and a look finds nothing.
    assert!(!fleet.lets_in("h1", &theirs), "the intruder still gets in");
    assert!(!fleet.lets_in("h1", &old), "the key of before still gets in");
    // So is the one that the host showed itself by.
    let shown = fleet.inside("h1", "ls /etc/ssh/ssh_host_*_key");
    assert!(shown.out.lines().count() == 1 && shown.out.contains("/ssh_host_ed25519_2"), "{}", shown.out);
    ends(&call(&["check", "playbooks/key-rotation.yml"]), 0, "");
    let known = serde_json::json!({"listen": listen}).to_string();
    let again = call(&["check", "playbooks/intrusion-triage.yml", "--json", "-e", &known]);
    assert_eq!((again.code, findings(&again)), (0, vec![]), "{}{}", again.out, again.err);

    // The report tells the night as one story, over both runs.
    let report = json(&dir.join("night.json"));
    let told = turns(&report);
    let in_order: Vec<&str> = told.iter().map(|(word, ..)| word.as_str()).collect();
    assert_eq!(
        in_order,
        [
            "first_evidence",
            "detected",
            "sealed",
            "contained",
            "sealed",
            "rolled_back",
            "contained",
            "hardened",
            "rotated",
            "rotated",
            "released"
        ],
        "{told:#?}"
    );
    let (before, this) = (json(&first)["run"].clone(), report["run"].clone());
    assert!(
        told[..4].iter().all(|(.., run)| *run == before) && told[4..].iter().all(|(.., run)| *run == this),
        "{told:#?}"
    );
    // The evidence is of the break-in: neither the hardening of the day before nor anything later.
    let at = steadfast::moment::moment(&format!("{}Z", &told[0].1[..19])).unwrap();
    assert!(at + 3000 > broken_in && at < broken_in + 30_000, "{told:#?}, broken in at {broken_in}");
    let incident = &report["incidents"][0];
    let [unnoticed, contain, recover] =
        ["unnoticed_ms", "contain_ms", "recover_ms"].map(|name| incident[name].as_u64().unwrap());
    assert!(unnoticed > 0 && contain > 0 && contain < recover && recover < 600_000, "{incident}");
    let spelled = ["unnoticed ", "time to contain ", "time to recover "];
    assert!(spelled.iter().all(|word| done.flat().contains(word)) && !done.flat().contains("not yet"), "{}", done.out);
    // What was left true on the disk that is gone is nobody's fault.
    let limit =
        report["results"].as_array().unwrap().iter().find(|result| result["step"] == "core-dumps-limit").unwrap();
    assert_eq!((&limit["outcome"], limit.get("since")), (&Json::from("changed"), None), "{limit}");
    let (html, md) = (dir.join("night.html"), std::fs::read_to_string(dir.join("night.md")).unwrap());
    let page = std::fs::read_to_string(&html).unwrap();
    assert!(page.contains("<section id=\"incident\"") && page.contains("time to recover"), "{page}");
    assert!(md.contains("**incident** `h1`") && md.contains("| rolled back |"), "{md}");
    // The same is told from memory, byte for byte, and nobody changed what was written down.
    let retold = dir.join("again.html");
    let wanted = format!("html:{}", retold.display());
    assert_eq!(fleet.steadfast(&["report", this.as_str().unwrap(), "--report", &wanted]).code, 0);
    assert_eq!(std::fs::read_to_string(&retold).unwrap(), page);
    assert_eq!(fleet.steadfast(&["audit", "verify"]).code, 0);
    if let Some(keep) = std::env::var_os("STEADFAST_KEEP_NIGHT") {
        std::fs::copy(&html, keep).unwrap();
    }
}

/// The rows of a step in a JSON report, as findings.
fn results_of(report: &Json, step: &str) -> Vec<(String, String, String)> {
    let results = report["results"].as_array().unwrap().iter().filter(|result| result["step"] == step);
    let text = |row: &Json, field: &str| row[field].as_str().unwrap_or_default().to_owned();
    let rows = results.flat_map(|result| result["rows"].as_array().unwrap().clone());
    rows.map(|row| (text(&row, "field"), text(&row, "object"), text(&row, "found"))).collect()
}
