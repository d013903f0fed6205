//! Names that can be judged before any host is read: of variables that no host has, of facts that there are not.

use super::Step;
use super::make::{Each, ITEM};
use crate::expr::{Scope, Template};
use crate::fact::Os;
use crate::fault::{Fault, Place};
use std::collections::{BTreeSet, HashSet};
use std::sync::LazyLock;

/// What every step sees besides variables.
const ALWAYS: [&str; 4] = ["inventory_hostname", "group_names", "groups", "os"];

/// The fields of `os`, as they are filled in.
static OS: LazyLock<Vec<String>> = LazyLock::new(|| match serde_json::to_value(Os::default()) {
    Ok(serde_json::Value::Object(fields)) => fields.keys().cloned().collect(),
    _ => vec![],
});

/// The names that a step may look up and that no file around it gives: what an inventory must say.
pub fn outside(step: &Step) -> impl Iterator<Item = &str> {
    let all = step.uses.iter().map(String::as_str);
    all.filter(|name| !ALWAYS.contains(name) && step.within.get(name).is_none())
}

/// The names that a step knows: those that the files around it give a value, and those that it may look up.
pub fn familiar(step: &Step) -> impl Iterator<Item = &str> {
    step.within.names().chain(step.uses.iter().map(String::as_str))
}

/// The faults of names that no host can give a meaning: `known` are the names of all hosts' variables, `extra` those of
/// the command line. Only what is surely looked at counts: what stands behind a condition may be meant for others.
pub fn strangers(step: &Step, known: &BTreeSet<&str>, extra: &Scope) -> Vec<Fault> {
    let asked = step.when.iter().flat_map(|condition| condition.fields());
    let facts = asked.filter(|(name, field, _)| {
        name == "os" && step.within.get("os").is_none() && !known.contains("os") && !OS.contains(field)
    });
    let mut faults: Vec<Fault> = facts
        .map(|(_, field, place)| {
            Fault::new(format!("`os` has no `{field}`")).at(place).nearest(field, OS.iter().map(String::as_str))
        })
        .collect();
    let here = |name: &str| {
        known.contains(name)
            || extra.contains_key(name)
            || ALWAYS.contains(&name)
            || step.within.get(name).is_some()
            || (step.looped.is_some() && name == ITEM)
    };
    let mut queue = surely_used(step);
    let mut seen = HashSet::new();
    while let Some((name, place)) = queue.pop() {
        if !seen.insert(name.clone()) {
            continue;
        }
        if !here(&name) {
            let near = known.iter().copied().chain(extra.keys().map(String::as_str)).chain(ALWAYS);
            let near = near.chain(step.within.names());
            faults.push(Fault::new(format!("unknown name `{name}`")).at(&place).nearest(&name, near));
        } else if !extra.contains_key(&name) {
            queue.extend(step.within.inside(&name));
        }
    }
    faults.sort_by_key(|fault| fault.place().map(|place| place.start));
    faults
}

/// The names that are looked up on every host: those of the first condition, or of the whole step where there is none.
fn surely_used(step: &Step) -> Vec<(String, Place)> {
    if let Some(first) = step.when.first() {
        return first.places().to_vec();
    }
    let mut names: Vec<(String, Place)> = step.looped.iter().flat_map(|each| each.gather(Template::wanted)).collect();
    // A loop over nothing looks at nothing further.
    if step.looped.as_ref().is_none_or(|each| matches!(each, Each::Items(items) if !items.is_empty())) {
        names.extend(step.filled.gather(Template::wanted));
    }
    names
}
