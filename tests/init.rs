//! `init`: an empty folder becomes a project that can be used at once, and its CI files do what they say.

use crate::common::{Run, call, told};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A project in a directory of its own.
struct Project(tempfile::TempDir);

impl Project {
    fn new(words: &[&str]) -> Self {
        let project = Self(tempfile::tempdir().unwrap());
        let run = project.call(&[&["init"], words].concat());
        assert_eq!((run.code, run.err.as_str()), (0, ""), "{}", run.out);
        project
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    fn call(&self, words: &[&str]) -> Run {
        told(&call(words).current_dir(self.0.path()).output().unwrap())
    }

    /// Runs a step of CI: with this program first in the path, a home of its own and these variables.
    fn step(&self, script: &str, variables: &[(&str, &str)]) -> Run {
        let programs = self.path("programs");
        std::fs::create_dir_all(&programs).unwrap();
        let program = programs.join("steadfast");
        if !program.exists() {
            std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_steadfast"), &program).unwrap();
        }
        let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
        let mut command = Command::new("bash");
        command.args(["-e", "-c", script]).current_dir(self.0.path()).env_remove("STEADFAST_INVENTORY");
        command.env("PATH", path).env("HOME", self.path("home")).env("STEADFAST_STATE", self.path("state"));
        told(&command.envs(variables.iter().copied()).output().unwrap())
    }

    /// A program that writes down what it was called with, instead of the real one.
    fn pretend(&self, name: &str) {
        let script = format!("#!/bin/sh\nprintf '%s\\n' \"$@\" >>\"{}\"\ncat >>\"{0}\"\n", self.path(name).display());
        let program = self.path("programs").join(name);
        std::fs::write(&program, script).unwrap();
        std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    }
}

fn yaml(text: &str) -> Value {
    let source = steadfast::fault::Source::new("<ci>", text);
    steadfast::yaml::to_json(&steadfast::yaml::parse(&source).unwrap())
}

/// The names of all files below a directory.
fn files(at: &Path) -> Vec<String> {
    let all = crate::common::contents(at, &["/state", "/programs", "/home"]);
    all.keys().filter(|name| at.join(&name[1..]).is_file()).map(|name| name[1..].to_owned()).collect()
}

#[test]
fn an_empty_folder_becomes_a_project_that_works_at_once() {
    for words in
        [&[] as &[&str], &["--full"], &["--ci", "gitlab"], &["--ci", "shell"], &["--ci", "github,gitlab", "--full"]]
    {
        let project = Project::new(words);
        let books: Vec<String> = files(&project.path("playbooks"));
        for book in books.iter().filter(|book| !book.starts_with("baselines/")) {
            let book = format!("playbooks/{book}");
            // Who may still come in is nothing that a playbook could know.
            let told = ["-e", r#"{"admins": ["192.0.2.10"], "owner": "alice"}"#];
            let told = if book.ends_with("quarantine.yml") || book.ends_with("recovery.yml") { &told[..] } else { &[] };
            let run = project.call(&[&["validate", book.as_str()], told].concat());
            assert_eq!((run.code, run.err.as_str()), (0, ""), "{book}");
        }
        let run = project.call(&["check", "playbooks/hardening.yml"]);
        // Whether this machine is as wanted is its own matter; that it was looked at is ours.
        assert!(matches!(run.code, 0 | 2 | 4), "{} {}", run.out, run.err);
        assert!(run.out.contains("1 host · 6 steps") && run.err.is_empty(), "{} {}", run.out, run.err);
        let run = project.call(&["validate", "playbooks/hardening.yml", "-i", "inventory/fleet.example.yml"]);
        assert!(run.out.contains("6 steps, 4 hosts"), "{} {}", run.out, run.err);
    }
}

#[test]
fn what_is_there_already_stays() {
    let project = Project::new(&[]);
    let before = files(project.0.path());
    std::fs::write(project.path("playbooks/hardening.yml"), "mine\n").unwrap();
    std::fs::remove_file(project.path("inventory/waivers.yml")).unwrap();
    std::os::unix::fs::symlink("/nowhere", project.path("inventory/waivers.yml")).unwrap();
    let run = project.call(&["init"]);
    assert_eq!(run.code, 0, "{}", run.err);
    assert!(!run.out.contains("made"), "{}", run.out);
    assert_eq!(project.read("playbooks/hardening.yml"), "mine\n");
    assert!(!Path::new("/nowhere").exists());
    assert_eq!(files(project.0.path()).len() + 1, before.len());
    let run = project.call(&["init", "playbooks/hardening.yml"]);
    assert_eq!(run.code, 1);
    assert!(run.err.contains("cannot make playbooks/hardening.yml"), "{}", run.err);
}

#[test]
fn the_full_project_has_every_baseline() {
    let project = Project::new(&["--full"]);
    for name in files(Path::new("playbooks")) {
        let name = format!("playbooks/{name}");
        assert_eq!(project.read(&name), std::fs::read_to_string(&name).unwrap(), "{name}");
    }
}

#[test]
fn the_shell_script_looks_and_reports() {
    let project = Project::new(&["--ci", "shell"]);
    let key = [("STEADFAST_SSH_KEY", "-----BEGIN KEY-----\nx\n"), ("STEADFAST_KNOWN_HOSTS", "h1 ssh-ed25519 AAAA")];
    let run = project.step("ci/drift-check.sh", &key);
    assert!(matches!(run.code, 0 | 2 | 4), "{} {}", run.out, run.err);
    for report in ["steadfast.sarif", "steadfast.xml", "steadfast.md", "steadfast.html"] {
        assert!(project.read(&format!("reports/{report}")).len() > 100, "{report}");
    }
    assert_eq!(project.read("home/.ssh/known_hosts"), "h1 ssh-ed25519 AAAA\n");
    // The key lay in a directory that is gone.
    let left: Vec<_> = std::fs::read_dir(std::env::temp_dir()).unwrap().flatten().map(|one| one.path()).collect();
    assert!(
        !left.iter().any(|dir| std::fs::read_to_string(dir.join("key")).is_ok_and(|key| key.contains("BEGIN KEY")))
    );

    // A fleet is looked at where there is one, and a broken playbook is no drift.
    std::fs::write(project.path("inventory/fleet.yml"), "all: {hosts: {h1: {ansible_connection: local}}}\n").unwrap();
    assert!(project.step("ci/drift-check.sh", &[]).out.contains("h1"));
    std::fs::write(project.path("playbooks/hardening.yml"), "hosts: all\nsteps: [{sysctl: {}}]\n").unwrap();
    assert_eq!(project.step("ci/drift-check.sh", &[]).code, 1);
}

/// Drift that everybody has, whoever runs the tests.
const DRIFT: &str = "hosts: all\nsteps: [{id: marker, title: A marker, control: {id: M-1}, \
                     file: {path: /nonexistent-marker, content: x}}]\n";

#[test]
fn the_steps_of_github_do_what_they_say() {
    let project = Project::new(&[]);
    std::fs::write(project.path("playbooks/hardening.yml"), DRIFT).unwrap();
    let workflow = yaml(&project.read(".github/workflows/drift.yml"));
    let steps = workflow["jobs"]["drift"]["steps"].as_array().unwrap();
    let all: BTreeMap<&str, &Value> = steps.iter().filter_map(|step| Some((step["name"].as_str()?, step))).collect();
    let script = |name: &str| all[name]["run"].as_str().unwrap();
    // Nothing that others may say stands in a script: it comes by variables.
    assert!(steps.iter().filter_map(|step| step["run"].as_str()).all(|run| !run.contains("${{")));

    let (output, summary) = (project.path("output"), project.path("summary"));
    let given = [
        ("GITHUB_OUTPUT", output.to_str().unwrap()),
        ("GITHUB_STEP_SUMMARY", summary.to_str().unwrap()),
        ("PULL_REQUEST", "7"),
    ];
    assert_eq!(project.step(script("Have steadfast"), &given).code, 0);
    let run = project.step(script("Check"), &given);
    assert_eq!(run.code, 0, "{}", run.err);
    let told = project.read("output");
    assert_eq!(told, "code=2\n");
    assert_eq!(project.step(script("Summary"), &given).code, 0);
    assert!(project.read("summary").contains("A marker"));
    let sarif: Value = serde_json::from_str(&project.read("reports/steadfast.sarif")).unwrap();
    assert_eq!(sarif["runs"][0]["results"][0]["ruleId"], "M-1");
    let upload = all["Findings as code scanning alerts"];
    assert_eq!(upload["with"]["sarif_file"], "reports/steadfast.sarif");
    project.pretend("gh");
    let run = project.step(&format!("({}) </dev/null", script("Comment on the pull request")), &given);
    assert_eq!(run.code, 0, "{}", run.err);
    assert_eq!(
        project.read("gh"),
        "pr\ncomment\n7\n--edit-last\n--create-if-none\n--body-file\nreports/steadfast.md\n"
    );
    let verdict = project.step(script("Verdict"), &[("CODE", told.trim().trim_start_matches("code="))]);
    assert_eq!(verdict.code, 2);
}

#[test]
fn the_scripts_of_gitlab_do_what_they_say() {
    let project = Project::new(&["--ci", "gitlab"]);
    std::fs::write(project.path("playbooks/hardening.yml"), DRIFT).unwrap();
    let job = &yaml(&project.read(".gitlab-ci.yml"))["drift"];
    let script = |part: &str| {
        let lines = job[part].as_array().unwrap().iter().map(|line| line.as_str().unwrap());
        lines.collect::<Vec<_>>().join("\n")
    };
    assert_eq!(project.step(&script("before_script"), &[]).code, 0);
    assert_eq!(project.step(&script("script"), &[]).code, 2);
    assert!(project.path(job["artifacts"]["reports"]["junit"].as_str().unwrap()).exists());
    assert!(project.path(job["artifacts"]["paths"][0].as_str().unwrap()).join("steadfast.sarif").exists());
    project.pretend("curl");
    assert_eq!(project.step(&script("after_script"), &[]).code, 0);
    assert!(!project.path("curl").exists(), "nothing is said where there is no merge request");
    let given = [
        ("CI_MERGE_REQUEST_IID", "3"),
        ("COMMENT_TOKEN", "t0ken"),
        ("CI_API_V4_URL", "https://git.example/api/v4"),
        ("CI_PROJECT_ID", "12"),
    ];
    assert_eq!(project.step(&script("after_script"), &given).code, 0);
    let called = project.read("curl");
    assert!(called.contains("https://git.example/api/v4/projects/12/merge_requests/3/notes"), "{called}");
    assert!(called.contains("body@reports/steadfast.md"), "{called}");
    // The token comes by standard input, which nobody else sees.
    assert!(called.ends_with("header = \"PRIVATE-TOKEN: t0ken\"\n"), "{called}");
}
