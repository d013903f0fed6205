//! What a step wants of a cloud: what was found is written down, replaced if nobody else was faster, read again, and proven by
//! new logins; else it is put back. A run that dies in between is ended by the next one, before any host is asked.

use super::fail;
use super::site::Site;
use super::work::Work;
use super::{Keyring, Run};
use crate::cloud::{Fence, Fenced, Miss};
use crate::event::{Outcome, What};
use crate::fact::Query;
use crate::fault::Fault;
use crate::host::Loss;
use crate::plan::Decision;
use crate::playbook::Made;
use crate::step::{Claim, Order, Row, Setting};
use crate::target::{FenceNote, FenceWord};
use futures_util::future::join_all;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a new login may take to succeed while the rules begin to count.
const SETTLING: Duration = Duration::from_secs(12);
/// A cloud needs a moment until its rules count: a login that got in before that proves nothing.
const SETTLE: Duration = Duration::from_secs(3);
const PAUSE: Duration = Duration::from_millis(500);
/// How often somebody else may be faster before it is left to a person.
const TRIES: usize = 3;

/// What the controller has to do for a decision.
pub fn orders(made: &[Made], stage: &Decision, facts: &crate::fact::Facts) -> Vec<Order> {
    let Decision::Drift(parts) = stage else { return vec![] };
    let one = |part: &crate::plan::Part| {
        let to: Vec<Setting> = part.rows.iter().map(Row::forward).collect();
        made.get(part.kind).map(|one| one.kind.orders(&to, facts)).unwrap_or_default()
    };
    parts.iter().flat_map(one).collect()
}

fn failed(why: impl std::fmt::Display) -> Outcome {
    Outcome::Failed { why: why.to_string() }
}

fn told(fault: &Fault) -> String {
    let cause = fault.cause().map(|cause| format!(": {cause}")).unwrap_or_default();
    format!("{}{cause}", fault.what())
}

/// How a fence is now; what is lost once is asked for again by the client itself.
async fn look(fence: &Fence) -> Result<Fenced, String> {
    fence.look().await.map_err(|fault| told(&fault))
}

/// One change of a fence, from its note to its proof.
struct Change {
    keys: Arc<Keyring>,
    note: FenceNote,
    /// The other hosts that got in before.
    others: Vec<usize>,
    /// Whether logins must prove it.
    guarded: bool,
}

impl Change {
    fn note(&mut self, word: FenceWord) -> Result<(), String> {
        self.note.word = word;
        self.keys.ledger.note_fence(&self.note).map_err(|fault| fault.to_string())
    }

    /// The last word on what was not done, or is done: what cannot be written is told by the next run.
    fn end(&mut self, word: FenceWord) {
        self.note(word).unwrap_or_else(|why| tracing::warn!(why, "the end of a change in a cloud is not written down"));
    }
}

impl Work<'_> {
    /// Carries out what a task wants of clouds.
    pub(super) async fn order(
        &mut self,
        site: &mut Site,
        task: usize,
        made: &Arc<[Made]>,
        planned: &Decision,
        rows: &[Row],
    ) -> Result<(Outcome, Vec<Row>), Loss> {
        self.prove(site).await?;
        let (stage, _) = planned.stage(made);
        let names: BTreeSet<String> =
            orders(made, &stage, &self.facts).iter().map(|order| order.fence.name()).collect();
        // Hosts of one group come one after the other: the later ones find it done, and proven.
        let mut held = Vec::new();
        for name in &names {
            held.push(self.shared.alone(name).await);
        }
        self.fresh = None;
        if let Some(end) = self.not_as_planned(site, task, planned).await? {
            return Ok(end);
        }
        if let Some(why) = self.contradicted(task, made) {
            return Ok((failed(why), rows.to_vec()));
        }
        site.started(task);
        let all = orders(made, &stage, &self.facts);
        let guarded = site.guarded(task).is_some();
        let others = if guarded { self.within_reach(site, task, &all).await } else { Ok(vec![]) };
        let others = match others {
            Ok(others) => others,
            Err(why) => return Ok((failed(why), rows.to_vec())),
        };
        self.fresh = None;
        (self.touched, self.acted) = (true, Some(task));
        for order in &all {
            let outcome = self.carry(site, task, order, others.clone(), guarded).await;
            if outcome != Outcome::Changed {
                site.close().await;
                return Ok((outcome, rows.to_vec()));
            }
        }
        self.refresh(site, task).await?;
        Ok((Outcome::Changed, rows.to_vec()))
    }

    /// A task on another host that wants other rules for the same group: they would undo each other for ever.
    fn contradicted(&self, task: usize, made: &[Made]) -> Option<String> {
        let plan = &self.shared.run.plan;
        let own: Vec<Claim> = made.iter().flat_map(|one| one.kind.claims()).collect();
        let cloud = ["security group", "network ACL"];
        let against = |other: &Claim| cloud.iter().any(|family| own.iter().any(|one| one.quarrels(other, family)));
        let others = (0..plan.tasks.len()).filter(|other| plan.tasks[*other].host != plan.tasks[task].host);
        let mut wrong = others.filter(|other| {
            plan.tasks[*other].hope().iter().flat_map(|one| one.kind.claims()).any(|claim| against(&claim))
        });
        wrong.next().map(|other| format!("{} wants other rules for the same thing in the cloud", plan.name(other)))
    }

    /// The other hosts of this run that the same fences hold for, and that let us in now.
    async fn within_reach(&self, site: &Site, task: usize, orders: &[Order]) -> Result<Vec<usize>, String> {
        site.knocked(task)
            .await
            .map_err(|loss| format!("no new login gets in as it is, so none could prove it: {loss}"))?;
        let plan = &self.shared.run.plan;
        let fences: Vec<Query> = orders.iter().map(|order| Query::Fence(order.fence.clone())).collect();
        let hosts: BTreeSet<usize> = plan
            .tasks
            .iter()
            .filter(|task| task.host != site.host && !plan.hosts[task.host].connection.local)
            .filter(|task| task.hope().iter().flat_map(|one| one.kind.facts()).any(|query| fences.contains(&query)))
            .map(|task| task.host)
            .collect();
        let answers = join_all(hosts.iter().map(|host| self.knock(*host))).await;
        Ok(hosts.into_iter().zip(answers).filter(|(_, answer)| answer.is_ok()).map(|(host, _)| host).collect())
    }

    /// One new login to another host of the run.
    async fn knock(&self, host: usize) -> Result<(), Loss> {
        self.shared.run.opener.open_fresh(&self.shared.run.plan.hosts[host], false).await?.close().await;
        Ok(())
    }

    pub(super) async fn carry(
        &self,
        site: &mut Site,
        task: usize,
        order: &Order,
        others: Vec<usize>,
        guarded: bool,
    ) -> Outcome {
        let Some(keys) = self.shared.run.opener.keys() else {
            return failed("there is no memory in which what was found could be kept");
        };
        let step = &self.shared.run.plan.tasks[task].step;
        let note = FenceNote {
            host: site.name(),
            run: self.shared.run.id.clone(),
            seq: site.next_change(),
            step: step.id.clone(),
            title: crate::secret::redact(&self.shared.run.plan.title(task)).into_owned(),
            kind: step.kind.to_owned(),
            fence: order.fence.clone(),
            was: order.found.shape.clone(),
            to: order.to.clone(),
            word: FenceWord::Setting,
        };
        let mut change = Change { keys, note, others, guarded };
        if let Err(why) = change.note(FenceWord::Setting) {
            return failed(why);
        }
        fail::point("order-noted");
        if let Err(outcome) = put(&mut change, &order.found).await {
            return outcome;
        }
        fail::point("order-set");
        let after = look(&order.fence).await;
        if let Err(why) = self.proven(site, task, &change).await {
            return self.put_back(site, task, &mut change, after.ok(), why).await;
        }
        fail::point("order-proven");
        if let Err(why) = change.note(FenceWord::Stands) {
            return failed(format!(
                "it is set and proven, but that cannot be written down, so the next run puts it back: {why}"
            ));
        }
        match look(&order.fence).await {
            Ok(now) if now.shape.is(&order.to) => Outcome::Changed,
            Ok(now) => failed(format!("did not converge: {} is {}", order.fence.name(), now.shape.words())),
            Err(why) => Outcome::Unknown { why: format!("it was set, and could not be read again: {why}") },
        }
    }

    /// New logins must get in on all hosts, and again once the rules certainly count.
    async fn proven(&self, site: &Site, task: usize, change: &Change) -> Result<(), String> {
        if !change.guarded {
            return Ok(());
        }
        let (began, mut before) = (Instant::now(), false);
        loop {
            let own = async { site.knocked(task).await.map_err(|loss| format!("{}: {loss}", site.name())) };
            let other = |host: usize| async move {
                let name = &self.shared.run.plan.hosts[host].name;
                self.knock(host).await.map_err(|loss| format!("{name}: {loss}"))
            };
            let (own, rest) =
                futures_util::future::join(own, join_all(change.others.iter().map(|host| other(*host)))).await;
            match rest.into_iter().fold(own, Result::and) {
                Ok(()) if before => return Ok(()),
                Ok(()) => {
                    before = true;
                    tokio::time::sleep(SETTLE).await;
                }
                Err(why) if began.elapsed() + PAUSE > SETTLING => return Err(format!("no new login gets in at {why}")),
                Err(_) => {
                    before = false;
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    /// Puts back what was found, and says `reverted` only when that was read and a new login got in.
    async fn put_back(
        &self,
        site: &Site,
        task: usize,
        change: &mut Change,
        after: Option<Fenced>,
        why: String,
    ) -> Outcome {
        match restore(&change.note, after.as_ref()).await {
            Ok(()) => change.end(FenceWord::Back),
            Err(Left::Others(now)) => {
                change.end(FenceWord::Left);
                let what = format!(
                    "{why}; meanwhile somebody else changed {}: it is {now} and was left so",
                    change.note.fence.name()
                );
                return Outcome::Unknown { why: what };
            }
            Err(Left::Failed(how)) => return failed(format!("{why}; and it could NOT be put back: {how}")),
        }
        fail::point("order-back");
        match self.proven(site, task, change).await {
            Ok(()) => Outcome::Reverted { why },
            Err(still) => Outcome::Unknown { why: format!("{why}; it was put back, and still: {still}") },
        }
    }
}

impl Site {
    /// A new login as the user of a task, `sudo` included.
    async fn knocked(&self, task: usize) -> Result<(), Loss> {
        self.fresh(task).await?.close().await;
        Ok(())
    }
}

/// Sets what is wanted, if nobody was faster.
async fn put(change: &mut Change, found: &Fenced) -> Result<(), Outcome> {
    let (fence, to) = (change.note.fence.clone(), change.note.to.clone());
    let name = fence.name();
    let mut found = found.clone();
    for _ in 0..TRIES {
        match fence.put(&found.version, &to).await {
            Ok(()) => return Ok(()),
            Err(Miss::Refused(fault)) => {
                change.end(FenceWord::Back);
                return Err(failed(fault));
            }
            Err(Miss::Moved(_)) => match look(&fence).await {
                // Something beside the rules: a description.
                Ok(now) if now.shape.is(&found.shape) => {
                    change.note.was = now.shape.clone();
                    found = now;
                    if let Err(why) = change.note(FenceWord::Setting) {
                        return Err(failed(why));
                    }
                }
                now => {
                    change.end(FenceWord::Back);
                    let now = now.map_or_else(|why| why, |now| format!("it is {} now", now.shape.words()));
                    let why =
                        format!("somebody else changed {name} between the reading and the act: {now}; nothing was set");
                    return Err(Outcome::Stale { why });
                }
            },
            Err(Miss::Lost(fault)) => match look(&fence).await {
                Ok(now) if now.shape.is(&to) => return Ok(()),
                Ok(now) if now.shape.is(&found.shape) => {
                    change.end(FenceWord::Back);
                    return Err(failed(fault));
                }
                Ok(now) => {
                    change.end(FenceWord::Left);
                    let why = format!("{}; {name} is {}, which is neither", told(&fault), now.shape.words());
                    return Err(Outcome::Unknown { why });
                }
                Err(why) => return Err(Outcome::Unknown { why: format!("{}; {why}", told(&fault)) }),
            },
        }
    }
    change.end(FenceWord::Back);
    Err(Outcome::Stale { why: format!("somebody else goes on changing {name}: nothing was set") })
}

/// Why something was not put back.
enum Left {
    /// It is neither as it was found nor as we left it.
    Others(String),
    Failed(String),
}

/// Puts a fence back to what was found, if it still is as this change left it (or as it read right after it).
async fn restore(note: &FenceNote, after: Option<&Fenced>) -> Result<(), Left> {
    let mut last = String::new();
    for _ in 0..TRIES * 2 {
        let now = match look(&note.fence).await {
            Ok(now) => now,
            Err(why) => {
                last = why;
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        if now.shape.is(&note.was) {
            return Ok(());
        }
        if !now.shape.is(&note.to) && after != Some(&now) {
            return Err(Left::Others(now.shape.words()));
        }
        match note.fence.put(&now.version, &note.was).await {
            Ok(()) => last = "it does not read so".into(),
            Err(Miss::Moved(fault) | Miss::Lost(fault)) => last = told(&fault),
            Err(Miss::Refused(fault)) => return Err(Left::Failed(told(&fault))),
        }
    }
    Err(Left::Failed(last))
}

impl Run {
    /// What runs that are no more set in a cloud and nobody proved is put back, whoever's it was: perhaps it keeps us out.
    pub(super) async fn end_orders(&self) {
        let Some(keys) = self.opener.keys() else { return };
        let open = keys.ledger.open_fences().unwrap_or_else(|fault| {
            tracing::warn!(%fault, "what earlier runs set in clouds is not known");
            vec![]
        });
        for note in open.into_iter().filter(|note| note.run != self.id) {
            let (name, host, run) = (note.fence.name(), note.host.clone(), note.run.clone());
            let (word, text) = match restore(&note, None).await {
                Ok(()) => {
                    (Some(FenceWord::Back), format!("run {run} ended before {name} was proven: it is as it was found"))
                }
                Err(Left::Others(now)) => (
                    Some(FenceWord::Left),
                    format!(
                        "run {run} ended before {name} was proven, and somebody changed it since: it is {now} and was left so"
                    ),
                ),
                Err(Left::Failed(why)) => {
                    (None, format!("run {run} ended before {name} was proven, and it could NOT be put back: {why}"))
                }
            };
            if let Some(word) = word {
                let ended = keys.ledger.note_fence(&FenceNote { word, ..note });
                ended.unwrap_or_else(|fault| tracing::warn!(%fault, "not written down"));
            }
            self.voice.say(What::Note { host, text });
        }
    }
}
