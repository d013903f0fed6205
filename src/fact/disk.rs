//! A disk of a host as its keeper and this controller know it. It is no reading of the host: the run puts it beside what the
//! host answers.

use crate::disk::Snapshot;

/// What is known of a disk.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize)]
pub struct DiskState {
    /// The controller's clock, in milliseconds since 1970.
    pub now: u64,
    pub snapshots: Vec<Snapshot>,
    /// The last way back of this disk.
    pub last: Option<WayBack>,
}

/// A way back to a snapshot, as far as it was written down.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct WayBack {
    /// The snapshot, and the moment of which it is.
    pub snapshot: String,
    pub made: u64,
    /// The last word on it, and when that was written.
    pub stage: Stage,
    pub at: u64,
    /// Which boot of the host it ended.
    pub boot: String,
    /// By which run.
    pub run: String,
}

/// What is done, written down before it begins; `Done` once the host let us in again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    Stopping,
    Applying,
    Starting,
    Waiting,
    Done,
}

impl Stage {
    pub const ALL: [Self; 5] = [Self::Stopping, Self::Applying, Self::Starting, Self::Waiting, Self::Done];

    /// As it is written down.
    pub fn word(self) -> &'static str {
        match self {
            Self::Stopping => "stopping",
            Self::Applying => "applying",
            Self::Starting => "starting",
            Self::Waiting => "waiting",
            Self::Done => "done",
        }
    }
}
