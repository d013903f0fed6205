//! How one task is set: stage by stage where its kind has several, each read again and proven before the next.

use super::fail;
use super::guard::Member;
use super::order::orders;
use super::proof::Change;
use super::site::Site;
use super::work::{Work, told};
use crate::act::Act;
use crate::event::Outcome;
use crate::fact::Facts;
use crate::host::Loss;
use crate::plan::{Decision, decide};
use crate::playbook::Made;
use crate::step::{Row, Setting};
use crate::target::{Done, Job};
use std::sync::Arc;
use std::time::Duration;

impl Work<'_> {
    /// Sets what differs, stage by stage where a kind has several; each is proven before the next.
    pub(super) async fn set(
        &mut self,
        site: &mut Site,
        task: usize,
        next: Option<usize>,
        made: &Arc<[Made]>,
        planned: Decision,
    ) -> Result<(Outcome, Vec<Row>), Loss> {
        if made.iter().any(|one| one.kind.disk().is_some()) {
            return self.disk(site, task, made, planned).await;
        }
        if made.iter().any(|one| one.kind.rotates()) {
            return self.rotate(site, task, made, planned).await;
        }
        // What is told of its consequences stands with what it changes.
        let rows = [site.tells(task, &self.facts), planned.rows()].concat();
        let door = made.iter().find_map(|one| one.kind.door());
        let (mut now, mut stood) = (planned, false);
        loop {
            let (stage, more) = now.stage(made);
            let after = next.filter(|_| !more && door.is_none());
            let outside = !orders(made, &stage, &self.facts).is_empty() && stage.acts(made, &self.facts).is_empty();
            self.half = more.then_some(task);
            let ended = if outside {
                self.order(site, task, made, &now, &rows).await?
            } else {
                self.stage(site, task, after, made, &now, &rows).await?
            };
            let outcome = match ended {
                (Outcome::Changed, _) if !more => Outcome::Changed,
                (Outcome::Changed, _) => {
                    self.prove(site).await?;
                    self.half = None;
                    if let Some(end) = self.ends.get(&task).filter(|end| **end != Outcome::Changed) {
                        return Ok((end.clone(), rows));
                    }
                    // The word on the stage was not the last one.
                    self.ends.remove(&task);
                    self.refresh(site, task).await?;
                    match decide(made, &self.facts, None) {
                        Decision::InSync => Outcome::Changed,
                        left @ Decision::Drift(_) if left != now => {
                            (now, stood) = (left, true);
                            continue;
                        }
                        still => Outcome::Failed { why: format!("did not converge: {}", told(&still)) },
                    }
                }
                // What was proven before stands: not all of it was taken back.
                (Outcome::Reverted { why }, rows) if stood && outside => {
                    return Ok((
                        Outcome::Failed {
                            why: format!("{why}: that part was put back, what was set on the host stands"),
                        },
                        rows,
                    ));
                }
                (other, rows) => return Ok((other, rows)),
            };
            if door.is_some() {
                self.prove(site).await?;
                if self.ends.get(&task).is_none_or(|end| *end == Outcome::Changed) {
                    site.through_the_new_door(task).await?;
                }
            }
            return Ok((outcome, rows));
        }
    }

    /// Reads once more just before acting, acts, and says what is true afterwards. `rows` is all that the task changes.
    pub(super) async fn stage(
        &mut self,
        site: &mut Site,
        task: usize,
        next: Option<usize>,
        made: &Arc<[Made]>,
        planned: &Decision,
        rows: &[Row],
    ) -> Result<(Outcome, Vec<Row>), Loss> {
        if self.fresh != Some(task)
            && let Some(end) = self.not_as_planned(site, task, planned).await?
        {
            return Ok(end);
        }
        if let Some(why) = site.hidden(task, &self.facts) {
            return Ok((Outcome::Failed { why }, rows.to_vec()));
        }
        let (stage, more) = planned.stage(made);
        site.started(task);
        let acts = self.acts(site, task, made, &stage);
        let patience = Duration::from_secs(made.iter().map(|one| one.kind.patience()).sum());
        let next =
            next.filter(|next| self.shared.run.plan.becomes_root(*next) == self.shared.run.plan.becomes_root(task));
        let mut queries: Vec<_> = made.iter().flat_map(|one| one.kind.facts()).collect();
        queries.extend(next.iter().flat_map(|next| site.queries(*next)));
        if site.access(task) && site.moves_named(task) {
            queries.extend(site.asks_named());
        }
        queries.sort();
        queries.dedup();
        (self.fresh, self.went_back) = (None, false);
        (self.touched, self.acted) = (true, Some(task));
        let guard = match site.guarded(task) {
            Some(seconds) => Some(self.guard(site, task, seconds).await?),
            None => {
                // What needs no proof does not come between changes that wait for theirs.
                self.prove(site).await?;
                None
            }
        };
        if std::mem::take(&mut self.went_back) {
            // Its time was over between two looks at the clock; the guard for this one was never armed.
            self.open = None;
            let why = "what was set before it went back meanwhile: apply again".to_owned();
            return Ok((Outcome::Stale { why }, rows.to_vec()));
        }
        let line = site.line(task).await?;
        let intent = site.intent(task, guard.clone());
        let member = Member { task, planned: stage.clone(), outcome: Outcome::Changed, rows: rows.to_vec() };
        let change = Change::new(intent.seq, member, &acts);
        let returns =
            acts.iter().all(|act| !matches!(act, Act::Shell { undo: None, changes, .. } if changes.is_empty()));
        let job = Job { acts, intent: Some(intent), queries, timeout: patience };
        fail::point("before-set");
        let verdict = match line.carry_out(&job).await {
            Ok((done, facts)) => {
                site.learn_named(&facts);
                Ok(self.verdict(done, facts, made, (&stage, more), patience))
            }
            Err(loss) => Err(loss),
        };
        fail::point("after-set");
        if returns && matches!(verdict, Ok(Outcome::Changed | Outcome::Unknown { .. })) {
            self.made.push(change);
        }
        // What was not set leads nobody to another door.
        let set = matches!(verdict, Ok(Outcome::Changed));
        if let Some(door) = made.iter().find_map(|one| one.kind.door()).filter(|_| set) {
            site.by_door(Some(door));
        }
        if guard.is_some() {
            let outcome = self.guarded(site, task, (stage, rows), next, verdict).await?;
            return Ok((outcome, rows.to_vec()));
        }
        let outcome = verdict.map_err(|loss| {
            let why = format!("the host was lost while this was set: {loss}");
            site.done(task, Outcome::Unknown { why }, rows.to_vec());
            loss
        })?;
        self.fresh = next.filter(|_| outcome == Outcome::Changed);
        Ok((outcome, rows.to_vec()))
    }

    /// Reads once more what a task asks, just before it acts; how it ends where it is not as planned any more.
    pub(super) async fn not_as_planned(
        &mut self,
        site: &mut Site,
        task: usize,
        planned: &Decision,
    ) -> Result<Option<(Outcome, Vec<Row>)>, Loss> {
        self.refresh(site, task).await?;
        Ok(match site.decide(task, &self.facts) {
            Decision::Skipped(left) => Some((Outcome::left(&left), vec![])),
            Decision::InSync => Some((Outcome::Unchanged, vec![])),
            now if now != *planned => {
                let why = "the host changed between the reading and the act".to_owned();
                Some((Outcome::Stale { why }, now.rows()))
            }
            _ => None,
        })
    }

    /// What came of the acts, as it was read afterwards.
    fn verdict(
        &mut self,
        done: Done,
        facts: Facts,
        made: &Arc<[Made]>,
        (stage, more): (&Decision, bool),
        patience: Duration,
    ) -> Outcome {
        let was = stage.rows();
        match done {
            Done::Failed { why, .. } => return Outcome::Failed { why },
            Done::TimedOut => return Outcome::Failed { why: format!("did not end within {} s", patience.as_secs()) },
            Done::All => {}
        }
        self.facts.update(facts);
        match decide(made, &self.facts, None) {
            Decision::InSync => Outcome::Changed,
            Decision::Blind => Outcome::Unknown { why: "it ran; without a `check:` nobody can say what it did".into() },
            Decision::Unknown(why) => Outcome::Unknown { why },
            // Of a change in stages the rest is still to come.
            Decision::Drift(parts)
                if more && parts.iter().all(|part| part.rows.iter().all(|row| !was.contains(row))) =>
            {
                Outcome::Changed
            }
            still => Outcome::Failed { why: format!("did not converge: {}", told(&still)) },
        }
    }

    /// The marks of all that follows when this changes, then the change itself.
    fn acts(&self, site: &Site, task: usize, made: &[Made], planned: &Decision) -> Vec<Act> {
        let plan = &self.shared.run.plan;
        let may_be = |after: usize| {
            let in_doubt = plan.tasks[after].step.asks_host();
            if in_doubt { site.doubted(after, &self.facts) } else { site.made(after) }
        };
        let marks = plan
            .followers(task)
            .into_iter()
            .flat_map(|after| may_be(after).iter().filter_map(|one| one.kind.follow_up()).collect::<Vec<_>>());
        let mut acts: Vec<Act> = marks.map(|name| Act::MarkDue { name }).collect();
        let blind: Vec<Setting> = Vec::new();
        if *planned == Decision::Blind {
            acts.extend(made.iter().flat_map(|one| one.kind.set(&blind, &self.facts)));
        } else {
            acts.extend(planned.acts(made, &self.facts));
        }
        acts
    }
}
