//! From facts to what a task would change. Pure: asks nobody.

use super::{Plan, Why};
use crate::act::Act;
use crate::fact::{Answer, Baseline, Facts, Gap, Milestone, Query};
use crate::graph::Graph;
use crate::playbook::{Left, Made, Turn};
use crate::step::{Claim, Object, Row, Setting, is_known_way_in};
use std::collections::{HashMap, HashSet};

/// What a task would do.
#[derive(Debug, Clone, PartialEq)]
pub enum Decision {
    /// True already.
    InSync,
    /// These parts differ and can be set.
    Drift(Vec<Part>),
    /// It differs, and only a person can mend it.
    Manual(Vec<Part>),
    /// It can be told only once that task has acted.
    Pending { after: usize },
    /// It cannot be told, with the reason.
    Unknown(String),
    /// It runs, and nobody can say whether it changed something.
    Blind,
    /// It can never become true on this host, with the reason.
    Impossible(String),
    /// A person must say yes to this question before what follows.
    Gate(String),
    /// It is not for this host, with the reason.
    Skipped(Left),
}

/// What differs in one of a task's kinds.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// Which of the task's kinds, from 0.
    pub kind: usize,
    pub rows: Vec<Row>,
}

impl Decision {
    /// All rows, in order.
    pub fn rows(&self) -> Vec<Row> {
        match self {
            Self::Drift(parts) | Self::Manual(parts) => parts.iter().flat_map(|part| part.rows.clone()).collect(),
            _ => Vec::new(),
        }
    }

    /// What of it is set and proven first, and whether something is left that is planned anew after that.
    pub fn stage(&self, made: &[Made]) -> (Self, bool) {
        let Self::Drift(parts) = self else { return (self.clone(), false) };
        let first = |part: &Part| {
            let most = made.get(part.kind).map_or(part.rows.len(), |one| one.kind.first(&part.rows));
            Part { kind: part.kind, rows: part.rows[..most.min(part.rows.len())].to_vec() }
        };
        // Two that write the same thing would write over each other: the second sees first what the other left.
        let mut taken = HashSet::new();
        let alone = |part: &Part| -> bool {
            let things: HashSet<_> = part.rows.iter().map(|row| (row.object.clone(), row.field.clone())).collect();
            let free = taken.is_disjoint(&things);
            if free {
                taken.extend(things);
            }
            free
        };
        let stage = parts.iter().map(first).filter(|part| !part.rows.is_empty());
        let stage: Vec<Part> = stage.filter(alone).collect();
        let more = stage.iter().map(|part| part.rows.len()).sum::<usize>() < self.rows().len();
        (Self::Drift(stage), more)
    }

    /// Whether later tasks will meet another host than the one that was read.
    pub fn will_change(&self) -> bool {
        matches!(self, Self::Drift(_) | Self::Pending { .. } | Self::Blind)
    }

    /// The acts that make it true; empty when there is nothing to do.
    pub fn acts(&self, made: &[Made], facts: &Facts) -> Vec<Act> {
        let Self::Drift(parts) = self else { return Vec::new() };
        let set = |part: &Part| {
            let to: Vec<Setting> = part.rows.iter().map(Row::forward).collect();
            made.get(part.kind).map(|one| one.kind.set(&to, facts)).unwrap_or_default()
        };
        parts.iter().flat_map(set).collect()
    }
}

/// Decides one task. `tainted_by` is an earlier task that will change the host before this one's turn.
pub fn decide(made: &[Made], facts: &Facts, tainted_by: Option<usize>) -> Decision {
    if let Some(after) = tainted_by.filter(|_| made.iter().any(|one| one.kind.opaque())) {
        return Decision::Pending { after };
    }
    if let Some(message) = made.iter().find_map(|one| one.kind.gate()) {
        return Decision::Gate(message.to_owned());
    }
    let mut parts = Vec::new();
    let mut gaps = Vec::new();
    for (n, one) in made.iter().enumerate() {
        match one.kind.plan(facts) {
            Ok(rows) if rows.is_empty() => {}
            Ok(rows) => parts.push(Part { kind: n, rows }),
            Err(gap) => gaps.push(gap),
        }
    }
    // What is missing may be brought by an earlier task; what may not be read stays unread.
    if let Some(after) = tainted_by.filter(|_| gaps.iter().any(|gap| !matches!(gap, Gap::Unknown(_)))) {
        return Decision::Pending { after };
    }
    if made.iter().any(|one| one.kind.blind()) {
        return Decision::Blind;
    }
    // One part that cannot be told hides behind no other that can.
    match gaps.into_iter().next() {
        Some(Gap::Unknown(why)) => Decision::Unknown(why),
        Some(Gap::Missing(why) | Gap::Impossible(why)) => Decision::Impossible(why),
        None if parts.is_empty() => Decision::InSync,
        None if parts.iter().any(|part| made[part.kind].kind.read_only()) => Decision::Manual(parts),
        None => hidden_way_in(made, &parts, facts).map_or(Decision::Drift(parts), Decision::Impossible),
    }
}

/// Why a change must not be made because links lead it to a way in, though its path does not look so: nothing would guard it.
fn hidden_way_in(made: &[Made], parts: &[Part], facts: &Facts) -> Option<String> {
    let open = parts.iter().map(|part| &made[part.kind].kind).filter(|kind| !kind.access());
    let mut paths = open.flat_map(|kind| kind.claims()).filter_map(|claim| match claim {
        Claim::Owns { object: Object::Path(path), .. } => Some(path),
        _ => None,
    });
    paths.find_map(|path| {
        let to = facts.leads(&path).iter().find(|to| is_known_way_in(to))?;
        Some(format!("{path} leads to {to}, by which one gets in: write that path, so that the change is guarded"))
    })
}

/// Which earlier tasks make what was read of a host stale, while its tasks are walked in order.
#[derive(Debug, Default)]
pub struct Taint {
    by: HashMap<usize, usize>,
    /// Those that change something themselves.
    changed: HashSet<usize>,
}

impl Taint {
    /// The first task before this one, near or far, that changes the host.
    pub fn of(&self, graph: &Graph<Why>, task: usize) -> Option<usize> {
        // A gate changes nothing, and what is written before it need not be what this one asks about.
        let mut before = graph.before(task).into_iter().filter(|(_, why)| **why != Why::Gate);
        before.find_map(|(before, _)| self.by.get(&before).copied())
    }

    /// The task whose change makes this one due, when an `on_change:` leads here.
    pub fn follows(&self, graph: &Graph<Why>, task: usize) -> Option<usize> {
        let mut before = graph.before(task).into_iter();
        let anew = |before: &usize, why: &Why| match why {
            Why::OnChange => self.by.contains_key(before),
            Why::Disk => self.changed.contains(before),
            _ => false,
        };
        before.find(|(before, why)| anew(before, why)).map(|(before, _)| before)
    }

    /// The first task whose change may alter what a task's conditions ask: one that decides a thing asked about, or that
    /// is written to come before.
    pub fn doubts(&self, graph: &Graph<Why>, task: usize) -> Option<usize> {
        let before = graph.before(task).into_iter();
        let mut counts = before.filter(|(before, why)| match why {
            Why::Condition(_) => self.changed.contains(before),
            Why::Needs | Why::OnChange => true,
            Why::Object(_) | Why::Gate | Why::Disk => false,
        });
        counts.find_map(|(before, _)| self.by.get(&before).copied())
    }

    /// Says that a task is done, and whether it changed (or will change) the host.
    pub fn pass(&mut self, graph: &Graph<Why>, task: usize, changed: bool) {
        if changed {
            self.changed.insert(task);
        }
        if let Some(first) = self.of(graph, task).or_else(|| changed.then_some(task)) {
            self.by.insert(task, first);
        }
    }
}

/// Decides a task as it turned out to be.
pub fn decide_turn(turn: &Turn, facts: &Facts, tainted_by: Option<usize>) -> Decision {
    match turn {
        Turn::Made(made) => decide(made, facts, tainted_by),
        Turn::Left(left) => Decision::Skipped(left.clone()),
        Turn::Open { why, .. } => Decision::Unknown(why.clone()),
    }
}

/// What a task comes to that asks for the host's baseline while an earlier task of this run has one kept: it is measured at its
/// turn, unless that would say the same or could not be done.
fn measured(turn: &Turn, facts: &Facts, now: Decision, (after, baseline): &(usize, Baseline)) -> Decision {
    let asks = |made: &[Made]| made.iter().any(|one| one.kind.facts().contains(&Query::Baseline));
    if !matches!(turn, Turn::Made(made) if asks(made)) {
        return now;
    }
    let mut then = facts.clone();
    then.put(Query::Baseline, Ok(Answer::Baseline(Some(Box::new(baseline.clone())))));
    match decide_turn(turn, &then, None) {
        same if same == now => now,
        Decision::InSync | Decision::Drift(_) => Decision::Pending { after: *after },
        other => other,
    }
}

/// Whether keys that are well may be due behind a task that writes down a turn of the incident: since when they are too old is
/// told by what was written down.
fn dated(turn: &Turn, now: &Decision) -> bool {
    let asks = |one: &Made| one.kind.rotates() && one.kind.facts().contains(&Query::Incident);
    matches!((turn, now), (Turn::Made(made), Decision::InSync) if made.iter().any(asks))
}

/// Whether a task writes down a turn of the incident from which keys are dated.
fn dates(turn: &Turn) -> bool {
    let milestone = |one: &Made| matches!(one.kind.milestone(), Some(Milestone::Contained | Milestone::RolledBack));
    matches!(turn, Turn::Made(made) if made.iter().any(milestone))
}

/// Decides all tasks of a host from one reading, in order. `turn` gives what each task is, or why it cannot be filled in;
/// with `true`, while what its conditions ask is in doubt.
pub fn judge(
    plan: &Plan,
    order: &[usize],
    facts: &Facts,
    turn: impl Fn(usize, bool) -> Result<Turn, String>,
) -> Vec<(usize, Decision)> {
    let graph = &plan.graph;
    let mut taint = Taint::default();
    let mut kept: Option<(usize, Baseline)> = None;
    let mut turned: Option<usize> = None;
    let one = |task: &usize| {
        let doubts = taint.doubts(graph, *task).filter(|_| plan.tasks[*task].step.asks_host());
        let decision = match (turn(*task, doubts.is_some()), doubts, taint.follows(graph, *task)) {
            (Err(why), ..) => Decision::Impossible(why),
            (Ok(Turn::Open { .. }), Some(after), _) | (Ok(Turn::Made(_)), _, Some(after)) => {
                Decision::Pending { after }
            }
            (Ok(turn), ..) => {
                let now = decide_turn(&turn, facts, taint.of(graph, *task));
                let now = match &kept {
                    Some(kept) => measured(&turn, facts, now, kept),
                    None => now,
                };
                let will = |one: &Made| Some((*task, one.kind.keeps(facts)?));
                if let (Turn::Made(made), Decision::InSync) = (&turn, &now) {
                    kept = made.iter().find_map(will).or(kept.take());
                }
                if dates(&turn) && now.will_change() {
                    turned = turned.or(Some(*task));
                }
                turned.filter(|_| dated(&turn, &now)).map_or(now, |after| Decision::Pending { after })
            }
        };
        taint.pass(graph, *task, decision.will_change());
        (*task, decision)
    };
    order.iter().map(one).collect()
}
