//! The graph of tasks with their changes: made whole, shown, then run.
//!
//! `compile` chooses hosts and steps, `edges` finds the order, `decide` says from facts what each task would change.
//! A task is a step on a host. Nothing here touches a host.

use crate::expr::{Scope, Template};
use crate::fact::{Os, Query};
use crate::fault::Faults;
use crate::graph::Graph;
use crate::inventory::Connection;
use crate::playbook::{Budget, Made, Step};
use std::sync::Arc;

mod back;
mod compile;
mod decide;
mod doors;
mod draw;
mod edges;
mod saved;
mod scope;

pub use back::{Back, back};
pub use compile::{Options, compile, hosts_of, wanted_steps};
pub use decide::{Decision, Part, Taint, decide, judge};
pub use draw::{Format, draw};
pub use saved::{Approved, Key, Shown};

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
}

/// What a task consists of.
#[derive(Debug, Clone)]
pub enum Body {
    /// Everything is filled in; a loop gives several, a condition that does not hold gives none.
    Made(Arc<[Made]>),
    /// It depends on what the host is, so it is filled in when that was read.
    Late,
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
}

impl Plan {
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
        let scope = self.hosts[*host].scope.whole(&self.plays[*play].vars, &step.vars, None);
        step.titled(&scope).unwrap_or_else(|_| step.title.clone())
    }

    /// Whether a task acts as root on its host: what the inventory says of the host is nearest to the truth.
    pub fn becomes_root(&self, task: usize) -> bool {
        let task = &self.tasks[task];
        self.hosts[task.host].connection.become_root.or(task.become_root).unwrap_or(false)
    }

    /// The tasks of a host in the order in which they run.
    pub fn of_host(&self, host: usize) -> Vec<usize> {
        self.order.iter().copied().filter(|task| self.tasks[*task].host == host).collect()
    }
}

impl Task {
    /// All it asks of its host, as far as that is known: a step whose condition has yet to be told asks already.
    pub fn queries(&self) -> Vec<Query> {
        match (&self.body, &self.step.ready) {
            (Body::Made(made), _) => made.iter().flat_map(|one| one.kind.facts()).collect(),
            (Body::Late, Some(kind)) => kind.facts(),
            (Body::Late, None) => Vec::new(),
        }
    }

    /// Fills in a late task, now that the host is known.
    ///
    /// # Errors
    /// Names that do not exist, fields that do not fit.
    pub fn make(&self, plan: &Plan, os: &Os) -> Result<Arc<[Made]>, Faults> {
        match &self.body {
            Body::Made(made) => Ok(Arc::clone(made)),
            Body::Late => {
                let vars = &plan.plays[self.play].vars;
                let scope = plan.hosts[self.host].scope.with(vars, &self.step.vars, &self.step.uses, Some(os));
                Ok(self.step.make(&scope)?.into())
            }
        }
    }
}
