//! A user's key is replaced: what happens between the stages that the host sees. Everything is written into the ledger
//! before it begins, so that a run that dies anywhere leaves a key that gets in, and the next run goes on from there.

use super::fail;
use super::keyring::Keyring;
use super::site::Site;
use super::work::{Work, told};
use crate::event::Outcome;
use crate::fact::{KeyEvent, Ring};
use crate::fault::{Fault, Result as Checked};
use crate::host::{KeyWord, Loss, PublicKey, find_program, run_program_alone};
use crate::plan::{Decision, decide};
use crate::playbook::Made;
use crate::step::{KeyOrder, KeyTurn, Row};
use crate::target::KeyNote;
use std::sync::Arc;
use std::time::Duration;

/// How long one who takes a new key may need: the host is held meanwhile, and not for ever.
const CONSUMING: Duration = Duration::from_secs(90);
/// Tells of the consumer that runs.
const RUNS: &str = ".consumer";
/// More turns than any change of keys has.
const MOST: usize = 16;

/// One user's keys on one host, while they are replaced.
pub(super) struct Turning {
    keys: Arc<Keyring>,
    host: String,
    run: String,
}

impl Turning {
    pub(super) fn note(&self, user: &str, key: &PublicKey, event: KeyEvent) -> Checked<()> {
        self.keys.note(&self.host, user, key, event, &self.run)
    }

    /// A pair was made on the host, and its private half lies there.
    pub(super) fn note_at(&self, user: &str, key: &PublicKey, path: &str) -> Checked<()> {
        let (host, user, run) = (self.host.clone(), user.to_owned(), self.run.clone());
        let (file, lock) = (String::new(), format!("{}{path}", crate::step::HOST_KEY_AT));
        self.keys.ledger.note(&KeyNote { host, user, public: key.clone(), event: KeyEvent::Made, file, lock, run })
    }

    /// Who else logs in by the key takes the new one; within, why one did not, or what one did to it.
    ///
    /// # Errors
    /// The host is not held any more, so what becomes of its keys may be another's.
    async fn consumed(
        &self,
        (site, task): (&mut Site, usize),
        order: &KeyOrder,
        key: &PublicKey,
    ) -> Result<Result<(), String>, String> {
        let known = || Ok::<_, String>(self.ring(order)?.of(key).map(|known| (known.file.clone(), known.lack.clone())));
        let file = known()?.map(|(file, _)| file).unwrap_or_default();
        for words in &order.consumers {
            let kept = site.keep(task, CONSUMING.as_secs()).await;
            kept.map_err(|loss| format!("the host is not held any more, and both keys get in: {loss}"))?;
            if let Err(why) = give(words, &file).await {
                return Ok(Err(format!("a consumer did not take the new key: {why}")));
            }
        }
        let lack = known()?.and_then(|(_, lack)| lack).filter(|_| !order.consumers.is_empty());
        Ok(lack.map_or(Ok(()), |lack| {
            Err(format!("after its consumers the private half of the new key is no good any more: {lack}"))
        }))
    }

    /// All of them are given the former key again: also those whom an earlier run gave the new one. Says who is left with
    /// a key that goes.
    async fn given_back(&self, (site, task): (&mut Site, usize), order: &KeyOrder, mut why: String) -> String {
        let former = self.ring(order).ok().and_then(|ring| ring.current().map(|known| known.file.clone()));
        for words in order.consumers.iter().rev() {
            match former.as_ref().filter(|file| !file.is_empty()) {
                Some(former) => {
                    // Who cannot be held is given back all the same.
                    let _ = site.keep(task, CONSUMING.as_secs()).await;
                    if let Err(left) = give(words, former).await {
                        why = format!("{why}; and one did not take the former key again: {left}");
                    }
                }
                None => {
                    why = format!("{why}; there is no former key of ours that `{}` could take again", words.join(" "))
                }
            }
        }
        why
    }

    fn ring(&self, order: &KeyOrder) -> Result<Ring, String> {
        self.keys.ledger.ring(&self.host, &order.user).map_err(|fault| fault.to_string())
    }

    /// Whether consumers may have a key already: an earlier run proved it, or began to add it once more.
    fn may_be_consumed(&self, order: &KeyOrder, key: &PublicKey) -> bool {
        let known =
            |ring: Ring| ring.of(key).is_some_and(|known| matches!(known.word, KeyEvent::Proven | KeyEvent::Adding));
        self.ring(order).is_ok_and(known)
    }

    /// Whether it is the key by which the user comes in: that word on it must not be lost.
    fn is_current(&self, user: &str, key: &PublicKey) -> bool {
        let current = self.keys.ledger.ring(&self.host, user).ok();
        current.is_some_and(|ring| ring.current().is_some_and(|known| known.public.is(key)))
    }
}

/// Runs a program with the path of a private half as its last word.
async fn give(words: &[String], file: &str) -> Result<(), String> {
    let words = [words, &[file.to_owned()]].concat();
    // Beside all keys of this user, so that the next run finds it: one that a dead run left must not have the last word.
    let note = std::path::Path::new(file).with_file_name(RUNS);
    let said = run_program_alone(&words, CONSUMING, &note).await;
    let told = |fault: Fault| match fault.cause().map(|why| why.trim_matches([';', ' '])).filter(|why| !why.is_empty())
    {
        Some(why) => format!("{}: {why}", fault.what()),
        None => fault.what().to_owned(),
    };
    said.map(drop).map_err(told)
}

/// What a turn came to.
pub(super) enum Next {
    Go,
    /// The whole change ends here.
    End(Outcome),
    /// It is to be taken back, and then ends.
    Back(String),
}

pub(super) fn failed(why: impl std::fmt::Display) -> Next {
    Next::End(Outcome::Failed { why: why.to_string() })
}

impl Work<'_> {
    /// Replaces the keys of a task, user by user.
    pub(super) async fn rotate(
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
        let host = &self.shared.run.plan.hosts[site.host];
        let Some(keys) = self.shared.run.opener.keys().filter(|_| !host.connection.local) else {
            let why = "it is not reached by ssh, so no key could be proven".to_owned();
            return Ok((Outcome::Failed { why }, rows));
        };
        let turning = Turning { keys, host: host.name.clone(), run: self.shared.run.id.clone() };
        for (n, one) in made.iter().enumerate() {
            let one: Arc<[Made]> = Arc::new([one.clone()]);
            let of_host = one.iter().any(|one| one.kind.host_key_turn(&self.facts).is_some());
            let outcome = if of_host {
                self.rotate_host_key(site, task, &one, &rows, &turning).await
            } else {
                self.one_user(site, task, &one, &rows, &turning).await
            };
            (site.proof, site.shows) = (None, None);
            match outcome? {
                Outcome::Changed => {}
                Outcome::Reverted { why } if n > 0 => {
                    let why = format!("{why}: that one went back, those before it in the loop stand");
                    return Ok((Outcome::Failed { why }, rows));
                }
                other => return Ok((other, rows)),
            }
        }
        // What is still to come is told with what was done.
        Ok((Outcome::Changed, [rows, site.tells(task, &self.facts)].concat()))
    }

    async fn one_user(
        &mut self,
        site: &mut Site,
        task: usize,
        made: &Arc<[Made]>,
        rows: &[Row],
        turning: &Turning,
    ) -> Result<Outcome, Loss> {
        let mut back: Option<String> = None;
        for _ in 0..MOST {
            let now = decide(made, &self.facts, None);
            let Some((order, turn)) = made.iter().find_map(|one| one.kind.key_turn(&self.facts)) else {
                return Ok(Outcome::Unknown { why: format!("its keys cannot be told: {}", told(&now)) });
            };
            if let (Some(why), false) = (&back, matches!(turn, KeyTurn::Sweep(_))) {
                return Ok(Outcome::Reverted { why: why.clone() });
            }
            if turn == KeyTurn::Done {
                return Ok(Outcome::Changed);
            }
            (self.touched, self.acted) = (true, Some(task));
            match self.key_turn(site, task, (made, rows), &now, turning, &order, turn).await? {
                Next::Go => {}
                Next::End(outcome) => return Ok(outcome),
                Next::Back(why) => back = Some(why),
            }
            self.fresh = None;
            self.refresh(site, task).await?;
        }
        Ok(Outcome::Failed { why: format!("it did not come to an end: {}", told(&decide(made, &self.facts, None))) })
    }

    #[expect(clippy::too_many_arguments, reason = "all of them are of one turn")]
    async fn key_turn(
        &mut self,
        site: &mut Site,
        task: usize,
        of: (&Arc<[Made]>, &[Row]),
        now: &Decision,
        turning: &Turning,
        order: &KeyOrder,
        turn: KeyTurn,
    ) -> Result<Next, Loss> {
        let user = order.user.as_str();
        match turn {
            KeyTurn::Done => Ok(Next::Go),
            KeyTurn::Make => {
                // Better now than when everything else is done.
                if let Some(fault) = order.consumers.iter().find_map(|words| find_program(words).err()) {
                    return Ok(failed(format!("a consumer could not take the new key: {fault}")));
                }
                fail::point("key-make");
                // `ssh-keygen` takes its time, and others go on meanwhile.
                let made = tokio::task::block_in_place(|| turning.keys.make(&turning.host, order, &turning.run));
                fail::point("key-made");
                Ok(made.map_or_else(failed, |_| Next::Go))
            }
            KeyTurn::Add(key) => {
                let (current, consumed) = (turning.is_current(user, &key), turning.may_be_consumed(order, &key));
                // Of the key that is used nothing is begun: that word on it must stand.
                if !current && let Err(fault) = turning.note(user, &key, KeyEvent::Adding) {
                    return Ok(failed(fault));
                }
                fail::point("key-adding");
                let added = self.host_turn(site, task, of, now, Some((user, &key))).await?;
                fail::point("key-added");
                match added {
                    added if current => Ok(added),
                    Next::Back(why) if consumed => {
                        let why = turning.given_back((&mut *site, task), order, why).await;
                        self.word_on(turning, user, &key, Next::Back(why))
                    }
                    // The guard took the line away already.
                    Next::End(Outcome::Reverted { why }) if consumed => {
                        let why = turning.given_back((&mut *site, task), order, why).await;
                        // So it is told once more, with what became of them.
                        self.ends.remove(&task);
                        self.word_on(turning, user, &key, Next::End(Outcome::Reverted { why }))
                    }
                    added => self.word_on(turning, user, &key, added),
                }
            }
            KeyTurn::Prove(key) => {
                let proven = match site.by_key(user, &key).await {
                    Ok(()) => Next::Go,
                    Err(why) => Next::Back(turning.given_back((&mut *site, task), order, why).await),
                };
                self.word_on(turning, user, &key, proven)
            }
            KeyTurn::Switch(key) => {
                match turning.consumed((&mut *site, task), order, &key).await {
                    Ok(Ok(())) => {}
                    Ok(Err(why)) => {
                        let why = turning.given_back((&mut *site, task), order, why).await;
                        return self.word_on(turning, user, &key, Next::Back(why));
                    }
                    // The next run goes on from here.
                    Err(why) => return Ok(failed(why)),
                }
                fail::point("key-consumed");
                if let Err(fault) = turning.note(user, &key, KeyEvent::Current) {
                    return Ok(failed(fault));
                }
                fail::point("key-current");
                // From here on all lines come by the new key.
                site.close().await;
                Ok(Next::Go)
            }
            KeyTurn::Remove { old, stays } => {
                for key in &old {
                    if let Err(fault) = turning.note(user, key, KeyEvent::Removing) {
                        return Ok(failed(fault));
                    }
                }
                fail::point("key-removing");
                let removed = self.host_turn(site, task, of, now, Some((user, &stays))).await?;
                fail::point("key-removed");
                Ok(removed)
            }
            KeyTurn::Refuse(old) => {
                for key in &old {
                    if let Err(why) = site.is_refused(user, key).await {
                        return Ok(failed(why));
                    }
                    // Its private half goes first: with the word on it nobody would look for it any more.
                    let buried = turning.keys.bury(&turning.host, user, key);
                    if let Err(fault) = buried.and_then(|()| turning.note(user, key, KeyEvent::Refused)) {
                        return Ok(failed(fault));
                    }
                    fail::point("key-refused");
                }
                Ok(Next::Go)
            }
            KeyTurn::Sweep(_) => self.host_turn(site, task, of, now, None).await,
        }
    }

    /// What the ledger says of a new key after its proof.
    fn word_on(&self, turning: &Turning, user: &str, key: &PublicKey, next: Next) -> Result<Next, Loss> {
        let event = if matches!(next, Next::Go) { KeyEvent::Proven } else { KeyEvent::Undone };
        let noted = turning.note(user, key, event);
        fail::point("key-proven");
        Ok(noted.map_or_else(failed, |()| next))
    }

    /// One stage on the host, with its proof: a login by this key alone.
    pub(super) async fn host_turn(
        &mut self,
        site: &mut Site,
        task: usize,
        (made, rows): (&Arc<[Made]>, &[Row]),
        now: &Decision,
        key: Option<(&str, &PublicKey)>,
    ) -> Result<Next, Loss> {
        site.proof = key.map(|(user, key)| (user.to_owned(), key.clone()));
        self.half = Some(task);
        let (outcome, _) = self.stage(site, task, None, made, now, rows).await?;
        let guarded = self.open.is_some();
        self.prove(site).await?;
        (site.proof, self.half) = (None, None);
        match self.ends.get(&task) {
            // It was told already, as all but what goes on is.
            Some(end) if *end != Outcome::Changed => return Ok(Next::End(end.clone())),
            // The word on the stage is not the last one.
            Some(_) => drop(self.ends.remove(&task)),
            None if outcome != Outcome::Changed => return Ok(Next::End(outcome)),
            None => {}
        }
        match key {
            Some((user, key)) if !guarded => Ok(site.by_key(user, key).await.map_or_else(Next::Back, |()| Next::Go)),
            _ => Ok(Next::Go),
        }
    }
}

impl Site {
    /// A login by this key alone, over a connection of its own.
    ///
    /// # Errors
    /// Why it did not get in.
    pub(super) async fn by_key(&self, user: &str, key: &PublicKey) -> Result<(), String> {
        match self.offer(user, key, true).await? {
            KeyWord::LetIn => Ok(()),
            KeyWord::Takes => {
                Err(format!("the host takes the key {} and lets nobody in by it alone", key.fingerprint()))
            }
            KeyWord::Refuses => Err(format!("a login by the new key {} is refused", key.fingerprint())),
        }
    }

    /// The host is offered a key, and must not take it.
    async fn is_refused(&self, user: &str, key: &PublicKey) -> Result<(), String> {
        match self.offer(user, key, false).await? {
            KeyWord::Refuses => Ok(()),
            KeyWord::LetIn | KeyWord::Takes => {
                let name = key.fingerprint();
                Err(format!(
                    "its line is gone, and the host still takes the old key {name}: another file or command of sshd names it"
                ))
            }
        }
    }

    async fn offer(&self, user: &str, key: &PublicKey, private: bool) -> Result<KeyWord, String> {
        let reached = self.reached();
        let host = reached.first().ok_or("no way leads to it")?;
        let mut last = String::new();
        // Who has many logins at once may drop one unheard.
        for pause in [0u64, 300, 1000] {
            tokio::time::sleep(std::time::Duration::from_millis(pause)).await;
            match self.run.opener.offer(host, user, key, private).await {
                Ok(word) => return Ok(word),
                Err(loss) => last = format!("the key {} could not be offered: {loss}", key.fingerprint()),
            }
        }
        Err(last)
    }
}
