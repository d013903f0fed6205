//! Rules instead of steps: how each control stands over all hosts, and how much of each standard is kept.

use super::fold::Report;
use crate::event::{Class, TaskDone};
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::{BTreeMap, HashSet};

/// How one control stands: an entry for each step on each host is counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Control {
    pub id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub severity: Option<String>,
    pub refs: Vec<String>,
    /// Of its first step.
    pub title: String,
    pub kept: usize,
    pub not_kept: usize,
    pub unknown: usize,
    pub not_applicable: usize,
}

/// How much of a standard is kept, counted by its clauses: one is kept where no host breaks it and none is unknown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Standard {
    /// The part of a reference before its first hyphen: `CIS` of `CIS-D12-5.1.2`.
    pub name: String,
    pub kept: usize,
    pub not_kept: usize,
    pub unknown: usize,
    pub not_applicable: usize,
}

impl Control {
    fn of(task: &TaskDone) -> Option<Self> {
        let control = task.control.as_ref()?;
        Some(Self {
            id: control.id.clone(),
            severity: control.severity.clone(),
            refs: Vec::new(),
            title: task.title.clone(),
            kept: 0,
            not_kept: 0,
            unknown: 0,
            not_applicable: 0,
        })
    }

    /// The worst that can be said of it.
    pub fn class(&self) -> Class {
        match (self.not_kept, self.unknown, self.kept) {
            (1.., ..) => Class::Differs,
            (_, 1.., _) => Class::Open,
            (.., 1..) => Class::Good,
            _ => Class::Aside,
        }
    }
}

/// The controls in the order in which they were told. Where a host was not heard on one of them, it is unknown there.
pub fn controls(report: &Report) -> Vec<Control> {
    let mut all: Vec<Control> = Vec::new();
    let mut at: BTreeMap<&str, usize> = BTreeMap::new();
    let mut heard: HashSet<(&str, &str)> = HashSet::new();
    for task in report.tasks() {
        let Some(ruled) = &task.control else { continue };
        heard.insert((&ruled.id, &task.host));
        let place = *at.entry(&ruled.id).or_insert(all.len());
        if place == all.len() {
            all.extend(Control::of(task));
        }
        let Some(control) = all.get_mut(place) else { continue };
        for new in ruled.refs.iter().filter(|name| !control.refs.contains(name)).cloned().collect::<Vec<_>>() {
            control.refs.push(new);
        }
        *match task.outcome.class() {
            Class::Good => &mut control.kept,
            Class::Differs | Class::Broken => &mut control.not_kept,
            Class::Open => &mut control.unknown,
            Class::Aside => &mut control.not_applicable,
        } += 1;
    }
    for host in report.silent() {
        all.iter_mut().filter(|control| !heard.contains(&(&control.id, host))).for_each(|control| control.unknown += 1);
    }
    all
}

/// The clauses that the controls refer to, with the worst that can be said of each.
pub fn clauses(controls: &[Control]) -> BTreeMap<String, Class> {
    let mut clauses: BTreeMap<String, Class> = BTreeMap::new();
    for control in controls {
        for clause in &control.refs {
            let worst = clauses.entry(clause.clone()).or_insert(Class::Aside);
            *worst = (*worst).max(control.class());
        }
    }
    clauses
}

/// The standard that a clause belongs to: `CIS` of `CIS-D12-5.1.2`.
pub fn standard_of(clause: &str) -> &str {
    clause.split_once('-').map_or(clause, |(name, _)| name)
}

/// The standards that the controls refer to.
pub fn standards(report: &Report) -> Vec<Standard> {
    let mut all: Vec<Standard> = Vec::new();
    for (clause, class) in clauses(&controls(report)) {
        let name = standard_of(&clause);
        if all.last().is_none_or(|last| last.name != name) {
            all.push(Standard { name: name.to_owned(), kept: 0, not_kept: 0, unknown: 0, not_applicable: 0 });
        }
        let Some(standard) = all.last_mut() else { continue };
        *match class {
            Class::Good => &mut standard.kept,
            Class::Differs | Class::Broken => &mut standard.not_kept,
            Class::Open => &mut standard.unknown,
            Class::Aside => &mut standard.not_applicable,
        } += 1;
    }
    all
}
