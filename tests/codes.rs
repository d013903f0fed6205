//! Codes of errors: each is explained, and each explanation shows what provokes it and nothing else.

use crate::common::{call, told};
use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use steadfast::fault::pages;

/// The files of an example and how the program is called with them.
fn example(text: &str) -> (Vec<(String, String)>, String) {
    let mut files = Vec::new();
    for part in text.split("\n```yaml ").skip(1) {
        let (name, rest) = part.split_once('\n').unwrap();
        files.push((name.to_owned(), rest.split("\n```").next().unwrap().to_owned() + "\n"));
    }
    let call = text.lines().find_map(|line| line.strip_prefix("    $ steadfast ")).map(ToOwned::to_owned);
    let call = call.unwrap_or_else(|| format!("validate {} -i h1,", files[0].0));
    (files, call)
}

/// The codes that were told.
fn codes(told: &str) -> BTreeSet<&str> {
    let lines = told.lines().filter(|line| line.starts_with("error"));
    lines.map(|line| line.strip_prefix("error[").and_then(|rest| rest.split(']').next()).unwrap_or("none")).collect()
}

#[test]
fn each_example_provokes_its_error_and_no_other() {
    let mut wrong = Vec::new();
    for page in pages() {
        let (files, words) = example(&page.text);
        let here = tempfile::tempdir().unwrap();
        for (name, text) in &files {
            let path = here.path().join(name);
            std::fs::write(&path, text).unwrap();
            let mode = if text.starts_with("#!") { 0o755 } else { 0o600 };
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        }
        let words: Vec<&str> = words.split(' ').collect();
        let run = told(&call(&words).current_dir(here.path()).output().unwrap());
        if run.code != 1 || codes(&run.err) != BTreeSet::from([page.code]) {
            wrong.push(format!("{} {words:?}: exit {}\n{}{}", page.code, run.code, run.out, run.err));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn every_code_is_explained() {
    for page in pages() {
        let run = told(&call(&["explain", &page.code.to_lowercase()]).output().unwrap());
        assert_eq!(run.code, 0, "{}", run.err);
        assert!(run.out.starts_with(&format!("{}  {}\n\n", page.code, page.title)), "{}", run.out);
    }
    let list = told(&call(&["explain", "errors"]).output().unwrap()).out;
    assert_eq!(list.lines().count(), pages().len());
}

/// Mistakes of those who write playbooks, inventories and waivers all have a code.
#[test]
fn what_broken_files_are_told_has_a_code() {
    let mut without = Vec::new();
    for file in std::fs::read_dir("tests/cases/playbook/broken").unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_some_and(|ending| ending == "txt") {
            let text = std::fs::read_to_string(&path).unwrap();
            let bare = text.lines().filter(|line| line.starts_with("error:"));
            without.extend(bare.map(|line| format!("{}: {line}", path.display())));
        }
    }
    assert!(without.is_empty(), "src/fault/codes.md has no page for\n{}", without.join("\n"));
}
