//! Guarded changes of a host, while they are made: those that follow each other share a guard and wait for one proof.

use super::guard::{self, Member, Open};
use super::site::Site;
use super::work::Work;
use crate::act::Guard;
use crate::event::Outcome;
use crate::host::Loss;
use crate::plan::Decision;
use crate::step::Row;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

impl Work<'_> {
    /// The guard for a task's change: the one that is armed for those before it, or a new one.
    pub(super) async fn guard(&mut self, site: &mut Site, task: usize, seconds: u64) -> Result<Guard, Loss> {
        let plan = Arc::clone(&self.shared.run.plan);
        let shuts = site.shuts_out(task);
        let fits = |open: &Open| {
            // Where one is proven by the ways through the host and the other cuts them, each has a guard of its own.
            let alike = |task: usize| (plan.becomes_root(task), site.shuts_out(task));
            open.has_time() && open.members.iter().all(|member| alike(member.task) == alike(task))
        };
        if self.open.as_ref().is_some_and(|open| !fits(open)) {
            self.prove(site).await?;
        }
        // What depends on the peer's address does not pass there even before, and then proves nothing.
        // Once it is known that they pass, it need not be asked again.
        let known = self.open.as_ref().is_some_and(|open| open.files);
        let files = known || matches!(site.by_files(task).await, Some(Ok(())));
        let latent = files && site.is_latent(task);
        if let Some(open) = &mut self.open {
            open.files = files;
            if latent {
                open.ways = site.ways_by_files(task, std::mem::take(&mut open.ways)).await;
            }
            return Ok(Guard { joins: true, ..open.guard.clone() });
        }
        let ways = if shuts { vec![] } else { site.ways(task, latent).await };
        let guard = Guard { token: crate::host::random_word(), seconds, joins: false };
        self.open =
            Some(Open { guard: guard.clone(), began: Instant::now(), files, members: vec![], ways, door: site.door() });
        Ok(guard)
    }

    /// A guarded change was made: it waits for its proof if it can be proven, else all that wait go back.
    pub(super) async fn guarded(
        &mut self,
        site: &mut Site,
        task: usize,
        (planned, rows): (Decision, &[Row]),
        next: Option<usize>,
        verdict: Result<Outcome, Loss>,
    ) -> Result<Outcome, Loss> {
        let (outcome, broken) = match verdict {
            Ok(outcome @ (Outcome::Changed | Outcome::Unknown { .. })) => (outcome, None),
            Ok(other) => {
                let why = other.why().unwrap_or("it did not end as it should").to_owned();
                (other, Some(Ok(why)))
            }
            Err(loss) => (Outcome::Unknown { why: loss.to_string() }, Some(Err(loss))),
        };
        self.fresh = next.filter(|_| outcome == Outcome::Changed);
        if let Some(open) = &mut self.open {
            open.members.push(Member { task, planned, outcome: outcome.clone(), rows: rows.to_vec() });
        }
        if broken.is_some() {
            self.end_guard(site, broken).await?;
        }
        Ok(outcome)
    }

    /// Proves what waits for its proof, or takes all of it back.
    pub(super) async fn prove(&mut self, site: &mut Site) -> Result<(), Loss> {
        self.end_guard(site, None).await
    }

    async fn end_guard(&mut self, site: &mut Site, broken: Option<Result<String, Loss>>) -> Result<(), Loss> {
        let Some(open) = self.open.take() else { return Ok(()) };
        let ended = guard::conclude(site, &open, broken).await;
        if !matches!(ended, Ok(None)) {
            self.fresh = None;
        }
        for Member { task, outcome, rows, .. } in open.members {
            let outcome = match &ended {
                Ok(None) => outcome,
                Ok(Some(all)) | Err((_, all)) => all.clone(),
            };
            self.tell(site, task, outcome, rows);
        }
        ended.map(drop).map_err(|(loss, _)| loss)
    }

    /// Whether a task that comes next may wait for the same proof.
    pub(super) fn joins(&self, site: &Site, next: Option<usize>, first: &HashMap<usize, Decision>) -> bool {
        let plan = &self.shared.run.plan;
        let on_others = |task: usize| {
            plan.graph.before(task).iter().any(|(before, _)| plan.tasks[*before].host != plan.tasks[task].host)
        };
        next.is_some_and(|next| {
            let acts = matches!(first.get(&next), Some(Decision::Drift(_) | Decision::Pending { .. }));
            site.guarded(next).is_some() && acts && !on_others(next)
        })
    }
}
