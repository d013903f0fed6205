//! What is remembered of runs: on this very machine, without a host.

use crate::common::{Run, call, told};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A playbook on this machine, with a memory of its own.
struct Here(tempfile::TempDir);

impl Here {
    fn new() -> Self {
        let here = Self(tempfile::tempdir().unwrap());
        std::fs::write(here.path("inv.yml"), "all: {hosts: {here: {ansible_connection: local}}}\n").unwrap();
        here.book("0644", "");
        here
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The playbook: a file's mode, and what else is to be a step.
    fn book(&self, mode: &str, more: &str) {
        let file = self.path("file");
        std::fs::write(
            self.path("p.yml"),
            format!(
                "hosts: all\nsteps:\n  - id: mode\n    title: The mode\n    control: {{id: F-1, severity: high, refs: [CIS-1.1]}}\n    file: {{path: {}, mode: \"{mode}\"}}\n{more}",
                file.display()
            ),
        )
        .unwrap();
        std::fs::write(&file, "x\n").unwrap();
        Command::new("chmod").arg("0644").arg(&file).status().unwrap();
    }

    fn call(&self, words: &[&str]) -> Command {
        let mut command = call(words);
        command.current_dir(self.0.path()).env("STEADFAST_STATE", self.path("state"));
        command
    }

    fn run(&self, words: &[&str]) -> Run {
        told(&self.call(words).output().unwrap())
    }

    fn check(&self, more: &[&str]) -> Run {
        self.run(&[&["check", "p.yml", "-i", "inv.yml"], more].concat())
    }

    fn sql(&self, text: &str) {
        let connection = rusqlite::Connection::open(self.path("state/history.db")).unwrap();
        connection.execute_batch(text).unwrap();
    }

    /// The names of the runs, the newest first.
    fn runs(&self) -> Vec<String> {
        let all = self.run(&["runs"]);
        all.out.lines().map(|line| line.split_whitespace().next().unwrap().to_owned()).collect()
    }
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn a_report_told_again_is_the_report_of_then() {
    let here = Here::new();
    here.book("0600", "");
    let formats = ["json", "ndjson", "junit", "sarif", "csv", "oscal", "md", "html"];
    let words = |dir: &str| -> Vec<String> {
        formats.iter().flat_map(|format| ["--report".to_owned(), format!("{format}:{dir}/{format}")]).collect()
    };
    std::fs::create_dir(here.path("then")).unwrap();
    std::fs::create_dir(here.path("again")).unwrap();
    let (then, again) = (words("then"), words("again"));
    let run = here.check(&then.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(run.code == 2 && run.out.contains("drift"), "{run:?}");
    let run =
        here.run(&[&["report", "last"], again.iter().map(String::as_str).collect::<Vec<_>>().as_slice()].concat());
    assert_eq!((run.code, run.out.as_str()), (0, ""), "{}", run.err);
    for format in formats {
        let (then, again) = (read(&here.path("then").join(format)), read(&here.path("again").join(format)));
        assert!(then.contains("mode"), "{format}: {then}");
        assert_eq!(then, again, "{format}");
    }
    let left: Vec<_> = std::fs::read_dir(here.path("then")).unwrap().collect();
    assert_eq!(left.len(), formats.len(), "something is left over: {left:?}");
}

#[test]
fn standard_output_is_for_one_thing() {
    let here = Here::new();
    let run = here.check(&["--report", "json:-"]);
    let document: serde_json::Value = serde_json::from_str(&run.out).unwrap();
    assert_eq!((run.code, &document["summary"]["unchanged"]), (0, &1.into()), "{run:?}");
    assert!(run.err.contains("in sync"), "{}", run.err);
    for more in [["--report", "json:-", "--report", "csv:-"].as_slice(), &["--json", "--report", "md:-"]] {
        let run = here.check(more);
        assert!(run.code == 1 && run.err.contains("two things"), "{run:?}");
    }
    let run = here.check(&["--report", "junti:x.xml"]);
    assert!(run.code == 1 && run.err.contains("did you mean `junit`?"), "{run:?}");
    let run = here.check(&["--report", "json:nowhere/x.json"]);
    assert!(run.code == 1 && run.err.contains("cannot write the report nowhere/x.json"), "{run:?}");
}

#[test]
fn what_became_of_a_step_between_two_runs_is_told() {
    let here = Here::new();
    here.check(&[]);
    here.book("0600", "  - id: other\n    file: {path: /nowhere/x, state: absent}\n");
    let report = here.path("r.sarif");
    let run = here.check(&["--report", &format!("sarif:{}", report.display())]);
    assert_eq!(run.code, 2, "{run:?}");
    let log: serde_json::Value = serde_json::from_str(&read(&report)).unwrap();
    assert_eq!(log["runs"][0]["results"][0]["baselineState"], "new");
    let runs = here.runs();
    let run = here.run(&["runs", "diff", &runs[1]]);
    assert!(
        run.code == 2 && run.out.contains("newly failing (1)") && run.out.contains("mode  unchanged → drift  here"),
        "{run:?}"
    );
    let run = here.run(&["runs", "diff", &runs[0], &runs[1]]);
    assert!(run.code == 0 && run.out.contains("fixed (1)"), "{run:?}");
    here.check(&["--report", &format!("sarif:{}", report.display())]);
    let log: serde_json::Value = serde_json::from_str(&read(&report)).unwrap();
    assert_eq!(log["runs"][0]["results"][0]["baselineState"], "unchanged");
    let run = here.run(&["runs", "diff", &here.runs()[1], "last"]);
    assert!(run.code == 0 && run.out.contains("still failing (1)"), "{run:?}");
}

#[test]
fn a_killed_run_is_shown_with_what_is_known_of_it() {
    let here = Here::new();
    // The first host is read to its end; the second one does not answer.
    std::fs::write(
        here.path("inv.yml"),
        "all: {hosts: {a: {ansible_connection: local}, b: {ansible_connection: local}}}\n",
    )
    .unwrap();
    let marker = here.path("waits");
    let more = format!(
        "  - id: waits\n    hosts: b\n    command: {{run: \"false\", check: \"touch {}; sleep 20\"}}\n",
        marker.display()
    );
    here.book("0600", &more);
    let mut child =
        here.call(&["check", "p.yml", "-i", "inv.yml"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    while !(marker.exists() && here.run(&["show"]).out.contains("drift")) {
        assert!(child.try_wait().unwrap().is_none(), "it ended before it waited");
    }
    let run = here.run(&["runs"]);
    assert!(run.out.contains("goes on"), "{}", run.out);
    child.kill().unwrap();
    child.wait().unwrap();
    let run = here.run(&["runs"]);
    assert!(run.out.contains("broken off"), "{}", run.out);
    let run = here.run(&["show"]);
    assert!(run.out.contains("broken off: it has no end") && run.out.contains("not ended"), "{}", run.out);
    assert!(run.out.contains("drift") && run.out.contains("mode"), "what it found before is known: {}", run.out);
    // It is sealed as it is known, when the next run ends.
    let run = here.run(&["audit", "verify"]);
    assert!(run.code == 0 && run.out.contains("has no seal"), "{run:?}");
    here.book("0600", "");
    here.check(&[]);
    let run = here.run(&["audit", "verify"]);
    assert!(run.code == 0 && run.out.starts_with("2 records") && !run.out.contains("no seal"), "{run:?}");
}

#[test]
fn whoever_changes_the_history_is_found_out() {
    let here = Here::new();
    (0..3).for_each(|_| drop(here.check(&[])));
    let key = here.path("key");
    let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-C", "op", "-f"]).arg(&key).status();
    assert!(made.unwrap().success());
    let run = here.run(&["audit", "sign", "--key", key.to_str().unwrap()]);
    assert!(run.code == 0 && run.out.starts_with("signed 3 records"), "{run:?}");
    let seal = run.out.trim().rsplit(' ').next().unwrap().to_owned();
    let public = read(&here.path("key.pub"));
    std::fs::write(here.path("allowed"), format!("auditor@example.org {public}")).unwrap();
    let verify = || {
        here.run(&["audit", "verify", "--allowed-signers", here.path("allowed").to_str().unwrap(), "--holds", &seal])
    };
    let run = verify();
    assert!(run.code == 0 && run.out.contains("auditor@example.org"), "{run:?}");
    let run = here.run(&["audit", "verify"]);
    assert!(run.code == 0 && run.out.contains("ED25519"), "{run:?}");

    let keep = here.path("keep");
    let copy = |from: &Path, to: &Path| {
        for end in ["", "-wal", "-shm"] {
            let (from, to) = (from.join(format!("history.db{end}")), to.join(format!("history.db{end}")));
            let _ = std::fs::remove_file(&to);
            if from.exists() {
                std::fs::copy(from, to).unwrap();
            }
        }
    };
    std::fs::create_dir(&keep).unwrap();
    copy(&here.path("state"), &keep);
    let second = here.runs()[1].clone();
    let told = format!(
        "UPDATE events SET told = '{{\"outcome\":\"drift\",\"rows\":[]}}' WHERE run = '{second}' AND host = 'here'"
    );
    for (what, change) in [
        ("is not what was sealed", told),
        ("is not what was sealed", format!("UPDATE runs SET exit = 3 WHERE id = '{second}'")),
        ("was sealed and is missing", format!("DELETE FROM runs WHERE id = '{second}'")),
        ("seal 2 is missing", format!("DELETE FROM chain WHERE run = '{second}'")),
        ("does not follow", format!("UPDATE chain SET digest = 'x' WHERE run = '{second}'")),
        ("is not in the chain", "DELETE FROM chain WHERE n = 3; DELETE FROM signatures".to_owned()),
        ("is not the one that was signed", "UPDATE chain SET link = 'x' WHERE n = 3".to_owned()),
        (
            "the signature of record 3",
            "UPDATE signatures SET signature = replace(signature, 'U1NIU0lH', 'U1NIU0lG')".to_owned(),
        ),
    ] {
        here.sql(&change);
        let run = verify();
        assert!(run.code == 2 && run.err.contains(what), "{what}: {run:?}");
        copy(&keep, &here.path("state"));
    }
    std::fs::write(here.path("allowed"), "").unwrap();
    let run = verify();
    assert!(run.code == 2 && run.err.contains("its key is none of"), "{run:?}");
}

#[test]
fn what_is_old_is_forgotten_and_the_chain_stands() {
    let here = Here::new();
    (0..4).for_each(|_| drop(here.check(&[])));
    let run = here.run(&["runs", "prune", "--keep", "2"]);
    assert!(run.code == 0 && run.err.contains("forgot 2 runs"), "{run:?}");
    assert_eq!(here.runs().len(), 2);
    let run = here.run(&["audit", "verify"]);
    assert!(run.code == 0 && run.out.contains("2 of them are forgotten"), "{run:?}");
    here.sql("UPDATE runs SET began = 0");
    here.check(&[]);
    let runs = here.runs();
    assert_eq!(runs.len(), 3, "runs stay");
    let run = here.run(&["show", &runs[1]]);
    assert!(run.code == 0 && run.out.contains("nothing is remembered of what run"), "{run:?}");
    let run = here.run(&["report", &runs[1]]);
    assert!(run.code == 1 && run.err.contains("it was forgotten"), "{run:?}");
}

#[test]
fn hosts_that_nobody_looks_at_are_a_finding() {
    let here = Here::new();
    here.check(&[]);
    let run = here.run(&["runs", "--stale", "7d"]);
    assert_eq!((run.code, run.out.as_str()), (0, ""), "{}", run.err);
    std::fs::write(here.path("two.yml"), "all: {hosts: {here: , other: }}\n").unwrap();
    let run = here.run(&["runs", "--stale", "7d", "-i", "two.yml"]);
    assert_eq!((run.code, run.out.as_str()), (2, "other  never read\n"), "{}", run.err);
    here.sql("UPDATE hosts SET seen = seen - 8 * 86400000");
    let run = here.run(&["runs", "--stale", "7d"]);
    assert!(run.code == 2 && run.out.starts_with("here  last read 8 days ago"), "{run:?}");
}

#[test]
fn two_processes_write_one_history() {
    let here = Here::new();
    let children: Vec<_> = (0..6)
        .map(|_| {
            here.call(&["check", "p.yml", "-i", "inv.yml"])
                .stdout(Stdio::null())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap()
        })
        .collect();
    for child in children {
        let done = child.wait_with_output().unwrap();
        assert!(done.status.success() && done.stderr.is_empty(), "{}", String::from_utf8_lossy(&done.stderr));
    }
    assert_eq!(here.runs().len(), 6);
    let run = here.run(&["audit", "verify"]);
    assert!(run.code == 0 && run.out.starts_with("6 records") && !run.out.contains("no seal"), "{run:?}");
}
