//! The ledger of keys, of disks that were put back, and of incidents, as a run sees it: it reads what is known and writes down
//! what happens. Only the store keeps one.

use crate::fact::{Incident, KeyEvent, Ring, Turn, WayBack};
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

    /// The incident on a host that is not over.
    ///
    /// # Errors
    /// The ledger cannot be read.
    fn incident(&self, host: &str) -> Result<Incident>;

    /// Writes a turn of it down, durably.
    ///
    /// # Errors
    /// It cannot be written.
    fn note_turn(&self, host: &str, turn: &Turn) -> Result<()>;
}
