//! The only way to touch a machine: a script goes in, an exact answer comes out.
//!
//! One `sh` a host carries every request of a run (`wire`), over the user's own ssh (`ssh`) or on this machine (`local`).

use std::{fmt, future::Future, pin::Pin, time::Duration};

mod agent;
mod frame;
mod hello;
mod holder;
mod keygen;
mod known_hosts;
mod lines;
mod loader;
mod local;
mod master;
mod offer;
mod outside;
mod place;
mod probe;
mod program;
mod proof;
mod public_key;
mod route;
mod script;
mod secret_source;
mod show;
pub mod sign;
mod ssh;
mod ssh_config;
mod wire;

pub use frame::CAP;
pub use hello::{ENOUGH, Heard, Offer, Version, heard, hello};
pub use holder::Holder;
pub use keygen::{Lock, make_pair};
pub use known_hosts::Known as KnownHosts;
pub use lines::{Become, Lines, Login, Settings};
pub use offer::Word as KeyWord;
pub use probe::{Door, Start, probe};
pub use program::{began, find_program, run_program, run_program_alone};
pub use public_key::{KEY_TYPES, PublicKey};
pub use route::Route;
pub use script::{run_editor, run_inventory_script, run_secret_program};
pub use secret_source::secret_from;
pub use show::show;
pub use wire::{Streams, Terms, Wire};

pub use crate::secret::Secret;

/// Takes out of a program's environment what holds a secret of ours.
fn bare(command: &mut std::process::Command) {
    for name in crate::secret::withheld() {
        command.env_remove(name);
    }
}

/// A future in a box, so that hosts can stand behind `dyn`.
pub type Later<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A script for the host's `sh`.
#[derive(Debug, Clone)]
pub struct Request {
    /// POSIX shell text; sent over stdin, never on a command line.
    pub script: String,
    /// After this the script's process group is ended and the reply says `timed_out`.
    pub timeout: Duration,
}

/// What a script answered.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reply {
    /// The exact exit code; 128 + n for signal n.
    pub code: i32,
    pub timed_out: bool,
    /// At most the cap; the full length is in `out_full`, in bytes.
    pub out: Vec<u8>,
    pub err: Vec<u8>,
    pub out_full: u64,
    pub err_full: u64,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loss {
    pub kind: LossKind,
    /// What ssh or the operating system said, escaped for a terminal.
    pub why: String,
}

/// The classes of losing a host, each a word of its own in reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LossKind {
    /// Nobody listens at the port.
    Refused,
    /// Its name has no address, or no route leads there.
    NoWay,
    /// No answer in time while connecting.
    ConnectTimeout,
    /// The host does not let this key or user in.
    PermissionDenied,
    /// Nothing is known of this host's key.
    UnknownHostKey,
    /// The host shows another key than the one that is known.
    ChangedHostKey,
    /// `sudo` refused, wants a password or a terminal.
    BecomeFailed,
    /// No `sh`, no writable runtime directory, or a shell that is not one.
    NoShell,
    /// The line broke after the login: what was running may have taken effect.
    Lost,
    /// The host no longer answers, though the line stands.
    Silent,
    /// Another run holds it.
    Held,
    /// The host answered what no honest host answers (wrong frame, wrong number, too much).
    Untrusted,
    /// Anything else ssh says.
    Other,
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            LossKind::Refused => "connection refused",
            LossKind::NoWay => "no way there",
            LossKind::ConnectTimeout => "no answer while connecting",
            LossKind::PermissionDenied => "login refused",
            LossKind::UnknownHostKey => "unknown host key",
            LossKind::ChangedHostKey => "changed host key",
            LossKind::BecomeFailed => "cannot become the other user",
            LossKind::NoShell => "no usable shell",
            LossKind::Lost => "connection lost",
            LossKind::Silent => "no longer answers",
            LossKind::Held => "held by another run",
            LossKind::Untrusted => "answer cannot be trusted",
            LossKind::Other => "unreachable",
        };
        write!(f, "{kind}")?;
        if !self.why.is_empty() {
            write!(f, ": {}", self.why)?;
        }
        Ok(())
    }
}

impl std::error::Error for Loss {}

/// A machine with an open line.
pub trait Host: Send + Sync {
    /// Runs a script and waits for its end. Several calls at once run side by side on the host.
    fn call(&self, request: Request) -> Later<'_, Result<Reply, Loss>>;
    /// Ends the line in good order; what still runs on the host is left to finish.
    fn close(&self) -> Later<'_, ()>;
}

/// Puts a text into single quotes for the shell, whatever it holds but NUL.
pub fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// A word that no host can guess before it sees it.
pub fn random_word() -> String {
    let mut bytes = [0u8; 12];
    // Without randomness a host could forge frames; it could lie in its answers just as well, so go on.
    let _ = getrandom::fill(&mut bytes);
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
