//! A run as its events leave it: what every report is told from.

use crate::event::{Event, Mode, Outcome, Summary, TaskDone, What};
use crate::fact::Turn;
use crate::host::LossKind;
use std::collections::{BTreeMap, HashMap, HashSet};

/// Gathers the events of one run. All reports are told from it, whether the run goes on, is over, or was broken off.
#[derive(Debug, Clone, Default)]
pub struct Report {
    pub run: String,
    pub mode: Option<Mode>,
    /// The program's version.
    pub version: String,
    pub who: String,
    /// A keyed digest of what the plan meant; empty where nothing could be changed.
    pub plan: String,
    /// Milliseconds since 1970, of the first event and of the last.
    pub began: u64,
    pub until: u64,
    pub playbooks: Vec<String>,
    pub hosts: Vec<String>,
    pub steps: usize,
    tasks: Vec<TaskDone>,
    /// Begun and without an end so far, by host and step.
    open: HashSet<(String, String)>,
    /// Where the word on a step of a host stands in `tasks`.
    at: HashMap<(String, String), usize>,
    pub lost: Vec<(String, LossKind, String)>,
    pub stopped: Vec<(String, Vec<String>)>,
    pub notes: Vec<(String, String)>,
    /// Turns of incidents, by host, as they were told.
    pub turns: Vec<(String, Turn)>,
    /// By host: what it is.
    pub seen: BTreeMap<String, String>,
    /// By host: how long it took, in milliseconds.
    pub took: BTreeMap<String, u64>,
    /// None while it goes on, or where it was broken off.
    pub end: Option<End>,
    pub past: Past,
}

/// How a run ended.
#[derive(Debug, Clone)]
pub struct End {
    pub summary: Summary,
    pub exit: u8,
    pub interrupted: bool,
    pub ms: u64,
}

/// What earlier runs came to, as far as anybody remembers.
#[derive(Debug, Clone, Default)]
pub struct Past {
    /// The run before this one over the same playbooks.
    pub run: Option<String>,
    /// What that run said, by host and step: a word of [`Outcome::word`].
    pub before: HashMap<(String, String), String>,
    /// Earlier runs over the same playbooks, the oldest first.
    pub trend: Vec<Point>,
}

/// One run in a trend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Point {
    pub run: String,
    /// Milliseconds since 1970.
    pub began: u64,
    pub mode: String,
    pub exit: Option<u8>,
    pub summary: Summary,
}

/// Whether something that is not well was so before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Baseline {
    /// It was well, or was not looked at.
    New,
    /// It was the same.
    Same,
    /// It was not well in another way.
    Other,
}

impl Report {
    /// All events of a run.
    pub fn of<'a>(events: impl IntoIterator<Item = &'a Event>) -> Self {
        let mut report = Self::default();
        events.into_iter().for_each(|event| report.take(event));
        report
    }

    /// Takes one event.
    pub fn take(&mut self, event: &Event) {
        if self.began == 0 {
            self.began = event.at;
        }
        self.until = event.at;
        match &event.what {
            What::Version { steadfast, .. } => self.version = steadfast.to_string(),
            What::RunStarted { run, mode, who, plan, hosts, playbooks, steps, .. } => {
                (self.run, self.mode, self.who, self.plan) = (run.clone(), Some(*mode), who.clone(), plan.clone());
                (self.hosts, self.playbooks, self.steps) = (hosts.clone(), playbooks.clone(), *steps);
            }
            What::HostSeen { host, os, version, kernel, arch } => {
                let words = [os.as_str(), version, kernel, arch];
                let words: Vec<&str> = words.into_iter().filter(|word| !word.is_empty()).collect();
                self.seen.insert(host.clone(), words.join(" "));
            }
            What::TaskStarted { host, step } => {
                self.open.insert((host.clone(), step.clone()));
            }
            What::TaskDone(done) => {
                self.open.remove(&(done.host.clone(), done.step.clone()));
                let at = *self.at.entry((done.host.clone(), done.step.clone())).or_insert(self.tasks.len());
                match self.tasks.get_mut(at) {
                    Some(former) => *former = (**done).clone(),
                    None => self.tasks.push((**done).clone()),
                }
            }
            What::HostLost { host, kind, why } => self.lost.push((host.clone(), *kind, why.clone())),
            What::Note { host, text } => self.notes.push((host.clone(), text.clone())),
            What::Incident { host, turn } => self.turns.push((host.clone(), turn.clone())),
            What::Stopped { why, hosts } => self.stopped.push((why.clone(), hosts.clone())),
            What::HostDone { host, ms } => {
                self.took.insert(host.clone(), *ms);
            }
            What::RunDone { summary, exit, interrupted, ms } => {
                let (summary, exit, interrupted, ms) = (summary.clone(), *exit, *interrupted, *ms);
                self.end = Some(End { summary, exit, interrupted, ms });
            }
            What::BatchStarted { .. } | What::HostConnected { .. } => {}
        }
    }

    /// The ends of the tasks: hosts in the inventory's order, for they answer in any.
    pub fn tasks(&self) -> Vec<&TaskDone> {
        let place: HashMap<&str, usize> = self.hosts.iter().enumerate().map(|(n, host)| (host.as_str(), n)).collect();
        let mut tasks: Vec<&TaskDone> = self.tasks.iter().collect();
        tasks.sort_by_key(|task| place.get(task.host.as_str()).copied());
        tasks
    }

    /// How many were begun and have no end.
    pub fn running(&self) -> usize {
        self.open.len()
    }

    /// How many of each; of a run without an end as far as it came.
    pub fn summary(&self) -> Summary {
        if let Some(end) = &self.end {
            return end.summary.clone();
        }
        let mut summary = Summary { hosts: self.hosts.len(), unreachable: self.lost.len(), ..Summary::default() };
        self.tasks.iter().for_each(|task| summary.count(&task.outcome));
        summary
    }

    /// The count of each host that was heard of.
    pub fn by_host(&self) -> BTreeMap<&str, Summary> {
        let mut all: BTreeMap<&str, Summary> = BTreeMap::new();
        for task in &self.tasks {
            all.entry(&task.host).or_default().count(&task.outcome);
        }
        all
    }

    /// What an earlier run said of a task that is not well now; none where no run is remembered.
    pub fn baseline(&self, task: &TaskDone) -> Option<Baseline> {
        self.past.run.as_ref()?;
        let before = self.past.before.get(&(task.host.clone(), task.step.clone()));
        Some(match before.map(String::as_str) {
            None | Some("unchanged" | "changed" | "skipped") => Baseline::New,
            Some(word) if word == task.outcome.word() => Baseline::Same,
            Some(_) => Baseline::Other,
        })
    }

    /// The hosts that did not come to their end: lost, left as they are, or cut off with the run.
    pub fn silent(&self) -> impl Iterator<Item = &str> {
        let lost: HashSet<&str> = self.lost.iter().map(|(host, ..)| host.as_str()).collect();
        let left: HashSet<&str> = self.stopped.iter().flat_map(|(_, hosts)| hosts).map(String::as_str).collect();
        let cut = self.end.as_ref().is_none_or(|end| end.interrupted);
        let hosts = self.hosts.iter().map(String::as_str);
        hosts.filter(move |host| lost.contains(host) || left.contains(host) || (cut && !self.took.contains_key(*host)))
    }

    /// Why a host was never begun with, where that is so.
    pub fn not_started(&self, host: &str) -> Option<&str> {
        self.stopped.iter().find(|(_, hosts)| hosts.iter().any(|name| name == host)).map(|(why, _)| why.as_str())
    }

    /// How a host was lost, in words.
    pub fn loss(&self, host: &str) -> Option<String> {
        let (_, kind, why) = self.lost.iter().find(|(name, ..)| name == host)?;
        Some(crate::host::Loss { kind: *kind, why: why.clone() }.to_string())
    }
}

/// Whether a task tells something though nothing is to be done about it, such as signs that are why a playbook is run.
pub fn tells(task: &TaskDone) -> bool {
    task.outcome == Outcome::Unchanged && !task.rows.is_empty()
}

/// The word for how a task ended.
pub fn word(task: &TaskDone) -> &'static str {
    if task.outcome.is_waived() { "waived" } else { task.outcome.word() }
}

/// The reason for how a task ended, as a sentence; empty where there is none.
pub fn reason(task: &TaskDone) -> String {
    let why = match &task.outcome {
        Outcome::Pending { after } => format!("it can be told only after {after}"),
        Outcome::Manual => "a person must mend it".into(),
        Outcome::Skipped { why, because: Some(because), .. } => format!("{because}: {why}"),
        other => other.why().unwrap_or_default().to_owned(),
    };
    let expired = task.expired_waiver.clone().unwrap_or_default();
    [why, expired].iter().filter(|text| !text.is_empty()).cloned().collect::<Vec<_>>().join("; ")
}
