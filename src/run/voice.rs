//! Numbers the events of a run and keeps count.

use crate::event::{Event, Outcome, Summary, What};
use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::sync::mpsc::UnboundedSender;

/// Where a run says what happens; what is said comes out in one order.
#[derive(Debug)]
pub struct Voice(Mutex<Inner>);

#[derive(Debug)]
struct Inner {
    seq: u64,
    summary: Summary,
    /// The last word on each step of each host.
    last: HashMap<(String, String), Outcome>,
    lost: BTreeSet<String>,
    listener: UnboundedSender<Event>,
}

impl Voice {
    pub fn new(listener: UnboundedSender<Event>) -> Self {
        Self(Mutex::new(Inner {
            seq: 0,
            summary: Summary::default(),
            last: HashMap::new(),
            lost: BTreeSet::new(),
            listener,
        }))
    }

    /// Says one thing.
    pub fn say(&self, what: What) {
        let what = what.veiled();
        let mut guard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let inner = &mut *guard;
        inner.seq += 1;
        match &what {
            What::RunStarted { hosts, .. } => inner.summary.hosts = hosts.len(),
            What::HostLost { host, .. } => {
                inner.summary.unreachable += 1;
                inner.lost.insert(host.clone());
            }
            What::TaskDone(done) => {
                let task = (done.host.clone(), done.step.clone());
                if let Some(former) = inner.last.insert(task, done.outcome.clone()) {
                    inner.summary.uncount(&former);
                }
                inner.summary.count(&done.outcome);
            }
            _ => {}
        }
        let at = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
        let event = Event { seq: inner.seq, at: u64::try_from(at).unwrap_or(u64::MAX), what };
        // Nobody listens any more: the program is ending.
        let _ = inner.listener.send(event);
    }

    /// The hosts with a step that failed, and those that were lost.
    pub fn bad_hosts(&self) -> (BTreeSet<String>, BTreeSet<String>) {
        let inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let failed = inner.last.iter().filter(|(_, outcome)| is_failure(outcome));
        (failed.map(|((host, _), _)| host.clone()).collect(), inner.lost.clone())
    }

    /// The count so far.
    pub fn summary(&self) -> Summary {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).summary.clone()
    }
}

/// Whether a host with such an end of a step has failed.
fn is_failure(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Failed { .. } | Outcome::Reverted { .. } | Outcome::Stale { .. })
}

/// Whether later tasks that need this one may run.
pub fn is_good(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Unchanged | Outcome::Changed => true,
        Outcome::Skipped { blocked, .. } => !blocked,
        // A finding for a person, or a command that cannot tell, keeps nobody from going on.
        Outcome::Manual | Outcome::Unknown { .. } => true,
        Outcome::Drift
        | Outcome::Pending { .. }
        | Outcome::Failed { .. }
        | Outcome::Reverted { .. }
        | Outcome::Stale { .. } => false,
    }
}
