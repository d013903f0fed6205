//! The graph of tasks with their changes: made whole, shown, then run.
//!
//! `compile` chooses hosts and steps, `edges` finds the order, `decide` says from facts what each task would change.
//! A task is a step on a host. Nothing here touches a host.

pub use crate::day::Day;
use crate::expr::{Ask, Scope, Template};
use crate::fact::{Facts, Query};
use crate::fault::{Fault, Faults};
use crate::graph::Graph;
use crate::inventory::Connection;
use crate::playbook::{Budget, Left, Made, Mode, Step, Turn, question};
use std::collections::BTreeSet;
use std::sync::Arc;

mod back;
mod compile;
mod decide;
mod doors;
mod draw;
mod edges;
mod night;
mod saved;
mod scope;
mod waive;

pub use back::{Back, back};
pub use compile::{Options, compile, hosts_of, neighbours, wanted_steps};
pub use decide::{Decision, Part, Taint, decide, decide_turn, judge};
pub use draw::{Format, draw};
pub use saved::{Approved, Key, Shown};
pub use waive::{VARIABLE as WAIVE, Waiver, schema as waivers_schema, waivers};

/// All that is to be done, in order, for one run.
#[derive(Debug)]
pub struct Plan {
    pub hosts: Vec<Host>,
    pub plays: Vec<Play>,
    /// Host by host, in the order of the playbooks.
    pub tasks: Vec<Task>,
    /// Over the numbers of `tasks`.
    pub graph: Graph<Why>,
    /// One order that keeps every edge.
    pub order: Vec<usize>,
    /// All hosts of the inventory: what is changed here may be the way to them.
    pub neighbours: Vec<Host>,
    /// What a person should know of it, and what is no mistake.
    pub notes: Vec<Fault>,
}

/// A host that takes part.
#[derive(Debug, Clone)]
pub struct Host {
    pub name: String,
    pub connection: Connection,
    /// Its variables, extra ones included, without those of playbooks.
    pub scope: Arc<scope::HostScope>,
}

/// One playbook on its hosts.
#[derive(Debug)]
pub struct Play {
    pub name: String,
    pub file: String,
    pub vars: Scope,
    /// Host numbers, batch by batch.
    pub batches: Vec<Vec<usize>>,
    pub budget: Budget,
    pub mode: Mode,
    /// Its first batch decides whether there is a second one, whatever failures are borne: keys are replaced in it.
    pub canary: bool,
}

/// As whom the tasks of a run act: each writes a journal of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Acted {
    pub as_root: bool,
    pub as_user: bool,
}

/// A step on a host.
#[derive(Debug)]
pub struct Task {
    pub host: usize,
    pub play: usize,
    pub step: Arc<Step>,
    pub body: Body,
    /// Whether it acts as root, where that was said.
    pub become_root: Option<bool>,
    /// A waiver of its control that is too old, in words.
    pub expired: Option<String>,
}

impl Task {
    /// Whether it is a gate, which is known before its question is filled in.
    pub fn is_gate(&self) -> bool {
        self.step.kind == "approve"
    }
}

/// What a task consists of.
#[derive(Debug, Clone)]
pub enum Body {
    /// Everything is filled in; a loop gives several.
    Made(Arc<[Made]>),
    /// It is not for this host.
    Left(Left),
    /// It depends on what the host says, so it is told when that was read: these questions are asked with all others.
    /// Perhaps it will be `hope`.
    Late { hope: Arc<[Made]>, asks: Arc<[Ask]> },
}

/// Why one task comes before another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// `needs:` says so.
    Needs,
    /// `on_change:` says so.
    OnChange,
    /// The later one reads or stands in what the earlier one owns.
    Object(String),
    /// The later one waits for a gate; or it is one, or puts the disk back, and comes after what is written before it.
    Gate,
    /// The earlier one puts the disk back: the later one meets another host.
    Disk,
    /// The later one's condition asks about what the earlier one owns.
    Condition(String),
}

impl Plan {
    /// The names of its hosts, in order.
    pub fn host_names(&self) -> Vec<String> {
        self.hosts.iter().map(|host| host.name.clone()).collect()
    }

    /// `host/step`.
    pub fn name(&self, task: usize) -> String {
        let task = &self.tasks[task];
        format!("{}/{}", self.hosts[task.host].name, task.step.id)
    }

    /// What a task is called, with its names filled in where they are known.
    pub fn title(&self, task: usize) -> String {
        let Task { host, play, step, .. } = &self.tasks[task];
        if !Template::is_one(&step.title) {
            return step.title.clone();
        }
        let scope = self.hosts[*host].scope.whole(&self.plays[*play].vars, step, None);
        step.titled(&scope).unwrap_or_else(|_| step.title.clone())
    }

    /// As whom its tasks act.
    pub fn acted(&self) -> Acted {
        let as_root = |root: bool| (0..self.tasks.len()).any(|task| self.becomes_root(task) == root);
        Acted { as_root: as_root(true), as_user: as_root(false) }
    }

    /// Whether a task acts as root on its host: what the inventory says of the host is nearest to the truth.
    pub fn becomes_root(&self, task: usize) -> bool {
        let task = &self.tasks[task];
        self.hosts[task.host].connection.become_root.or(task.become_root).unwrap_or(false)
    }

    /// The tasks that a change of this one makes due.
    pub fn followers(&self, task: usize) -> Vec<usize> {
        if self.tasks[task].step.on_change.is_empty() {
            return vec![];
        }
        let is_due = |after: &usize| {
            self.graph.before(*after).iter().any(|(before, why)| *before == task && **why == Why::OnChange)
        };
        self.graph.after(task).into_iter().filter(is_due).collect()
    }

    /// The tasks whose change makes this one due, those that lead to it by others included.
    pub fn triggers(&self, task: usize) -> BTreeSet<usize> {
        let mut found = BTreeSet::new();
        let mut left = vec![task];
        while let Some(after) = left.pop() {
            for (before, why) in self.graph.before(after) {
                if *why == Why::OnChange && found.insert(before) {
                    left.push(before);
                }
            }
        }
        found
    }

    /// The tasks of a host in the order in which they run.
    pub fn of_host(&self, host: usize) -> Vec<usize> {
        self.order.iter().copied().filter(|task| self.tasks[*task].host == host).collect()
    }
}

impl Task {
    /// What it is or may become, as far as that is known without the host.
    pub fn hope(&self) -> &[Made] {
        match &self.body {
            Body::Made(made) => made,
            Body::Late { hope, .. } => hope,
            Body::Left(_) => &[],
        }
    }

    /// What its conditions ask of the host.
    pub fn asks(&self) -> &[Ask] {
        if let Body::Late { asks, .. } = &self.body { asks } else { &[] }
    }

    /// Whether it is told only when the host was read.
    pub fn is_late(&self) -> bool {
        matches!(self.body, Body::Late { .. })
    }

    /// All it asks of its host, as far as that is known: a step whose condition has yet to be told asks already.
    pub fn queries(&self) -> Vec<Query> {
        let kinds = self.hope().iter().flat_map(|one| one.kind.facts());
        self.asks().iter().filter_map(question::query).chain(kinds).collect()
    }

    /// What it is on its host, now that this was read of it. With `doubt`, what its conditions ask is not known, because
    /// an earlier task changes it.
    ///
    /// # Errors
    /// Names that do not exist, fields that do not fit.
    pub fn turn(&self, plan: &Plan, facts: &Facts, doubt: bool) -> Result<Turn, Faults> {
        match &self.body {
            Body::Made(made) => Ok(Turn::Made(Arc::clone(made))),
            Body::Left(left) => Ok(Turn::Left(left.clone())),
            Body::Late { hope, .. } => {
                let os = match (facts.os(), self.step.uses.iter().any(|name| name == "os")) {
                    (Ok(os), _) => Some(os),
                    (Err(gap), true) => {
                        let why = format!("what the host is could not be read: {gap:?}");
                        return Ok(Turn::Open { why, unasked: vec![], hope: Arc::clone(hope) });
                    }
                    (Err(_), false) => None,
                };
                let vars = &plan.plays[self.play].vars;
                let scope = plan.hosts[self.host].scope.with(vars, &self.step, &self.step.uses, os);
                let host = |ask: &Ask| if doubt { question::unasked(ask) } else { question::reply(ask, facts) };
                self.step.make(&scope, &host)
            }
        }
    }
}
