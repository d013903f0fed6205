//! The tutorial is done, command by command, as it is written.

use std::path::Path;
use std::process::{Command, Output};

/// The commands of `sh` in a page, in order.
fn commands(page: &str) -> Vec<String> {
    let blocks = page.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next());
    blocks.map(|block| block.trim().to_owned()).collect()
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().flatten() {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Takes the tutorial's host away, also where a command failed.
struct Tour<'a>(&'a Path);

impl Tour<'_> {
    fn run(&self, command: &str) -> Output {
        let program = Path::new(env!("CARGO_BIN_EXE_steadfast")).parent().unwrap().display().to_string();
        let path = format!("{program}:{}", std::env::var("PATH").unwrap_or_default());
        let mut shell = Command::new("sh");
        shell.args(["-c", command]).current_dir(self.0).env("PATH", path).env("STEADFAST_STATE", self.0.join("state"));
        shell.output().unwrap()
    }
}

impl Drop for Tour<'_> {
    fn drop(&mut self) {
        self.run("steadfast lab down --name tour");
    }
}

#[test]
fn every_command_of_the_tutorial_does_what_is_written() {
    let commands = commands(&std::fs::read_to_string("docs/tutorial.md").unwrap());
    assert_eq!(commands.len(), 6, "from nothing to a hardened host and back in six: {commands:?}");
    // Who has read nothing but the README, in either language, does the same.
    for page in ["README.md", "README.zh.md"] {
        assert!(std::fs::read_to_string(page).unwrap().contains(&commands.join("\n")), "{page}");
    }
    assert!(commands[0].starts_with("cargo install"), "{}", commands[0]);
    let dir = tempfile::tempdir().unwrap();
    copy(Path::new("playbooks"), &dir.path().join("playbooks"));
    let tour = Tour(dir.path());
    // What each may end with: the third tells drift, and in the fourth some things are left to a person.
    let ends: [&[i32]; 5] = [&[0], &[2], &[0, 3, 4], &[0], &[0]];
    for (command, codes) in commands[1..].iter().zip(ends) {
        let done = tour.run(command);
        let code = done.status.code().unwrap_or(-1);
        let told = format!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
        assert!(codes.contains(&code), "{command}\nended with {code}\n{told}");
        if command.contains("apply") {
            let page = std::fs::read_to_string(dir.path().join("tour.html")).unwrap();
            assert!(page.contains("quarterly"), "the report that is spoken of");
        }
    }
}

/// The cells of a line of a table in Markdown.
fn cells(line: &str) -> Vec<&str> {
    line.trim().trim_matches('|').split('|').map(str::trim).collect()
}

#[test]
fn the_comparison_says_what_was_measured() {
    let read = |path: &str| std::fs::read_to_string(path).unwrap();
    let page = read("docs/comparison.md");
    assert!(page.contains(&format!("| breadth | {} kinds,", steadfast::step::KINDS.len())), "the number of kinds");
    let (benchmark, hardening) = (read("docs/benchmark.md"), read("docs/hardening.md"));
    let (_, measured) = page.split_once("## Measured").unwrap();
    let (fleet, judges) = measured.split_once("outside judges").unwrap();
    let rows = |text: &'static str, part: &str| -> Vec<Vec<String>> {
        let lines = part.split("\n## ").next().unwrap().lines().filter(|line| line.starts_with("| "));
        let all: Vec<Vec<String>> = lines.map(|line| cells(line).iter().map(ToString::to_string).collect()).collect();
        assert!(all.len() > 3, "{text}: {part}");
        all.into_iter().skip(1).collect()
    };
    for row in rows("fleet", fleet) {
        let named = benchmark.lines().find(|line| line.starts_with(&format!("| {} |", row[0])));
        let named = cells(named.unwrap_or_else(|| panic!("{row:?} is in no table of the benchmark"))).join(" ");
        for figure in &row[1..] {
            assert!(named.split(' ').any(|known| known == figure), "{figure} of {row:?} is not in {named}");
        }
    }
    for row in rows("judges", judges) {
        let what = row[0]
            .replace(", all rules", ", % passed: all rules")
            .replace(", index", ": index")
            .replace("ssh-audit,", "ssh-audit:");
        let named = hardening.lines().find(|line| line.starts_with(&format!("| {what}")));
        let named = cells(named.unwrap_or_else(|| panic!("{row:?} is in no table of the judges")));
        for (figure, known) in row[1..].iter().zip(&named[1..]) {
            assert!(known.starts_with(figure.trim_end_matches(" %")), "{figure} of {row:?} is not in {named:?}");
        }
    }
}
