//! Does what a plan says: reads hosts, decides, sets, reads again. Says everything as events and prints nothing.

use crate::event::{Mode, Summary, What};
use crate::fact::{Facts, JournalEntry, Query};
use crate::host::{KeyWord, Later, Loss, LossKind, PublicKey};
use crate::plan::{Acted, Decision, Host, Key, Plan};
use crate::target::Target;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{Semaphore, watch};

mod access;
mod apply;
mod boot;
mod disk;
mod door;
mod fail;
mod gate;
mod gather;
mod guard;
mod held;
mod host_key;
mod incident;
mod keyring;
pub mod lines;
mod order;
mod outside;
mod passage;
mod proof;
mod rotate;
mod shells;
mod since;
mod site;
mod stage;
mod voice;
mod work;

pub use gate::Approvals;
pub use keyring::Keyring;
pub use passage::Passage;
pub use voice::Voice;

/// Opens lines to hosts.
pub trait Opener: Send + Sync {
    /// A line to a host, as root or as the user who logs in.
    fn open<'a>(&'a self, host: &'a Host, as_root: bool) -> Later<'a, Result<Arc<dyn Target>, Loss>>;

    /// The same over a connection and a login of its own, sharing nothing with any other: it proves the way in.
    fn open_fresh<'a>(&'a self, host: &'a Host, as_root: bool) -> Later<'a, Result<Arc<dyn Target>, Loss>>;

    /// Whether a login would pass by the files of sshd on the host's disk.
    fn by_files<'a>(&'a self, host: &'a Host, as_root: bool) -> Later<'a, Result<(), Loss>>;

    /// Those of these hosts that are reached through this one.
    fn behind<'a>(&'a self, _: &'a Host, _: &'a [Host]) -> Later<'a, Vec<Passage>> {
        Box::pin(async { Vec::new() })
    }

    /// Whether the way to a host that is reached through others is open, over connections of their own.
    fn passes<'a>(&'a self, _: &'a Passage) -> Later<'a, Result<(), Loss>> {
        Box::pin(async { Ok(()) })
    }

    /// Whether it would be by the files of sshd on the disk of this gate.
    fn passes_by_files<'a>(&'a self, _: &'a Host, _: bool, _: &'a Passage) -> Later<'a, Result<(), Loss>> {
        Box::pin(async { Ok(()) })
    }

    /// What is known of a host without asking it.
    fn beyond<'a>(&'a self, _: &'a Host, _: &'a [Query]) -> Later<'a, Facts> {
        Box::pin(async { Facts::default() })
    }

    /// Why a host is reached by the agent of its cloud instead of by ssh, once, where it is.
    fn news_of_rescue(&self, _: &Host) -> Option<String> {
        None
    }

    /// The keys of this controller, where it keeps any.
    fn keys(&self) -> Option<Arc<Keyring>> {
        None
    }

    /// A login over a connection of its own that takes the host by these keys alone.
    fn by_host_key<'a>(&'a self, _: &'a Host, _: &'a [PublicKey]) -> Later<'a, Result<(), Loss>> {
        Box::pin(async { Err(Loss { kind: LossKind::Other, why: "no host is known by a key here".into() }) })
    }

    /// known_hosts learn a new key of the host, beside the old ones.
    fn learn<'a>(&'a self, _: &'a Host, _: &'a [PublicKey], _: &'a PublicKey) -> Later<'a, Result<(), String>> {
        Box::pin(async { Err("there are no known_hosts here".into()) })
    }

    /// known_hosts forget old keys of the host; these are the names of others.
    fn forget<'a>(&'a self, _: &'a Host, _: &'a [PublicKey], _: &'a BTreeSet<String>) -> Later<'a, Result<(), String>> {
        Box::pin(async { Err("there are no known_hosts here".into()) })
    }

    /// What the host says to one key of a user, over a connection of its own; with its `private` half, or without.
    fn offer<'a>(&'a self, _: &'a Host, _: &'a str, _: &'a PublicKey, _: bool) -> Later<'a, Result<KeyWord, Loss>> {
        Box::pin(async { Err(Loss { kind: LossKind::Other, why: "no key can be offered here".into() }) })
    }
}

/// How a run is done.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Hosts at the same time.
    pub forks: usize,
    /// Turns true when no new task may start.
    pub stop: watch::Receiver<bool>,
    /// Seconds after which a change to the way in goes back unless a new login proved it; `None` changes unguarded.
    pub guard: Option<u64>,
    /// How long to wait for a host that another run holds.
    pub lock_timeout: Duration,
    /// Who runs it, for others who want a host.
    pub who: String,
    /// Runs that are over, whose hosts may be taken over.
    pub over: Vec<String>,
    pub past: Past,
    /// Where evidence is kept.
    pub evidence: Option<PathBuf>,
    /// The key that signs, where neither step nor inventory says one.
    pub key: Option<PathBuf>,
    /// Who opens gates.
    pub approvals: Approvals,
}

/// What earlier runs left true.
#[derive(Debug, Clone, Default)]
pub struct Past {
    pub key: Key,
    /// By host and step: the digest of what the step wanted, and the run.
    pub left: HashMap<(String, String), (String, String)>,
}

/// What a look at hosts found, by task number.
pub type Decisions = HashMap<usize, Decision>;

/// One run over a plan.
pub struct Run {
    /// Its name, also in the journals of the hosts.
    pub id: String,
    pub plan: Arc<Plan>,
    pub opener: Arc<dyn Opener>,
    pub voice: Arc<Voice>,
    pub settings: Settings,
}

impl Run {
    /// Reads every host and says what differs; nothing is changed. Gives what it found, to be approved.
    pub async fn check(self: &Arc<Self>) -> Decisions {
        let permits = Arc::new(Semaphore::new(self.settings.forks.max(1)));
        let mut jobs = tokio::task::JoinSet::new();
        for host in 0..self.plan.hosts.len() {
            let (run, permits) = (Arc::clone(self), Arc::clone(&permits));
            jobs.spawn(async move {
                let _permit = permits.acquire_owned().await;
                if *run.settings.stop.borrow() { Vec::new() } else { run.check_host(host).await }
            });
        }
        let mut all = Decisions::new();
        while let Some(decisions) = jobs.join_next().await {
            all.extend(decisions.unwrap_or_default());
        }
        all
    }

    async fn check_host(self: &Arc<Self>, host: usize) -> Vec<(usize, Decision)> {
        let began = Instant::now();
        let mut site = site::Site::new(self, host);
        let order = self.plan.of_host(host);
        let decisions = match site.survey(&order).await {
            Ok(facts) => {
                site.tell_guards(&facts);
                let decisions = site.judge(&order, &facts);
                site.met(&decisions);
                decisions.iter().for_each(|(task, decision)| site.tell(*task, decision, &facts));
                decisions
            }
            Err(loss) => {
                site.tell_outside(&order, &loss).await;
                site.lost(&loss);
                Vec::new()
            }
        };
        site.close().await;
        self.voice.say(What::HostDone { host: self.plan.hosts[host].name.clone(), ms: millis(began) });
        decisions
    }

    /// The first two events of every run.
    pub fn announce(&self, mode: Mode) {
        self.voice.say(What::Version { version: crate::event::VERSION, steadfast: env!("CARGO_PKG_VERSION").into() });
        let mut steps: Vec<&str> = self.plan.tasks.iter().map(|task| task.step.id.as_str()).collect();
        steps.sort_unstable();
        steps.dedup();
        self.voice.say(What::RunStarted {
            run: self.id.clone(),
            mode,
            who: self.settings.who.clone(),
            plan: if matches!(mode, Mode::Apply | Mode::Rollback) {
                self.plan.meaning(&self.settings.past.key)
            } else {
                String::new()
            },
            hosts: self.plan.host_names(),
            playbooks: self.plan.plays.iter().map(|play| play.file.clone()).collect(),
            steps: steps.len(),
            tasks: self.plan.tasks.len(),
        });
    }

    /// The last event of every run; gives the count and the exit code.
    pub fn conclude(&self, mode: Mode, report_only: bool, began: Instant) -> (Summary, u8) {
        let summary = self.voice.summary();
        let interrupted = *self.settings.stop.borrow();
        let exit = if interrupted { 130 } else { summary.exit(mode, report_only) };
        self.voice.say(What::RunDone { summary: summary.clone(), exit, interrupted, ms: millis(began) });
        (summary, exit)
    }
}

/// What a host answered.
pub type Reading = Result<Facts, Loss>;

/// Asks hosts some questions, side by side; the answers are in the order of the hosts.
pub async fn read(opener: &dyn Opener, hosts: &[Host], queries: &[Query], as_root: bool, forks: usize) -> Vec<Reading> {
    let permits = Semaphore::new(forks.max(1));
    let one = |host| {
        let permits = &permits;
        async move {
            let _permit = permits.acquire().await;
            // As for a task: the inventory's word counts first.
            let line = opener.open(host, host.connection.become_root.unwrap_or(as_root)).await?;
            let facts = line.read(queries).await;
            line.close().await;
            facts
        }
    };
    futures_util::future::join_all(hosts.iter().map(one)).await
}

/// A host's journal, from a run on.
pub type Journal = Result<Vec<JournalEntry>, Loss>;

/// What the hosts' journals say of a run and of all that came after it, in the order of the hosts.
pub async fn journals(opener: &dyn Opener, hosts: &[Host], run: &str, acted: Acted, forks: usize) -> Vec<Journal> {
    let unread = |gap| Loss { kind: LossKind::Other, why: format!("its journal cannot be read: {gap:?}") };
    let asked = async |as_root| {
        let all = read(opener, hosts, &[Query::Journal(run.to_owned())], as_root, forks).await;
        let one = |facts: Reading| facts?.journal(run).cloned().map_err(unread);
        all.into_iter().map(one).collect::<Vec<Journal>>()
    };
    let mut all = asked(acted.as_root).await;
    if acted.as_root && acted.as_user {
        for (all, own) in all.iter_mut().zip(asked(false).await) {
            match (&mut *all, own) {
                (Ok(all), Ok(mut own)) => {
                    // No two changes of a run have one number: where root logs in, both have read the same.
                    let known: HashSet<(String, u32)> = all.iter().map(|e| (e.run.clone(), e.seq)).collect();
                    own.retain(|entry| !known.contains(&(entry.run.clone(), entry.seq)));
                    all.extend(own.into_iter().map(|entry| JournalEntry { by_user: true, ..entry }));
                }
                (Ok(_), Err(loss)) => *all = Err(loss),
                (Err(_), _) => {}
            }
        }
    }
    all
}

fn millis(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// How long one reading of a host may take.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The name of a run: when it began (UTC, to the millisecond, so that names sort by age), and a word that makes it the
/// only one.
pub fn new_id() -> String {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let (seconds, ms) = (since.as_secs(), since.subsec_millis());
    let (year, month, day) = crate::event::date(seconds / 86_400);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    let word = &crate::host::random_word()[..4];
    format!("{year}{month:02}{day:02}-{hour:02}{minute:02}{second:02}.{ms:03}-{word}")
}
