//! Changing hosts: play by play, batch by batch.

use super::gate::Gates;
use super::site::Site;
use super::work::Work;
use super::{Run, millis};
use crate::event::What;
use crate::plan::Approved;
use crate::plan::Play;
use crate::playbook::{Batch, OnFailure};
use futures_util::future::join_all;
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, PoisonError};
use std::time::Instant;
use tokio::sync::{Mutex, OwnedMutexGuard, OwnedSemaphorePermit, Semaphore, watch};

/// How the tasks that others wait for have ended: `None` is not yet, `Some(good)` is done.
type Ends = HashMap<usize, watch::Sender<Option<bool>>>;

/// The hosts that failed, and those that were lost.
type Bad = (BTreeSet<String>, BTreeSet<String>);

/// What all hosts of an apply share.
pub struct Shared {
    pub run: Arc<Run>,
    pub approved: Option<Approved>,
    pub ends: Ends,
    pub gates: Gates,
    /// How the tasks of plays that are over have ended.
    past: std::sync::Mutex<HashMap<usize, bool>>,
    permits: Arc<Semaphore>,
    /// Who is at something of a cloud, by its name.
    fences: Mutex<HashMap<String, Arc<Mutex<()>>>>,
    /// Hosts of this batch that were not begun any more.
    pub passed_over: Mutex<Vec<usize>>,
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
            gates: Gates::of(&self.plan),
            past: std::sync::Mutex::default(),
            permits: Arc::new(Semaphore::new(self.settings.forks.max(1))),
            fences: Mutex::default(),
            passed_over: Mutex::default(),
        });
        self.end_orders().await;
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
                let before = self.voice.bad_hosts();
                let mut jobs = tokio::task::JoinSet::new();
                for host in hosts {
                    let (shared, site, host) = (Arc::clone(&shared), Arc::clone(&sites[*host]), *host);
                    jobs.spawn(async move { shared.host(number, host, &site).await });
                }
                while jobs.join_next().await.is_some() {}
                let mut left: Vec<usize> = play.batches[batch + 1..].concat();
                if let Some(why) = shared.gates.shut() {
                    left.extend(self.plan.plays[number + 1..].iter().flat_map(|play| play.batches.iter().flatten()));
                    left.sort_unstable();
                    left.dedup();
                    let hosts: Vec<String> = left.iter().map(|host| self.plan.hosts[*host].name.clone()).collect();
                    if !hosts.is_empty() {
                        self.voice.say(What::Stopped { why, hosts });
                    }
                    break 'plays;
                }
                left.extend(shared.passed_over.lock().await.drain(..));
                if let (false, Some(why)) = (left.is_empty(), self.enough(number, Some((batch, &before)))) {
                    self.voice.say(What::Stopped {
                        why,
                        hosts: left.iter().map(|host| self.plan.hosts[*host].name.clone()).collect(),
                    });
                    break 'plays;
                }
            }
        }
        // Side by side: a goodbye costs a round trip.
        let goodbyes = sites.iter().map(|site| async move {
            if let Some(site) = site.lock().await.as_mut() {
                site.leave().await;
            }
        });
        join_all(goodbyes).await;
    }

    /// Why no further host of a play may begin; `after` is a batch that just ended, with what was bad before it.
    pub fn enough(&self, play: usize, after: Option<(usize, &Bad)>) -> Option<String> {
        let Play { batches, budget, canary, .. } = &self.plan.plays[play];
        let members: BTreeSet<&str> =
            batches.iter().flatten().map(|host| self.plan.hosts[*host].name.as_str()).collect();
        let of_play = |hosts: &BTreeSet<String>| hosts.iter().filter(|host| members.contains(host.as_str())).count();
        let (failed, lost) = self.voice.bad_hosts();
        let total = members.len();
        let used_up = |bad: usize, what: &str, name: &str, limit: Option<Batch>| {
            let most = limit?.of(total);
            (bad > most).then(|| format!("{bad} of {total} hosts {what}, and {name} is {most}"))
        };
        let over = used_up(of_play(&failed), "failed", "max_failed", budget.max_failed)
            .or_else(|| used_up(of_play(&lost), "are unreachable", "max_unreachable", budget.max_unreachable));
        let (batch, (failed_before, lost_before)) = match (over, after) {
            (Some(why), _) => return Some(why),
            (None, None) => return None,
            (None, Some(after)) => after,
        };
        let unborne = |bad: usize, limit: Option<Batch>| if limit.is_none() { bad } else { 0 };
        let new = unborne(failed.difference(failed_before).count(), budget.max_failed)
            + unborne(lost.difference(lost_before).count(), budget.max_unreachable);
        let canary = *canary && batch == 0 && (failed.len() > failed_before.len() || lost.len() > lost_before.len());
        if canary {
            return Some("keys are replaced on one host first, and that did not end well".into());
        }
        let stops = new > 0 && budget.on_failure != OnFailure::Continue;
        stops.then(|| format!("{new} failed or lost in batch {} of {}", batch + 1, batches.len()))
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
            let mut ended = work.all(site).await;
            if let Err(loss) = &ended
                && work.outside(site, loss).await
            {
                ended = work.go(site).await;
            }
            if let Err(loss) = ended {
                site.lost(&loss);
                site.leave().await;
                *slot = None;
            }
        }
        for task in &order {
            self.end(*task, false);
            self.gates.arrive(*task);
        }
        self.run.voice.say(What::HostDone { host: self.run.plan.hosts[host].name.clone(), ms: millis(began) });
    }

    /// Tells those who wait how a task ended; the first word counts.
    pub fn end(&self, task: usize, good: bool) {
        self.past.lock().unwrap_or_else(PoisonError::into_inner).entry(task).or_insert(good);
        if let Some(end) = self.ends.get(&task) {
            end.send_if_modified(|state| state.is_none() && state.replace(good).is_none());
        }
    }

    /// How a task of a play that is over has ended; one that never began is none of this run's.
    pub fn past(&self, task: usize) -> bool {
        self.past.lock().unwrap_or_else(PoisonError::into_inner).get(&task).copied().unwrap_or(true)
    }

    /// Waits until nobody else of this run is at something of a cloud.
    pub async fn alone(&self, name: &str) -> OwnedMutexGuard<()> {
        let lock = Arc::clone(self.fences.lock().await.entry(name.to_owned()).or_default());
        lock.lock_owned().await
    }

    pub async fn permit(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.permits).acquire_owned().await.ok()
    }
}
