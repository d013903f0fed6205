//! Signs of an intrusion on real hosts: none where there is none, all that were planted, and those that a host hides.

use crate::common::{Fleet, Run, all_planted, findings};
use steadfast::fact::{self, Facts, Query};
use steadfast::host::Reply;

const PLANT: &str = include_str!("compromised/plant.sh");

fn check(fleet: &Fleet, limit: &str, body: &str) -> Run {
    let path = fleet.0.dir().join("triage.yml");
    let text = format!("hosts: all\nbecome: true\nsteps:\n- id: triage\n  triage: {body}\n");
    std::fs::write(&path, text).unwrap();
    let html = fleet.0.dir().join("triage.html").display().to_string();
    let words = ["check", &path.display().to_string(), "-i", &fleet.inventory(), "-l", limit, "--json"];
    fleet.steadfast(&[&words[..], &["--report", &format!("html:{html}")]].concat())
}

/// Waits until the host has started all that it starts, and the second of its first start, in which nothing is recent, is over.
fn settled(fleet: &Fleet, host: &str) {
    let over = "timeout 60 systemctl is-system-running --wait
        until [ \"$(date +%s)\" -gt \"$(stat -c %Z /etc/machine-id)\" ]; do sleep 0.05; done";
    assert_eq!(fleet.inside(host, over).code, 0);
}

#[test]
fn a_fresh_host_shows_no_sign() {
    for release in ["bookworm", "trixie"] {
        let fleet = Fleet::of(release, 1);
        settled(&fleet, "h1");
        let subnet = &fleet.0.subnet;
        // The base has a service that nobody wants, so that others can find it.
        fleet.inside("h1", "systemctl stop rpcbind.socket rpcbind.service");
        let run = check(&fleet, "h1", &format!("{{admins: [{subnet}.0/24], outside: true}}"));
        assert_eq!((run.code, findings(&run)), (0, vec![]), "{release}: {}{}", run.out, run.err);
        // What it is like is kept by an apply alone, and what is new since then is told.
        let kept = fleet.0.dir().join("state/baselines/h1.json");
        assert_eq!((check(&fleet, "h1", "{baseline: keep}").code, kept.exists()), (0, false));
        let path = fleet.0.dir().join("triage.yml").display().to_string();
        let apply = fleet.steadfast(&["apply", "-y", &path, "-i", &fleet.inventory()]);
        assert_eq!((apply.code, kept.exists()), (0, true), "{}{}", apply.out, apply.err);
        assert_eq!(fleet.inside("h1", "useradd -m mallory").code, 0);
        let found = findings(&check(&fleet, "h1", "{baseline: compare}"));
        let told: Vec<(&str, &str)> = found.iter().map(|(sign, object, _)| (sign.as_str(), object.as_str())).collect();
        assert_eq!(told, [("account", "user mallory")], "{found:#?}");
        let planted = "cp /bin/sh '/var/tmp/.x y'; chmod 4755 '/var/tmp/.x y'; userdel -r mallory 2>/dev/null; true";
        assert_eq!(fleet.inside("h1", planted).code, 0);
        let found = findings(&check(&fleet, "h1", "{baseline: compare}"));
        let told: Vec<(&str, &str)> = found.iter().map(|(sign, object, _)| (sign.as_str(), object.as_str())).collect();
        assert_eq!(told, [("setuid", "/var/tmp/.x y")], "{found:#?}");
    }
}

#[test]
fn what_a_run_wrote_is_no_sign_and_what_others_made_of_it_since_is() {
    let fleet = Fleet::of("trixie", 1);
    settled(&fleet, "h1");
    fleet.inside("h1", "systemctl stop rpcbind.socket rpcbind.service");
    let call = |words: &[&str]| fleet.steadfast(&[words, &["-i", &fleet.inventory()]].concat());
    // Somebody was there first, and has whoever hardens the host touch it.
    let first =
        "printf '* * * * * root true\\n' >/etc/cron.d/evil; chmod 666 /etc/cron.d/evil; echo true >>/etc/bash.bashrc";
    assert_eq!(fleet.inside("h1", first).code, 0);
    let told = || -> Vec<String> {
        let found = findings(&check(&fleet, "h1", "{}"));
        let mut objects: Vec<String> = found.into_iter().map(|(_, object, _)| object).collect();
        objects.sort_unstable();
        objects
    };
    // Of both profiles, one after the other; strict leaves something to a person.
    for (profile, end) in [("standard", 0), ("strict", 3)] {
        let vars = format!("{{\"install_packages\": false, \"profile\": \"{profile}\"}}");
        let hardened = call(&["apply", "-y", "playbooks/quarterly-hardening.yml", "-e", &vars]);
        assert_eq!(hardened.code, end, "{}{}", hardened.out, hardened.err);
        // The way back is ours as well, that of a script among it.
        if profile == "standard" {
            let back = call(&["rollback", "last", "-y", "--step", "faillock-counts", "--step", "no-nullok"]);
            assert_eq!(back.code, 0, "{}{}", back.out, back.err);
            assert_eq!(told(), ["/etc/bash.bashrc", "/etc/cron.d/evil"]);
        }
    }
    assert_eq!(told(), ["/etc/bash.bashrc", "/etc/cron.d/evil"]);
    fleet.inside("h1", "rm /etc/cron.d/evil");
    // Told all the same, with whose it is.
    let all = findings(&check(&fleet, "h1", "{level: low}"));
    let mine = all.iter().find(|(_, object, _)| object == "/etc/cron.allow").expect("it was made");
    assert!(mine.2.starts_with("low: ") && mine.2.contains(", by step cron-allow of run "), "{mine:?}");
    // What was there before and no sign then.
    for path in ["/etc/pam.d/su", "/etc/pam.d/common-auth", "/root/.bashrc"] {
        let was = all.iter().find(|(_, object, _)| object == path).expect("it was changed");
        assert!(was.2.starts_with("low: ") && was.2.contains(", by step "), "{was:?}");
    }
    // The content, the time that anybody may set, and the mode: each is somebody else's doing, some seconds later.
    let items =
        ["/etc/bash.bashrc", "/etc/cron.allow", "/etc/profile.d/60-steadfast-umask.sh", "/etc/sudoers.d/00-steadfast"];
    let others = "echo '#' >>/etc/sudoers.d/00-steadfast; touch -d 2020-01-01 /etc/cron.allow; chmod 755 /etc/profile.d/60-steadfast-umask.sh";
    let mut found = Vec::new();
    for _ in 0..20 {
        assert_eq!(fleet.inside("h1", others).code, 0);
        found = told();
        if found == items {
            break;
        }
    }
    assert_eq!(found, items);
    // Places where less is looked for.
    let planted =
        ["/etc/ssh/sshrc", "/etc/tmpfiles.d/ev.conf", "/root/.ssh/rc", "/usr/lib/systemd/system-generators/ev"];
    let files = planted.join(" ");
    assert_eq!(
        fleet
            .inside(
                "h1",
                &format!("mkdir -p /usr/lib/systemd/system-generators; for f in {files}; do echo : >$f; done")
            )
            .code,
        0
    );
    let now = told();
    assert!(planted.iter().all(|path| now.iter().any(|one| one == path)), "{now:?}");
    // Whoever has another history does not know whose it was.
    let stranger = fleet.0.dir().join("stranger").display().to_string();
    let mut call =
        fleet.call(&["check", &fleet.0.dir().join("triage.yml").display().to_string(), "-i", &fleet.inventory()]);
    let run = crate::common::told(&call.env("STEADFAST_STATE", stranger).output().unwrap());
    assert!(run.code == 2 && run.flat().contains("/etc/sudoers.d/00-steadfast start-up: medium"), "{}", run.out);
}

#[test]
fn every_sign_that_was_planted_is_found_with_its_evidence() {
    let fleet = Fleet::up(2);
    let other = fleet.0.host("h2").unwrap().address.clone();
    settled(&fleet, "h1");
    let listens = "systemd-run -q --unit=c2 python3 -c 'import socket,time; s=socket.socket(); s.bind((\"0.0.0.0\",4444)); s.listen(); time.sleep(86400)'
        until ss -Hltn | grep -q :4444; do sleep 0.1; done";
    assert_eq!(fleet.inside("h2", listens).code, 0);
    let planted = fleet.inside("h1", &format!("set -- {other}\n{PLANT}"));
    assert_eq!(planted.code, 0, "{}{}", planted.out, planted.err);
    let met = "n=0; until ss -Htn state established | grep -q ':4444'; do n=$((n+1)); [ $n -lt 100 ] || exit 1; sleep 0.1; done";
    assert_eq!(fleet.inside("h1", met).code, 0, "the beacon does not call");
    // Who touches the files of the first start makes nothing that was planted before a part of the installation.
    let touched = "sleep 1; touch /etc/machine-id /etc/ssh/ssh_host_*_key && chmod 600 /etc/ssh/ssh_host_*_key";
    assert_eq!(fleet.inside("h1", touched).code, 0);
    let run = check(&fleet, "h1", "{}");
    assert_eq!(run.code, 2, "{}{}", run.out, run.err);
    let found = findings(&run);
    all_planted(&found, &other);
    assert!(found.iter().all(|(.., told)| told.starts_with("high: ") || told.starts_with("medium: ")), "{found:#?}");
}

#[test]
fn tools_that_hang_do_not_blind_it() {
    let fleet = Fleet::up(1);
    settled(&fleet, "h1");
    // What is of the second of the first start came with the image.
    let planted = "until [ $(date +%s) -gt $(stat -c %Z /etc/ssh/ssh_host_ed25519_key) ]; do sleep 0.1; done
        echo '* * * * * root true' >/etc/cron.d/evil
        for tool in ps ss ls; do real=$(command -v $tool); mv $real $real.was; printf '#!/bin/sh\nexec sleep 1000\n' >$real; chmod 755 $real; done
        printf '#!/bin/sh\n(sleep 1; echo more behind its end) &\n' >$(command -v ls);
        mv $(command -v getconf) /root/getconf; printf '#!/bin/sh\nsleep 1000 &\nexec /root/getconf \"$@\"\n' >/usr/bin/getconf; chmod 755 /usr/bin/getconf; printf '#!/bin/sh\nexec yes AAAA\n' >$(command -v ps)";
    assert_eq!(fleet.inside("h1", planted).code, 0);
    let run = check(&fleet, "h1", "{}");
    assert_eq!(run.code, 2, "{}{}", run.out, run.err);
    let found = findings(&run);
    let has = |object: &str, sign: &str| found.iter().any(|(is, of, _)| is == sign && of == object);
    assert!(has("/etc/cron.d/evil", "start-up"), "{found:#?}");
    for tool in ["ps", "ss", "ls"] {
        assert!(has(tool, "contradiction"), "{tool}: {found:#?}");
    }
    // Nor the evidence: what the kernel says comes first, and a tool has its time.
    let book = fleet.0.dir().join("evidence.yml");
    std::fs::write(&book, "hosts: all\nsteps:\n- {id: evidence, evidence: {unsigned: true}}\n").unwrap();
    let taken = fleet.steadfast(&["apply", "-y", &book.display().to_string(), "-i", &fleet.inventory()]);
    assert_eq!(taken.code, 0, "{}{}", taken.out, taken.err);
    let only = |dir: &std::path::Path| std::fs::read_dir(dir).unwrap().next().unwrap().unwrap().path();
    let dir = only(&only(&fleet.0.dir().join("state/evidence")));
    let read = |name: &str| String::from_utf8_lossy(&std::fs::read(dir.join(name)).unwrap()).into_owned();
    assert!(read("020-processes").contains("Name:\tsystemd\n") && read("020-processes").contains("\nAAAA\n"));
    let sockets = read("030-sockets");
    assert!(sockets.contains("== tcp6") && sockets.contains("== ss ended with 124"), "{sockets}");
}

/// Tools that leave out one process, one port and one name, and speak to the terminal.
const LIARS: &str = r#"
name=$(printf '/tmp/\033]0;owned\007<script>')
cp /bin/sleep "$name"
systemd-run -q --unit=hides python3 -c 'import os,socket,sys
s=socket.socket(); s.bind(("0.0.0.0",31337)); s.listen(); os.execv(sys.argv[1],["<b>\x1b[31m","1000"]) if os.fork()==0 else os.wait()' "$name"
touch /root/.rootkit
n=0; until pgrep -f 1000 >/run/hidden && ss -Hltn | grep -q :31337; do n=$((n+1)); [ $n -lt 100 ] || exit 1; sleep 0.1; done
for tool in ps ss ls; do real=$(command -v $tool)
printf '#!/bin/sh\nprintf "\\033[2J\\033]0;hacked\\007<script>\\n"\n%s "$@" | grep -vwFf /run/hidden | grep -v -e 31337 -e rootkit\n' "$real" >/usr/local/bin/$tool; done
chmod 755 /usr/local/bin/*
"#;

#[test]
fn a_host_that_lies_contradicts_itself_and_reaches_no_terminal() {
    let fleet = Fleet::up(1);
    settled(&fleet, "h1");
    let lies = fleet.inside("h1", LIARS);
    assert_eq!(lies.code, 0, "{}{}", lies.out, lies.err);
    let pid = std::fs::read_to_string(fleet.root("h1").join("run/hidden")).unwrap_or_default();
    let run = check(&fleet, "h1", "{outside: true}");
    assert_eq!(run.code, 2, "{}{}", run.out, run.err);
    let found = findings(&run);
    for (object, evidence) in [
        ("process ", "high: ps does not agree"),
        ("tcp 0.0.0.0:31337", "high: ss does not agree"),
        ("/root/.rootkit", "high: ls does not agree"),
    ] {
        let is = |(s, o, e): &&(String, String, String)| {
            s == "contradiction" && o.starts_with(object) && e.contains(evidence)
        };
        assert!(found.iter().any(|one| is(&one)), "{object} ({evidence}; hidden {pid}) is not among {found:#?}");
    }
    for tool in ["ps", "ss", "ls"] {
        let path = format!("/usr/local/bin/{tool}");
        assert!(found.iter().any(|(sign, object, _)| sign == "tool" && *object == path), "{path}: {found:#?}");
    }
    // Nothing that it says reaches a terminal, a program or a page as it is.
    assert!(!run.out.contains('\u{1b}') && !run.err.contains('\u{1b}'));
    let html = std::fs::read_to_string(fleet.0.dir().join("triage.html")).unwrap();
    assert!(!html.contains('\u{1b}') && !html.contains("<script>\\n") && !html.contains("owned\u{7}"));
    assert!(!html.contains("<b>\u{1b}") && !html.contains("<b>\\u{1b}"), "a name became markup");
    let path = fleet.0.dir().join("triage.yml").display().to_string();
    let shown = fleet.steadfast(&["check", &path, "-i", &fleet.inventory()]);
    assert!(!shown.out.contains('\u{1b}') && shown.flat().contains("contradiction"), "{}", shown.out);
}

fn reading() -> fact::Reading {
    fact::script(&[Query::Signs(30)], "0a1b2c3d4e5f").remove(0)
}

/// What a host said to the script, as `STEADFAST_RECORD=1` writes it down; it is made anew where the script changes.
fn recorded(system: &str) -> Vec<u8> {
    std::fs::read(format!("tests/cases/signs/{system}")).unwrap()
}

fn answers(out: &[u8]) -> Facts {
    let reply = Reply { out: out.to_vec(), out_full: out.len() as u64, ..Reply::default() };
    fact::answers(&reading(), &reply)
}

#[test]
fn a_host_that_was_recorded_is_understood() {
    if std::env::var_os("STEADFAST_RECORD").is_some() {
        for release in ["bookworm", "trixie"] {
            let fleet = Fleet::of(release, 1);
            settled(&fleet, "h1");
            let said = fleet.inside("h1", reading().script());
            std::fs::write(format!("tests/cases/signs/{release}"), said.out).unwrap();
        }
    }
    for system in ["bookworm", "trixie"] {
        let facts = answers(&recorded(system));
        let signs = facts.signs(30).unwrap();
        let runs = |exe: &str| signs.processes.iter().any(|one| one.exe.as_deref() == Some(exe) && one.uid == Some(0));
        assert!(runs("/usr/sbin/sshd") && signs.processes.len() > 4, "{system}: {:?}", signs.processes);
        let ssh = signs.sockets.iter().find(|line| line.listens && line.port == 22).unwrap();
        assert!(!ssh.pids.is_empty() && signs.packages.owner("/usr/sbin/sshd") == Some("openssh-server"));
        assert_eq!(signs.packages.differs("/usr/bin/ps"), Some(false), "{system}");
        assert_eq!(signs.packages.differs("/etc/crontab"), Some(false), "{system}");
        assert!(signs.items.len() > 20 && signs.born.is_some() && signs.seconds >= 1.0, "{system}");
        assert_eq!((&signs.contradictions, &signs.lacks), (&vec![], &vec![]), "{system}");
    }
}

#[test]
fn a_cut_or_changed_answer_is_never_taken_for_a_quiet_host() {
    let said = recorded("bookworm");
    for length in (0..said.len()).step_by(1 + said.len() / 200) {
        let facts = answers(&said[..length]);
        assert!(facts.signs(30).map_or(true, |signs| !signs.lacks.is_empty()), "cut at {length}");
    }
    for at in (0..said.len()).step_by(1 + said.len() / 300) {
        let mut changed = said.clone();
        changed[at] = changed[at].wrapping_add(97);
        // Whatever it is taken for, it is taken without a panic.
        let _ = answers(&changed).signs(30);
    }
}
