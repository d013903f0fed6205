//! The tasks of one host in one play, one after the other: read just before, set, read again; at the end all of it once
//! more, because steps without an edge between them may undo each other.

use super::apply::Shared;
use super::fail;
use super::guard::Open;
use super::proof::Change;
use super::site::Site;
use super::voice::is_good;
use crate::event::Outcome;
use crate::fact::{Answer, Baseline, Facts, Query};
use crate::host::Loss;
use crate::plan::{Decision, Taint, decide};
use crate::playbook::Made;
use crate::step::Row;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::OwnedSemaphorePermit;

/// The tasks of one host in one play, while they run.
pub struct Work<'a> {
    pub(super) shared: &'a Shared,
    pub(super) order: &'a [usize],
    pub(super) facts: Facts,
    /// The facts of this task were read after the last change.
    pub(super) fresh: Option<usize>,
    taint: Taint,
    /// How each task ended.
    pub(super) ends: HashMap<usize, Outcome>,
    /// Something was set since the host was surveyed.
    pub(super) touched: bool,
    /// The last task that acted.
    pub(super) acted: Option<usize>,
    /// What was changed so far, in its order.
    pub(super) made: Vec<Change>,
    /// Changes to the way in that wait for their proof.
    pub(super) open: Option<Open>,
    /// Some of them went back instead, since that was last asked.
    pub(super) went_back: bool,
    /// The task of which a part is being made: that this part stands is no word on the whole.
    pub(super) half: Option<usize>,
    /// Such a part stands, and there is no word on the task yet.
    stands: Option<usize>,
    permit: Option<OwnedSemaphorePermit>,
    /// What each task would do, by the first reading.
    pub(super) first: Arc<HashMap<usize, Decision>>,
    /// What ended before the host's disk was put back: nobody holds it to that any more.
    pub(super) gone: HashSet<usize>,
    /// It was said that all behind the way back holds.
    pub(super) hardened: bool,
    /// The host does not answer, and what is done needs no word of it.
    pub(super) away: bool,
}

impl<'a> Work<'a> {
    pub fn new(shared: &'a Shared, order: &'a [usize]) -> Self {
        Self {
            shared,
            order,
            facts: Facts::default(),
            fresh: None,
            taint: Taint::default(),
            ends: HashMap::new(),
            touched: false,
            acted: None,
            made: vec![],
            open: None,
            went_back: false,
            half: None,
            stands: None,
            permit: None,
            first: Arc::default(),
            gone: HashSet::new(),
            hardened: false,
            away: false,
        }
    }

    pub async fn all(&mut self, site: &mut Site) -> Result<(), Loss> {
        self.permit = self.shared.permit().await;
        // Others that began before may have used up what the playbook bears.
        let play = self.order.first().map(|task| self.shared.run.plan.tasks[*task].play);
        if play.is_some_and(|play| self.shared.run.enough(play, None).is_some()) {
            self.shared.passed_over.lock().await.push(site.host);
            return Ok(());
        }
        if self.order.is_empty() || *self.shared.run.settings.stop.borrow() {
            return Ok(());
        }
        self.recall(site);
        self.end_way_back(site).await?;
        self.go(site).await
    }

    /// All that has not ended yet.
    pub(super) async fn go(&mut self, site: &mut Site) -> Result<(), Loss> {
        let decisions = self.begin(site).await?;
        site.met(&decisions);
        let first: Arc<HashMap<usize, Decision>> = Arc::new(decisions.into_iter().collect());
        self.first = Arc::clone(&first);
        for (at, task) in self.order.iter().enumerate() {
            if *self.shared.run.settings.stop.borrow() {
                break;
            }
            if self.ends.contains_key(task) {
                continue;
            }
            let idle = |task: &usize| matches!(first[task], Decision::InSync | Decision::Skipped(_));
            let next = self.order[at + 1..].iter().copied().find(|next| !idle(next));
            self.turn(site, *task, next).await?;
            if !self.joins(site, next, &first) {
                self.prove(site).await?;
            }
        }
        // An interrupt leaves nothing unproven.
        self.prove(site).await?;
        if self.touched { self.settle(site).await } else { Ok(()) }
    }

    /// Reads the host, and takes it where something is to be changed: what changes nothing holds nobody up, and what is
    /// changed is read once more under the lease.
    async fn begin(&mut self, site: &mut Site) -> Result<Vec<(usize, Decision)>, Loss> {
        let run = Arc::clone(&self.shared.run);
        let as_root = self.order.iter().copied().find(|task| run.plan.becomes_root(*task));
        let Some(task) = as_root.or(self.order.first().copied()) else { return Ok(vec![]) };
        // What a run that is over began may still run.
        if !run.settings.over.is_empty() && !site.has_it() {
            site.take(task).await?;
        }
        self.facts = site.survey(self.order).await?;
        let decisions = site.judge(self.order, &self.facts);
        let unproven = self.facts.guards().is_ok_and(|guards| !guards.is_empty());
        if site.has_it() || !(unproven || decisions.iter().any(|(_, decision)| decision.will_change())) {
            return Ok(decisions);
        }
        fail::point("before-lease");
        let moved = site.take(task).await?;
        fail::point("leased");
        if moved {
            self.facts = site.survey(self.order).await?;
            return Ok(site.judge(self.order, &self.facts));
        }
        Ok(decisions)
    }

    /// One task from its beginning to the word on it.
    async fn turn(&mut self, site: &mut Site, task: usize, next: Option<usize>) -> Result<(), Loss> {
        let ended = self.one(site, task, next).await;
        (self.half, self.stands) = (None, self.stands.filter(|_| ended.is_err()));
        if let (Err(loss), Some(task)) = (&ended, self.stands.take()) {
            let why = format!("the host was lost when a part of it was set: {loss}");
            self.tell(site, task, Outcome::Unknown { why }, vec![]);
        }
        let (outcome, rows) = ended?;
        let looked = matches!(outcome, Outcome::Manual | Outcome::Unchanged);
        let moved = (!rows.is_empty() && !looked) || self.acted == Some(task);
        self.taint.pass(&self.shared.run.plan.graph, task, moved);
        if outcome == Outcome::Changed && site.made(task).iter().any(|one| one.kind.rotates()) {
            self.rotated(site, task);
        }
        // It waits for its proof, or was told with the others that waited.
        if self.open.as_ref().is_some_and(|open| open.members.iter().any(|member| member.task == task)) {
            self.ends.insert(task, outcome);
        } else if !self.ends.contains_key(&task) {
            self.tell(site, task, outcome, rows);
        }
        Ok(())
    }

    /// The word on a task.
    pub(super) fn tell(&mut self, site: &Site, task: usize, outcome: Outcome, rows: Vec<Row>) {
        let good = is_good(&outcome);
        self.ends.insert(task, outcome.clone());
        if self.half == Some(task) && outcome == Outcome::Changed {
            self.stands = Some(task);
            return self.mark_half(site, task);
        }
        self.mark(site, task, &outcome, &rows);
        site.done(task, outcome, rows);
        fail::point("told");
        self.shared.end(task, good);
    }

    /// Reads everything once more. What was true at its turn and is so no longer was undone by another step: one that
    /// nobody set yet is set now, one that was set has failed.
    async fn settle(&mut self, site: &mut Site) -> Result<(), Loss> {
        for last in [false, true] {
            self.touched = false;
            self.facts.update(site.read_made(self.order).await?);
            for task in self.order {
                let Some(end) = self.ends.get(task).cloned().filter(|_| !self.gone.contains(task)) else { continue };
                let asks = self.shared.run.plan.tasks[*task].step.asks_host();
                let passes = site.made(*task).iter().any(|one| one.kind.passing());
                let stood = matches!(end, Outcome::Unchanged | Outcome::Changed) && !passes;
                let left_alone = asks && matches!(end, Outcome::Skipped { blocked: false, .. });
                if !(stood || left_alone) {
                    continue;
                }
                if asks {
                    site.turn(*task, &self.facts);
                }
                let now = site.decide(*task, &self.facts);
                if matches!(now, Decision::InSync | Decision::Skipped(_) | Decision::Blind) {
                    continue;
                }
                if matches!(end, Outcome::Skipped { .. }) && (last || self.unapproved(*task, &now).is_some()) {
                    let why = "its condition did not hold, and does now that other steps have acted: apply again";
                    site.done(*task, Outcome::Stale { why: why.into() }, now.rows());
                    continue;
                }
                let set_before = end == Outcome::Changed;
                if let Decision::Unknown(why) = now {
                    site.done(*task, Outcome::Unknown { why }, vec![]);
                } else if last || set_before || *self.shared.run.settings.stop.borrow() {
                    let why = format!("it was as wanted at its turn, and another step undid it: {}", told(&now));
                    site.done(*task, Outcome::Failed { why }, now.rows());
                } else {
                    self.fresh = None;
                    self.ends.remove(task);
                    self.turn(site, *task, None).await?;
                    self.prove(site).await?;
                }
            }
            if !self.touched {
                break;
            }
        }
        Ok(())
    }

    async fn one(&mut self, site: &mut Site, task: usize, next: Option<usize>) -> Result<(Outcome, Vec<Row>), Loss> {
        let plan = Arc::clone(&self.shared.run.plan);
        if let Some(blocker) = self.blocker(task).await {
            let what = if plan.tasks[blocker].is_gate() { "is not open" } else { "did not succeed" };
            let why = format!("{} {what}", plan.name(blocker));
            return Ok((Outcome::Skipped { why, blocked: true, waived: false, because: None }, vec![]));
        }
        if let Some(why) = site.unmade(task) {
            return Ok((Outcome::Failed { why: why.to_owned() }, vec![]));
        }
        // A script can look at anything: nobody knows which change it would see.
        let opaque = self.touched && site.made(task).iter().any(|one| one.kind.opaque());
        if opaque || self.taint.of(&plan.graph, task).is_some() {
            self.refresh(site, task).await?;
        }
        if plan.tasks[task].step.asks_host() {
            // What was read along with the task before may have moved its condition.
            site.turn(task, &self.facts);
            if site.lacks(task, &self.facts) {
                self.fresh = None;
                self.refresh(site, task).await?;
            }
        }
        let mut planned = site.decide(task, &self.facts);
        let missing = matches!(planned, Decision::Impossible(_) | Decision::Unknown(_));
        let acts = matches!(planned, Decision::Drift(_) | Decision::Blind);
        if self.touched && (missing || acts && self.shared.approved.is_none()) {
            // What was missing may have come with something that nobody said brings it; and where nobody approved of less, what the
            // run itself set in motion meanwhile (a log that begins) is done with the rest.
            self.refresh(site, task).await?;
            planned = site.decide(task, &self.facts);
        }
        let made = site.made(task);
        if let Some(stale) = self.unapproved(task, &planned) {
            return Ok((stale, planned.rows()));
        }
        // What does not wait with others has them proven first; where they went back, nothing is as it was planned upon.
        let acts = matches!(planned, Decision::Drift(_) | Decision::Blind);
        if acts && !self.waits_along(site, task, &made) {
            self.prove(site).await?;
            if std::mem::take(&mut self.went_back) {
                self.fresh = None;
                self.refresh(site, task).await?;
                return Box::pin(self.one(site, task, next)).await;
            }
        }
        match planned {
            Decision::InSync => {
                let kept: Vec<Baseline> = made.iter().filter_map(|one| one.kind.keeps(&self.facts)).collect();
                for baseline in kept {
                    if let Err(why) = site.line(task).await?.keep(&baseline) {
                        return Ok((Outcome::Failed { why }, vec![]));
                    }
                    // What comes later is measured by it.
                    if self.facts.has(&Query::Baseline) {
                        self.facts.put(Query::Baseline, Ok(Answer::Baseline(Some(Box::new(baseline)))));
                    }
                }
                Ok((Outcome::Unchanged, site.tells(task, &self.facts)))
            }
            Decision::Pending { .. } => Ok((Outcome::Unchanged, vec![])),
            Decision::Skipped(left) => Ok((Outcome::left(&left), vec![])),
            Decision::Unknown(why) => Ok((Outcome::Unknown { why }, site.tells(task, &self.facts))),
            Decision::Impossible(why) => Ok((Outcome::Failed { why }, vec![])),
            Decision::Manual(_) => match plan.tasks[task].step.health {
                Some(seconds) => self.recover(site, task, &made, seconds).await,
                None => Ok((Outcome::Manual, planned.rows())),
            },
            Decision::Gate(message) => Ok((self.gate(site, task, &message).await, vec![])),
            Decision::Drift(_) if made.iter().any(|one| one.kind.gathers().is_some()) => {
                match made.iter().find_map(|one| one.kind.gathers()) {
                    Some(wish) => self.gather(site, task, wish).await,
                    None => Ok((Outcome::Unchanged, vec![])),
                }
            }
            Decision::Drift(_) | Decision::Blind => self.set(site, task, next, &made, planned).await,
        }
    }

    /// A host that is not well has some seconds to become so.
    async fn recover(
        &mut self,
        site: &mut Site,
        task: usize,
        made: &Arc<[Made]>,
        seconds: u64,
    ) -> Result<(Outcome, Vec<Row>), Loss> {
        let until = Instant::now() + Duration::from_secs(seconds);
        loop {
            self.fresh = None;
            self.refresh(site, task).await?;
            let now = decide(made, &self.facts, None);
            if now == Decision::InSync {
                return Ok((Outcome::Unchanged, vec![]));
            }
            if Instant::now() >= until {
                let why = format!("the host is not well after {seconds} s: {}", told(&now));
                return Ok((Outcome::Failed { why }, now.rows()));
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }

    pub(super) async fn refresh(&mut self, site: &mut Site, task: usize) -> Result<(), Loss> {
        if self.fresh != Some(task) {
            self.facts.update(site.renew(task).await?);
            self.fresh = Some(task);
        }
        Ok(())
    }

    /// What must come first and did not succeed. Waits for other hosts, and lets another host work meanwhile.
    async fn blocker(&mut self, task: usize) -> Option<usize> {
        let plan = Arc::clone(&self.shared.run.plan);
        for (before, _) in plan.graph.before(task) {
            let good = if let Some(end) = self.ends.get(&before) {
                is_good(end)
            } else if let Some(end) = self.shared.ends.get(&before) {
                let mut end = end.subscribe();
                if end.borrow().is_none() {
                    self.let_others();
                    let _ = end.wait_for(Option::is_some).await;
                    self.back_again().await;
                }
                *end.borrow() == Some(true)
            } else {
                // An earlier play of this host: it ended before this play began.
                self.shared.past(before)
            };
            if !good {
                return Some(before);
            }
        }
        None
    }

    /// Another host may work while this one waits.
    pub(super) fn let_others(&mut self) {
        self.permit = None;
    }

    /// Waits until this host may work again.
    pub(super) async fn back_again(&mut self) {
        self.permit = self.shared.permit().await;
        // What was read before is of before.
        self.fresh = None;
    }

    /// Why the task must not act, when what was approved is not what would be done now.
    fn unapproved(&self, task: usize, planned: &Decision) -> Option<Outcome> {
        let Decision::Drift(_) = planned else { return None };
        let approved = self.shared.approved.as_ref()?;
        let why = "the host is not as the plan that was approved found it".to_owned();
        (!approved.allows(task, planned)).then_some(Outcome::Stale { why })
    }
}

/// What is not as wanted, in a line.
pub(super) fn told(decision: &Decision) -> String {
    if let Decision::Unknown(why) | Decision::Impossible(why) = decision {
        return why.clone();
    }
    let rows = decision.rows();
    let left: Vec<String> =
        rows.iter().map(Row::veiled).map(|row| format!("{} {} is {}", row.object, row.field, row.found)).collect();
    left.join("; ")
}
