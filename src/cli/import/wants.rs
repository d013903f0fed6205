//! What our own reader says of a translation: which steps it refuses, and which variables it cannot know.

use super::{Left, Play, write};
use crate::expr::Scope;
use crate::fault::{Fault, Faults};
use crate::playbook::{self, Playbook, Step, outside, strangers};
use std::collections::{BTreeMap, BTreeSet};

/// Names that Ansible gives a meaning of its own; facts begin with `ansible_`.
const ANSIBLES: [&str; 8] =
    ["hostvars", "omit", "lookup", "query", "inventory_hostname_short", "role_path", "playbook_dir", "ansible_facts"];
/// Names with that beginning that an inventory gives.
const CONNECTION: [&str; 4] = ["ansible_host", "ansible_port", "ansible_user", "ansible_connection"];

/// Variables of which nobody knows here what they hold, each with the reason.
pub type Unknown = BTreeMap<String, &'static str>;

/// By variable that no file around gives, the places of the steps that use it.
pub fn wanted(plays: &[Play]) -> BTreeMap<String, Vec<String>> {
    let text = text(plays);
    let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let books = read(&text).and_then(Result::ok).unwrap_or_default();
    for step in books.iter().flat_map(|book| &book.steps) {
        for name in outside(step) {
            all.entry(name.to_owned()).or_default().push(origin(&text, step.place.line_column().0));
        }
    }
    all
}

/// What is wrong with the playbooks, by the place in Ansible's file.
pub fn refused(plays: &[Play], unknown: &Unknown) -> Vec<Left> {
    let text = text(plays);
    let told = |fault: &Fault| {
        let line = fault.place().map_or(0, |place| place.line_column().0);
        (
            origin(&text, line),
            format!("{}{}", fault.what(), fault.cause().map(|why| format!(": {why}")).unwrap_or_default()),
        )
    };
    match read(&text) {
        None => vec![],
        Some(Err(faults)) => faults.iter().map(told).collect(),
        Some(Ok(books)) => {
            let judge = |step: &Step| -> Vec<Left> {
                let made = unknowable(step, unknown).map(|why| (origin(&text, step.place.line_column().0), why));
                let strange = strangers(step, &BTreeSet::new(), &Scope::new());
                made.into_iter().chain(strange.iter().map(told)).collect::<Vec<_>>()
            };
            books.iter().flat_map(|book| &book.steps).flat_map(|step| judge(step)).collect()
        }
    }
}

/// Why nobody here can know what a step uses.
fn unknowable(step: &Step, unknown: &Unknown) -> Option<String> {
    if let Some((name, why)) = step.uses.iter().find_map(|name| unknown.get_key_value(name)) {
        return Some(format!("`{name}` {why}"));
    }
    let theirs = |name: &&str| ANSIBLES.contains(name) || (name.starts_with("ansible_") && !CONNECTION.contains(name));
    outside(step).find(theirs).map(|name| format!("`{name}` is Ansible's own"))
}

fn text(plays: &[Play]) -> String {
    write::playbooks(plays.iter().filter(|play| !play.steps.is_empty()))
}

fn origin(text: &str, line: usize) -> String {
    write::origin(text, line).unwrap_or_else(|| "the playbook".to_owned())
}

/// None where there is nothing to read.
fn read(text: &str) -> Option<Result<Vec<Playbook>, Faults>> {
    if text.is_empty() {
        return None;
    }
    let directory = tempfile::tempdir().ok()?;
    let file = directory.path().join("imported.yml");
    std::fs::write(&file, text).ok()?;
    Some(playbook::load(&[file]))
}
