//! What the journal on a host keeps, what it has no room for, and whose way back is whose.

use crate::common::{Fleet, Run, told};
use std::time::{Duration, Instant};

fn book(fleet: &Fleet, steps: &str) -> String {
    let path = fleet.0.dir().join("book.yml");
    std::fs::write(&path, format!("hosts: all\nsteps:\n{steps}")).unwrap();
    path.display().to_string()
}

fn apply(fleet: &Fleet, steps: &str) -> Run {
    fleet.steadfast(&["apply", &book(fleet, steps), "-i", &fleet.inventory(), "-y"])
}

#[test]
fn what_the_journal_has_no_room_for_is_not_taken_away() {
    let fleet = Fleet::up(1);
    let inside = |script: &str| fleet.inside("h1", script);
    let gone = |path: &str| apply(&fleet, &format!("- {{id: gone, file: {{path: {path}, state: absent}}}}\n"));
    // Holes cost nothing: they stay holes in the journal and on the way back.
    assert_eq!(inside("truncate -s 256M /var/tmp/sparse && echo end >>/var/tmp/sparse").code, 0);
    let done = gone("/var/tmp/sparse");
    assert_eq!(done.code, 0, "{}{}", done.out, done.err);
    let kept = inside("du -sm /var/lib/steadfast/runs | cut -f1").out;
    assert!(kept.trim().parse::<u32>().unwrap() < 16, "{kept}");
    let back = fleet.steadfast(&["rollback", "last", "-y"]);
    assert_eq!(back.code, 0, "{}{}", back.out, back.err);
    let sparse = inside("stat -c %s /var/tmp/sparse; tail -c 4 /var/tmp/sparse; du -m /var/tmp/sparse | cut -f1").out;
    assert!(sparse.starts_with("268435460\nend\n") && sparse.len() < 20, "{sparse}");
    // So long that nobody could read it on the way back; so full that the journal would be; more than half of what is free.
    assert_eq!(inside("truncate -s 100G /var/tmp/long && fallocate -l 1100M /var/tmp/full").code, 0);
    let refused = |path: &str, why: &str| {
        let run = gone(path);
        assert_eq!(run.code, 3, "{path}: {}{}", run.out, run.err);
        assert!(run.flat().contains(why) && run.flat().contains("move "), "{path}: {}{}", run.out, run.err);
        let kept = inside("du -sm /var/lib/steadfast/runs | cut -f1").out;
        assert!(kept.trim().parse::<u32>().unwrap() < 16, "{path}: {kept}");
        assert_eq!(inside(&format!("test -e {path}")).code, 0, "{path}");
    };
    refused("/var/tmp/long", "is 102400 MiB long");
    refused("/var/tmp/full", "holds 1100 MiB");
    inside(
        "rm /var/tmp/full; mkdir -p /var/lib/steadfast/runs; mount -t tmpfs -o size=64m,mode=700 none /var/lib/steadfast/runs; fallocate -l 40M /var/tmp/half",
    );
    refused("/var/tmp/half", "more than half of what is free");
    inside("umount /var/lib/steadfast/runs; fallocate -l 20M /var/tmp/half");
    assert_eq!(gone("/var/tmp/half").code, 0);
}

#[test]
fn a_guards_way_back_knows_a_name_with_the_end_of_a_line_from_one_without() {
    let fleet = Fleet::up(1);
    // Each has a mode of its own, so that one that was taken for another shows.
    let make = "cd /root; set -- 640 604 644; for e in '' '\n' '\n\n'; do echo x >\".odd$e\"; chmod $1 \".odd$e\"; shift; done";
    let look = "cd /root; for e in '' '\n' '\n\n'; do stat -c %a \".odd$e\"; done; ls -A | grep -c odd";
    assert_eq!(fleet.inside("h1", make).code, 0);
    let before = fleet.inside("h1", look).out;
    assert!(before.starts_with("640\n604\n644\n"), "{before}");
    let book = book(&fleet, "- {id: odd, file: {path: \"/root/.odd*\", mode: \"0400\"}}\n");
    let words = ["apply", &book, "-y", "-i", &fleet.inventory(), "--guard-timeout", "20"];
    let died = told(&fleet.call(&words).env("STEADFAST_DIE_AT", "after-set:1").output().unwrap());
    assert_eq!(died.code, -1, "{}{}", died.out, died.err);
    assert!(fleet.inside("h1", look).out.starts_with("400\n400\n400\n"));
    let until = Instant::now() + Duration::from_secs(60);
    while fleet.inside("h1", "grep -qx reverted /var/lib/steadfast/guard/*/end").code != 0 {
        assert!(Instant::now() < until, "never: {}", fleet.inside("h1", "cat /var/lib/steadfast/guard/*/log").out);
        std::thread::sleep(Duration::from_millis(300));
    }
    assert_eq!(fleet.inside("h1", look).out, before);
}

#[test]
fn a_link_to_a_way_in_is_no_way_round_the_guard() {
    let fleet = Fleet::up(1);
    let made = fleet.inside("h1", "mkdir /var/log/x /var/log/y && ln -s /etc/ssh /var/log/x/link && ln -s /var/log/x/link /var/log/y/deep && ln -s /var/log/x /var/log/data");
    assert_eq!(made.code, 0, "{}", made.err);
    for step in [
        "file: {path: /var/log/x/link/sshd_config, mode: '0600'}",
        "file: {path: /var/log/x/link/new.conf, content: x}",
        "file: {path: '/var/log/*/link/ssh_config', mode: '0600'}",
        "line: {path: /var/log/y/deep/sshd_config, line: 'MaxAuthTries 3'}",
        "key_value: {path: /var/log/data/link/sshd_config, key: MaxAuthTries, value: '3'}",
        "directory: {path: /var/log/x/link/sshd_config.d, mode: '0700'}",
    ] {
        let run = apply(&fleet, &format!("- {step}\n"));
        assert_eq!(run.code, 3, "{step}: {}{}", run.out, run.err);
        assert!(run.flat().contains("by which one gets in: write that path"), "{step}: {}{}", run.out, run.err);
    }
    let done =
        apply(&fleet, "- file: {path: /var/log/data/note, content: x}\n- file: {path: /var/run/note, content: x}\n");
    assert_eq!(done.code, 0, "{}{}", done.out, done.err);
}
