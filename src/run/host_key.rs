//! A host's own key is replaced: what happens between the stages that the host sees. known_hosts knows the new key before it
//! is shown and the old one until it is not, and the ledger has each word before what it names begins: a run that dies
//! anywhere leaves a host that is known, and the next one goes on from there.

use super::fail;
use super::rotate::{Next, Turning, failed};
use super::site::Site;
use super::work::{Work, told};
use crate::event::Outcome;
use crate::fact::KeyEvent;
use crate::host::{Loss, LossKind, PublicKey};
use crate::plan::{Decision, decide};
use crate::playbook::Made;
use crate::step::{HOST_KEY, HostKeyTurn, Row};
use std::collections::BTreeSet;
use std::sync::Arc;

/// More turns than any change of a host's key has.
const MOST: usize = 16;

impl Work<'_> {
    /// Replaces the key of a host, turn by turn.
    pub(super) async fn rotate_host_key(
        &mut self,
        site: &mut Site,
        task: usize,
        made: &Arc<[Made]>,
        rows: &[Row],
        turning: &Turning,
    ) -> Result<Outcome, Loss> {
        for _ in 0..MOST {
            let now = decide(made, &self.facts, None);
            let Some(turn) = made.iter().find_map(|one| one.kind.host_key_turn(&self.facts)) else {
                return Ok(Outcome::Unknown { why: format!("its key cannot be told: {}", told(&now)) });
            };
            if turn == HostKeyTurn::Done {
                return Ok(Outcome::Changed);
            }
            (self.touched, self.acted) = (true, Some(task));
            match self.host_key_turn(site, task, (made, rows), &now, turning, turn).await? {
                Next::Go => {}
                Next::End(outcome) => return Ok(outcome),
                Next::Back(why) => return Ok(Outcome::Failed { why }),
            }
            self.fresh = None;
            self.refresh(site, task).await?;
        }
        Ok(Outcome::Failed { why: format!("it did not come to an end: {}", told(&decide(made, &self.facts, None))) })
    }

    async fn host_key_turn(
        &mut self,
        site: &mut Site,
        task: usize,
        of: (&Arc<[Made]>, &[Row]),
        now: &Decision,
        turning: &Turning,
        turn: HostKeyTurn,
    ) -> Result<Next, Loss> {
        let note = |key: &PublicKey, event| turning.note(HOST_KEY, key, event);
        match turn {
            HostKeyTurn::Done => Ok(Next::Go),
            HostKeyTurn::Sweep => self.host_turn(site, task, of, now, None).await,
            HostKeyTurn::Make => {
                let next = self.host_turn(site, task, of, now, None).await?;
                fail::point("hostkey-made");
                Ok(next)
            }
            HostKeyTurn::Note(key, path) => {
                let noted = turning.note_at(HOST_KEY, &key, &path);
                fail::point("hostkey-noted");
                Ok(noted.map_or_else(failed, |()| Next::Go))
            }
            HostKeyTurn::Offer(key) => {
                if let Err(fault) = note(&key, KeyEvent::Adding) {
                    return Ok(failed(fault));
                }
                fail::point("hostkey-adding");
                let next = self.host_turn(site, task, of, now, None).await?;
                fail::point("hostkey-offered");
                taken_back(site, turning, &key, next).await
            }
            HostKeyTurn::Learn { old, new } => {
                let learnt = site.learn(&old, &new).await;
                fail::point("hostkey-learnt");
                Ok(learnt.map_or_else(failed, |()| Next::Go))
            }
            HostKeyTurn::Prefer(key) => {
                let next = self.shown(site, task, of, now, &key).await?;
                fail::point("hostkey-shown");
                match next {
                    Next::Go => Ok(note(&key, KeyEvent::Proven).map_or_else(failed, |()| Next::Go)),
                    other => taken_back(site, turning, &key, other).await,
                }
            }
            HostKeyTurn::Switch(key) => {
                let noted = note(&key, KeyEvent::Current);
                fail::point("hostkey-current");
                Ok(noted.map_or_else(failed, |()| Next::Go))
            }
            HostKeyTurn::Remove { old, stays } => {
                for key in &old {
                    if let Err(fault) = note(key, KeyEvent::Removing) {
                        return Ok(failed(fault));
                    }
                }
                fail::point("hostkey-removing");
                let next = self.shown(site, task, of, now, &stays).await?;
                fail::point("hostkey-removed");
                Ok(next)
            }
            HostKeyTurn::Forget(old) => {
                if let Err(why) = site.shows_none_of(&old).await {
                    return Ok(failed(why));
                }
                fail::point("hostkey-refused");
                if let Err(why) = site.forget(&old).await {
                    return Ok(failed(why));
                }
                fail::point("hostkey-forgotten");
                for key in &old {
                    if let Err(fault) = note(key, KeyEvent::Refused) {
                        return Ok(failed(fault));
                    }
                }
                Ok(Next::Go)
            }
        }
    }

    /// A stage after which a login that takes this key of the host alone must get in.
    async fn shown(
        &mut self,
        site: &mut Site,
        task: usize,
        of: (&Arc<[Made]>, &[Row]),
        now: &Decision,
        key: &PublicKey,
    ) -> Result<Next, Loss> {
        let (stage, _) = now.stage(of.0);
        let acts = !stage.acts(of.0, &self.facts).is_empty();
        let guarded = site.guarded(task).is_some();
        site.shows = Some(key.clone());
        let next = if acts { self.host_turn(site, task, of, now, None).await } else { Ok(Next::Go) };
        site.shows = None;
        match next? {
            // Where nobody guards it, or nothing had to be set, it is proven all the same.
            Next::Go if !(acts && guarded) => {
                Ok(site.by_host_key(std::slice::from_ref(key)).await.map_or_else(Next::Back, |()| Next::Go))
            }
            other => Ok(other),
        }
    }
}

/// What was read to be as before is written down so, and known_hosts forget the key that nobody shows. Of all else nobody knows
/// what the host shows, and both keys stay known.
async fn taken_back(site: &Site, turning: &Turning, key: &PublicKey, next: Next) -> Result<Next, Loss> {
    if !matches!(next, Next::End(Outcome::Reverted { .. })) {
        return Ok(next);
    }
    if let Err(why) = site.forget(std::slice::from_ref(key)).await {
        return Ok(failed(format!("it was taken back; {why}")));
    }
    Ok(turning.note(HOST_KEY, key, KeyEvent::Undone).map_or_else(failed, |()| next))
}

impl Site {
    /// A login that takes these keys of the host alone.
    ///
    /// # Errors
    /// Why it did not get in.
    pub(super) async fn by_host_key(&self, keys: &[PublicKey]) -> Result<(), String> {
        let name = keys.iter().map(PublicKey::fingerprint).collect::<Vec<_>>().join(", ");
        let login = self.known_by(keys).await;
        login.map_err(|loss| format!("a login that takes the host's key {name} alone is refused: {loss}"))
    }

    async fn known_by(&self, keys: &[PublicKey]) -> Result<(), Loss> {
        let reached = self.reached();
        let missing = || Loss { kind: LossKind::Other, why: "no way leads to it".into() };
        let host = reached.first().ok_or_else(missing)?;
        let mut last = missing();
        // A sshd that begins anew may be away for a moment.
        for pause in [0u64, 300, 1000, 3000, 9000] {
            tokio::time::sleep(std::time::Duration::from_millis(pause)).await;
            match self.run.opener.by_host_key(host, keys).await {
                Ok(()) => return Ok(()),
                Err(loss) if matches!(loss.kind, LossKind::ChangedHostKey | LossKind::UnknownHostKey) => {
                    return Err(loss);
                }
                Err(loss) => last = loss,
            }
        }
        Err(last)
    }

    /// Whoever takes the old keys alone must not believe that this is the host.
    async fn shows_none_of(&self, old: &[PublicKey]) -> Result<(), String> {
        match self.known_by(old).await {
            Err(loss) if matches!(loss.kind, LossKind::ChangedHostKey | LossKind::UnknownHostKey) => Ok(()),
            Err(loss) => Err(format!("whether the old key of the host is gone could not be proven: {loss}")),
            Ok(()) => Err("the files of the old key are gone, and the host still shows it: another sshd has it".into()),
        }
    }

    async fn learn(&self, old: &[PublicKey], new: &PublicKey) -> Result<(), String> {
        let reached = self.reached();
        let host = reached.first().ok_or("no way leads to it")?;
        self.run.opener.learn(host, old, new).await
    }

    async fn forget(&self, old: &[PublicKey]) -> Result<(), String> {
        let others = self.run.plan.hosts.iter().enumerate().filter(|(n, _)| *n != self.host);
        let names = others.flat_map(|(_, host)| [host.name.to_lowercase(), host.connection.address.to_lowercase()]);
        let own = &self.run.plan.hosts[self.host];
        let mut names: BTreeSet<String> = names.collect();
        names.remove(&own.name.to_lowercase());
        names.remove(&own.connection.address.to_lowercase());
        let reached = self.reached();
        let host = reached.first().ok_or("no way leads to it")?;
        self.run.opener.forget(host, old, &names).await
    }
}
