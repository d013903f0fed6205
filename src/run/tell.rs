//! What is said of a host's tasks: one word each, with all that a report needs.

use super::site::Site;
use crate::event::{Differs, Moved, Outcome, Since, TaskDone, What};
use crate::fact::Facts;
use crate::host::Loss;
use crate::plan::Decision;
use crate::step::{Disruption, Row};

impl Site {
    /// Says what a check found of a task.
    pub fn tell(&self, task: usize, decision: &Decision) {
        let outcome = match decision {
            Decision::InSync => Outcome::Unchanged,
            Decision::Drift(_) => Outcome::Drift,
            Decision::Manual(_) => Outcome::Manual,
            Decision::Pending { after } => Outcome::Pending { after: self.run.plan.name(*after) },
            Decision::Unknown(why) => Outcome::Unknown { why: why.clone() },
            Decision::Blind => {
                Outcome::Unknown { why: "it has no `check:`, so nobody can say whether it is needed".into() }
            }
            Decision::Impossible(why) => Outcome::Failed { why: why.clone() },
            Decision::Skipped(left) => Outcome::left(left),
        };
        self.done(task, outcome, decision.rows());
    }

    /// Says how a task ended.
    pub fn done(&self, task: usize, outcome: Outcome, rows: Vec<Row>) {
        let step = &self.run.plan.tasks[task].step;
        let made = self.made(task);
        let kinds = || made.iter().map(|one| &one.kind);
        let past = &self.run.settings.past;
        let meaning = past
            .key
            .digest(made.iter().map(|one| format!("{:?}", one.kind)).collect::<Vec<_>>().iter().map(String::as_bytes));
        let left = past.left.get(&(self.name(), step.id.clone()));
        let differs = step.kind != "restore" && matches!(outcome, Outcome::Drift | Outcome::Manual | Outcome::Changed);
        let since = left.filter(|_| differs).map(|(wanted, run)| Since {
            moved: if *wanted == meaning { Moved::Host } else { Moved::Playbook },
            run: run.clone(),
        });
        self.run.voice.say(What::TaskDone(Box::new(TaskDone {
            host: self.name(),
            step: step.id.clone(),
            title: self.run.plan.title(task),
            kind: step.kind.into(),
            control: step.control.clone(),
            place: (&step.place).into(),
            outcome,
            rows: rows.iter().map(Differs::from).collect(),
            disruption: kinds().map(|kind| kind.disruption()).max().unwrap_or(Disruption::None),
            undo: self.undo(task),
            access: self.access(task),
            since,
            expired_waiver: self.run.plan.tasks[task].expired.clone(),
            meaning,
        })));
    }

    /// Says that a task begins to act.
    pub fn started(&self, task: usize) {
        let step = self.run.plan.tasks[task].step.id.clone();
        self.run.voice.say(What::TaskStarted { host: self.name(), step });
    }

    /// Says that the host is lost.
    pub fn lost(&self, loss: &Loss) {
        self.run.voice.say(What::HostLost { host: self.name(), kind: loss.kind, why: loss.why.clone() });
    }

    /// Says what earlier runs left unproven.
    pub fn tell_guards(&self, facts: &Facts) {
        for open in facts.guards().into_iter().flatten() {
            let what = if open.reverted {
                "was never proven by a new login and was taken back"
            } else {
                "waits to be proven by a new login, and goes back by itself otherwise"
            };
            let text = format!("step {} of run {} {what}", open.step, open.run);
            self.run.voice.say(What::Note { host: self.name(), text });
        }
    }
}
