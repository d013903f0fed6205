//! Changing hosts: play by play, batch by batch.

use super::site::Site;
use super::work::Work;
use super::{Approved, Run, millis};
use crate::event::{Summary, What};
use futures_util::future::join_all;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore, watch};

/// How the tasks that others wait for have ended: `None` is not yet, `Some(good)` is done.
type Ends = HashMap<usize, watch::Sender<Option<bool>>>;

/// What all hosts of an apply share.
pub struct Shared {
    pub run: Arc<Run>,
    pub approved: Option<Approved>,
    pub ends: Ends,
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
                let bad = |sum: &Summary| sum.failed + sum.reverted + sum.unreachable + sum.stale;
                let bad = bad(&after) - bad(&before);
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
                site.leave().await;
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
                site.leave().await;
                *slot = None;
            }
        }
        for task in &order {
            self.end(*task, false);
        }
        self.run.voice.say(What::HostDone { host: self.run.plan.hosts[host].name.clone(), ms: millis(began) });
    }

    /// Tells those who wait how a task ended; the first word counts.
    pub fn end(&self, task: usize, good: bool) {
        if let Some(end) = self.ends.get(&task) {
            end.send_if_modified(|state| state.is_none() && state.replace(good).is_none());
        }
    }

    pub async fn permit(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.permits).acquire_owned().await.ok()
    }
}
