//! A real host behind an open line.

use super::{Done, Fate, Job, Ledger, Reader, Target};
use crate::act::{self, Act, Hold, Lease, Verb};
use crate::cloud::Fenced;
use crate::fact::{self, Answer, Baseline, Facts, Ours, Query};
use crate::host::{Host, Later, Lines, Login, Loss, LossKind, Reply, Request, random_word, show};
use crate::probe;
use futures_util::future::join_all;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// A host that is reached over a line.
pub struct Remote {
    host: Arc<dyn Host>,
    /// How long one reading may take.
    patience: Duration,
    /// How it is found by those who call it without ssh; this machine has no outside.
    outside: Option<(Arc<Lines>, Login)>,
    /// What is known of its keys, with its name.
    keys: Option<(Arc<dyn Ledger>, String)>,
    /// Where baselines are kept, with its name.
    baselines: Option<(PathBuf, String)>,
}

impl Remote {
    pub fn new(host: Arc<dyn Host>, patience: Duration) -> Self {
        Self { host, patience, outside: None, keys: None, baselines: None }
    }

    /// The same, for a host that can be looked at from outside.
    #[must_use]
    pub fn seen_by(mut self, lines: Arc<Lines>, login: Login) -> Self {
        self.outside = Some((lines, login));
        self
    }

    /// The same, for a host with a ledger of its keys.
    #[must_use]
    pub fn known_by(mut self, ledger: Arc<dyn Ledger>, name: &str) -> Self {
        self.keys = Some((ledger, name.to_owned()));
        self
    }

    /// The same, for a host with a baseline.
    #[must_use]
    pub fn kept_in(mut self, baselines: PathBuf, name: &str) -> Self {
        self.baselines = Some((baselines, name.to_owned()));
        self
    }

    /// What this controller kept of the host.
    fn look_up_baseline(&self, queries: &[Query], facts: &mut Facts) {
        if queries.contains(&Query::Baseline) {
            let kept = match &self.baselines {
                None => Err("there is no place for baselines".to_owned()),
                Some((dir, host)) => super::baseline::read(dir, host),
            };
            facts.put(Query::Baseline, kept.map(|kept| Answer::Baseline(kept.map(Box::new))));
        }
    }

    /// What the ledger of this controller says.
    fn look_up_keys(&self, queries: &[Query], facts: &mut Facts) {
        if queries.contains(&Query::Incident) {
            let incident = match &self.keys {
                None => Err("there is no memory of incidents".to_owned()),
                Some((ledger, host)) => ledger.incident(host).map_err(|fault| fault.to_string()),
            };
            facts.put(Query::Incident, incident.map(Answer::Incident));
        }
        for query in queries {
            let Query::Ours(days) = query else { continue };
            let ours = match &self.keys {
                None => Ok(Ours::default()),
                Some((ledger, host)) => ledger.ours(host, *days).map_err(|fault| fault.to_string()),
            };
            facts.put(query.clone(), ours.map(Answer::Ours));
        }
        for query in queries {
            let Query::Ring(user) = query else { continue };
            let ring = match &self.keys {
                None => Err("there is no ledger of keys here".to_owned()),
                Some((ledger, host)) => ledger.ring(host, user).map_err(|fault| fault.to_string()),
            };
            facts.put(query.clone(), ring.map(Answer::Ring));
        }
    }

    /// By which keys the user's ssh knows it.
    async fn look_up_known_hosts(&self, queries: &[Query], facts: &mut Facts) {
        if queries.contains(&Query::KnownHosts) {
            let known = match &self.outside {
                None => Err("it is not reached by ssh".to_owned()),
                Some((lines, login)) => match lines.known(login).await {
                    Ok(known) => known.keys(),
                    Err(why) => Err(why),
                },
            };
            facts.put(Query::KnownHosts, known.map(Answer::KnownHosts));
        }
    }

    /// What the keeper of a disk says, and this controller.
    async fn look_at_disks(&self, queries: &[Query], facts: &mut Facts) {
        for query in queries {
            let Query::Disk(disk) = query else { continue };
            let state = super::disk::look(disk, self.keys.as_ref()).await;
            facts.put(query.clone(), state.map(Answer::Disk));
        }
    }

    /// What clouds let through to the host.
    async fn look_at_fences(&self, queries: &[Query], facts: &mut Facts) {
        let fences = queries
            .iter()
            .filter_map(|query| if let Query::Fence(fence) = query { Some((query, fence)) } else { None });
        for (query, seen) in join_all(fences.map(|(query, fence)| async move { (query, fence.look().await) })).await {
            let remembered = |mut seen: Fenced| {
                let Query::Fence(fence) = query else { return Ok(seen) };
                if let Some((ledger, _)) = &self.keys {
                    seen.before = ledger.fence_before(fence, &seen.shape)?;
                }
                Ok(seen)
            };
            let seen = seen.and_then(remembered).map(Answer::Fence);
            facts.put(query.clone(), seen.map_err(|fault| super::disk::told(&fault)));
        }
    }

    /// What clouds find on the host by scanners of their own.
    async fn look_by_scans(&self, queries: &[Query], facts: &mut Facts) {
        for query in queries {
            let Query::HostScan(scan) = query else { continue };
            let found = scan.look().await.map(Answer::HostScan);
            facts.put(query.clone(), found.map_err(|fault| super::disk::told(&fault)));
        }
    }

    /// What the controller knows, and what is seen from outside: all that is not the host's to tell.
    async fn look_elsewhere(&self, queries: &[Query], facts: &mut Facts) {
        super::handshake::shake(self.outside.as_ref(), queries, facts).await;
        self.look_from_outside(queries, facts).await;
        self.look_up_keys(queries, facts);
        self.look_up_known_hosts(queries, facts).await;
        self.look_at_disks(queries, facts).await;
        self.look_at_fences(queries, facts).await;
        self.look_by_scans(queries, facts).await;
        self.look_up_baseline(queries, facts);
    }

    /// Notes the entry of a change in the host's journal: that it begins, or by what digest it is known.
    fn note(&self, job: &Job, digest: Option<&str>) -> crate::fault::Result<()> {
        match (&self.keys, &job.intent) {
            (Some((ledger, host)), Some(intent)) => ledger.note_entry(host, &intent.run, intent.seq, digest),
            _ => Ok(()),
        }
    }

    /// What the host says of the entry that it wrote. What cannot be noted is an entry of which nothing is known.
    fn learn(&self, job: &Job, reply: &Reply) {
        let noted = act::kept(&reply.err).map_or(Ok(()), |digest| self.note(job, Some(&digest)));
        noted.unwrap_or_else(|fault| tracing::warn!(%fault, "the journal's digest is not kept"));
    }

    /// What the host looks like from outside: the ports that were asked about and all that it says are open.
    async fn look_from_outside(&self, queries: &[Query], facts: &mut Facts) {
        for query in queries {
            let Query::Outside(ports) = query else { continue };
            let mut all = ports.clone();
            if let Ok(found) = facts.listeners() {
                all.extend(found.all.iter().filter(|one| one.protocol == "tcp").map(|one| one.port));
            }
            let seen = match &self.outside {
                None => Err("this machine cannot be seen from outside by itself".to_owned()),
                Some((lines, login)) => match lines.address(login).await {
                    Ok(address) => probe::call(&address, &all).await,
                    Err(why) => Err(why),
                },
            };
            facts.put(query.clone(), seen.map(Answer::Outside));
        }
    }
}

impl Reader for Remote {
    fn read<'a>(&'a self, queries: &'a [Query]) -> Later<'a, Result<Facts, Loss>> {
        Box::pin(async move {
            let nonce = random_word();
            let mut waiting = Vec::new();
            for reading in fact::script(queries, &nonce) {
                let request = Request { script: reading.script().to_owned(), timeout: reading.patience(self.patience) };
                waiting.push((reading, self.host.call(request)));
            }
            let (readings, calls): (Vec<_>, Vec<_>) = waiting.into_iter().unzip();
            let mut facts = Facts::default();
            for (reading, reply) in readings.iter().zip(join_all(calls).await) {
                facts.update(fact::answers(reading, &reply?));
            }
            self.look_elsewhere(queries, &mut facts).await;
            Ok(facts)
        })
    }
}

impl Target for Remote {
    fn set<'a>(&'a self, acts: &'a [Act], timeout: Duration) -> Later<'a, Result<Done, Loss>> {
        Box::pin(async move { Ok(done(&self.host.call(Request { script: act::render(acts, None), timeout }).await?)) })
    }

    fn carry_out<'a>(&'a self, job: &'a Job) -> Later<'a, Result<(Done, Facts), Loss>> {
        Box::pin(async move {
            if let Err(why) = self.note(job, None) {
                return Ok((Done::Failed { act: 0, why: why.to_string() }, Facts::default()));
            }
            let acts = act::render(&job.acts, job.intent.as_ref());
            let readings = fact::script(&job.queries, &random_word());
            // A script of the playbook's author ends as it likes: its code must not be taken for that of the acts.
            let alone = !job.queries.iter().any(|query| matches!(query, Query::Shell(_)));
            let ([reading], true) = (readings.as_slice(), alone) else {
                let reply = self.host.call(Request { script: acts, timeout: job.timeout }).await?;
                self.learn(job, &reply);
                let done = done(&reply);
                let facts = if done == Done::All { self.read(&job.queries).await? } else { Facts::default() };
                return Ok((done, facts));
            };
            // The reading begins only when every act is done, so its answers are those of the changed host.
            let script = format!("(\n{acts}\n) >/dev/null || exit\n{}", reading.script());
            let reply =
                self.host.call(Request { script, timeout: job.timeout + reading.patience(self.patience) }).await?;
            self.learn(job, &reply);
            let done = done(&reply);
            let mut facts = if done == Done::All { fact::answers(reading, &reply) } else { Facts::default() };
            if done == Done::All {
                self.look_elsewhere(&job.queries, &mut facts).await;
            }
            Ok((done, facts))
        })
    }

    fn keep(&self, baseline: &Baseline) -> Result<(), String> {
        let (dir, host) = self.baselines.as_ref().ok_or("there is no place for baselines")?;
        super::baseline::keep(dir, host, baseline)
    }

    fn grab<'a>(&'a self, script: String) -> Later<'a, Result<Reply, Loss>> {
        self.host.call(Request { script, timeout: self.patience })
    }

    fn lease<'a>(&'a self, what: &'a Lease) -> Later<'a, Result<Hold, Loss>> {
        Box::pin(async move {
            let reply = self.grab(act::lease(what)).await?;
            in_time(&reply)?;
            act::hold(&String::from_utf8_lossy(&reply.out)).ok_or_else(|| Loss {
                kind: LossKind::Other,
                why: format!("its lease cannot be had: {}", show(reply.err.trim_ascii(), 300)),
            })
        })
    }

    fn guard<'a>(&'a self, verb: Verb, token: &'a str) -> Later<'a, Result<(Fate, String), Loss>> {
        Box::pin(async move {
            let reply = self.grab(act::guard(verb, token)).await?;
            in_time(&reply)?;
            let text = String::from_utf8_lossy(&reply.out).into_owned();
            let (word, said) = text.split_once('\n').unwrap_or((&text, ""));
            let fate = match word {
                "confirmed" => Fate::Confirmed,
                "armed" => Fate::Armed,
                "fired" => Fate::Fired,
                "reverted" => Fate::Reverted,
                "failed" => Fate::Failed,
                _ => Fate::None,
            };
            Ok((fate, said.chars().take(1000).collect()))
        })
    }

    fn close(&self) -> Later<'_, ()> {
        self.host.close()
    }
}

/// A reply that was cut short says nothing of what it is about.
fn in_time(reply: &Reply) -> Result<(), Loss> {
    let why = || "what was asked of it did not come to an end in time".to_owned();
    if reply.timed_out { Err(Loss { kind: LossKind::Other, why: why() }) } else { Ok(()) }
}

/// What a reply says of the acts that were sent.
fn done(reply: &Reply) -> Done {
    if reply.timed_out {
        return Done::TimedOut;
    }
    if reply.code == 0 {
        return Done::All;
    }
    act::failure(&reply.err).map_or_else(
        || Done::Failed { act: 0, why: format!("the script ended with {}", reply.code) },
        |failure| {
            let code = if failure.why.is_empty() {
                format!("it ended with {} and said nothing", reply.code)
            } else {
                failure.why
            };
            Done::Failed { act: failure.act, why: code }
        },
    )
}
