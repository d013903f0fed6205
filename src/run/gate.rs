//! Gates: what waits until a person said yes. All hosts of a batch come to a gate before anybody is asked, and nobody is asked
//! twice.

use super::Run;
use super::site::Site;
use super::work::Work;
use crate::event::{Outcome, What};
use crate::plan::{Decision, Plan};
use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;

/// Asks a person; `true` is a yes.
type Ask = Arc<dyn Fn(&str) -> bool + Send + Sync>;

/// Who may open gates.
#[derive(Clone, Default)]
pub struct Approvals {
    /// Steps that were named beforehand.
    pub named: BTreeSet<String>,
    /// Asks the person at the terminal, where there is one.
    pub ask: Option<Ask>,
}

impl fmt::Debug for Approvals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Approvals").field("named", &self.named).field("asks", &self.ask.is_some()).finish()
    }
}

/// One gate of one batch.
#[derive(Debug)]
struct Gate {
    /// Tasks of hosts that have not come to it yet.
    waiting: Mutex<BTreeSet<usize>>,
    left: watch::Sender<usize>,
    /// Whether anything that follows would change something.
    holds: Mutex<bool>,
}

/// All gates of a run.
#[derive(Debug, Default)]
pub struct Gates {
    by_task: HashMap<usize, Arc<Gate>>,
    /// By step: whether it was opened, or why not.
    answers: tokio::sync::Mutex<HashMap<String, Result<String, String>>>,
    shut: Mutex<Option<String>>,
}

impl Gates {
    pub fn of(plan: &Plan) -> Self {
        let mut groups: HashMap<(usize, usize, &str), BTreeSet<usize>> = HashMap::new();
        for (n, task) in plan.tasks.iter().enumerate().filter(|(_, task)| task.is_gate()) {
            let batch = plan.plays[task.play].batches.iter().position(|hosts| hosts.contains(&task.host));
            groups.entry((task.play, batch.unwrap_or(0), &task.step.id)).or_default().insert(n);
        }
        let mut by_task = HashMap::new();
        for members in groups.into_values() {
            let left = watch::Sender::new(members.len());
            let gate = Arc::new(Gate { waiting: Mutex::new(members.clone()), left, holds: Mutex::new(false) });
            by_task.extend(members.into_iter().map(|task| (task, Arc::clone(&gate))));
        }
        Self { by_task, ..Self::default() }
    }

    /// A host came to a gate, or will never come there.
    pub fn arrive(&self, task: usize) {
        if let Some(gate) = self.by_task.get(&task) {
            let mut waiting = gate.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            waiting.remove(&task);
            gate.left.send_replace(waiting.len());
        }
    }

    /// Why no further host may begin: a gate stayed shut.
    pub fn shut(&self) -> Option<String> {
        self.shut.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Run {
    /// A step's yes: `Ok` says by whom, `Err` why there is none.
    fn ask(&self, step: &str, question: &str) -> Result<String, String> {
        let Approvals { named, ask } = &self.settings.approvals;
        if named.contains(step) {
            return Ok(format!("approved by {} (--approve {step})", self.settings.who));
        }
        let Some(ask) = ask else {
            return Err(format!("not approved: nobody could be asked, and there was no `--approve {step}`"));
        };
        let yes = tokio::task::block_in_place(|| ask(question));
        if yes {
            Ok(format!("approved by {}", self.settings.who))
        } else {
            Err("not approved: the answer was no".into())
        }
    }

    /// What is written after a task in its playbook, in a line.
    fn follows(&self, task: usize) -> String {
        let plan = &self.plan;
        let (play, host) = (plan.tasks[task].play, plan.tasks[task].host);
        let mut names: Vec<&str> = (task + 1..plan.tasks.len())
            .filter(|n| plan.tasks[*n].play == play && plan.tasks[*n].host == host)
            .map(|n| plan.tasks[n].step.id.as_str())
            .collect();
        let more = names.len().saturating_sub(12);
        names.truncate(12);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let hosts = plan.plays[play].batches.iter().map(Vec::len).sum::<usize>();
        format!("{}{more}, on {hosts} host{}", names.join(", "), if hosts == 1 { "" } else { "s" })
    }
}

impl Work<'_> {
    /// Waits for all hosts of the batch, then for a yes.
    pub(super) async fn gate(&mut self, site: &mut Site, task: usize, message: &str) -> Outcome {
        let run = Arc::clone(&self.shared.run);
        let gates = &self.shared.gates;
        let Some(gate) = gates.by_task.get(&task).cloned() else { return Outcome::Unchanged };
        if self.holds(task) {
            *gate.holds.lock().unwrap_or_else(PoisonError::into_inner) = true;
        }
        gates.arrive(task);
        let mut left = gate.left.subscribe();
        if *left.borrow() > 0 {
            // Another host may work meanwhile.
            self.let_others();
            let _ = left.wait_for(|left| *left == 0).await;
            self.back_again().await;
        }
        if !*gate.holds.lock().unwrap_or_else(PoisonError::into_inner) {
            let why = "nothing that follows would change anything, so nobody was asked".to_owned();
            return Outcome::Skipped { why, blocked: false, waived: false, because: None };
        }
        let step = run.plan.tasks[task].step.id.clone();
        let mut answers = gates.answers.lock().await;
        let is_new = !answers.contains_key(&step);
        let answer = answers.entry(step.clone()).or_insert_with(|| {
            run.ask(&step, &format!("{message}\n  what follows: {}\nGo on past {step}?", run.follows(task)))
        });
        match answer {
            Ok(by) => {
                if is_new {
                    run.voice.say(What::Note { host: site.name(), text: format!("{step} ({message}): {by}") });
                }
                Outcome::Unchanged
            }
            Err(why) => {
                *gates.shut.lock().unwrap_or_else(PoisonError::into_inner) = Some(format!("{step} is {why}"));
                Outcome::Skipped { why: why.clone(), blocked: true, waived: false, because: None }
            }
        }
    }

    /// Whether anything after a gate may change this host.
    fn holds(&self, task: usize) -> bool {
        let plan = &self.shared.run.plan;
        let host = plan.tasks[task].host;
        let quiet = |decision: &Decision| {
            matches!(decision, Decision::InSync | Decision::Skipped(_) | Decision::Manual(_) | Decision::Gate(_))
        };
        let after = (task + 1..plan.tasks.len()).take_while(|n| plan.tasks[*n].host == host);
        after.into_iter().any(|n| !self.first.get(&n).is_some_and(quiet))
    }

    /// Why a step that needs a yes of its own must not act; a gate before it is one.
    pub(super) fn unasked(&self, task: usize, question: &str) -> Option<Outcome> {
        let run = &self.shared.run;
        let plan = &run.plan;
        if plan.graph.before(task).iter().any(|(before, _)| plan.tasks[*before].is_gate()) {
            return None;
        }
        let step = &plan.tasks[task].step.id;
        let why = run.ask(step, question).err()?;
        Some(Outcome::Skipped {
            why: format!("{why}; a gate (`approve`) before it would do as well"),
            blocked: true,
            waived: false,
            because: None,
        })
    }
}
