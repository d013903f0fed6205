//! What can be done to a host: typed effects, rendered to shell in one place.
//!
//! A step's way forward and its way back are both a list of [`Act`]s. They run in order and stop at the first that
//! fails; each is safe on its own (a file is replaced whole or not at all). As data they can be shown, journalled, and
//! carried out by the fake world of the tests as well as by a real host.

mod journal;
mod lease;
mod render;

pub use journal::{Guard, Intent, Verb, guard};
pub use lease::{Hold, Lease, hold, lasting, lease};
pub use render::{Failure, failure, kept, render};

use crate::fact::Thing;

/// Packages that one comes in by, a pattern a line: installing or removing one can cut the way in, and none goes along with
/// another unasked.
const DOORS: &str = include_str!("doors.txt");

/// Whether a package is one of them.
pub fn at_the_door(package: &str) -> bool {
    let is = |door: &str| door.strip_suffix('*').map_or(package == door, |start| package.starts_with(start));
    DOORS.lines().any(is)
}

/// The shell functions behind acts.
const PRELUDE: &str = concat!(
    "DOORS='",
    include_str!("doors.txt"),
    "'\n",
    include_str!("prelude.sh"),
    include_str!("../fact/pin.sh"),
    include_str!("path.sh")
);

/// One effect on a host.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Act {
    /// Replaces a file whole: temporary file beside it, fsync, metadata, rename. What is `None` stays as it is; a new
    /// file gets 0600 root:root unless told. With `check`, that command must succeed once the file is in place,
    /// or the former content comes back and the act fails.
    Write {
        path: String,
        #[serde(skip)]
        content: Vec<u8>,
        mode: Option<u32>,
        owner: Option<String>,
        group: Option<String>,
        check: Option<String>,
    },
    /// Removes a file or a symbolic link; a directory is refused; nothing there is fine.
    Remove {
        path: String,
    },
    /// Makes a directory whose parent exists.
    MakeDir {
        path: String,
        mode: u32,
        owner: Option<String>,
        group: Option<String>,
    },
    /// Removes an empty directory.
    RemoveDir {
        path: String,
    },
    /// Never follows a symbolic link.
    Chmod {
        path: String,
        mode: u32,
    },
    Chown {
        path: String,
        owner: Option<String>,
        group: Option<String>,
    },
    /// Sets a live kernel parameter (not the file that keeps it).
    Sysctl {
        key: String,
        value: String,
    },
    /// A mount gets these flags and no others (`rw,nosuid,nodev`); the file system behind it stays as it is.
    Remount {
        path: String,
        flags: String,
    },
    /// The table of the packet filter becomes this text, in one go; `None`: it goes away. By its name in `inet`.
    Table {
        name: String,
        text: Option<String>,
    },
    LoadModule {
        name: String,
    },
    UnloadModule {
        name: String,
    },
    /// `verb` is one of systemctl's: start, stop, restart, reload, enable, disable, mask, unmask, reload-or-restart.
    Unit {
        verb: &'static str,
        name: String,
    },
    /// `systemctl daemon-reload`.
    ReloadUnits,
    /// Makes an ed25519 pair without a passphrase; the private half never leaves the host. What is there is not written over.
    MakeKey {
        path: String,
    },
    /// Makes one file of all rules of the audit; `load` gives it to the kernel as well.
    AuditRules {
        load: bool,
    },
    /// Installs packages by the host's own manager, non-interactively, keeping changed configuration files.
    Install {
        packages: Vec<String>,
    },
    /// Removes packages, keeping their configuration.
    Uninstall {
        packages: Vec<String>,
    },
    /// Makes a user or changes one: only what is `Some` is set.
    User {
        name: String,
        create: bool,
        set: UserSet,
    },
    DeleteUser {
        name: String,
    },
    Group {
        name: String,
        create: bool,
        gid: Option<u32>,
        /// A new group gets a number of the system's range.
        system: bool,
    },
    DeleteGroup {
        name: String,
    },
    /// Adds the user to the group, or takes them out of it.
    Member {
        user: String,
        group: String,
        present: bool,
    },
    /// Says that a follow-up is due, before the change that makes it so.
    MarkDue {
        name: String,
    },
    /// The follow-up was done.
    ClearDue {
        name: String,
    },
    /// Makes a thing what it was before a run; the first of `copies` is its content in the journal, below `runs/`, and the others
    /// what it was before later changes that go back with it.
    Restore {
        thing: Thing,
        to: String,
        copies: Vec<String>,
    },
    /// A command of the playbook's author, run by `sh`, with variables set from quoted literals; `undo` is what they
    /// say takes it back; without it the files that it `changes` are kept and come back.
    Shell {
        script: String,
        undo: Option<String>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        changes: Vec<String>,
    },
}

/// What an [`Act::User`] sets.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize)]
pub struct UserSet {
    pub uid: Option<u32>,
    pub system: bool,
    /// The primary group, by name.
    pub group: Option<String>,
    pub comment: Option<String>,
    pub home: Option<String>,
    pub make_home: bool,
    pub shell: Option<String>,
    /// `true` locks the password, `false` unlocks it.
    pub locked: Option<bool>,
    /// Days since 1970; -1 is never.
    pub expires: Option<i64>,
}
