//! The turns that a change of a host's key takes.

use crate::host::PublicKey;

/// How far a change of a host's key has come: what is next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostKeyTurn {
    /// A pair is made on the host.
    Make,
    /// It is there, and is written down: its public half, and where the private one lies.
    Note(PublicKey, String),
    /// sshd gets it beside the old ones.
    Offer(PublicKey),
    /// known_hosts learns it.
    Learn { old: Vec<PublicKey>, new: PublicKey },
    /// sshd shows it first, and it is proven.
    Prefer(PublicKey),
    /// From now on it is the host's key.
    Switch(PublicKey),
    /// The old ones go, while the new one is proven.
    Remove { old: Vec<PublicKey>, stays: PublicKey },
    /// The old ones must not be shown any more, and known_hosts forgets them.
    Forget(Vec<PublicKey>),
    /// Files of keys that could not be proven go.
    Sweep,
    /// Nothing is left to do.
    Done,
}
