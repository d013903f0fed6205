//! Changing hosts: play by play, batch by batch, task by task; read just before, set, read again.

use super::site::Site;
use super::voice::is_good;
use super::{Approved, Run, millis};
use crate::act::Act;
use crate::event::{Outcome, What};
use crate::fact::Facts;
use crate::host::Loss;
use crate::plan::{Decision, Taint, Why, decide};
use crate::playbook::Made;
use crate::step::{Row, Setting};
use crate::target::Done;
use futures_util::future::join_all;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore, watch};

/// How the tasks that others wait for have ended: `None` is not yet, `Some(good)` is done.
type Ends = HashMap<usize, watch::Sender<Option<bool>>>;

/// What all hosts of an apply share.
struct Shared {
    run: Arc<Run>,
    approved: Option<Approved>,
    ends: Ends,
    permits: Arc<Semaphore>,
}

impl Run {
    /// Sets what differs. With `approved`, exactly that and nothing else.
    pub async fn apply(self: &Arc<Self>, approved: Option<Approved>) {
        let waited_for = |task: usize| {
            let host = self.plan.tasks[task].host;
            self.plan.graph.after(task).iter().any(|after| self.plan.tasks[*after].host != host)
        };
        let ends = (0..self.plan.tasks.len()).filter(|task| waited_for(*task));
        let shared = Arc::new(Shared {
            run: Arc::clone(self),
            approved,
            ends: ends.map(|task| (task, watch::Sender::new(None))).collect(),
            permits: Arc::new(Semaphore::new(self.settings.forks.max(1))),
        });
        let sites: Vec<Arc<Mutex<Option<Site>>>> =
            (0..self.plan.hosts.len()).map(|host| Arc::new(Mutex::new(Some(Site::new(self, host))))).collect();
        'plays: for (number, play) in self.plan.plays.iter().enumerate() {
            for (batch, hosts) in play.batches.iter().enumerate() {
                if *self.settings.stop.borrow() {
                    break 'plays;
                }
                if play.batches.len() > 1 {
                    self.say_batch(&play.name, batch, play.batches.len(), hosts);
                }
                let before = self.voice.summary();
                let mut jobs = tokio::task::JoinSet::new();
                for host in hosts {
                    let (shared, site, host) = (Arc::clone(&shared), Arc::clone(&sites[*host]), *host);
                    jobs.spawn(async move { shared.host(number, host, &site).await });
                }
                while jobs.join_next().await.is_some() {}
                let after = self.voice.summary();
                let bad =
                    after.failed + after.unreachable + after.stale - before.failed - before.unreachable - before.stale;
                let left: Vec<usize> = play.batches[batch + 1..].concat();
                if bad > 0 && !left.is_empty() {
                    self.voice.say(What::Stopped {
                        why: format!("{bad} failed or lost in batch {} of {}", batch + 1, play.batches.len()),
                        hosts: left.iter().map(|host| self.plan.hosts[*host].name.clone()).collect(),
                    });
                    break 'plays;
                }
            }
        }
        // Side by side: a goodbye costs a round trip.
        let goodbyes = sites.iter().map(|site| async move {
            if let Some(site) = site.lock().await.as_mut() {
                site.close().await;
            }
        });
        join_all(goodbyes).await;
    }

    fn say_batch(&self, play: &str, batch: usize, of: usize, hosts: &[usize]) {
        let hosts = hosts.iter().map(|host| self.plan.hosts[*host].name.clone()).collect();
        self.voice.say(What::BatchStarted { play: play.to_owned(), batch: batch + 1, of, hosts });
    }
}

impl Shared {
    /// One host's part of a play. A lost host is told once and takes no part in what follows.
    async fn host(&self, play: usize, host: usize, slot: &Mutex<Option<Site>>) {
        let began = Instant::now();
        let mut slot = slot.lock().await;
        let order: Vec<usize> =
            self.run.plan.of_host(host).into_iter().filter(|task| self.run.plan.tasks[*task].play == play).collect();
        if let Some(site) = slot.as_mut() {
            let mut work = Work::new(self, &order);
            if let Err(loss) = work.all(site).await {
                site.lost(&loss);
                site.close().await;
                *slot = None;
            }
        }
        for task in &order {
            self.end(*task, false);
        }
        self.run.voice.say(What::HostDone { host: self.run.plan.hosts[host].name.clone(), ms: millis(began) });
    }

    /// Tells those who wait how a task ended; the first word counts.
    fn end(&self, task: usize, good: bool) {
        if let Some(end) = self.ends.get(&task) {
            end.send_if_modified(|state| state.is_none() && state.replace(good).is_none());
        }
    }

    async fn permit(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.permits).acquire_owned().await.ok()
    }
}

/// The tasks of one host in one play, while they run.
struct Work<'a> {
    shared: &'a Shared,
    order: &'a [usize],
    facts: Facts,
    /// The facts of this task were read after the last change.
    fresh: Option<usize>,
    taint: Taint,
    good: HashMap<usize, bool>,
    permit: Option<OwnedSemaphorePermit>,
}

impl<'a> Work<'a> {
    fn new(shared: &'a Shared, order: &'a [usize]) -> Self {
        Self {
            shared,
            order,
            facts: Facts::default(),
            fresh: None,
            taint: Taint::default(),
            good: HashMap::new(),
            permit: None,
        }
    }

    async fn all(&mut self, site: &mut Site) -> Result<(), Loss> {
        self.permit = self.shared.permit().await;
        if self.order.is_empty() || *self.shared.run.settings.stop.borrow() {
            return Ok(());
        }
        self.facts = site.survey(self.order).await?;
        let first: HashMap<usize, Decision> = site.judge(self.order, &self.facts).into_iter().collect();
        for (at, task) in self.order.iter().enumerate() {
            if *self.shared.run.settings.stop.borrow() {
                break;
            }
            let next = self.order[at + 1..].iter().copied().find(|next| first[next] != Decision::InSync);
            let (outcome, rows) = self.one(site, *task, next).await?;
            self.taint.pass(&self.shared.run.plan.graph, *task, !rows.is_empty() && outcome != Outcome::Manual);
            let good = is_good(&outcome);
            self.good.insert(*task, good);
            site.done(*task, outcome, rows);
            self.shared.end(*task, good);
        }
        Ok(())
    }

    async fn one(&mut self, site: &mut Site, task: usize, next: Option<usize>) -> Result<(Outcome, Vec<Row>), Loss> {
        let plan = Arc::clone(&self.shared.run.plan);
        if let Some(blocker) = self.blocker(task).await {
            let why = format!("{} did not succeed", plan.name(blocker));
            return Ok((Outcome::Skipped { why, blocked: true }, vec![]));
        }
        if let Some(why) = site.unmade(task) {
            return Ok((Outcome::Failed { why: why.to_owned() }, vec![]));
        }
        let made = site.made(task);
        if self.taint.of(&plan.graph, task).is_some() {
            self.refresh(site, task).await?;
        }
        let planned = decide(&made, &self.facts, None);
        if let Some(stale) = self.unapproved(task, &planned) {
            return Ok((stale, planned.rows()));
        }
        match planned {
            Decision::InSync | Decision::Pending { .. } => Ok((Outcome::Unchanged, vec![])),
            Decision::Skipped => Ok((
                Outcome::Skipped { why: "its condition does not hold, or its loop is empty".into(), blocked: false },
                vec![],
            )),
            Decision::Unknown(why) => Ok((Outcome::Unknown { why }, vec![])),
            Decision::Impossible(why) => Ok((Outcome::Failed { why }, vec![])),
            Decision::Manual(_) => Ok((Outcome::Manual, planned.rows())),
            Decision::Drift(_) | Decision::Blind => self.set(site, task, next, &made, planned).await,
        }
    }

    /// Reads once more just before acting, acts, and says what is true afterwards.
    async fn set(
        &mut self,
        site: &mut Site,
        task: usize,
        next: Option<usize>,
        made: &Arc<[Made]>,
        planned: Decision,
    ) -> Result<(Outcome, Vec<Row>), Loss> {
        if self.fresh != Some(task) {
            self.refresh(site, task).await?;
            match decide(made, &self.facts, None) {
                Decision::InSync => return Ok((Outcome::Unchanged, vec![])),
                now if now != planned => {
                    let why = "the host changed between the reading and the act".to_owned();
                    return Ok((Outcome::Stale { why }, now.rows()));
                }
                _ => {}
            }
        }
        site.started(task);
        let (acts, rows) = (self.acts(site, task, made, &planned), planned.rows());
        let patience = Duration::from_secs(made.iter().map(|one| one.kind.patience()).sum());
        let next =
            next.filter(|next| self.shared.run.plan.becomes_root(*next) == self.shared.run.plan.becomes_root(task));
        let mut queries: Vec<_> = made.iter().flat_map(|one| one.kind.facts()).collect();
        queries.extend(
            next.iter().flat_map(|next| site.made(*next).iter().flat_map(|one| one.kind.facts()).collect::<Vec<_>>()),
        );
        queries.sort();
        queries.dedup();
        self.fresh = None;
        let line = site.line(task).await?;
        let (done, facts) = line.set_then_read(&acts, &queries, patience).await.map_err(|loss| {
            let why = format!("the host was lost while this was set: {loss}");
            site.done(task, Outcome::Unknown { why }, rows.clone());
            loss
        })?;
        match done {
            Done::Failed { why, .. } => return Ok((Outcome::Failed { why }, rows)),
            Done::TimedOut => {
                let why = format!("did not end within {} s", patience.as_secs());
                return Ok((Outcome::Failed { why }, rows));
            }
            Done::All => {}
        }
        self.facts.update(facts);
        self.fresh = next;
        Ok(match decide(made, &self.facts, None) {
            Decision::InSync => (Outcome::Changed, rows),
            Decision::Blind => {
                (Outcome::Unknown { why: "it ran; without a `check:` nobody can say what it did".into() }, rows)
            }
            still => {
                let left: Vec<String> =
                    still.rows().iter().map(|r| format!("{} {} is {}", r.object, r.field, r.found)).collect();
                let reason = if let Decision::Unknown(why) | Decision::Impossible(why) = &still {
                    why.clone()
                } else {
                    left.join("; ")
                };
                (Outcome::Failed { why: format!("did not converge: {reason}") }, rows)
            }
        })
    }

    /// The marks of all that follows when this changes, then the change itself.
    fn acts(&self, site: &Site, task: usize, made: &[Made], planned: &Decision) -> Vec<Act> {
        let plan = &self.shared.run.plan;
        let follows = plan.graph.after(task).into_iter().filter(|after| {
            plan.graph.before(*after).iter().any(|(before, why)| *before == task && **why == Why::OnChange)
        });
        let marks = follows
            .flat_map(|after| site.made(after).iter().filter_map(|one| one.kind.follow_up()).collect::<Vec<_>>());
        let mut acts: Vec<Act> = marks.map(|name| Act::MarkDue { name }).collect();
        let blind: Vec<Setting> = Vec::new();
        if *planned == Decision::Blind {
            acts.extend(made.iter().flat_map(|one| one.kind.set(&blind, &self.facts)));
        } else {
            acts.extend(planned.acts(made, &self.facts));
        }
        acts
    }

    async fn refresh(&mut self, site: &mut Site, task: usize) -> Result<(), Loss> {
        if self.fresh != Some(task) {
            self.facts.update(site.read_made(&[task]).await?);
            self.fresh = Some(task);
        }
        Ok(())
    }

    /// What must come first and did not succeed. Waits for other hosts, and lets another host work meanwhile.
    async fn blocker(&mut self, task: usize) -> Option<usize> {
        let plan = Arc::clone(&self.shared.run.plan);
        for (before, _) in plan.graph.before(task) {
            let good = if let Some(good) = self.good.get(&before) {
                *good
            } else if let Some(end) = self.shared.ends.get(&before) {
                let mut end = end.subscribe();
                if end.borrow().is_none() {
                    self.permit = None;
                    let _ = end.wait_for(Option::is_some).await;
                    self.permit = self.shared.permit().await;
                }
                *end.borrow() == Some(true)
            } else {
                // An earlier play of this host: it ended before this play began.
                true
            };
            if !good {
                return Some(before);
            }
        }
        None
    }

    /// Why the task must not act, when what was approved is not what would be done now.
    fn unapproved(&self, task: usize, planned: &Decision) -> Option<Outcome> {
        let Decision::Drift(_) = planned else { return None };
        let approved = self.shared.approved.as_ref()?;
        match approved.get(&task) {
            Some(Decision::Pending { .. } | Decision::Blind) => None,
            Some(shown) if shown == planned => None,
            _ => Some(Outcome::Stale { why: "the host is not as the plan that was approved found it".into() }),
        }
    }
}
