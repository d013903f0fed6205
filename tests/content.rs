//! The content that is shipped: every control says what it is, why, and by what it is tuned.

use crate::common::steadfast;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use steadfast::playbook::{Control, Step, load};

const QUARTERLY: &str = "playbooks/quarterly-hardening.yml";
const SEVERITIES: [&str; 4] = ["low", "medium", "high", "critical"];
const STANDARDS: [&str; 5] = ["CIS-D12-", "ANSSI-R", "ISO27001-A.", "DEVSEC-", "LYNIS-"];

fn baselines() -> Vec<PathBuf> {
    let mut all: Vec<PathBuf> =
        std::fs::read_dir("playbooks/baselines").unwrap().map(|entry| entry.unwrap().path()).collect();
    all.retain(|path| path.extension().is_some_and(|end| end == "yml"));
    all.sort();
    assert!(all.len() >= 20, "{all:?}");
    all
}

fn steps(file: &Path) -> Vec<Arc<Step>> {
    let books = load(&[file.to_path_buf()]).unwrap_or_else(|faults| panic!("{faults}"));
    books.into_iter().flat_map(|book| book.steps).collect()
}

/// A playbook of one baseline alone.
fn alone(baseline: &Path) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let name = baseline.file_name().unwrap();
    std::fs::create_dir(dir.path().join("baselines")).unwrap();
    std::fs::copy(baseline, dir.path().join("baselines").join(name)).unwrap();
    let book = dir.path().join("alone.yml");
    let text = format!("hosts: all\nsteps:\n  - include: baselines/{}\n", name.to_str().unwrap());
    std::fs::write(&book, text).unwrap();
    (dir, book)
}

fn wrong(step: &Step, control: &Control) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut need = |holds: bool, what: &str| {
        if !holds {
            wrong.push(format!("{} ({}): {what}", step.id, control.id));
        }
    };
    let sentence = |text: &str| text.len() > 12 && !text.ends_with('.') && text.contains(' ');
    need(sentence(&step.title), "the title is no plain sentence without a full stop");
    need(control.severity.as_deref().is_some_and(|word| SEVERITIES.contains(&word)), "no severity");
    need(!control.refs.is_empty(), "no references");
    let known = |text: &String| STANDARDS.iter().any(|standard| text.starts_with(standard));
    need(control.refs.iter().all(known), "a reference to a standard that nobody knows");
    need(control.why.as_deref().is_some_and(|why| why.ends_with('.')), "no sentence that says why");
    need(control.breaks.as_deref().is_none_or(|breaks| breaks.ends_with('.')), "what it breaks is no sentence");
    wrong
}

#[test]
fn every_control_says_what_it_is_and_why() {
    let steps = steps(Path::new(QUARTERLY));
    let controls: Vec<(&Step, &Control)> =
        steps.iter().filter_map(|step| Some((step.as_ref(), step.control.as_ref()?))).collect();
    assert!(controls.len() > 100, "{}", controls.len());
    let faults: Vec<String> = controls.iter().flat_map(|(step, control)| wrong(step, control)).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    let mut ids = BTreeSet::new();
    let twice: Vec<&str> =
        controls.iter().map(|(_, control)| control.id.as_str()).filter(|id| !ids.insert(*id)).collect();
    assert!(twice.is_empty(), "ids that stand twice: {twice:?}");
    // What has no control is a follow-up, or the place for the file of a control.
    let helpers = steps.iter().filter(|step| step.control.is_none());
    for step in helpers {
        let word = ["service", "directory"].contains(&step.kind);
        assert!(word, "{} has no control", step.id);
    }
}

#[test]
fn every_baseline_can_be_included_alone() {
    for baseline in baselines() {
        let (_dir, book) = alone(&baseline);
        let valid = steadfast(&["validate", book.to_str().unwrap(), "-i", "inventory/local.yml"]);
        assert_eq!(valid.code, 0, "{}: {}{}", baseline.display(), valid.out, valid.err);
        // What a step uses is a default of its own file, a fact, how the host is called and reached, or the item of its loop.
        for step in steps(&book) {
            let open: Vec<&String> = step
                .uses
                .iter()
                .filter(|name| {
                    !["os", "ansible_port", "inventory_hostname"].contains(&name.as_str())
                        && !step.defaults.contains_key(*name)
                })
                .collect();
            assert!(open.is_empty(), "{}: {} uses {open:?}", baseline.display(), step.id);
        }
    }
}

#[test]
fn every_baseline_is_part_of_the_quarterly_run() {
    let text = std::fs::read_to_string(QUARTERLY).unwrap();
    for baseline in baselines() {
        let name = baseline.file_name().unwrap().to_str().unwrap().to_owned();
        assert!(text.contains(&format!("include: baselines/{name}\n")), "{name}");
    }
}

#[test]
fn defaults_of_a_variable_are_the_same_wherever_it_stands() {
    let mut known: std::collections::BTreeMap<String, (serde_json::Value, String)> = std::collections::BTreeMap::new();
    for baseline in baselines() {
        let (_dir, book) = alone(&baseline);
        for (name, value) in steps(&book).iter().flat_map(|step| step.defaults.clone()) {
            let here = baseline.display().to_string();
            let (first, file) = known.entry(name.clone()).or_insert((value.clone(), here.clone()));
            assert_eq!(*first, value, "{name} in {file} and {here}");
        }
    }
}

#[test]
fn the_page_of_controls_is_up_to_date() {
    let page = steadfast(&["explain", "--controls", QUARTERLY]);
    assert_eq!(page.code, 0, "{}", page.err);
    let kept = std::fs::read_to_string("docs/controls.md").unwrap();
    assert!(kept == page.out, "run: steadfast explain --controls {QUARTERLY} >docs/controls.md");
}

#[test]
fn a_default_is_weaker_than_the_inventory_and_the_playbook() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    write(
        "part.yml",
        "defaults: {a: part, b: part, c: part, d: part, e: '{{ a }} again'}\nsteps:\n  - file: {path: \"/nowhere/{{ a }}/{{ b }}/{{ c }}/{{ d }}/{{ e }}\", mode: '0600'}\n",
    );
    let book =
        write("book.yml", "hosts: all\ndefaults: {b: book, c: book}\nvars: {d: vars}\nsteps:\n  - include: part.yml\n");
    let hosts = write("hosts.yml", "all: {hosts: {localhost: {ansible_connection: local, c: host, d: host}}}\n");
    let told = steadfast(&["check", &book, "-i", &hosts]);
    assert!(told.out.contains("/nowhere/part/book/host/vars/part again"), "{}{}", told.out, told.err);
    let told = steadfast(&["check", &book, "-i", &hosts, "-e", "a=x"]);
    assert!(told.out.contains("/nowhere/x/book/host/vars/x again"), "{}{}", told.out, told.err);
}
