//! A disk from outside its host: a snapshot is made, or the disk is put back to one. Each stage of a way back is written down
//! before it begins, so that a run that dies in it is taken on by the next one.

use super::fail;
use super::incident::now;
use super::site::Site;
use super::work::{Work, told};
use crate::disk::{Act, Disk, OURS, Progress, Provider, Snapshot};
use crate::event::{Outcome, What};
use crate::fact::{Facts, KeyEvent, Milestone, Query, Stage, WayBack};
use crate::host::{Loss, LossKind};
use crate::moment::{lasts, written};
use crate::plan::{Decision, decide};
use crate::playbook::Made;
use crate::step::{DiskTurn, Row};
use crate::target::Ledger;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// More turns than any policy has: one more for each snapshot that goes would be one request more.
const MOST: usize = 8;
const SHORTEST: Duration = Duration::from_millis(200);
const LONGEST: Duration = Duration::from_secs(10);

/// One disk of one host, while something is done with it.
struct Keeping {
    disk: Disk,
    provider: Arc<dyn Provider>,
    ledger: Arc<dyn Ledger>,
    host: String,
    patience: Duration,
}

impl Keeping {
    fn note(&self, word: &WayBack) -> Result<(), String> {
        self.ledger.note_way_back(&self.host, &self.disk.name(), word).map_err(|fault| fault.to_string())
    }

    /// Begins an act and waits for its end.
    async fn act(&self, act: Act, id: &str) -> Result<(), String> {
        let until = Instant::now() + self.patience;
        let mut pause = SHORTEST;
        let (mut begun, mut last) = (false, String::new());
        while Instant::now() < until {
            if !begun {
                let begin = match act {
                    Act::Stop => self.provider.stop().await,
                    Act::Apply => self.provider.apply(id).await,
                    Act::Start => self.provider.start().await,
                };
                begin.map_err(|fault| fault.to_string())?;
                begun = true;
            }
            match self.provider.state(act).await {
                Ok(Progress::Done) => return Ok(()),
                Ok(Progress::Failed(why)) => return Err(why),
                Ok(Progress::Busy(word)) => last = word,
                // Who asks often may be refused once.
                Err(fault) => last = fault.to_string(),
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST);
        }
        Err(format!("it was not over after {} s: {last}", self.patience.as_secs()))
    }

    /// Makes a snapshot, and waits until it is in the list and whole.
    async fn create(&self, name: &str) -> Result<(), String> {
        let id = self.provider.create(name).await.map_err(|fault| fault.to_string())?;
        let until = Instant::now() + self.patience;
        let mut pause = SHORTEST;
        loop {
            let all = self.provider.list().await.map_err(|fault| fault.to_string())?;
            let lack = match all.iter().find(|one| one.id == id || one.name == name) {
                Some(Snapshot { lack: None, .. }) => return Ok(()),
                Some(one) => one.lack.clone().unwrap_or_default(),
                None => "it is not in the list".into(),
            };
            if Instant::now() > until {
                return Err(format!("the snapshot {name} was made and is no good: {lack}"));
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST);
        }
    }
}

/// Since when what was written is lost.
fn window(made: u64) -> String {
    format!("{} ({})", written(made), lasts(now().saturating_sub(made)))
}

fn question(keeping: &Keeping, made: u64) -> String {
    format!("{}: what was written since {} is lost.", keeping.disk.name(), window(made))
}

fn failed(why: impl std::fmt::Display) -> Outcome {
    Outcome::Failed { why: why.to_string() }
}

impl Work<'_> {
    fn keeping(&self, site: &Site, made: &[Made]) -> Result<Keeping, String> {
        let disk = made.iter().find_map(|one| one.kind.disk()).ok_or("it has no disk")?;
        let keys = self.shared.run.opener.keys().ok_or("there is no memory of what is done with disks")?;
        let provider = disk.provider().map_err(|fault| fault.to_string())?;
        let patience = Duration::from_secs(made.iter().map(|one| one.kind.patience()).max().unwrap_or(900));
        Ok(Keeping { disk, provider, ledger: Arc::clone(&keys.ledger), host: site.name(), patience })
    }

    /// What a task wants of a disk.
    pub(super) async fn disk(
        &mut self,
        site: &mut Site,
        task: usize,
        made: &Arc<[Made]>,
        planned: Decision,
    ) -> Result<(Outcome, Vec<Row>), Loss> {
        let rows = planned.rows();
        self.prove(site).await?;
        if let Some(end) = self.not_as_planned(site, task, &planned).await? {
            return Ok(end);
        }
        Ok((self.disks(site, task, made).await?, rows))
    }

    /// One after the other; the first that does not end well is the last.
    pub(super) async fn disks(&mut self, site: &mut Site, task: usize, made: &Arc<[Made]>) -> Result<Outcome, Loss> {
        for one in made.iter() {
            let one: Arc<[Made]> = Arc::new([one.clone()]);
            let outcome = self.one_disk(site, task, &one).await?;
            if outcome != Outcome::Changed && outcome != Outcome::Unchanged {
                return Ok(outcome);
            }
        }
        Ok(Outcome::Changed)
    }

    async fn one_disk(&mut self, site: &mut Site, task: usize, made: &Arc<[Made]>) -> Result<Outcome, Loss> {
        let keeping = match self.keeping(site, made) {
            Ok(keeping) => keeping,
            Err(why) => return Ok(failed(why)),
        };
        for _ in 0..MOST {
            let Some(turn) = made.iter().find_map(|one| one.kind.disk_turn(&self.facts)) else {
                let left = decide(made, &self.facts, None);
                return Ok(if left == Decision::InSync { Outcome::Changed } else { failed(told(&left)) });
            };
            site.started(task);
            let done = match turn {
                DiskTurn::Create => keeping.create(&format!("{OURS}{}", self.shared.run.id)).await,
                DiskTurn::Remove(ids) => {
                    let mut done = Ok(());
                    for id in &ids {
                        done = done.and(keeping.provider.remove(id).await.map_err(|fault| fault.to_string()));
                    }
                    done
                }
                DiskTurn::Back(to) => match self.begin_back(site, task, &keeping, &to).await? {
                    Ok(word) => self.go_back(site, task, &keeping, word).await,
                    Err(outcome) => return Ok(outcome),
                },
                DiskTurn::GoOn(word) => match self.unconfirmed(task, &keeping, &word) {
                    Some(outcome) => return Ok(outcome),
                    None => self.go_back(site, task, &keeping, word).await,
                },
            };
            if let Err(why) = done {
                return Ok(failed(why));
            }
            self.look_again(site, task).await?;
        }
        Ok(failed(format!("it did not come to an end: {}", told(&decide(made, &self.facts, None)))))
    }

    /// Reads a disk once more: where its host does not answer, from its keeper alone.
    async fn look_again(&mut self, site: &mut Site, task: usize) -> Result<(), Loss> {
        if !self.away {
            self.fresh = None;
            return self.refresh(site, task).await;
        }
        if let Some(facts) = site.beyond_facts(task).await {
            self.facts.update(facts);
        }
        Ok(())
    }

    /// All that must hold before anything is stopped.
    async fn begin_back(
        &mut self,
        site: &mut Site,
        task: usize,
        keeping: &Keeping,
        to: &Snapshot,
    ) -> Result<Result<WayBack, Outcome>, Loss> {
        let window = window(to.made);
        if let Some(shut) = self.unasked(task, &question(keeping, to.made)) {
            return Ok(Err(shut));
        }
        if self.shared.run.plan.hosts[site.host].connection.local {
            return Ok(Err(failed("this machine cannot stop its own disk")));
        }
        if let Err(why) = self.doomed(site, to, false) {
            return Ok(Err(failed(why)));
        }
        // A host that does not answer does not say which boot it is either.
        let boot = if self.away { String::new() } else { site.boot(task).await? };
        let run = self.shared.run.id.clone();
        let word = WayBack { snapshot: to.id.clone(), made: to.made, stage: Stage::Stopping, at: now(), boot, run };
        site.say(format!("its disk goes back to {}: what was written since {window} is lost", to.name));
        Ok(keeping.note(&word).map(|()| word).map_err(failed))
    }

    /// Why a way back that was begun does not go on: as long as nothing was done to the disk, what is written meanwhile would be
    /// lost without a word, so it is asked for once more.
    fn unconfirmed(&self, task: usize, keeping: &Keeping, word: &WayBack) -> Option<Outcome> {
        (word.stage == Stage::Stopping).then(|| self.unasked(task, &question(keeping, word.made))).flatten()
    }

    /// Keys of ours that the disk will not know. With `dead` that is written down of each.
    fn doomed(&self, site: &Site, to: &Snapshot, dead: bool) -> Result<(), String> {
        let host = &self.shared.run.plan.hosts[site.host];
        let (Some(keys), Some(user)) = (self.shared.run.opener.keys(), &host.connection.user) else { return Ok(()) };
        let ring = keys.ledger.ring(&host.name, user).map_err(|fault| fault.to_string())?;
        let Some(current) = ring.current().filter(|key| key.made.unwrap_or(key.at) > to.made) else { return Ok(()) };
        if let Some(old) = ring.keys.iter().find(|key| key.made.is_some_and(|made| made <= to.made)) {
            return Err(format!(
                "at that moment {user} came in by the key {} of the ledger, which was replaced and is gone: nobody of ours could log in",
                old.public.fingerprint()
            ));
        }
        if dead {
            let noted = keys.note(&host.name, user, &current.public, KeyEvent::Undone, &self.shared.run.id);
            noted.map_err(|fault| fault.to_string())?;
        }
        Ok(())
    }

    /// From its stage to the end.
    async fn go_back(
        &mut self,
        site: &mut Site,
        task: usize,
        keeping: &Keeping,
        mut word: WayBack,
    ) -> Result<(), String> {
        (self.touched, self.acted) = (true, Some(task));
        site.close().await;
        site.leased = None;
        let stages = [
            (Stage::Stopping, Some(Act::Stop), "its machine is stopped", "cannot be stopped"),
            (Stage::Applying, Some(Act::Apply), "its disk is put back", "is stopped, and its disk was not put back"),
            (Stage::Starting, Some(Act::Start), "its machine starts", "has its disk put back, and does not start"),
            (Stage::Waiting, None, "it is waited for a login", ""),
        ];
        let from = word.stage;
        for (stage, act, says, wrong) in stages.into_iter().filter(|(stage, ..)| *stage >= from) {
            (word.stage, word.at) = (stage, now());
            keeping.note(&word)?;
            site.say(format!("{says} (snapshot {})", word.snapshot));
            fail::point("disk-noted");
            if let Some(act) = act {
                keeping
                    .act(act, &word.snapshot)
                    .await
                    .map_err(|why| format!("the machine {wrong}: {why}; `resume` goes on from here"))?;
            }
            fail::point("disk-acted");
        }
        let made = word.made;
        let known = Snapshot { id: word.snapshot.clone(), name: word.snapshot.clone(), made, lack: None };
        self.doomed(site, &known, true)?;
        let boot = site.landed(task, keeping.patience).await?;
        self.away = false;
        if boot == word.boot {
            return Err("the host never started anew: it is the boot of before".into());
        }
        fail::point("disk-landed");
        if self.answers() {
            let told = format!("to the disk of {} (snapshot {})", written(made), word.snapshot);
            site.turned(Milestone::RolledBack, now(), &told);
        }
        (word.stage, word.at) = (Stage::Done, now());
        keeping.note(&word)?;
        site.say(format!(
            "it runs on its disk of {}: what earlier runs changed here since is gone, and cannot be taken back",
            written(made)
        ));
        // Nothing that was read, held or true of the old disk counts any more.
        self.facts = Facts::default();
        self.fresh = None;
        (site.signs, site.reborn) = (None, true);
        self.gone.extend(self.ends.keys().copied());
        site.take(task).await.map_err(|loss| loss.to_string())?;
        let order = self.order.to_vec();
        self.facts = site.survey(&order).await.map_err(|loss| loss.to_string())?;
        Ok(())
    }

    /// A way back that a former run began is ended before the host is asked anything: it may be stopped.
    pub(super) async fn end_way_back(&mut self, site: &mut Site) -> Result<(), Loss> {
        let plan = Arc::clone(&self.shared.run.plan);
        for task in self.order.iter().copied() {
            let made: Arc<[Made]> =
                plan.tasks[task].hope().iter().filter(|one| one.kind.rolls_back()).cloned().collect();
            let Some(disk) = made.iter().find_map(|one| one.kind.disk()) else { continue };
            let open =
                self.shared.run.opener.keys().and_then(|keys| keys.ledger.way_back(&site.name(), &disk.name()).ok());
            let Some(word) = open.flatten().filter(|word| word.stage != Stage::Done) else { continue };
            // A gate before it is asked at when its turn comes.
            let gated = plan.graph.before(task).iter().any(|(before, _)| plan.tasks[*before].is_gate());
            let keeping = self.keeping(site, &made);
            let begun = |keeping: &Keeping| {
                gated && word.stage == Stage::Stopping || self.unconfirmed(task, keeping, &word).is_some()
            };
            if keeping.as_ref().is_ok_and(begun) {
                continue;
            }
            site.say(format!(
                "run {} was putting its disk back and ended at `{}`: this goes on",
                word.run,
                word.stage.word()
            ));
            let ended = match keeping {
                Ok(keeping) => self.go_back(site, task, &keeping, word).await,
                Err(why) => Err(why),
            };
            if let Err(why) = ended {
                site.done(task, failed(&why), vec![]);
                return Err(Loss { kind: LossKind::Other, why });
            }
        }
        Ok(())
    }
}

impl Site {
    /// Tells a person something of the host.
    pub(super) fn say(&self, text: String) {
        self.run.voice.say(What::Note { host: self.name(), text });
    }

    /// Which boot of the host this is.
    async fn boot(&mut self, task: usize) -> Result<String, Loss> {
        let line = self.line(task).await?;
        let facts = line.read(&[Query::Os]).await?;
        Ok(facts.os().map(|os| os.boot_id.chars().take(64).collect()).unwrap_or_default())
    }

    /// Waits until the host lets us in, by its known key.
    async fn landed(&mut self, task: usize, patience: Duration) -> Result<String, String> {
        let until = Instant::now() + patience;
        let mut pause = SHORTEST;
        loop {
            self.close().await;
            let loss = match self.boot(task).await {
                Ok(boot) if !boot.is_empty() => return Ok(boot),
                Ok(_) => Loss { kind: LossKind::Other, why: "it does not say which boot it is".into() },
                Err(loss) => loss,
            };
            match loss.kind {
                LossKind::ChangedHostKey | LossKind::UnknownHostKey => {
                    return Err(format!(
                        "its disk was put back, and it shows another host key than the known one: {loss}"
                    ));
                }
                _ if Instant::now() > until => {
                    return Err(format!(
                        "its disk was put back, and it lets nobody in after {} s: {loss}",
                        patience.as_secs()
                    ));
                }
                _ => tokio::time::sleep(pause).await,
            }
            pause = (pause * 2).min(LONGEST);
        }
    }
}
