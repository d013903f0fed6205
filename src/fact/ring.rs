//! What the controller's ledger says of the keys of one user on one host. It is no reading of the host: the run puts it
//! beside what the host answers.

use crate::host::PublicKey;

/// The keys of a user on a host, the oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize)]
pub struct Ring {
    /// The controller's clock, in milliseconds since 1970.
    pub now: u64,
    pub keys: Vec<Known>,
}

/// A key that the ledger knows.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Known {
    pub public: PublicKey,
    /// When it was made, where that was here; in milliseconds since 1970.
    pub made: Option<u64>,
    /// When the last word on it was written.
    pub at: u64,
    /// The last word on it.
    pub word: KeyEvent,
    /// Where its private half is kept; empty where it is not ours.
    pub file: String,
    /// How that is locked: `passphrase SOURCE` or `age RECIPIENT…`.
    pub lock: String,
    /// Why the private half is no good; `None` where it is, or is not ours.
    pub lack: Option<String>,
}

/// What can happen to a key. Each is written down before what it names begins, but for those that say what was proven.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyEvent {
    /// The pair lies on the controller.
    Made,
    /// It is being added to the host.
    Adding,
    /// A login by it alone got in.
    Proven,
    /// From now on it is the key by which this user comes in.
    Current,
    /// It could not be proven; it is to be taken away again.
    Undone,
    /// Its line is being removed.
    Removing,
    /// The host was offered it and refused.
    Refused,
}

impl KeyEvent {
    pub const ALL: [Self; 7] =
        [Self::Made, Self::Adding, Self::Proven, Self::Current, Self::Undone, Self::Removing, Self::Refused];

    /// As the ledger writes it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Made => "made",
            Self::Adding => "adding",
            Self::Proven => "proven",
            Self::Current => "current",
            Self::Undone => "undone",
            Self::Removing => "removing",
            Self::Refused => "refused",
        }
    }
}

impl Ring {
    /// The key by which the user comes in.
    pub fn current(&self) -> Option<&Known> {
        self.keys.iter().rev().find(|key| key.word == KeyEvent::Current)
    }

    /// A new key that is not yet the one by which the user comes in.
    pub fn pending(&self) -> Option<&Known> {
        use KeyEvent::{Adding, Made, Proven};
        self.keys.iter().rev().find(|key| matches!(key.word, Made | Adding | Proven) && key.lack.is_none())
    }

    pub fn of(&self, public: &PublicKey) -> Option<&Known> {
        self.keys.iter().find(|key| key.public.is(public))
    }
}
