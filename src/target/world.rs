//! A host made of maps: it answers typed questions and carries out typed effects, and can be told to break.
//!
//! Playbooks and kinds are tried on it in milliseconds. It proves decisions; only a real host proves a change.

use super::{Done, Fate, Reader, Target};
use crate::act::{Act, Hold, Lease, Verb};
use crate::cloud::{Fence, Fenced};
use crate::fact::{Accounts, DiskState, Facts, Group, Mount, Os, Query, Ring, Socket, Unit, Updates, User};
use crate::host::{Later, Loss, LossKind};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

mod answer;
mod carry;
mod database;

/// What stands at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Thing {
    pub what: What,
    pub mode: u32,
    pub owner: String,
    pub group: String,
}

/// The kind of a thing, with what it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    File(Vec<u8>),
    Directory,
    Link(String),
}

/// A kernel module.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Module {
    pub loaded: bool,
    pub builtin: bool,
}

/// Everything that can be seen of the world.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct State {
    pub os: Os,
    /// Its clock, in seconds since 1970.
    pub clock: i64,
    pub files: BTreeMap<String, Thing>,
    pub live: BTreeMap<String, String>,
    pub units: BTreeMap<String, Unit>,
    /// What was a masked unit's load and file state before.
    pub beneath: BTreeMap<String, (String, String)>,
    /// Installed packages with their versions.
    pub packages: BTreeMap<String, String>,
    pub modules: BTreeMap<String, Module>,
    pub users: Vec<User>,
    pub groups: Vec<Group>,
    pub due: BTreeSet<String>,
    /// Tables of the packet filter, as text.
    pub tables: BTreeMap<String, String>,
    pub sockets: Vec<Socket>,
    pub mounts: Vec<Mount>,
    pub updates: Option<Updates>,
    /// What a ledger says of users' keys.
    pub rings: BTreeMap<String, Ring>,
    /// What is known of the host's disk.
    pub disk: DiskState,
    /// What a cloud lets through to it.
    pub fences: BTreeMap<Fence, Fenced>,
}

/// Where the line breaks: before or after the nth effect (from 1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Break {
    Before(usize),
    After(usize),
}

/// A host in memory.
#[derive(Debug, Default)]
pub struct World {
    state: Mutex<State>,
    /// How many effects there were so far, and where it breaks.
    effects: Mutex<(usize, Option<Break>)>,
}

impl World {
    pub fn new(state: State) -> Self {
        Self { state: Mutex::new(state), effects: Mutex::default() }
    }

    /// All of it, as it is now.
    pub fn state(&self) -> State {
        self.lock().clone()
    }

    /// How many effects there were.
    pub fn writes(&self) -> usize {
        self.effects.lock().unwrap_or_else(PoisonError::into_inner).0
    }

    /// The next effects count from 1 again; at this one the line breaks.
    pub fn break_at(&self, at: Option<Break>) {
        *self.effects.lock().unwrap_or_else(PoisonError::into_inner) = (0, at);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One effect, counted; an error is a broken line.
    fn effect(&self, act: &Act) -> Result<Result<(), String>, Loss> {
        let lost = || Loss { kind: LossKind::Lost, why: "told to break".into() };
        let (number, at) = {
            let mut effects = self.effects.lock().unwrap_or_else(PoisonError::into_inner);
            effects.0 += 1;
            *effects
        };
        if at == Some(Break::Before(number)) {
            return Err(lost());
        }
        let done = carry::carry(&mut self.lock(), act);
        if at == Some(Break::After(number)) { Err(lost()) } else { Ok(done) }
    }
}

impl Reader for World {
    fn read<'a>(&'a self, queries: &'a [Query]) -> Later<'a, Result<Facts, Loss>> {
        let state = self.lock();
        let facts = queries.iter().map(|query| (query.clone(), answer::answer(&state, query))).collect();
        drop(state);
        Box::pin(async move { Ok(facts) })
    }
}

impl Target for World {
    fn set<'a>(&'a self, acts: &'a [Act], _: Duration) -> Later<'a, Result<Done, Loss>> {
        Box::pin(async move {
            for (number, act) in acts.iter().enumerate() {
                if let Err(why) = self.effect(act)? {
                    return Ok(Done::Failed { act: number, why });
                }
            }
            Ok(Done::All)
        })
    }

    fn lease<'a>(&'a self, _: &'a Lease) -> Later<'a, Result<Hold, Loss>> {
        Box::pin(async { Ok(Hold::Ours(vec![])) })
    }

    fn guard<'a>(&'a self, _: Verb, _: &'a str) -> Later<'a, Result<(Fate, String), Loss>> {
        Box::pin(async { Ok((Fate::Confirmed, String::new())) })
    }

    fn close(&self) -> Later<'_, ()> {
        Box::pin(async {})
    }
}

impl State {
    /// Users and groups as a reading with all rights gives them.
    fn accounts(&self) -> Accounts {
        Accounts { users: self.users.clone(), groups: self.groups.clone(), shadow_unread: None }
    }

    /// The text of a file, where there is one.
    fn text(&self, path: &str) -> Option<&str> {
        match &self.files.get(path)?.what {
            What::File(content) => std::str::from_utf8(content).ok(),
            _ => None,
        }
    }

    /// Puts a file, for setting the scene.
    pub fn file(&mut self, path: &str, content: &str, mode: u32) {
        let what = What::File(content.as_bytes().to_vec());
        self.files.insert(path.into(), Thing { what, mode, owner: "root".into(), group: "root".into() });
    }

    /// Puts a directory and those above it, for setting the scene.
    pub fn directory(&mut self, path: &str, mode: u32) {
        for (at, _) in path.match_indices('/').filter(|(at, _)| *at > 0) {
            let above = Thing { what: What::Directory, mode: 0o755, owner: "root".into(), group: "root".into() };
            self.files.entry(path[..at].to_owned()).or_insert(above);
        }
        let own = Thing { what: What::Directory, mode, owner: "root".into(), group: "root".into() };
        self.files.insert(path.into(), own);
    }
}
