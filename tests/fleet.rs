//! The main job on real hosts: check tells the truth and writes nothing, apply changes exactly that, and it stays so.

use crate::common::{Fleet, Terminal, call, differences, picture, steadfast, ubuntu};
use std::io::{BufRead, BufReader};
use std::process::Stdio;

const QUARTERLY: &str = "playbooks/quarterly-hardening.yml";
/// What a login itself writes.
const LOGS: &[&str] = &["/var/log/journal", "/var/log/wtmp", "/var/log/lastlog", "/var/log/btmp", "/run", "/tmp"];

/// The state of the machine that the controller runs on, as far as the playbook speaks of it.
fn controller() -> Vec<String> {
    let mut all: Vec<String> =
        ["kernel/kptr_restrict", "kernel/sysrq", "fs/suid_dumpable", "net/ipv4/conf/all/accept_redirects"]
            .iter()
            .map(|key| std::fs::read_to_string(format!("/proc/sys/{key}")).unwrap_or_default())
            .collect();
    for file in ["/etc/issue", "/etc/login.defs", "/etc/ssh/sshd_config", "/etc/cron.allow"] {
        all.push(format!("{file} {:?}", std::fs::read(file).ok()));
    }
    for dir in ["/etc/sysctl.d", "/etc/ssh/sshd_config.d"] {
        let names = std::fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.file_name());
        all.push(format!("{dir} {:?}", names.collect::<std::collections::BTreeSet<_>>()));
    }
    all
}

#[test]
fn the_quarterly_run_hardens_five_hosts_and_then_is_silent() {
    let fleet = Fleet::up(5);
    let inventory = fleet.inventory();
    let before = controller();
    let check = || steadfast(&["check", QUARTERLY, "-i", &inventory]);

    let first = check();
    assert_eq!(first.code, 2, "{}{}", first.out, first.err);
    assert!(first.out.contains("all 5 hosts"), "{}", first.out);

    let applied = steadfast(&["apply", QUARTERLY, "-i", &inventory, "-y", "--json"]);
    assert_eq!(applied.code, 0, "{}{}", applied.out, applied.err);
    let events: Vec<serde_json::Value> = applied.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(events[0]["type"], "version");
    assert_eq!(events.last().unwrap()["type"], "run_done");
    let changed: Vec<(&str, &str)> = events
        .iter()
        .filter(|event| event["type"] == "task_done" && event["outcome"] == "changed")
        .map(|event| (event["host"].as_str().unwrap(), event["step"].as_str().unwrap()))
        .collect();
    // Exactly what the check said, and follow-ups of it.
    for step in ["sshd-login", "no-redirects", "nfs-services-off", "umask", "journal-restarted"] {
        assert!(first.out.contains(step), "check did not say {step}: {}", first.out);
        assert_eq!(changed.iter().filter(|(_, name)| *name == step).count(), 5, "{step}");
    }
    // The canary ended before anybody else began.
    let at = |kind: &str, host: &str| {
        events.iter().position(|event| event["type"] == kind && event["host"] == host).unwrap()
    };
    assert!(at("host_done", "h1") < at("host_connected", "h2"));

    let second = check();
    assert_eq!(second.code, 0, "{}{}", second.out, second.err);
    let again = steadfast(&["apply", QUARTERLY, "-i", &inventory, "-y"]);
    assert_eq!(again.code, 0, "{}{}", again.out, again.err);
    assert!(again.out.contains("in sync") && !again.out.contains("changed="), "{}", again.out);

    for n in 1..=5 {
        let host = format!("h{n}");
        let truth = fleet.inside(
            &host,
            "cat /proc/sys/kernel/kptr_restrict /proc/sys/net/ipv4/conf/all/accept_redirects; stat -c %a /etc/shadow; \
             systemctl is-enabled rpcbind.socket; systemctl is-active rpcbind; /usr/sbin/sshd -T | grep -x 'passwordauthentication no'",
        );
        assert_eq!(truth.out, "2\n0\n640\nmasked\ninactive\npasswordauthentication no\n", "{host}: {}", truth.err);
    }
    assert_eq!(controller(), before, "the controller was changed");
}

#[test]
fn check_leaves_a_host_byte_identical() {
    let fleet = Fleet::up(1);
    let inventory = fleet.inventory();
    let root = fleet.root("h1");
    // The first login of all makes what every login makes.
    assert_eq!(steadfast(&["check", QUARTERLY, "-i", &inventory]).code, 2);
    let before = picture(&root, LOGS);
    assert!(before.len() > 5000, "the picture is of the whole tree: {}", before.len());
    let live = || {
        fleet.inside("h1", "sysctl -a 2>/dev/null | grep -E 'kptr|accept_redirects|suid_dumpable'; systemctl list-unit-files --no-legend; ls -a /run").out
    };
    let running = live();
    for words in [&["check"][..], &["plan"], &["apply", "-C"]] {
        let run = steadfast(&[words, &[QUARTERLY, "-i", &inventory]].concat());
        assert_eq!(run.code, 2, "{}{}", run.out, run.err);
    }
    assert_eq!(differences(&before, &picture(&root, LOGS)), Vec::<String>::new());
    assert_eq!(live(), running);
}

#[test]
fn sudo_works_with_and_without_a_password() {
    let fleet = Fleet::up(1);
    let inventory = fleet.inventory();
    let text = std::fs::read_to_string(&inventory).unwrap();
    let with = |user: &str| {
        let path = fleet.0.dir().join(format!("{user}.yml"));
        std::fs::write(&path, text.replace("ansible_user: root", &format!("ansible_user: {user}"))).unwrap();
        path.display().to_string()
    };
    let admin = steadfast(&["apply", QUARTERLY, "-i", &with("admin"), "-y"]);
    assert_eq!(admin.code, 0, "{}{}", admin.out, admin.err);
    let refused = steadfast(&["check", QUARTERLY, "-i", &with("pwadmin")]);
    assert_eq!(refused.code, 4, "{}{}", refused.out, refused.err);
    assert!(refused.out.contains("cannot become the other user"), "{}", refused.out);
    // -K asks on the terminal, so the program gets one.
    let inventory = with("pwadmin");
    let ask = |password: &str| {
        let mut terminal = Terminal::start(&["check", QUARTERLY, "-i", &inventory, "-K"]);
        terminal.wait_for("password of sudo:");
        terminal.answer(&format!("{password}\n"));
        terminal.end()
    };
    let (code, out) = ask(&fleet.0.password);
    assert_eq!(code, 0, "{out}");
    assert!(!out.contains(&fleet.0.password), "the password is shown: {out}");
    let (code, out) = ask("wrong");
    assert_eq!(code, 4, "{out}");
}

#[test]
fn what_goes_wrong_has_its_exit_code() {
    let fleet = Fleet::up(2);
    let inventory = fleet.inventory();
    let dir = tempfile::tempdir().unwrap();
    let playbook = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let drift =
        playbook("drift.yml", "name: d\nhosts: all\nsteps:\n  - sysctl: {key: kernel.kptr_restrict, value: 2}\n");
    assert_eq!(steadfast(&["check", &drift, "-i", &inventory]).code, 2);
    assert_eq!(steadfast(&["check", &drift, "-i", &inventory, "--report-only"]).code, 0);
    for wrong in [
        &["check"][..],
        &["check", "/nowhere.yml"],
        &["no-such-command"],
        &["check", &drift, "-i", &inventory, "--forks", "0"],
    ] {
        let run = steadfast(wrong);
        assert_eq!(run.code, 1, "{wrong:?}: {}", run.err);
        assert!(run.out.is_empty(), "{wrong:?}: faults go to standard error");
    }
    assert_eq!(steadfast(&["apply", &drift, "-i", &inventory]).code, 1, "nobody is there to ask");
    let failed = playbook(
        "failed.yml",
        "name: f\nhosts: all\nsteps:\n  - id: a\n    sysctl: {key: kernel.no_such_thing, value: 1}\n  - id: b\n    needs: a\n    sysctl: {key: kernel.dmesg_restrict, value: 1}\n",
    );
    let run = steadfast(&["apply", &failed, "-i", &inventory, "-y"]);
    assert_eq!(run.code, 3, "{}", run.out);
    assert!(
        run.out.contains("the kernel has no parameter kernel.no_such_thing") && run.out.contains("did not succeed"),
        "{}",
        run.out
    );

    // A host that is gone does not keep the other from being checked.
    steadfast(&["lab", "stop", "--name", &fleet.0.name, "h2"]);
    let run = steadfast(&["check", &drift, "-i", &inventory, "-T", "3"]);
    assert_eq!(run.code, 4, "{}", run.out);
    assert!(run.out.contains("kernel.kptr_restrict"), "h1 was still read: {}", run.out);
}

#[test]
fn a_plan_that_is_no_longer_true_is_not_applied() {
    let fleet = Fleet::up(1);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("p.yml");
    std::fs::write(&path, "name: d\nhosts: all\nsteps:\n  - sysctl: {key: kernel.kptr_restrict, value: 2}\n").unwrap();
    let mut terminal = Terminal::start(&["apply", &path.display().to_string(), "-i", &fleet.inventory()]);
    terminal.wait_for("accepted:");
    // Somebody else is quicker.
    assert_eq!(fleet.inside("h1", "sysctl -w kernel.kptr_restrict=1").code, 0);
    terminal.answer("yes\n");
    let (code, shown) = terminal.end();
    assert_eq!(code, 6, "{shown}");
    assert!(shown.contains("stale"), "{shown}");
    assert_eq!(fleet.inside("h1", "cat /proc/sys/kernel/kptr_restrict").out, "1\n", "nothing was done");
}

#[test]
fn an_interrupt_starts_nothing_more() {
    let fleet = Fleet::up(1);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("p.yml");
    let step = |n: usize| {
        format!("  - id: s{n}\n    command: {{run: 'sleep 1; touch /root/s{n}', check: test -e /root/s{n}}}\n")
    };
    let steps: String = (0..20).map(step).collect();
    std::fs::write(&path, format!("name: d\nhosts: all\nsteps:\n{steps}")).unwrap();
    use rustix::process::Signal;
    // A terminal that is closed asks for no more than who presses Ctrl-C.
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        fleet.inside("h1", "rm -f /root/s*");
        let mut child = call(&["apply", &path.display().to_string(), "-i", &fleet.inventory(), "-y", "--json"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut text = String::new();
        while !text.contains("\"changed\"") {
            assert!(out.read_line(&mut text).unwrap() > 0, "{text}");
        }
        let pid = rustix::process::Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
        rustix::process::kill_process(pid, signal).unwrap();
        while out.read_line(&mut text).unwrap() > 0 {}
        assert_eq!(child.wait().unwrap().code(), Some(130), "{text}");
        let done = text.matches("\"outcome\":\"changed\"").count();
        assert!((1..20).contains(&done), "{done}");
        let made = fleet.inside("h1", "ls /root | grep -c ^s").out;
        assert_eq!(made.trim(), done.to_string(), "what is told is what was done");
    }
}

#[test]
fn the_quarterly_run_hardens_other_releases_too() {
    for release in [&["trixie", "bullseye"], ubuntu()].concat() {
        let fleet = Fleet::of(release, 1);
        let inventory = fleet.inventory();
        for (words, code) in [(&["check"][..], 2), (&["apply", "-y"], 0), (&["check"], 0)] {
            let run = steadfast(&[words, &[QUARTERLY, "-i", &inventory]].concat());
            assert_eq!(run.code, code, "{release} {words:?}: {}{}", run.out, run.err);
        }
        // Whoever comes after still gets in.
        assert_eq!(steadfast(&["check", QUARTERLY, "-i", &inventory]).code, 0, "{release}");
    }
}

#[test]
fn loops_includes_and_follow_ups_work_together() {
    let fleet = Fleet::up(2);
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    write(
        "part.yml",
        "steps:\n  - id: conf\n    title: \"configuration of {{ what }}\"\n    on_change: [again]\n    file: {path: /etc/motd, content: \"{{ what }} on {{ inventory_hostname }}\\n\"}\n",
    );
    let book = write(
        "book.yml",
        "name: b\nhosts: all\nvars: {names: [a, b]}\nsteps:\n  - include: {file: part.yml, vars: {what: thing}}\n  - id: again\n    service: {name: cron, state: restarted}\n  - id: files\n    loop: names\n    file: {path: \"/srv/{{ item }}\", content: \"{{ item }}\\n\"}\n  - id: only-debian\n    when: os.family == \"debian\" && inventory_hostname == \"h2\"\n    file: {path: /srv/debian, content: \"{{ os.codename }}\\n\"}\n",
    );
    let run = |words: &[&str]| steadfast(&[words, &[&book, "-i", &fleet.inventory()]].concat());
    let check = run(&["check", "-D"]);
    assert_eq!(check.code, 2, "{}{}", check.out, check.err);
    for part in ["configuration of thing", "+thing on h1", "after conf"] {
        assert!(check.out.contains(part), "{part} is not in\n{}", check.out);
    }
    let started = || fleet.inside("h1", "systemctl show -p ActiveEnterTimestampMonotonic cron").out;
    let before = started();
    let apply = run(&["apply", "-y"]);
    assert_eq!(apply.code, 0, "{}{}", apply.out, apply.err);
    assert_ne!(started(), before, "cron was not restarted");
    assert_eq!(
        fleet.inside("h2", "cat /etc/motd /srv/a /srv/b /srv/debian; ls /var/lib/steadfast/due").out,
        "thing on h2\na\nb\nbookworm\n"
    );
    assert_eq!(fleet.inside("h1", "ls /srv").out, "a\nb\n");
    assert_eq!(run(&["check"]).code, 0);
    // A follow-up that a broken run still owes is found by the next one.
    fleet.inside("h1", "mkdir -p /var/lib/steadfast/due; touch '/var/lib/steadfast/due/restarted%3Acron.service'");
    assert_eq!(run(&["check"]).code, 2);
    assert_eq!(run(&["apply", "-y"]).code, 0);
    assert_eq!(run(&["check"]).code, 0);
}

/// Steps without an edge between them: the run does not end well because each was true once.
#[test]
fn a_step_that_another_undoes_is_set_again_or_told() {
    let fleet = Fleet::up(1);
    let inventory = fleet.inventory();
    let run = |steps: &str| {
        let path = fleet.0.dir().join("undo.yml");
        std::fs::write(&path, format!("hosts: all\nsteps:\n{steps}")).unwrap();
        steadfast(&["apply", &path.display().to_string(), "-i", &inventory, "-y"])
    };
    fleet.inside("h1", "echo kept >/root/f; chmod 644 /root/f");
    let mode = "  - {id: mode, file: {path: /root/f, mode: '0644'}}\n";
    let disturbed =
        "  - {id: script, command: {check: test -e /root/done, run: chmod 600 /root/f && touch /root/done}}\n";
    let run_again = run(&format!("{mode}{disturbed}"));
    assert_eq!(run_again.code, 0, "{}{}", run_again.out, run_again.err);
    assert!(run_again.out.contains("mode: 0600 → 0644"), "{}", run_again.out);
    assert_eq!(fleet.inside("h1", "stat -c %a /root/f").out, "644\n");

    let fight = "  - {id: text, file: {path: /root/f, content: \"a\\n\"}}
  - {id: other, command: {check: grep -q b /root/f, run: echo b >/root/f}}
";
    let fought = run(fight);
    assert_eq!(fought.code, 3, "{}{}", fought.out, fought.err);
    assert!(fought.out.contains("another step undid it"), "{}", fought.out);
}

#[test]
fn a_second_interrupt_ends_the_run_at_once_and_says_which_it_was() {
    let fleet = Fleet::up(1);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("p.yml");
    let step =
        "  - id: long\n    command: {run: 'touch /root/begun; sleep 900', check: test -e /root/ended, timeout: 1000}\n";
    std::fs::write(&path, format!("name: d\nhosts: all\nsteps:\n{step}")).unwrap();
    let mut child = call(&["apply", &path.display().to_string(), "-i", &fleet.inventory(), "-y"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    while fleet.inside("h1", "ls /root").out.trim() != "begun" {
        assert!(child.try_wait().unwrap().is_none(), "it ended before it was interrupted");
    }
    let pid = rustix::process::Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    let mut err = BufReader::new(child.stderr.take().unwrap());
    let mut text = String::new();
    for said in ["once more to abort", "was broken off"] {
        rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
        while !text.contains(said) {
            assert!(err.read_line(&mut text).unwrap() > 0, "{text}");
        }
    }
    let out = child.wait_with_output().unwrap();
    assert_eq!(out.status.code(), Some(130), "{text}");
    let out = String::from_utf8_lossy(&out.stdout);
    assert!(out.contains("interrupted in "), "{out}");
    assert!(out.contains(": 1 step was left running and ends on its host by itself"), "{out}");
}
