//! The ledger of keys, of disks that were put back, and of incidents, as a run sees it: it reads what is known and writes down
//! what happens. Only the store keeps one.

use crate::cloud::{Fence, Shape};
use crate::fact::{Incident, KeyEvent, Ours, Ring, Turn, WayBack};
use crate::fault::Result;
use crate::host::PublicKey;

/// One thing that happens to a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyNote {
    pub host: String,
    pub user: String,
    pub public: PublicKey,
    pub event: KeyEvent,
    /// Of a key that was made here: where its private half is, and how that is locked.
    pub file: String,
    pub lock: String,
    /// By which run.
    pub run: String,
}

/// One change of something of a cloud, with what was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FenceNote {
    /// The host for which it was done.
    pub host: String,
    pub run: String,
    /// Which change of the run on that host, from 1.
    pub seq: u32,
    pub step: String,
    pub title: String,
    pub kind: String,
    pub fence: Fence,
    pub was: Shape,
    pub to: Shape,
    pub word: FenceWord,
}

/// How far a change of something of a cloud has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FenceWord {
    /// It may be set, and was not proven.
    Setting,
    /// It was proven, and stands.
    Stands,
    /// It is as it was found.
    Back,
    /// Somebody else changed it before it could go back: it is theirs.
    Left,
}

impl FenceWord {
    pub const ALL: [Self; 4] = [Self::Setting, Self::Stands, Self::Back, Self::Left];

    /// As it is written down.
    pub fn word(self) -> &'static str {
        match self {
            Self::Setting => "setting",
            Self::Stands => "stands",
            Self::Back => "back",
            Self::Left => "left",
        }
    }
}

/// What is known of keys.
pub trait Ledger: Send + Sync {
    /// The keys of a user on a host.
    ///
    /// # Errors
    /// The ledger cannot be read.
    fn ring(&self, host: &str, user: &str) -> Result<Ring>;

    /// Writes one thing down, durably.
    ///
    /// # Errors
    /// It cannot be written; what it names must not begin.
    fn note(&self, note: &KeyNote) -> Result<()>;

    /// The last way back of a disk of a host.
    ///
    /// # Errors
    /// It cannot be read.
    fn way_back(&self, host: &str, disk: &str) -> Result<Option<WayBack>>;

    /// Writes one word on it down, durably.
    ///
    /// # Errors
    /// It cannot be written; what it names must not begin.
    fn note_way_back(&self, host: &str, disk: &str, word: &WayBack) -> Result<()>;

    /// Writes down how far a change in a cloud has come, durably.
    ///
    /// # Errors
    /// It cannot be written; what it names must not begin.
    fn note_fence(&self, note: &FenceNote) -> Result<()>;

    /// What was found before something of a cloud was made what it is now.
    ///
    /// # Errors
    /// It cannot be read.
    fn fence_before(&self, fence: &Fence, now: &Shape) -> Result<Option<Shape>>;

    /// Changes in clouds that nobody proved, of runs that are no more.
    ///
    /// # Errors
    /// They cannot be read.
    fn open_fences(&self) -> Result<Vec<FenceNote>>;

    /// The incident on a host that is not over.
    ///
    /// # Errors
    /// The ledger cannot be read.
    fn incident(&self, host: &str) -> Result<Incident>;

    /// What runs of this controller changed on a host in so many days.
    ///
    /// # Errors
    /// The history cannot be read.
    fn ours(&self, host: &str, days: u16) -> Result<Ours>;

    /// Keeps the digest of an entry of a host's journal; none yet when the change begins.
    ///
    /// # Errors
    /// It cannot be written; the change must not begin.
    fn note_entry(&self, host: &str, run: &str, seq: u32, digest: Option<&str>) -> Result<()>;

    /// Writes a turn of it down, durably.
    ///
    /// # Errors
    /// It cannot be written.
    fn note_turn(&self, host: &str, turn: &Turn) -> Result<()>;
}
