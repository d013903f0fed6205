//! The host is this run's while it changes something there.

use super::site::{HOLD, Site};
use crate::act::{Hold, Lease, lasting};
use crate::event::What;
use crate::fact::{Facts, Standing};
use crate::host::{Loss, LossKind};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// How long until a host that another run holds is asked again.
const PAUSE: Duration = Duration::from_millis(500);

impl Site {
    /// Says what earlier runs left unproven.
    pub fn tell_guards(&self, facts: &Facts) {
        for open in facts.guards().into_iter().flatten() {
            let what = match open.state {
                Standing::Reverted => "was never proven by a new login and was taken back",
                Standing::Armed => "waits to be proven by a new login, and goes back by itself otherwise",
                Standing::GoingBack => "was never proven by a new login and is being taken back",
                Standing::Failed => "was never proven by a new login and could NOT be taken back so far",
            };
            let text = format!("step {} of run {} {what}", open.step, open.run);
            self.run.voice.say(What::Note { host: self.name(), text });
        }
    }

    /// Whether this run has the host.
    pub fn has_it(&self) -> bool {
        self.leased.is_some()
    }

    /// Takes the host for this run, and waits for it where another run holds it. Says whether something that was left
    /// unproven went back, so that all must be read again.
    ///
    /// # Errors
    /// It stays held, or cannot be asked.
    pub async fn take(&mut self, task: usize) -> Result<bool, Loss> {
        let run = Arc::clone(&self.run);
        let (over, who) = (run.settings.over.clone(), run.settings.who.clone());
        let what = Lease::Take { run: run.id.clone(), over, who, seconds: HOLD };
        let until = Instant::now() + run.settings.lock_timeout;
        let (mut stop, mut waits) = (run.settings.stop.clone(), false);
        let mut wait = async |site: &Self, told: String, stop: &mut watch::Receiver<bool>| {
            if !std::mem::replace(&mut waits, true) {
                let text = format!("{told}: waiting for it");
                site.run.voice.say(What::Note { host: site.name(), text });
            }
            // An interrupt ends the wait.
            let _ = tokio::time::timeout(PAUSE, stop.wait_for(|stop| *stop)).await;
        };
        let line = self.line(task).await?;
        let mut told_of: Vec<[String; 3]> = Vec::new();
        loop {
            match line.lease(&what).await? {
                Hold::Other { run, who, left, busy, .. } => {
                    let running = if busy { " (what it began still runs)" } else { "" };
                    let told = format!("run {run} of {who} has it {}{running}", lasting(left));
                    if Instant::now() >= until || *stop.borrow() {
                        let why = format!(
                            "{told}; `--lock-timeout` waits, `steadfast unlock {}` takes it away from a run that is no more",
                            self.name()
                        );
                        return Err(Loss { kind: LossKind::Held, why });
                    }
                    wait(self, told, &mut stop).await;
                }
                Hold::Ours(settled) => {
                    // Whatever comes next, it is this run's to give back, and what went back is told once.
                    self.leased = Some(task);
                    let (fired, back): (Vec<_>, Vec<_>) = settled.into_iter().partition(|[end, ..]| end == "fired");
                    for one in back {
                        if !told_of.contains(&one) {
                            self.tell_settled(&one);
                            told_of.push(one);
                        }
                    }
                    let Some([_, run, step]) = fired.first() else { break };
                    let told =
                        format!("step {step} of run {run} was never proven by a new login and is being taken back");
                    if Instant::now() >= until || *stop.borrow() {
                        return Err(Loss {
                            kind: LossKind::Held,
                            why: format!("{told}; `--lock-timeout` waits for it"),
                        });
                    }
                    wait(self, told, &mut stop).await;
                }
                Hold::Nobody => break,
            }
        }
        self.leased = Some(task);
        Ok(!told_of.is_empty())
    }

    /// Says what became of a change that an earlier run left unproven.
    fn tell_settled(&self, [end, run, step]: &[String; 3]) {
        let how = if end == "reverted" { "was taken back" } else { "could NOT be taken back" };
        let text = format!("step {step} of run {run} was never proven by a new login and {how}");
        self.run.voice.say(What::Note { host: self.name(), text });
    }

    /// Goes on holding the host for so many seconds, while what is done for it is done elsewhere.
    ///
    /// # Errors
    /// Another run has it by now, or it cannot be asked.
    pub(super) async fn keep(&mut self, task: usize, seconds: u64) -> Result<(), Loss> {
        let (run, who) = (self.run.id.clone(), self.run.settings.who.clone());
        let line = self.line(task).await?;
        match line.lease(&Lease::Take { run, over: vec![], who, seconds: seconds + HOLD }).await? {
            Hold::Ours(_) => Ok(()),
            Hold::Other { run, who, .. } => {
                Err(Loss { kind: LossKind::Held, why: format!("run {run} of {who} has it by now") })
            }
            Hold::Nobody => Err(Loss { kind: LossKind::Held, why: "it cannot be held any longer".into() }),
        }
    }

    /// Gives the host back, then ends its lines.
    pub async fn leave(&mut self) {
        super::fail::point("before-release");
        if let Some(task) = self.leased.take() {
            let what = Lease::Release { run: self.run.id.clone() };
            if let Some(line) = self.standing(task) {
                // It runs out by itself where nobody can be told.
                let _ = line.lease(&what).await;
            }
        }
        self.close().await;
    }
}
