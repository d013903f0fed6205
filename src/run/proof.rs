//! Guarded changes of a host, while they are made: those that follow each other share a guard and wait for one proof.

use super::guard::{self, Member, Open};
use super::site::Site;
use super::work::Work;
use crate::act::{Act, Guard};
use crate::event::Outcome;
use crate::fact::{Family, Thing};
use crate::host::Loss;
use crate::plan::Decision;
use crate::playbook::Made;
use crate::step::Row;
use std::collections::{BTreeSet, HashMap};
use std::time::Instant;

/// A change that was made in this play.
pub struct Change {
    /// Its number on the host.
    pub seq: u32,
    pub member: Member,
    /// What its way back puts back whole; marks of what is due, and packages, go back each by itself.
    pub things: Vec<Thing>,
}

impl Change {
    pub fn new(seq: u32, member: Member, acts: &[Act]) -> Self {
        let own = |act: &&Act| !matches!(act, Act::MarkDue { .. } | Act::ClearDue { .. });
        let things = acts.iter().filter(own).flat_map(Act::touches);
        Self { seq, member, things: things.filter(|thing| thing.family != Family::Packages).collect() }
    }
}

impl Work<'_> {
    /// The changes that go back with a task because it reads what they wrote, in their order: what makes it due, what changed
    /// the same things since, and what was told of them by then.
    fn read_by(&self, task: usize) -> Vec<&Change> {
        let plan = &self.shared.run.plan;
        let triggers = plan.triggers(task);
        let mut all: Vec<&Change> = Vec::new();
        for change in &self.made {
            let of = change.member.task;
            let same =
                |one: &&Change| one.things.iter().any(|thing| change.things.iter().any(|it| it.name == thing.name));
            let told = all.iter().any(|one| plan.followers(one.member.task).contains(&of));
            let alike = plan.becomes_root(of) == plan.becomes_root(task);
            if of != task && alike && (triggers.contains(&of) || told || all.iter().any(same)) {
                all.push(change);
            }
        }
        all
    }

    /// The guard for a task's change: the one that is armed for those before it, or a new one.
    pub(super) async fn guard(&mut self, site: &mut Site, task: usize, seconds: u64) -> Result<Guard, Loss> {
        let mut guard = self.guard_alone(site, task, seconds).await?;
        let back = self.read_by(task);
        guard.with = back.iter().map(|change| change.seq).collect();
        let mut with: Vec<Member> = back.iter().map(|change| change.member.clone()).collect();
        if let Some(open) = &mut self.open {
            let mut known: BTreeSet<usize> = open.members.iter().chain(&open.with).map(|member| member.task).collect();
            with.retain(|member| known.insert(member.task));
            open.with.extend(with);
        }
        Ok(guard)
    }

    /// Whether a task's change may wait with those that wait, if any do.
    fn fits(&self, site: &Site, task: usize) -> bool {
        // Where one is proven by the ways through the host and the other cuts them, each has a guard of its own.
        let alike = |task: usize| (self.shared.run.plan.becomes_root(task), site.shuts_out(task));
        // What failed then would take back what has nothing to do with it, and what takes long would keep it unproven.
        let hangs = || site.made(task).iter().any(|one| one.kind.hangs_on_others());
        let fits = |open: &Open| {
            open.has_time() && !hangs() && open.members.iter().all(|member| alike(member.task) == alike(task))
        };
        self.open.as_ref().is_none_or(fits)
    }

    /// The same, of a task that has a guard and is set at once.
    pub(super) fn waits_along(&self, site: &Site, task: usize, made: &[Made]) -> bool {
        let alone = |one: &Made| one.kind.rotates() || one.kind.disk().is_some() || one.kind.gathers().is_some();
        self.open.is_none() || (site.guarded(task).is_some() && self.fits(site, task) && !made.iter().any(alone))
    }

    async fn guard_alone(&mut self, site: &mut Site, task: usize, seconds: u64) -> Result<Guard, Loss> {
        let shuts = site.shuts_out(task);
        if !self.fits(site, task) {
            self.prove(site).await?;
        }
        // What depends on the peer's address does not pass there even before, and then proves nothing.
        // Once it is known that they pass, it need not be asked again.
        site.before_shells(task).await;
        site.before_boot(task).await;
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
        let guard = Guard { token: crate::host::random_word(), seconds, joins: false, with: vec![] };
        self.open = Some(Open {
            guard: guard.clone(),
            began: Instant::now(),
            files,
            members: vec![],
            with: vec![],
            ways,
            door: site.door(),
        });
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
            (self.fresh, self.went_back) = (None, true);
        }
        if let (Some(last), Ok(Some(all)) | Err((_, all))) = (open.members.last(), &ended) {
            let by = self.shared.run.plan.name(last.task);
            let all = match all.clone() {
                Outcome::Reverted { why } => Outcome::Reverted { why: format!("it went back with {by}: {why}") },
                other => other,
            };
            let gone = |task: usize| open.members.iter().chain(&open.with).any(|member| member.task == task);
            self.made.retain(|change| !gone(change.member.task));
            for Member { task, rows, .. } in &open.with {
                self.tell(site, *task, all.clone(), rows.clone());
            }
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
            // What could not be told, or not be done, before the others acted is mostly done after them.
            use Decision::{Drift, Impossible, Pending, Unknown};
            let acts = matches!(first.get(&next), Some(Drift(_) | Pending { .. } | Unknown(_) | Impossible(_)));
            site.may_be_guarded(next) && acts && !on_others(next)
        })
    }
}
