//! Keys are replaced on real hosts: by one that is proven alone, never with nobody able to get in, whatever breaks.

use crate::common::{Fleet, Run, ends, moment, told};
use std::path::PathBuf;
use std::process::Command;
use std::sync::Mutex;
use std::time::{Duration, Instant};
use steadfast::host::PublicKey;

const PASSPHRASE: &str = "keys-test-passphrase-7316";

/// Calls the program with a memory of its own, and with what unlocks its keys.
fn on(fleet: &Fleet, state: &str, words: &[&str], die_at: Option<&str>) -> Run {
    let mut call = fleet.call(words);
    call.env("STEADFAST_STATE", fleet.0.dir().join(state)).env("KEYS_TEST", PASSPHRASE);
    if let Some(at) = die_at {
        call.env("STEADFAST_DIE_AT", at);
    }
    told(&call.output().unwrap())
}

fn book(fleet: &Fleet, name: &str, body: &str) -> String {
    let path = fleet.0.dir().join(name);
    let text =
        format!("hosts: all\nsteps:\n- id: key\n  key_rotation: {{user: root, passphrase: \"env:KEYS_TEST\"{body}}}\n");
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

/// Who else takes a new key: a script that gets the path of the private half as `$0`.
fn consumer(script: &str) -> String {
    format!(", consumers: [[sh, -c, '{script}']]")
}

/// The keys that may log in as root.
fn present(fleet: &Fleet, host: &str) -> Vec<PublicKey> {
    let text = std::fs::read_to_string(fleet.root(host).join("root/.ssh/authorized_keys")).unwrap();
    text.lines().filter_map(PublicKey::of_line).collect()
}

/// The private halves that the controller keeps of a host's root.
fn kept(fleet: &Fleet, state: &str, host: &str) -> Vec<PathBuf> {
    let dir = fleet.0.dir().join(state).join("keys").join(host).join("root");
    let files = std::fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path());
    files.filter(|path| path.extension().is_none_or(|ending| ending != "pub")).collect()
}

#[test]
fn keys_of_three_hosts_are_replaced_and_the_old_ones_are_dead() {
    let fleet = Fleet::up(3);
    let inventory = fleet.inventory();
    let lab_key = fleet.0.dir().join("id_ed25519");
    let path = book(&fleet, "first.yml", ", exclusive: true");
    let run = on(&fleet, "one", &["check", &path, "-i", &inventory], None);
    ends(&run, 2);
    assert!(run.flat().contains("a new ed25519 key"), "{}", run.out);
    assert!(kept(&fleet, "one", "h1").is_empty(), "a check makes nothing");
    let run = on(&fleet, "one", &["keys", "status", "-i", &inventory], None);
    ends(&run, 2);
    assert!(run.out.contains("unknown owner") && run.out.contains("shared with h2 and 1 more"), "{}", run.out);
    let run = on(&fleet, "one", &["apply", &path, "-i", &inventory, "-y"], None);
    ends(&run, 0);
    let first: Vec<PathBuf> = ["h1", "h2", "h3"].iter().flat_map(|host| kept(&fleet, "one", host)).collect();
    assert_eq!(first.len(), 3);
    for host in ["h1", "h2", "h3"] {
        assert!(!fleet.lets_in(host, &lab_key), "{host} still takes the key of the lab");
        assert_eq!(present(&fleet, host).len(), 1);
    }
    let keys: Vec<String> = ["h1", "h2", "h3"].iter().map(|host| present(&fleet, host)[0].data.clone()).collect();
    assert!(keys[0] != keys[1] && keys[1] != keys[2], "one key for each host");
    // The inventory still names the old key; the ledger knows better.
    ends(&on(&fleet, "one", &["check", &path, "-i", &inventory], None), 0);
    let run = on(&fleet, "one", &["apply", &path, "-i", &inventory, "-y"], None);
    assert!(run.code == 0 && run.flat().contains("ok=1"), "{}{}", run.out, run.err);
    // Without the ledger, or without what unlocks its keys, nobody gets in.
    ends(&on(&fleet, "other", &["check", &path, "-i", &inventory], None), 4);
    let mut locked = fleet.call(&["check", &path, "-i", &inventory]);
    let run = told(&locked.env("STEADFAST_STATE", fleet.0.dir().join("one")).output().unwrap());
    ends(&run, 4);
    assert!(run.flat().contains("the passphrase of keys (env:KEYS_TEST) cannot be had"), "{}", run.out);
    // All at once, by the single command; age instead of a passphrase.
    let identity = fleet.0.dir().join("age.txt");
    let aged = |words: &[&str]| {
        let mut call = fleet.call(words);
        call.env("STEADFAST_STATE", fleet.0.dir().join("one")).env("KEYS_TEST", PASSPHRASE);
        told(&call.env("STEADFAST_AGE_IDENTITY", &identity).output().unwrap())
    };
    ends(&aged(&["secret", "keygen"]), 0);
    let run = aged(&["keys", "rotate", "all", "--now", "-i", &inventory, "-y"]);
    ends(&run, 0);
    assert!(first.iter().all(|file| !file.exists()), "old private halves are deleted");
    for (host, old) in ["h1", "h2", "h3"].iter().zip(&keys) {
        assert!(present(&fleet, host).iter().all(|key| key.data != *old) && present(&fleet, host).len() == 1);
        let files = kept(&fleet, "one", host);
        assert!(files.len() == 1 && files[0].extension().is_some_and(|ending| ending == "age"), "{files:?}");
    }
    // Of root nothing is wrong any more; what the lab gave to admin, on all hosts alike, is.
    let run = aged(&["keys", "status", "-i", &inventory, "--json"]);
    ends(&run, 2);
    let status: serde_json::Value = serde_json::from_str(&run.out).unwrap();
    let (root, admin): (Vec<_>, Vec<_>) =
        status["keys"].as_array().unwrap().iter().partition(|key| key["user"] == "root");
    assert!(root.len() == 3 && root.iter().all(|key| key["rotated"].is_string()), "{status}");
    assert!(root.iter().all(|key| key["wrong"].as_array().unwrap().is_empty()), "{status}");
    assert!(admin.iter().all(|key| key["wrong"].to_string().contains("shared with")), "{status}");
    ends(&aged(&["audit", "verify"]), 0);
    // No secret is anywhere in what is remembered, here or there.
    for file in ["history.db", "history.db-wal"] {
        let bytes = std::fs::read(fleet.0.dir().join("one").join(file)).unwrap_or_default();
        assert!(!bytes.windows(PASSPHRASE.len()).any(|part| part == PASSPHRASE.as_bytes()), "{file}");
    }
    let there = fleet.inside("h1", &format!("grep -rl {PASSPHRASE} /var/lib/steadfast /root /run 2>/dev/null | wc -l"));
    assert_eq!(there.out.trim(), "0");
    // The ledger is what was written.
    let tampered = fleet.0.dir().join("one/history.db");
    let change = "import sqlite3,sys; c=sqlite3.connect(sys.argv[1]); c.execute(\"UPDATE keys SET host='x' WHERE n=2\"); c.commit()";
    if Command::new("python3").args(["-c", change]).arg(&tampered).status().is_ok_and(|status| status.success()) {
        let run = aged(&["audit", "verify"]);
        ends(&run, 2);
        assert!(run.err.contains("word 2 of the ledger of keys does not follow"), "{}", run.err);
    }
}

#[test]
fn a_dead_key_stays_dead_and_a_lost_one_stops_no_change() {
    let fleet = Fleet::up(1);
    let (inventory, lab_key) = (fleet.inventory(), fleet.0.dir().join("id_ed25519"));
    let call = |words: &[&str]| on(&fleet, "one", &[words, &["-i", &inventory]].concat(), None);
    let line = fleet.inside("h1", "head -n 1 /root/.ssh/authorized_keys").out.trim().to_owned();
    let path = book(&fleet, "first.yml", ", exclusive: true");
    let run = call(&["apply", &path, "-y"]);
    ends(&run, 0);
    assert!(run.out.is_empty() || !fleet.lets_in("h1", &lab_key), "{}", run.out);
    // What is dead does not come back by a rollback.
    for force in [&[][..], &["--force"]] {
        let back = on(&fleet, "one", &[&["rollback", "last", "-y"], force].concat(), None);
        ends(&back, 3);
        assert!(back.flat().contains("no way back"), "{}", back.out);
        assert!(!fleet.lets_in("h1", &lab_key));
    }
    // Brought back by hand it goes again, unless it is kept.
    ends(&fleet.inside("h1", &format!("echo '{line}' >>/root/.ssh/authorized_keys")), 0);
    ends(&call(&["check", &book(&fleet, "open.yml", "")]), 2);
    let kept = book(&fleet, "kept.yml", &format!(", exclusive: true, keep: [\"{line}\"]"));
    ends(&call(&["check", &kept]), 0);
    // Somebody takes away the line of the ledger's key: the inventory's lets in, and proves.
    ends(&fleet.inside("h1", &format!("echo '{line}' >/root/.ssh/authorized_keys")), 0);
    let limits = fleet.0.dir().join("limits.yml");
    std::fs::write(&limits, "hosts: all\nsteps:\n- id: tries\n  sshd: {MaxAuthTries: 4}\n").unwrap();
    let run = call(&["apply", &limits.display().to_string(), "-y"]);
    ends(&run, 0);
    assert!(run.err.contains("its key of the ledger is refused"), "{}", run.err);
    // Nothing of that proves a change that shuts the inventory's key out.
    std::fs::write(&limits, "hosts: all\nsteps:\n- id: nobody\n  sshd: {AllowUsers: [nobody]}\n").unwrap();
    ends(&call(&["apply", &limits.display().to_string(), "-y", "--guard-timeout", "60"]), 5);
    assert!(fleet.lets_in("h1", &lab_key));
}

#[test]
fn a_key_that_cannot_be_proven_goes_away_again_and_only_one_host_is_touched() {
    let fleet = Fleet::up(2);
    let inventory = fleet.inventory();
    let lab_key = fleet.0.dir().join("id_ed25519");
    for host in ["h1", "h2"] {
        // Keys are looked for elsewhere: a new line changes nothing.
        let moved = "cp /root/.ssh/authorized_keys /etc/ssh/keys-of-root && chmod 644 /etc/ssh/keys-of-root && \
                     echo 'AuthorizedKeysFile /etc/ssh/keys-of-%u' >/etc/ssh/sshd_config.d/00-moved.conf && systemctl restart ssh";
        ends(&fleet.inside(host, moved), 0);
    }
    let path = book(&fleet, "moved.yml", ", exclusive: true");
    let before = [present(&fleet, "h1"), present(&fleet, "h2")];
    let run = on(&fleet, "one", &["apply", &path, "-i", &inventory, "-y", "--guard-timeout", "60"], None);
    ends(&run, 5);
    assert!(run.flat().contains("is refused"), "{}", run.out);
    assert_eq!([present(&fleet, "h1"), present(&fleet, "h2")], before);
    assert!(fleet.lets_in("h1", &lab_key));
    assert!(kept(&fleet, "one", "h2").is_empty(), "the second host was not begun");
    // Where the new key passes, and the old one is taken from elsewhere: that is told.
    let both = "echo 'AuthorizedKeysFile /etc/ssh/keys-of-%u .ssh/authorized_keys' >/etc/ssh/sshd_config.d/00-moved.conf && systemctl restart ssh";
    ends(&fleet.inside("h1", both), 0);
    let run = on(&fleet, "one", &["apply", &path, "-i", &inventory, "-y", "-l", "h1"], None);
    ends(&run, 3);
    assert!(run.flat().contains("still takes the old key"), "{}", run.out);
    ends(&fleet.inside("h1", "rm /etc/ssh/keys-of-root"), 0);
    ends(&on(&fleet, "one", &["apply", &path, "-i", &inventory, "-y", "-l", "h1"], None), 0);
    assert!(!fleet.lets_in("h1", &lab_key));
    assert_eq!((present(&fleet, "h1").len(), kept(&fleet, "one", "h1").len()), (1, 1));
}

#[test]
fn who_else_logs_in_by_a_key_has_the_new_one_before_the_old_one_goes() {
    let fleet = Fleet::up(1);
    let (inventory, dir) = (fleet.inventory(), fleet.0.dir());
    let call = |verb: &str, path: &str| on(&fleet, "one", &[verb, path, "-i", &inventory, "-y"], None);
    let heard = dir.join("heard");
    let log = |name: &str| format!("echo {name} $0 >>{}", heard.display());
    let lines = || std::fs::read_to_string(&heard).unwrap_or_default();
    // Both keys get in at that moment, and the file that is told is the new key's, locked.
    let there = fleet.root("h1").join("root/.ssh/authorized_keys");
    let backup = format!(
        "{}; grep -c ^ssh- {} >>{}; ssh-keygen -y -P \"\" -f $0 2>/dev/null && exit 3; exit 0",
        log("backup"),
        there.display(),
        heard.display()
    );
    let path = book(&fleet, "good.yml", &format!(", exclusive: true{}", consumer(&backup)));
    let told = on(&fleet, "one", &["check", &path, "-i", &inventory], None);
    assert!(told.code == 2 && told.flat().contains("consumers") && lines().is_empty(), "{}", told.out);
    ends(&call("apply", &path), 0);
    let first = kept(&fleet, "one", "h1").remove(0).display().to_string();
    assert_eq!(lines(), format!("backup {first}\n2\n"));
    ends(&on(&fleet, "one", &["check", &path, "-i", &inventory], None), 0);
    // One that cannot take the next key: the other takes the former one again, and the new key goes.
    std::fs::remove_file(&heard).unwrap();
    let before = present(&fleet, "h1");
    let bad = format!("{}; case $0 in {first}) ;; *) echo no room for it >&2; exit 7 ;; esac", log("deploy"));
    let both = format!(", consumers: [[sh, -c, '{}'], [sh, -c, '{bad}']]", log("backup"));
    let path = book(&fleet, "bad.yml", &format!(", exclusive: true, made_since: \"{}\"{both}", moment()));
    let run = call("apply", &path);
    ends(&run, 5);
    assert!(
        run.flat().contains("a consumer did not take the new key") && run.flat().contains("no room for it"),
        "{}",
        run.out
    );
    let said = lines();
    let words: Vec<(&str, bool)> =
        said.lines().filter_map(|line| line.split_once(' ')).map(|(who, file)| (who, file == first)).collect();
    assert_eq!(words, [("backup", false), ("deploy", false), ("deploy", true), ("backup", true)], "{said}");
    assert_eq!(present(&fleet, "h1"), before);
    ends(&on(&fleet, "one", &["check", &path, "-i", &inventory], None), 2);
    // One that took it in a run that died, and one that fails in the next: both have the former key again.
    std::fs::remove_file(&heard).unwrap();
    let both = format!(", consumers: [[sh, -c, '{}'], [sh, -c, '{}']]", log("backup"), log("deploy"));
    let since = moment();
    let path = book(&fleet, "dies.yml", &format!(", exclusive: true, made_since: \"{since}\"{both}"));
    assert_eq!(on(&fleet, "one", &["apply", &path, "-i", &inventory, "-y"], Some("key-consumed:1")).code, -1);
    let bad = format!(
        ", consumers: [[sh, -c, '{}; case $0 in {first}) ;; *) exit 7 ;; esac'], [sh, -c, '{}']]",
        log("backup"),
        log("deploy")
    );
    let path = book(&fleet, "fails.yml", &format!(", exclusive: true, made_since: \"{since}\"{bad}"));
    ends(&on(&fleet, "one", &["unlock", "h1", "-y", "-i", &inventory], None), 0);
    let run = call("apply", &path);
    ends(&run, 5);
    let said = lines();
    let last: Vec<&str> = said.lines().rev().take(2).collect();
    assert_eq!(last, [format!("backup {first}"), format!("deploy {first}")], "{said}");
    assert_eq!(present(&fleet, "h1"), before);
    // One that opens the private half, and a moment that no key is younger than.
    let opens = format!(
        ", exclusive: true, made_since: \"{since}\"{}",
        consumer(&format!("case $0 in {first}) ;; *) chmod 644 $0 ;; esac"))
    );
    let run = call("apply", &book(&fleet, "opens.yml", &opens));
    ends(&run, 5);
    assert!(run.flat().contains("is no good any more"), "{}", run.out);
    let future = book(&fleet, "future.yml", ", made_since: \"2999-01-01\"");
    let run = call("apply", &future);
    ends(&run, 3);
    assert!(run.flat().contains("still to come"), "{}", run.out);
    assert_eq!(present(&fleet, "h1"), before);
    // Those of a run that died have the new key, and it does not let in any more: they have the former one again.
    std::fs::remove_file(&heard).unwrap();
    let both = format!(", consumers: [[sh, -c, '{}'], [sh, -c, '{}']]", log("backup"), log("deploy"));
    let path = book(&fleet, "shut.yml", &format!(", exclusive: true, made_since: \"{}\"{both}", moment()));
    assert_eq!(on(&fleet, "one", &["apply", &path, "-i", &inventory, "-y"], Some("key-consumed:1")).code, -1);
    ends(&on(&fleet, "one", &["unlock", "h1", "-y", "-i", &inventory], None), 0);
    let shut = "head -n 1 /root/.ssh/authorized_keys >/etc/ssh/keys-of-root; cp /etc/ssh/keys-of-root /root/.ssh/authorized_keys; \
        echo 'AuthorizedKeysFile /etc/ssh/keys-of-%u' >/etc/ssh/sshd_config.d/00-moved.conf; systemctl restart ssh";
    ends(&fleet.inside("h1", shut), 0);
    assert_eq!(present(&fleet, "h1"), before);
    let run = call("apply", &path);
    ends(&run, 5);
    assert!(run.flat().contains("is refused"), "{}", run.out);
    let said = lines();
    let last: Vec<&str> = said.lines().rev().take(2).collect();
    assert_eq!(last, [format!("backup {first}"), format!("deploy {first}")], "{said}");
    assert_eq!(present(&fleet, "h1"), before);
    let none = book(&fleet, "none.yml", ", consumers: [[]]");
    assert!(on(&fleet, "one", &["validate", &none], None).err.contains("a consumer is a list of words"));
}

#[test]
fn a_consumer_that_is_not_there_or_is_broken_off_is_told_as_that() {
    let fleet = Fleet::up(1);
    let (inventory, dir) = (fleet.inventory(), fleet.0.dir());
    let call = |verb: &str, path: &str| on(&fleet, "one", &[verb, path, "-i", &inventory, "-y"], None);
    let before = present(&fleet, "h1");
    // Before a pair is made.
    let run = call("apply", &book(&fleet, "none.yml", ", consumers: [[no-such-program, --to]]"));
    ends(&run, 3);
    assert!(run.flat().contains("`no-such-program` is no program of this machine"), "{}", run.out);
    assert!(kept(&fleet, "one", "h1").is_empty() && present(&fleet, "h1") == before);
    let short = book(&fleet, "short.yml", ", max_age: 10m");
    assert!(on(&fleet, "one", &["validate", &short], None).err.contains("less than an hour"));
    // Both interrupts while it has the key: nothing of that is told as done, and it ends with all that it began.
    let pid = dir.join("pid");
    let waits = format!("sleep 300 & echo $! >{}; kill -INT $PPID; kill -TERM $PPID; wait", pid.display());
    let path = book(&fleet, "waits.yml", &format!(", exclusive: true{}", consumer(&waits)));
    let run = call("apply", &path);
    ends(&run, 130);
    assert!(run.err.contains("aborted: ") && !run.flat().contains("changed"), "{}{}", run.out, run.err);
    let left = std::fs::read_to_string(&pid).unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    let status = || std::fs::read_to_string(format!("/proc/{}/stat", left.trim())).unwrap_or_default();
    while !status().is_empty() && !status().contains(") Z ") {
        assert!(Instant::now() < deadline, "it goes on");
        std::thread::sleep(Duration::from_millis(50));
    }
    // One of a run that is killed has not the last word: the next run ends it.
    let unlock = || ends(&on(&fleet, "one", &["unlock", "h1", "-y", "-i", &inventory], None), 0);
    unlock();
    std::fs::remove_file(&pid).unwrap();
    let stays = format!(
        "sleep 300 & echo $! >{}; until [ -s ${{0%/*}}/.consumer ]; do sleep 0.05; done; kill -KILL $PPID; wait",
        pid.display()
    );
    let run = call("apply", &book(&fleet, "stays.yml", &format!(", exclusive: true{}", consumer(&stays))));
    assert_eq!(run.code, -1, "{}{}", run.out, run.err);
    while !pid.exists() {
        assert!(Instant::now() < deadline + Duration::from_secs(60), "it does not begin");
        std::thread::sleep(Duration::from_millis(50));
    }
    unlock();
    // The host is this run's for as long as each may take, and for a while longer.
    let lease = dir.join("lease");
    let look = format!(
        "{} lab exec --name {} h1 cat /run/steadfast/lease /proc/uptime >{}",
        env!("CARGO_BIN_EXE_steadfast"),
        fleet.0.name,
        lease.display()
    );
    let left = std::fs::read_to_string(&pid).unwrap();
    let status = || std::fs::read_to_string(format!("/proc/{}/stat", left.trim())).unwrap_or_default();
    assert!(!status().is_empty());
    ends(&call("apply", &book(&fleet, "looks.yml", &format!(", exclusive: true{}", consumer(&look)))), 0);
    assert!(status().is_empty() || status().contains(") Z "), "it goes on");
    let said = std::fs::read_to_string(&lease).unwrap();
    let number = |word: usize| said.split_whitespace().nth(word).unwrap().parse::<f64>().unwrap();
    let for_now = number(3) - number(6);
    assert!((190.0..=210.0).contains(&for_now), "{for_now}: {said}");
    // A key in use whose file others opened, or whose options change, is no new one, and no consumer has to do with it.
    assert_eq!(fleet.inside("h1", "chmod 644 /root/.ssh/authorized_keys").code, 0);
    let same = book(&fleet, "same.yml", &format!(", exclusive: true{}", consumer("exit 9")));
    ends(&call("apply", &same), 0);
    let options = format!(", exclusive: true, options: no-agent-forwarding{}", consumer("exit 9"));
    ends(&call("apply", &book(&fleet, "options.yml", &options)), 0);
    ends(&call("apply", &same), 0);
    ends(&on(&fleet, "one", &["check", &same, "-i", &inventory], None), 0);
    // One that leaves a service of its own running with its output open has taken the key all the same.
    let exclusive = format!(", exclusive: true, made_since: \"{}\"", moment());
    let leaves = format!("sleep 300 & echo $! >{}", pid.display());
    let run = call("apply", &book(&fleet, "leaves.yml", &format!("{exclusive}{}", consumer(&leaves))));
    let left = std::fs::read_to_string(&pid).unwrap();
    let ended = Command::new("kill").arg(left.trim()).status().unwrap();
    ends(&run, 0);
    assert!(ended.success() && present(&fleet, "h1").len() == 1, "{}", run.out);
    assert_eq!(kept(&fleet, "one", "h1").len(), 1);
}

/// Where the controller is killed, and how often it passes there before.
const POINTS: &[&str] = &[
    "leased:1",
    "key-make:1",
    "key-file:1",
    "key-made:1",
    "key-adding:1",
    "before-set:1",
    "after-set:1",
    "key-login:1",
    "new-login:1",
    "confirmed:1",
    "key-added:1",
    "key-proven:1",
    "key-consumed:1",
    "key-current:1",
    "key-removing:1",
    "before-set:2",
    "after-set:2",
    "key-login:2",
    "new-login:2",
    "confirmed:2",
    "key-removed:1",
    "key-refused:1",
];

/// One rotation that is killed, and what must hold then and in the end.
fn killed(fleet: &Fleet, host: &str, point: &str) -> Result<(), String> {
    let inventory = fleet.inventory();
    let taken = fleet.0.dir().join(format!("taken-by-{host}"));
    let consumer = consumer(&format!("cp $0.pub {}", taken.display()));
    let path =
        book(fleet, &format!("{host}.yml"), &format!(", exclusive: true, made_since: \"{}\"{consumer}", moment()));
    let old = present(fleet, host);
    let wrong = |what: &str, run: &Run| Err(format!("{host} {point}: {what}: {} {}{}", run.code, run.out, run.err));
    let run = on(fleet, host, &["apply", &path, "-i", &inventory, "-l", host, "-y"], Some(point));
    if run.code != -1 {
        return wrong("did not die", &run);
    }
    let runs = on(fleet, host, &["runs", "-n", "1"], None).out;
    let died = runs.split_whitespace().next().ok_or("no run is remembered")?.to_owned();
    // Somebody gets in, whatever was left.
    let run = on(fleet, host, &["check", &path, "-i", &inventory, "-l", host], None);
    if !matches!(run.code, 0 | 2) {
        return wrong("nobody gets in", &run);
    }
    let run = on(fleet, host, &["resume", &died, "-y"], None);
    if run.code != 0 {
        return wrong("resume", &run);
    }
    let run = on(fleet, host, &["check", &path, "-i", &inventory, "-l", host], None);
    if run.code != 0 {
        return wrong("check", &run);
    }
    let (now, files) = (present(fleet, host), kept(fleet, host, host));
    if now.len() != 1 || old.iter().any(|key| key.is(&now[0])) {
        return Err(format!("{host} {point}: old {old:?}, now {now:?}"));
    }
    if files.len() != 1 {
        return Err(format!("{host} {point}: private halves {files:?}"));
    }
    let used = std::fs::read_to_string(&taken).ok().and_then(|line| PublicKey::of_line(&line));
    if !used.is_some_and(|used| used.is(&now[0])) {
        return Err(format!("{host} {point}: its consumer has another key"));
    }
    Ok(())
}

#[test]
fn a_controller_that_dies_anywhere_leaves_a_key_that_gets_in() {
    let fleet = Fleet::up(3);
    let failed = Mutex::new(Vec::new());
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for host in ["h1", "h2", "h3"] {
            let (fleet, failed) = (&fleet, &failed);
            scope.spawn(move || {
                for point in POINTS {
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
    assert!(begun.elapsed() < Duration::from_secs(900));
    for host in ["h1", "h2", "h3"] {
        assert_eq!(on(&fleet, host, &["audit", "verify"], None).code, 0, "{host}");
        assert!(!fleet.lets_in(host, &fleet.0.dir().join("id_ed25519")));
    }
}
