//! A user's key, replaced before it grows too old: one pair for each host and user, as one change that never leaves
//! anybody outside.
//!
//! ```yaml
//! - id: root-key
//!   key_rotation: {user: root, max_age: 90d, passphrase: "env:STEADFAST_KEYS_PASSPHRASE"}
//! ```
//!
//! An ed25519 pair is made by `ssh-keygen` on the controller, where its private half stays: 0600, below
//! `STEADFAST_STATE/keys/HOST/USER` (or `store:`), locked by a passphrase or by age. Then, in stages that are each written
//! down before they begin: its public half is added to `authorized_keys`; a login by this key alone, over a connection of
//! its own, must get in; `consumers` take it; from now on this run and all later ones come in by it; the old lines go, and a
//! login by the new key must get in once more; each old key is offered to the host and must be refused. Only then its private
//! half is deleted. What cannot be proven before the old lines go is taken back.
//!
//! `consumers` are who else logs in by the key (a backup, a deployment): programs on the controller, each as a list of words that no
//! shell reads. Each gets the path of the new private half as one more word; the public half is beside it as `.pub`. That file is
//! locked as it was ordered, and what opens it is in no word and no variable: the program asks the same source. Each must be there
//! before a pair is made; what one leaves running goes on, and should have its output elsewhere. When one fails, or takes more than
//! 90 s, all are run again with the former private half, where there is one, the last first, and the new key goes again. A run that goes
//! on from one that died ends the one that it left running, and runs all again, so each must bear that.
//!
//! `passphrase` is a source as in `{secret: …}` (`env:NAME`, `file:PATH`, `age:PATH`, `command:[…]`), and is read anew
//! whenever a run logs in by the key. `age` names recipients instead; `self` is the user's own identity
//! (`steadfast secret keygen`).
//!
//! With `made_since` every key goes that was made before a moment, such as the end of an intrusion. `made_since: incident` takes
//! that from what steadfast wrote down of the incident that is not over on this host: when its disk was put back, else when it
//! was found; where there is none, it asks for nothing.
//!
//! What goes is every older key of the ledger. Keys that steadfast did not make stay, unless `replaces` names them (public
//! keys or `SHA256:` fingerprints), or `exclusive: true` says that nobody else's stay but those under `keep`. Each that stays is told with
//! the step, also the one by which you came in so far. A key that a rotation took away
//! once is dead: where its line comes back it goes again, unless it stands under `keep`.
//!
//! Of several hosts the first is always a batch of its own, and its failure stops the rest.
//!
//! Drift is told for the `pair` (none, too old, weak, or its private half gone or open to others), for the file as with
//! `authorized_key`, for the `login` that is not the new key's yet, for each old `line`, and for each old key that was not
//! yet `refused`. `steadfast keys status` shows the ledger.
//!
//! Way back: none by `rollback`, for it would bring back keys that are to be dead; `keys rotate` makes new ones. The
//! guard's way back is exact. Disruption: none for those who are logged in. It touches the way in.
//!
//! Traps:
//! - Who else logs in by the old key (a backup, a deployment) is shut out when it goes: name them as `consumers`, or give them
//!   keys of their own first.
//!   So is who goes through this host with it to others: ssh takes its own keys for a gate, so name the new one there (`IdentityFile`).
//! - Behind `AuthorizedKeysCommand` or another `AuthorizedKeysFile` an old key may still be taken. The step then fails and
//!   says so, with the new key in place.
//! - The ledger and the private halves are the way in: keep a copy of the state directory.

use super::authorized_key::AuthorizedKey;
use super::{Claim, Kind, Many, Object, Presence, Row, Setting, Undo, Val};
use crate::act::Act;
use crate::fact::{Facts, Gap, KeyEvent, Known, Milestone, Query, Ring};
use crate::host::PublicKey;
use crate::moment::{day, length};
use serde::Deserialize;

pub(super) mod age;
mod check;

/// One user's key.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KeyRotation {
    /// Whose login.
    user: String,
    /// How old the key may become: `90d`, `12h`; an hour at least.
    #[serde(default = "usual_age")]
    max_age: String,
    /// Keys made before this moment are too old as well: `2026-11-27`, `2026-11-27T02:00:00Z`, or `incident`.
    #[serde(default)]
    made_since: Option<String>,
    /// Where the passphrase of private halves comes from.
    #[serde(default)]
    passphrase: Option<String>,
    /// For whom age encrypts private halves, instead of a passphrase; `self` is the user's own identity.
    #[serde(default)]
    age: Many,
    /// The directory on the controller.
    #[serde(default)]
    store: Option<String>,
    /// Further keys that go: public keys or fingerprints.
    #[serde(default)]
    replaces: Many,
    /// Every other key goes, from `authorized_keys2` beside the file as well.
    #[serde(default)]
    exclusive: bool,
    /// Keys that stay in spite of `exclusive`: public keys or fingerprints.
    #[serde(default)]
    keep: Many,
    /// Options before the key, as sshd(8) writes them.
    #[serde(default)]
    options: Option<String>,
    /// The file, where it is not in the usual home.
    #[serde(default)]
    path: Option<String>,
    /// Programs on the controller that take the new key before the old one goes; each gets the path of its private half as one more
    /// word.
    #[serde(default)]
    consumers: Vec<Vec<String>>,
}

/// What the run must know to make a pair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyOrder {
    pub user: String,
    pub store: Option<String>,
    /// `passphrase SOURCE` or `age RECIPIENT…`.
    pub lock: String,
    /// Who takes the new key before it is the one that is used.
    pub consumers: Vec<Vec<String>>,
}

/// How far a change of keys has come: what is next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyTurn {
    /// Lines of keys that could not be proven go.
    Sweep(Vec<PublicKey>),
    /// A pair is made.
    Make,
    /// The new key's line is added, and proven.
    Add(PublicKey),
    /// The line is there; the key is proven.
    Prove(PublicKey),
    /// The new key becomes the one that is used.
    Switch(PublicKey),
    /// The old lines go, while the key that stays is proven.
    Remove { old: Vec<PublicKey>, stays: PublicKey },
    /// The old keys are offered, and must be refused.
    Refuse(Vec<PublicKey>),
    /// Nothing is left to do.
    Done,
}

const PAIR: &str = "pair";
const LOGIN: &str = "login";
const CONSUMERS: &str = "consumers";
const LINE: &str = "line";
const REFUSED: &str = "refused";

fn usual_age() -> String {
    "90d".into()
}

/// Whether a word names a key: by its fingerprint or by itself.
fn names(word: &str, key: &PublicKey) -> bool {
    word == key.fingerprint() || PublicKey::of_line(word).is_some_and(|named| named.is(key))
}

impl KeyRotation {
    fn keys(&self, keys: &[PublicKey], state: Presence) -> AuthorizedKey {
        let lines = keys.iter().map(PublicKey::line).collect();
        AuthorizedKey::of(&self.user, lines, self.path.as_deref(), self.options.as_deref(), state)
    }

    /// The same of the other file that sshd looks into by itself: with `exclusive` nobody's key stays there either.
    fn second(&self, keys: &[PublicKey]) -> Option<AuthorizedKey> {
        let path = self.keys(&[], Presence::Present).path();
        let lines = keys.iter().map(PublicKey::line).collect();
        let of = || AuthorizedKey::of(&self.user, lines, Some(&format!("{path}2")), None, Presence::Absent);
        (self.exclusive && path.ends_with("/.ssh/authorized_keys")).then(of)
    }

    fn object(&self) -> String {
        format!("keys of {}", self.user)
    }

    /// Why there must be a new key.
    fn due(&self, ring: &Ring, since: Option<(u64, String)>) -> Option<String> {
        let Some(current) = ring.current() else { return Some("none".into()) };
        let made = current.made.unwrap_or(current.at);
        let told = format!("{}, made {}", current.public.fingerprint(), day(made));
        if let Some((_, since)) = since.filter(|(since, _)| made < *since) {
            return Some(format!("{told}; before {since}"));
        }
        let old = ring.now.saturating_sub(made) > length(&self.max_age).unwrap_or(u64::MAX);
        if let Some(lack) = &current.lack {
            return Some(format!("{told}; {lack}"));
        }
        if let Some(weak) = current.public.weakness() {
            return Some(format!("{told}; {weak}"));
        }
        old.then(|| format!("{told}; older than {}", self.max_age))
    }

    /// The keys in the file, and in the other one where nobody's may be.
    fn present(&self, found: &Facts) -> Result<Vec<PublicKey>, Gap> {
        let bare = |line: &&str| !line.trim_start().starts_with('#');
        let mut keys = Vec::new();
        for file in std::iter::once(self.keys(&[], Presence::Present)).chain(self.second(&[])) {
            let text = found.file(&file.path())?.text().unwrap_or_default();
            keys.extend(text.lines().filter(bare).filter_map(PublicKey::of_line));
        }
        Ok(keys)
    }

    /// What differs, and what is next.
    fn look(&self, found: &Facts) -> Result<(Vec<Row>, KeyTurn), Gap> {
        // What is wrong with the user, the home or the file is told first.
        self.keys(&[], Presence::Present).plan(found)?;
        let ring = found.ring(&self.user)?;
        let present = self.present(found)?;
        let undone = |key: &&PublicKey| ring.of(key).is_some_and(|known| known.word == KeyEvent::Undone);
        let swept: Vec<PublicKey> = present.iter().filter(undone).cloned().collect();
        let (mut rows, turn) = self.on(found, ring, &present)?;
        if swept.is_empty() {
            return Ok((rows, turn));
        }
        let mut first = self.keys(&swept, Presence::Absent).plan(found)?;
        // What comes after is told as words: the file will be another one.
        rows.retain(|row| of_controller(&row.field));
        first.append(&mut rows);
        Ok((first, KeyTurn::Sweep(swept)))
    }

    fn on(&self, found: &Facts, ring: &Ring, present: &[PublicKey]) -> Result<(Vec<Row>, KeyTurn), Gap> {
        let (due, pending) = (self.due(ring, age::since(self.made_since.as_deref(), ring.now, found)?), ring.pending());
        let goal = pending.or_else(|| ring.current().filter(|_| due.is_none()));
        let old = self.old(ring, present, goal);
        let line = |key: &PublicKey| present.iter().any(|there| there.is(key));
        let going = |key: &PublicKey| {
            Row::new(told(key), LINE, if line(key) { "present" } else { "to be refused" }, Val::Absent)
        };
        let Some(goal) = goal else {
            let pair = Row::new(self.object(), PAIR, due.unwrap_or_else(|| "none".into()), "a new ed25519 key");
            return Ok((std::iter::once(pair).chain(self.switched()).chain(old.iter().map(&going)).collect(), KeyTurn::Make));
        };
        let mut rows = self.keys(std::slice::from_ref(&goal.public), Presence::Present).plan(found)?;
        let adds = !rows.is_empty();
        if pending.is_some() {
            let now = ring.current().map_or("none".to_owned(), |current| current.public.fingerprint());
            rows.extend(self.switched());
            rows.push(Row::new(self.object(), LOGIN, now, goal.public.fingerprint()));
            rows.extend(old.iter().map(&going));
            let key = goal.public.clone();
            let turn = match goal.word {
                _ if adds => KeyTurn::Add(key),
                KeyEvent::Proven => KeyTurn::Switch(key),
                _ => KeyTurn::Prove(key),
            };
            return Ok((rows, turn));
        }
        let stays = goal.public.clone();
        if adds {
            rows.extend(old.iter().map(&going));
            return Ok((rows, KeyTurn::Add(stays)));
        }
        for file in std::iter::once(self.keys(&old, Presence::Absent)).chain(self.second(&old)) {
            rows.extend(file.plan(found)?);
        }
        let removes = !rows.is_empty();
        rows.extend(old.iter().map(|key| Row::new(key.fingerprint(), REFUSED, "not proven", "proven")));
        let turn = match () {
            () if removes => KeyTurn::Remove { old, stays },
            () if !old.is_empty() => KeyTurn::Refuse(old),
            () => KeyTurn::Done,
        };
        Ok((rows, turn))
    }

    /// What is told of those who take a new key.
    fn switched(&self) -> Option<Row> {
        let all: Vec<String> = self.consumers.iter().map(|words| format!("`{}`", words.join(" "))).collect();
        (!all.is_empty()).then(|| Row::new(self.object(), CONSUMERS, "not switched", all.join(", ")))
    }

    /// The keys that go, of those that nobody keeps: those that the ledger knows as older or dead, those that are named, and with
    /// `exclusive` all. Those
    /// whose line is gone already, and of which nobody knows yet that the host refuses them, as well.
    fn old(&self, ring: &Ring, present: &[PublicKey], goal: Option<&Known>) -> Vec<PublicKey> {
        let is_goal = |key: &PublicKey| goal.is_some_and(|goal| goal.public.is(key));
        let goes = |key: &&PublicKey| {
            let kept = self.keep.iter().any(|word| names(word, key));
            let named = self.replaces.iter().any(|word| names(word, key));
            let known = ring.of(key).is_some();
            !is_goal(key) && !kept && (known || named || self.exclusive)
        };
        let mut old: Vec<PublicKey> = present.iter().filter(goes).cloned().collect();
        let open = ring.keys.iter().filter(|key| key.word == KeyEvent::Removing || key.word == KeyEvent::Current);
        old.extend(open.map(|key| key.public.clone()).filter(|key| !is_goal(key)));
        let mut seen: Vec<PublicKey> = Vec::new();
        old.retain(|key| !seen.iter().any(|other| other.is(key)) && { seen.push(key.clone()); true });
        old
    }
}

/// A key as it is told to people.
fn told(key: &PublicKey) -> String {
    if key.comment.is_empty() { key.fingerprint() } else { format!("{} ({})", key.fingerprint(), key.comment) }
}

/// Fields that are the controller's to make true, not the host's.
fn of_controller(field: &str) -> bool {
    matches!(field, PAIR | CONSUMERS | LOGIN | LINE | REFUSED)
}

impl Kind for KeyRotation {
    fn facts(&self) -> Vec<Query> {
        let mut facts = self.keys(&[], Presence::Present).facts();
        facts.extend(self.second(&[]).iter().flat_map(AuthorizedKey::facts));
        facts.push(Query::Ring(self.user.clone()));
        if self.made_since.as_deref() == Some(age::INCIDENT) {
            facts.push(Query::Incident);
        }
        facts
    }

    fn plan(&self, found: &Facts) -> Result<Vec<Row>, Gap> {
        self.look(found).map(|(rows, _)| rows)
    }

    /// Whose keys let in as well, and go on doing so.
    fn tells(&self, found: &Facts) -> Vec<Row> {
        let (Ok(ring), Ok(present)) = (found.ring(&self.user), self.present(found)) else { return vec![] };
        let goal = ring.pending().or_else(|| ring.current());
        let old = self.old(ring, &present, goal);
        let stays = |key: &&PublicKey| !goal.is_some_and(|goal| goal.public.is(key)) && !old.iter().any(|old| old.is(key));
        present.iter().filter(stays).map(|key| Row::new(told(key), "others", "lets in as well", "kept")).collect()
    }

    fn set(&self, to: &[Setting], found: &Facts) -> Vec<Act> {
        let of_host = |setting: &&Setting| !of_controller(&setting.field);
        let to: Vec<Setting> = to.iter().filter(of_host).cloned().collect();
        self.keys(&[], Presence::Present).set(&to, found)
    }

    fn first(&self, rows: &[Row]) -> usize {
        let class = |row: &Row| if of_controller(&row.field) { row.field.clone() } else { String::new() };
        let Some(first) = rows.first().map(class) else { return 0 };
        rows.iter().position(|row| class(row) != first).unwrap_or(rows.len())
    }

    fn claims(&self) -> Vec<Claim> {
        let path = Object::Path(self.keys(&[], Presence::Present).path());
        vec![Claim::owns(path, format!("the key of {}", self.user), "rotated"), Claim::Reads(Object::User(self.user.clone()))]
    }

    fn access(&self) -> bool {
        true
    }

    fn undo(&self) -> Undo {
        Undo::None("a key that was replaced is dead; another rotation makes a new one".into())
    }

    fn milestone(&self) -> Option<Milestone> {
        Some(Milestone::Rotated)
    }

    fn shuts_out(&self) -> bool {
        true
    }

    fn rotates(&self) -> bool {
        true
    }

    fn key_turn(&self, found: &Facts) -> Option<(KeyOrder, KeyTurn)> {
        let (_, turn) = self.look(found).ok()?;
        let lock = match &self.passphrase {
            Some(source) => format!("passphrase {source}"),
            None => format!("age {}", self.age.0.join(" ")),
        };
        let (user, store, consumers) = (self.user.clone(), self.store.clone(), self.consumers.clone());
        Some((KeyOrder { user, store, lock, consumers }, turn))
    }
}
