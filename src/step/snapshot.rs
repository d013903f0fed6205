//! Snapshots of a host's disk, kept outside the host: one that is young enough, or the way back to one from before an intrusion.
//!
//! ```yaml
//! - id: young-snapshot
//!   snapshot: {provider: qcow2, image: /srv/vm/web1.qcow2, newest: "<24h", keep: 7}
//! - id: young-snapshot-of-the-instance
//!   snapshot: {provider: cbs, region: ap-guangzhou, disk: disk-1a2b3c4d, instance: ins-1a2b3c4d, newest: "<24h"}
//! - id: clean-disk
//!   snapshot:
//!     provider: btrfs
//!     subvolume: /srv/vm/web1
//!     directory: /srv/vm/snapshots-of-web1
//!     stop: [machinectl, terminate, web1]
//!     start: [machinectl, start, web1]
//!     rollback: {before: "2026-11-27T02:00:00Z", at_least: 24h}
//! ```
//!
//! The controller acts, never the host, so that nobody on the host can hold it up:
//!
//! | `provider` | acts by | needs |
//! |---|---|---|
//! | `btrfs` | `btrfs subvolume`: read-only snapshots in `directory`; what was there before a rollback stays as `SUBVOLUME.before-rollback` | `subvolume`, `directory` |
//! | `qcow2` | `qemu-img`: snapshots in the image; making one needs the machine stopped | `image` |
//! | `cbs` | the API of Tencent Cloud, which stops and starts the instance as well; tried against a stand-in only | `region`, `disk`, `instance`; `access` as in docs/tencent.md |
//! | `exec` | programs of yours | `list`, and `create`, `remove`, `apply` as far as they are used |
//!
//! `stop`, `start` and `status` are programs for all of them but `cbs`. A program is a list of words that never sees a shell. `create` gets the
//! name as one more word and may say an id; `apply` and `remove` get the id. `list` says one snapshot a line, with a tab between: id,
//! moment (`2026-11-27T02:00:00Z`, or seconds since 1970), `complete` or another state, name. `status` gets `stop`, `apply` or
//! `start`, and says `done`, `failed WHY`, or anything else while it goes on; without it an act is over when its program ends. Each
//! must be good for a second call: a run that died is taken on where it was.
//!
//! `newest` is the age policy: when the newest whole snapshot is older, one is made, and the list is read again; one that is dated
//! later than now cannot be told the age of. `keep` removes the
//! oldest beyond that number, of those alone whose name begins with `steadfast-`.
//!
//! `rollback` goes back to the newest whole snapshot that is older than `before`, the first evidence of compromise, and
//! `at_least` so old as it says. Where there is none it fails and says why each is none. What was written since that moment is
//! lost: the plan has that window as a row, and an apply does it only behind an `approve` gate or with `--approve STEP`.
//!
//! `before: evidence` takes the moment from the run itself: the earliest that any sign has which a `triage` of the same playbook
//! finds, or which was written down when this incident began. Where that cannot be told (no triage, no sign with a moment,
//! something that could not be read, a host whose clock is not ours) it is unknown, and nothing is put back: say the moment
//! yourself. Once the disk was put back in an incident, it is in order until the host is let go and something new is found.
//!
//! It is a procedure of the run: stop, apply, poll until the keeper says done, start, a login with the host's known key, a boot that is
//! another one. Each stage is written down by the controller before it begins, and told as it happens. Then everything known of
//! the host is dropped (facts, lines, lease) and all that is written behind it is planned anew on the disk as it is now. A run that was
//! killed leaves its stage written down; the next run of the playbook, or `resume`, goes on from there before it does anything
//! else. As long as nothing was done to the disk, because its machine is not known to be stopped, that is asked for once more. After it is done it is in order until `before` says a later moment.
//!
//! A host that does not answer gets its snapshot all the same (`apply -y`), and its disk is put back where `before` is a moment and all that is
//! written before the step is done already or a gate: which boot it was is not known then, and the stages alone say that it started
//! anew. Once it answers, the rest of the playbook goes on. It stays unreachable where it does not.
//!
//! Way back: none. What the disk held is gone, but for what its keeper keeps; take evidence first. Disruption: data.
//!
//! Traps:
//! - The first evidence is the earliest that was seen, and somebody may have come before that unseen: `at_least` keeps a distance.
//! - The disk forgets what was done since: a quarantine, hardening, keys. Cut the host off from outside as well, and write
//!   those steps behind the rollback again.
//! - If the host's key was changed since the snapshot, the login is refused: put the old one into known_hosts for it, and
//!   replace it afterwards, for it was there in the intrusion.
//! - A key of the ledger that is younger than the snapshot is unknown to the disk; the run then comes in by the inventory's. Where an
//!   older key of the ledger was there instead, whose private half is deleted, it is refused before anything is stopped.
//! - What earlier runs changed since that moment is no longer there, and `rollback` of them has nothing to take back.
//! - The snapshot has the holes by which somebody came in.

use super::words::place;
use super::{Check, Claim, Disruption, Kind, Object, Row, Setting, Undo, Val};
use crate::act::Act;
use crate::cloud::Permit;
use crate::cloud::tencent::Access;
use crate::disk::{Btrfs, Cbs, Disk, Exec, Power, Qcow2, Snapshot as Kept};
use crate::fact::{CLOCKS, DiskState, Facts, Gap, Milestone, Query, WayBack};
use crate::fault::{Fault, Faults};
use crate::moment::{lasts, length, moment, written};
use crate::yaml::Node;
use back::{Rollback, back};
use serde::Deserialize;

mod back;

/// A disk and what is wanted of its snapshots.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Snapshot {
    provider: Keeper,
    /// btrfs: the subvolume that is the disk.
    #[serde(default)]
    subvolume: Option<String>,
    /// btrfs: where its snapshots are.
    #[serde(default)]
    directory: Option<String>,
    /// qcow2: the image.
    #[serde(default)]
    image: Option<String>,
    /// cbs: the region, such as `ap-guangzhou`.
    #[serde(default)]
    region: Option<String>,
    /// cbs: the disk (`disk-…`).
    #[serde(default)]
    disk: Option<String>,
    /// cbs: the instance that has it (`ins-…`).
    #[serde(default)]
    instance: Option<String>,
    /// cbs: where the key comes from.
    #[serde(default)]
    access: Access,
    /// exec: the program that lists snapshots.
    #[serde(default)]
    list: Vec<String>,
    #[serde(default)]
    create: Vec<String>,
    #[serde(default)]
    remove: Vec<String>,
    #[serde(default)]
    apply: Vec<String>,
    /// The program that stops the machine.
    #[serde(default)]
    stop: Vec<String>,
    #[serde(default)]
    start: Vec<String>,
    /// The program that says whether it is over.
    #[serde(default)]
    status: Vec<String>,
    /// How old the newest may be: `<24h`.
    #[serde(default)]
    newest: Option<String>,
    /// How many of those that steadfast made stay.
    #[serde(default)]
    keep: Option<usize>,
    #[serde(default)]
    rollback: Option<Rollback>,
    /// How long each act, and the way until the host lets us in, may take.
    #[serde(default = "usual_timeout")]
    timeout: String,
}

/// Who keeps the snapshots.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Keeper {
    Btrfs,
    Qcow2,
    Cbs,
    Exec,
}

/// What the run does next with a disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DiskTurn {
    /// A snapshot is made.
    Create,
    /// Snapshots that are too many go, by their ids.
    Remove(Vec<String>),
    /// The disk goes back to this one.
    Back(Kept),
    /// A way back that was begun goes on.
    GoOn(WayBack),
}

const NEWEST: &str = "newest snapshot";
const KEPT: &str = "kept";

fn usual_timeout() -> String {
    "15m".into()
}

fn age(text: &str) -> Option<u64> {
    length(text.trim().trim_start_matches('<').trim())
}

impl Check for Snapshot {
    fn check(&self, body: &Node) -> Result<(), Faults> {
        let mut faults = Vec::new();
        let mut tell = |field: &str, what: String, hint: &str| {
            let at = if body.get(field).is_some() { place(body, field) } else { &body.place };
            faults.push(Fault::new(what).at(at).hint(hint.to_owned()));
        };
        let path = |path: &Option<String>| path.as_deref().is_some_and(|path| path.starts_with('/') && path.len() > 1);
        let word = |text: &Option<String>| {
            let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
            text.as_deref().is_some_and(|text| !text.is_empty() && plain(text))
        };
        let wanted: &[(&str, bool)] = match self.provider {
            Keeper::Btrfs => &[("subvolume", path(&self.subvolume)), ("directory", path(&self.directory))],
            Keeper::Qcow2 => &[("image", path(&self.image))],
            Keeper::Cbs => {
                &[("region", word(&self.region)), ("disk", word(&self.disk)), ("instance", word(&self.instance))]
            }
            Keeper::Exec => &[("list", !self.list.is_empty())],
        };
        for (field, _) in wanted.iter().filter(|(_, there)| !there) {
            let hint = match *field {
                "list" => "a program as a list of words",
                "region" | "disk" | "instance" => "as Tencent Cloud calls it: ap-guangzhou, disk-1a2b3c4d, ins-1a2b3c4d",
                _ => "an absolute path on the controller",
            };
            tell(field, format!("this provider needs `{field}`"), hint);
        }
        if self.newest.is_some() == self.rollback.is_some() {
            tell("rollback", "a snapshot step has `newest` or `rollback`, and one of them".into(), "make two steps of it");
        }
        if self.newest.as_deref().is_some_and(|text| age(text).is_none()) {
            tell("newest", "this is no age".into(), "write <24h, <7d or <30m");
        }
        if length(&self.timeout).is_none() {
            tell("timeout", "this is no length of time".into(), "write 15m or 1h");
        }
        if self.keep.is_some() && self.newest.is_none() {
            tell("keep", "`keep` goes with `newest`".into(), "say how old the newest may be");
        }
        if self.keep == Some(0) {
            tell("keep", "none would be kept".into(), "keep at least one");
        }
        if let Some(rollback) = &self.rollback {
            if !rollback.by_evidence() && moment(&rollback.before).is_none() {
                let hint = "write 2026-11-27T02:00:00Z, in UTC, or `evidence`";
                tell("rollback", format!("`{}` is no moment", rollback.before), hint);
            }
            if rollback.at_least.as_deref().is_some_and(|text| length(text).is_none()) {
                tell("rollback", "`at_least` is no length of time".into(), "write 24h or 3d");
            }
            if self.provider != Keeper::Cbs && (self.stop.is_empty() || self.start.is_empty()) {
                tell("rollback", "a rollback needs `stop` and `start`".into(), "the programs that stop and start the machine");
            }
            if self.provider == Keeper::Exec && self.apply.is_empty() {
                tell("rollback", "a rollback needs `apply`".into(), "the program that puts the disk back; it gets the id");
            }
        } else if self.provider == Keeper::Exec && self.create.is_empty() {
            tell("newest", "`newest` needs `create`".into(), "the program that makes a snapshot; it gets the name");
        }
        // Never where a key may stand that somebody pasted: its line would be shown.
        faults.extend(self.access.check().err().map(|fault| fault.at(place(body, "provider"))));
        Faults::some(faults).map_or(Ok(()), Err)
    }
}

impl Snapshot {
    fn of(&self) -> Disk {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let power = Power { stop: self.stop.clone(), start: self.start.clone(), status: self.status.clone() };
        match self.provider {
            Keeper::Btrfs => {
                Disk::Btrfs(Btrfs { subvolume: text(&self.subvolume), directory: text(&self.directory), power })
            }
            Keeper::Qcow2 => Disk::Qcow2(Qcow2 { image: text(&self.image), power }),
            Keeper::Cbs => Disk::Cbs(Cbs {
                region: text(&self.region),
                disk: text(&self.disk),
                instance: text(&self.instance),
                access: self.access.clone(),
            }),
            Keeper::Exec => Disk::Exec(Exec {
                list: self.list.clone(),
                create: self.create.clone(),
                remove: self.remove.clone(),
                apply: self.apply.clone(),
                power,
            }),
        }
    }

    /// What differs, and what is next.
    fn look(&self, found: &Facts) -> Result<(Vec<Row>, Option<DiskTurn>), Gap> {
        let (disk, state) = (self.of().name(), found.disk(&self.of())?);
        match &self.rollback {
            Some(rollback) if rollback.by_evidence() => back(rollback, &disk, state, Some(found.incident()?)),
            Some(rollback) => back(rollback, &disk, state, None),
            None => self.policy(&disk, state),
        }
    }

    fn policy(&self, disk: &str, state: &DiskState) -> Result<(Vec<Row>, Option<DiskTurn>), Gap> {
        let most = self.newest.as_deref().and_then(age).unwrap_or(u64::MAX);
        let newest = state.snapshots.iter().filter(|one| one.lack.is_none()).map(|one| one.made).max();
        // It was not made then: a clock or the program is wrong, and nobody knows how old it is.
        if let Some(made) = newest.filter(|made| *made > state.now + CLOCKS) {
            let (made, now) = (written(made), written(state.now));
            return Err(Gap::Unknown(format!("the newest snapshot is dated {made}, and now is {now}: one of the clocks is wrong")));
        }
        let due = newest.is_none_or(|made| state.now.saturating_sub(made) > most);
        let mut rows = Vec::new();
        if due {
            let found = newest.map_or("none".to_owned(), |made| format!("of {}", written(made)));
            rows.push(Row::new(disk, NEWEST, found, format!("younger than {}", lasts(most))));
        }
        let mut ours: Vec<&Kept> = state.snapshots.iter().filter(|one| one.is_ours() && one.lack.is_none()).collect();
        ours.sort_by_key(|one| std::cmp::Reverse((one.made, one.id.clone())));
        let stay = self.keep.map_or(usize::MAX, |keep| keep.saturating_sub(usize::from(due)));
        let gone: Vec<&Kept> = ours.into_iter().skip(stay).collect();
        rows.extend(gone.iter().map(|one| Row::new(format!("{disk} {}", one.name), KEPT, written(one.made), Val::Absent)));
        let turn = match () {
            () if due => Some(DiskTurn::Create),
            () if !gone.is_empty() => Some(DiskTurn::Remove(gone.iter().map(|one| one.id.clone()).collect())),
            () => None,
        };
        Ok((rows, turn))
    }
}

impl Kind for Snapshot {
    fn facts(&self) -> Vec<Query> {
        let by_evidence = self.rollback.as_ref().is_some_and(Rollback::by_evidence);
        std::iter::once(Query::Disk(self.of())).chain(by_evidence.then_some(Query::Incident)).collect()
    }

    fn plan(&self, found: &Facts) -> Result<Vec<Row>, Gap> {
        self.look(found).map(|(rows, _)| rows)
    }

    fn set(&self, _: &[Setting], _: &Facts) -> Vec<Act> {
        vec![]
    }

    /// All of it, but for a moment that only the host's own signs can give.
    fn outside(&self, found: &Facts) -> Option<Result<Vec<Row>, Gap>> {
        let by_evidence = self.rollback.as_ref().is_some_and(Rollback::by_evidence);
        (!by_evidence).then(|| self.plan(found))
    }

    fn claims(&self) -> Vec<Claim> {
        let what = if self.rolls_back() { "content" } else { "snapshots" };
        vec![Claim::owns(Object::Other("disk", self.of().name()), what, format!("{:?} {:?} {:?}", self.newest, self.keep, self.rollback))]
    }

    fn disruption(&self) -> Disruption {
        if self.rolls_back() { Disruption::Data } else { Disruption::None }
    }

    fn undo(&self) -> Undo {
        Undo::None(if self.rolls_back() {
            "what the disk held is gone, but for what its keeper keeps".into()
        } else {
            "a snapshot more does no harm, and one that was removed is gone".into()
        })
    }

    fn milestone(&self) -> Option<Milestone> {
        self.rolls_back().then_some(Milestone::RolledBack)
    }

    fn rolls_back(&self) -> bool {
        self.rollback.is_some()
    }

    /// What evidence there is moves on: the hardening behind it, or the end of the incident, is no reason to go back once more.
    fn passing(&self) -> bool {
        self.rollback.as_ref().is_some_and(Rollback::by_evidence)
    }

    fn disk(&self) -> Option<Disk> {
        Some(self.of())
    }

    fn disk_turn(&self, found: &Facts) -> Option<DiskTurn> {
        self.look(found).ok()?.1
    }

    fn permits(&self) -> Vec<Permit> {
        let Disk::Cbs(disk) = self.of() else { return vec![] };
        disk.permits(self.newest.is_some(), self.keep.is_some(), self.rolls_back())
    }

    fn patience(&self) -> u64 {
        length(&self.timeout).unwrap_or(900_000) / 1000
    }
}
