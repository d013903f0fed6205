//! Disks of hosts as whoever keeps them sees them, from outside the host: their snapshots, and the way back to one.
//!
//! A [`Disk`] is data; what acts for it is a [`Provider`]. All it does is asynchronous: it begins something, and [`Provider::state`]
//! says when that is over. Each of its acts may be asked for again after a run that died in it, and then ends the same way.

use crate::fault::{Fault, Result};
use crate::host::Later;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

mod btrfs;
mod cbs;
mod exec;
mod qcow2;

pub use btrfs::Btrfs;
pub use cbs::Cbs;
pub use exec::{Exec, Power};
pub use qcow2::Qcow2;

/// How the snapshots that steadfast makes are called at their beginning. No others are ever removed.
pub const OURS: &str = "steadfast-";

/// A disk, and who keeps its snapshots.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Disk {
    Btrfs(Btrfs),
    Qcow2(Qcow2),
    Cbs(Cbs),
    Exec(Exec),
}

impl Disk {
    /// What it is called in plans, reports and the memory of the controller.
    pub fn name(&self) -> String {
        match self {
            Self::Btrfs(disk) => format!("btrfs {}", disk.subvolume),
            Self::Qcow2(disk) => format!("qcow2 {}", disk.image),
            Self::Cbs(disk) => format!("cbs {} of {}", disk.disk, disk.instance),
            Self::Exec(disk) => format!("exec {}", disk.list.join(" ")),
        }
    }

    /// Who acts for it.
    ///
    /// # Errors
    /// It cannot be had here.
    pub fn provider(&self) -> Result<Arc<dyn Provider>> {
        Ok(match self {
            Self::Btrfs(disk) => Arc::new(disk.clone()),
            Self::Qcow2(disk) => Arc::new(disk.clone()),
            Self::Cbs(disk) => Arc::new(disk.clone()),
            Self::Exec(disk) => Arc::new(disk.clone()),
        })
    }
}

/// A snapshot as its keeper tells of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// By which it is asked for.
    pub id: String,
    pub name: String,
    /// The moment of which it is, in milliseconds since 1970.
    pub made: u64,
    /// Why nobody can go back to it (it is still being made, it is broken); `None`: it is whole.
    pub lack: Option<String>,
}

impl Snapshot {
    /// Whether steadfast made it.
    pub fn is_ours(&self) -> bool {
        self.name.starts_with(OURS)
    }
}

/// What a machine and its disk go through on the way back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Act {
    Stop,
    Apply,
    Start,
}

/// How far an act has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// It goes on, in the keeper's words.
    Busy(String),
    Done,
    Failed(String),
}

/// Who keeps a disk and its snapshots, and has the power of the machine on it.
pub trait Provider: Send + Sync {
    /// All snapshots of the disk, in any order.
    fn list(&self) -> Later<'_, Result<Vec<Snapshot>>>;

    /// Begins a snapshot of this name; gives its id. It is there once `list` says it is whole.
    fn create<'a>(&'a self, name: &'a str) -> Later<'a, Result<String>>;

    /// Removes a snapshot.
    fn remove<'a>(&'a self, id: &'a str) -> Later<'a, Result<()>>;

    /// The programs that have the power of the machine, where it is programs that have it.
    fn power(&self) -> &Power {
        &NO_POWER
    }

    /// Begins to stop the machine; one that is stopped stays so.
    fn stop(&self) -> Later<'_, Result<()>> {
        Box::pin(self.power().stop())
    }

    /// Begins to put the disk of the stopped machine back to a snapshot.
    fn apply<'a>(&'a self, id: &'a str) -> Later<'a, Result<()>>;

    /// Begins to start the machine; one that runs stays so.
    fn start(&self) -> Later<'_, Result<()>> {
        Box::pin(self.power().start())
    }

    /// Whether what was begun last is over. Who ends with the act itself is done.
    fn state(&self, act: Act) -> Later<'_, Result<Progress>> {
        Box::pin(self.power().state(act))
    }
}

/// Nothing to stop and nothing to start.
static NO_POWER: Power = Power { stop: Vec::new(), start: Vec::new(), status: Vec::new() };

/// A word of a keeper that becomes a word of a command: neither an option nor anything that a terminal obeys.
fn plain(word: &str) -> Result<String> {
    if word.is_empty() || word.starts_with('-') || word.len() > 300 || word.chars().any(char::is_control) {
        let told = crate::host::show(word.as_bytes(), 60);
        return Err(Fault::new(format!("`{told}` is no name of a snapshot")));
    }
    Ok(word.to_owned())
}
