//! The key by which a host proves who it is, replaced: both keys for a time, known_hosts first, then the old ones go.
//!
//! ```yaml
//! - id: host-key
//!   host_key_rotation: {max_age: 730d}
//! - id: host-key-after-the-intrusion
//!   host_key_rotation: {made_since: "2026-11-27T02:00:00Z"}
//! - id: host-key-that-others-learn
//!   host_key_rotation: {max_age: 730d, overlap: 14d}
//! ```
//!
//! `ssh-keygen` makes an ed25519 pair on the host, where its private half stays. Then, in stages that are each written down in
//! the ledger before they begin: sshd has it beside the old keys; its public half, read over the connection that the old key
//! vouches for, goes into known_hosts of this controller, beside each line of the old key; sshd shows the new key first, and a
//! login that takes no other key must get in; the old keys of every type go, files and all; once more a login that takes the new key alone;
//! one that takes the old ones alone must be refused; only then known_hosts loses their lines. Checking of host keys is strict all
//! the time. What cannot be proven goes back: the guard's way back is exact.
//!
//! Whoever dies in between leaves a host whose key known_hosts knows: the new line is there before the key is shown, the old
//! one until it is not shown any more. The next run goes on from there.
//!
//! With `overlap` the run ends once sshd has the new key beside the old ones and known_hosts have it: sshd goes on to show the old ones, and
//! OpenSSH's clients with `UpdateHostKeys` learn the new one at a login. A run after that time does the rest; every check tells until when it is. It is
//! for keys that are old, not for keys that somebody may have: with `made_since` it is refused, and where a play answers an intrusion a plan warns
//! of it; there the time line tells a new key beside the old one, and `keys rotated` only when that is gone.
//!
//! Of several hosts the first is always a batch of its own, and its failure stops the rest.
//!
//! A key is too old after `max_age` (two years unless told), by the ledger or by the time of its file; with `made_since`, also if it
//! was made before a moment, such as the end of an intrusion; and one that is too weak is as well. `made_since: incident` takes the moment from
//! what steadfast wrote down of the incident that is not over on this host, as `key_rotation` does.
//!
//! Way back: none by `rollback`, for the old key is to be dead; another rotation makes a new one. Disruption: reload of sshd;
//! connections stay. It touches the way in.
//!
//! Traps:
//! - known_hosts of other people and machines still name the old key. Without `overlap` both are there for seconds alone: give the
//!   new one to the others yourself (`ssh-keyscan`, compared with `ssh-keygen -l`).
//! - The old files go from the host; its journal keeps a copy, root's alone, for as long as it keeps the run.
//! - The new key is the only one afterwards: RSA and ECDSA go as well. Clients without ed25519 are older than 2014.
//! - `HostKey` must not be set elsewhere in sshd's files, and the host must be known by a line of its own, not by a pattern, a
//!   certificate authority or a command.
//! - A snapshot from before has the old key: going back to it needs the old line again.

use super::file::set_files;
use super::key_rotation::age;
use super::words::place;
use super::{Check, Claim, Disruption, Kind, Object, Row, Setting, Undo, Val, sshd};
use crate::act::Act;
use crate::fact::{Facts, Gap, HostKey, KeyEvent, Known, Milestone, Query};
use crate::fault::{Fault, Faults};
use crate::host::PublicKey;
use crate::moment::{day, length};
use crate::yaml::Node;
use scene::{Scene, new_path};
use serde::Deserialize;
pub use turn::HostKeyTurn;

mod overlap;
mod scene;
mod turn;

/// The host's own key.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HostKeyRotation {
    /// How old the key may become: `730d`.
    #[serde(default = "usual_age")]
    max_age: String,
    /// Keys made before this moment are too old as well: `2026-11-27`, `2026-11-27T02:00:00Z`, or `incident`.
    #[serde(default)]
    made_since: Option<String>,
    /// How long the old keys are shown while the new one is offered beside them: `7d`.
    #[serde(default)]
    overlap: Option<String>,
}

/// Under which name the ledger keeps host keys: no user can be called so.
pub const OWNER: &str = "host key";
/// What the ledger says of where a private half lies on its host.
pub const AT: &str = "host ";
const DROP_IN: &str = "/etc/ssh/sshd_config.d/00-steadfast-host-key.conf";
const DIRECTORY: &str = "/etc/ssh/sshd_config.d";
const DEFAULTS: [&str; 4] = [
    "/etc/ssh/ssh_host_rsa_key",
    "/etc/ssh/ssh_host_ecdsa_key",
    "/etc/ssh/ssh_host_ed25519_key",
    "/etc/ssh/ssh_host_dsa_key",
];
const HEAD: &str = "# Kept by steadfast: `host_key_rotation`.\n";
const KEY: &str = "host key";

const PAIR: &str = "pair";
const LEDGER: &str = "ledger";
const LINE: &str = "line";
const LOGIN: &str = "login";
const GOES: &str = "goes";
const REFUSED: &str = "refused";

fn usual_age() -> String {
    "730d".into()
}

impl Check for HostKeyRotation {
    fn check(&self, body: &Node) -> Result<(), Faults> {
        let mut faults = Vec::new();
        faults.extend(age::faults(&self.max_age, self.made_since.as_deref(), "730d", body));
        if self.overlap.as_deref().is_some_and(|text| length(text).is_none()) {
            let fault = Fault::new("this is no length of time").at(place(body, "overlap"));
            faults.push(fault.hint("write 7d, 12h or 30m"));
        }
        if self.overlap.is_some() && self.made_since.is_some() {
            let fault = Fault::new("a key that somebody may have taken is not shown any longer").at(place(body, "overlap"));
            faults.push(fault.hint("`overlap` is for `max_age`: leave it out where there is `made_since`"));
        }
        Faults::some(faults).map_or(Ok(()), Err)
    }
}

impl HostKeyRotation {
    /// Why a key must go.
    fn due(&self, made: u64, public: &PublicKey, scene: &Scene<'_>) -> Option<String> {
        let told = format!("{} {}, made {}", public.kind, public.fingerprint(), day(made));
        if let Some((_, since)) = scene.since.as_ref().filter(|(since, _)| made < *since) {
            return Some(format!("{told}; before {since}"));
        }
        if let Some(weak) = public.weakness() {
            return Some(format!("{told}; {weak}"));
        }
        let old = scene.ring.now.saturating_sub(made) > length(&self.max_age).unwrap_or(u64::MAX);
        old.then(|| format!("{told}; older than {}", self.max_age))
    }

    /// What differs, and what is next.
    fn look(&self, found: &Facts) -> Result<(Vec<Row>, HostKeyTurn), Gap> {
        let scene = Scene::of(found)?;
        let scene = Scene { since: age::since(self.made_since.as_deref(), scene.ring.now, found)?, ..scene };
        let (mut rows, turn) = self.on(&scene);
        let undone = |known: &&Known| known.word == KeyEvent::Undone;
        let files = scene.ring.keys.iter().filter(undone).filter_map(|known| scene.there(known));
        let dead: Vec<&HostKey> = files.filter(|key| !scene.shown.contains(&key.path)).collect();
        if dead.is_empty() {
            return Ok((rows, turn));
        }
        // What comes after is told as words: it is planned anew.
        rows.retain(of_controller);
        let first = dead.iter().map(|key| Row::new(&key.path, "state", "present", Val::Absent));
        Ok((first.chain(rows).collect(), HostKeyTurn::Sweep))
    }

    fn on(&self, scene: &Scene<'_>) -> (Vec<Row>, HostKeyTurn) {
        let ring = scene.ring;
        let current = ring.current().and_then(|known| Some((known, scene.there(known)?)));
        let pending = ring.pending().and_then(|known| Some((known, scene.there(known)?)));
        if let Some((known, key)) = pending {
            return self.coming(scene, known, key);
        }
        let due = match current {
            Some((known, key)) => self.due(known.made.unwrap_or(key.made), &key.public, scene),
            // Of keys that nobody wrote down the oldest counts.
            None => scene.shown.iter().filter_map(|path| scene.key(path)).find_map(|key| self.due(key.made, &key.public, scene)),
        };
        match (due, current) {
            (None, Some((_, key))) => Self::staying(scene, key),
            (None, None) => (vec![], HostKeyTurn::Done),
            (Some(due), _) => {
                let made = scene.keys.iter().rev().find(|key| self.is_new(scene, key));
                let turn = made.map_or(HostKeyTurn::Make, |key| HostKeyTurn::Note(key.public.clone(), key.path.clone()));
                let field = if made.is_some() { LEDGER } else { PAIR };
                let going = scene.shown.iter().map(|path| self.goes(path));
                let mut rows = vec![Row::new(KEY, field, due, "a new ed25519 key")];
                rows.extend(going);
                (rows, turn)
            }
        }
    }

    /// A pair that a run made and that died before it could write it down.
    fn is_new(&self, scene: &Scene<'_>, key: &HostKey) -> bool {
        let ours = key.path.starts_with("/etc/ssh/ssh_host_ed25519_2") && key.public.kind == "ssh-ed25519";
        let young = self.due(key.made, &key.public, scene).is_none();
        ours && young && !scene.shown.contains(&key.path) && scene.ring.of(&key.public).is_none()
    }

    /// On the way to a new key.
    fn coming(&self, scene: &Scene<'_>, known: &Known, key: &HostKey) -> (Vec<Row>, HostKeyTurn) {
        if self.overlaps(scene, known, key).is_some() {
            return (vec![], HostKeyTurn::Done);
        }
        let (public, others) = (key.public.clone(), scene.others(key));
        let old: Vec<&str> = others.iter().map(|key| key.path.as_str()).collect();
        let mut rows = Vec::new();
        let turn = if !scene.shown.contains(&key.path) {
            rows.push(scene.drop_in(&[&old[..], &[&key.path]].concat()));
            HostKeyTurn::Offer(public.clone())
        } else if !scene.is_known(&public) {
            let old = others.iter().map(|key| key.public.clone()).collect();
            HostKeyTurn::Learn { old, new: public.clone() }
        } else if scene.shown.first() != Some(&key.path) || known.word != KeyEvent::Proven {
            if scene.shown.first() != Some(&key.path) {
                rows.push(scene.drop_in(&[&[key.path.as_str()], &old[..]].concat()));
            }
            HostKeyTurn::Prefer(public.clone())
        } else {
            HostKeyTurn::Switch(public.clone())
        };
        if !scene.is_known(&public) {
            rows.push(Row::new("known_hosts", LINE, Val::Absent, public.fingerprint()));
        }
        let now = others.first().map_or("none".to_owned(), |key| key.public.fingerprint());
        rows.push(Row::new(KEY, LOGIN, now, public.fingerprint()));
        rows.extend(old.iter().map(|path| self.goes(path)));
        (rows, turn)
    }

    /// The new key is the one, and whatever is left of others goes.
    fn staying(scene: &Scene<'_>, key: &HostKey) -> (Vec<Row>, HostKeyTurn) {
        let stays = key.public.clone();
        let replaced = |known: &&Known| !known.public.is(&stays) && matches!(known.word, KeyEvent::Removing | KeyEvent::Current);
        let left: Vec<&Known> = scene.ring.keys.iter().filter(replaced).collect();
        // Files of keys that are to be dead, also where sshd has them no more.
        let dead = |one: &&HostKey| one.path != key.path && (scene.shown.contains(&one.path) || left.iter().any(|known| known.public.is(&one.public)));
        let files: Vec<&HostKey> = scene.keys.iter().filter(dead).collect();
        let mut rows = Vec::new();
        if scene.shown != [key.path.clone()] {
            rows.push(scene.drop_in(&[&key.path]));
        }
        rows.extend(files.iter().map(|one| Row::new(&one.path, "state", "present", Val::Absent)));
        let mut old: Vec<PublicKey> = files.iter().map(|one| one.public.clone()).collect();
        let more = left.iter().map(|known| known.public.clone()).filter(|key| !old.iter().any(|old| old.is(key)));
        let more: Vec<PublicKey> = more.collect();
        old.extend(more);
        let turn = match () {
            () if !rows.is_empty() => HostKeyTurn::Remove { old: old.clone(), stays },
            () if !old.is_empty() => HostKeyTurn::Forget(old.clone()),
            () => HostKeyTurn::Done,
        };
        rows.extend(old.iter().map(|key| Row::new(key.fingerprint(), REFUSED, "not proven", "proven")));
        (rows, turn)
    }
}

/// Rows that are the controller's to make true, not the host's, or come later.
fn of_controller(row: &Row) -> bool {
    matches!(row.field.as_str(), LEDGER | LINE | LOGIN | GOES | REFUSED)
}

impl Kind for HostKeyRotation {
    fn facts(&self) -> Vec<Query> {
        let files = [DROP_IN, sshd::MAIN].map(|path| Query::File(path.into()));
        let more = [Query::Sshd { user: None }, Query::HostKeys, Query::KnownHosts, Query::Ring(OWNER.into())];
        let units = sshd::units().into_iter().map(Query::Unit);
        let incident = (self.made_since.as_deref() == Some(age::INCIDENT)).then_some(Query::Incident);
        files.into_iter().chain(more).chain(units).chain([Query::Stat(DIRECTORY.into())]).chain(incident).collect()
    }

    fn plan(&self, found: &Facts) -> Result<Vec<Row>, Gap> {
        self.look(found).map(|(rows, _)| rows)
    }

    fn set(&self, to: &[Setting], found: &Facts) -> Vec<Act> {
        let mut acts = Vec::new();
        if to.iter().any(|setting| setting.field == PAIR && setting.to != Val::Absent)
            && let Ok(scene) = Scene::of(found)
        {
            acts.push(Act::MakeKey { path: new_path(&scene) });
        }
        let drop_in: Vec<Setting> = to.iter().filter(|setting| setting.object == DROP_IN).cloned().collect();
        if !drop_in.is_empty() {
            acts.extend(set_files(&drop_in, None));
            acts.extend(sshd::anew(found));
        }
        for setting in to.iter().filter(|setting| setting.field == "state" && setting.to == Val::Absent) {
            acts.extend([setting.object.clone(), format!("{}.pub", setting.object)].map(|path| Act::Remove { path }));
        }
        acts
    }

    fn first(&self, rows: &[Row]) -> usize {
        let class = |row: &Row| if of_controller(row) { row.field.clone() } else { String::new() };
        let Some(first) = rows.first().map(class) else { return 0 };
        rows.iter().position(|row| class(row) != first).unwrap_or(rows.len())
    }

    fn claims(&self) -> Vec<Claim> {
        vec![
            Claim::owns(Object::Path(DROP_IN.into()), "content", "the host's key"),
            Claim::owns(Object::Other("sshd", "HostKey".into()), "value", "rotated"),
            Claim::Reads(Object::Path(sshd::MAIN.into())),
            Claim::Reads(Object::Package("openssh-server".into())),
        ]
    }

    fn access(&self) -> bool {
        true
    }

    fn disruption(&self) -> Disruption {
        Disruption::Reload
    }

    fn undo(&self) -> Undo {
        Undo::None("the key that was replaced is to be dead; another rotation makes a new one".into())
    }

    fn tells(&self, found: &Facts) -> Vec<Row> {
        self.told(found)
    }

    fn milestone(&self) -> Option<Milestone> {
        Some(Milestone::Rotated)
    }

    fn rotates(&self) -> bool {
        true
    }

    fn trusts_until(&self, found: &Facts) -> Option<u64> {
        self.until(found)
    }

    fn doubt(&self) -> Option<&'static str> {
        let doubt = "with `overlap` the old key is trusted for that time, also by whoever may have taken it";
        self.overlap.as_ref().map(|_| doubt)
    }

    fn host_key_turn(&self, found: &Facts) -> Option<HostKeyTurn> {
        self.look(found).ok().map(|(_, turn)| turn)
    }
}
