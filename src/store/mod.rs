//! What this controller remembers: its runs with all that was told of them, in one SQLite file that is the user's alone.
//!
//! What is written is written as it happens, so of a run that was killed stays what was known of it. Two processes may
//! write at once: each transaction takes the file at its beginning, and waits for the other's.

use crate::event::Summary;
use crate::fault::{Fault, Result};
use crate::plan::Key;
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fs;
use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::time::Duration;

mod chain;
mod changes;
mod copies;
mod disks;
mod events;
mod fences;
mod incidents;
mod keys;
mod past;
mod prune;
mod undo;

pub use chain::{Audit, Link, Signature, statement};
pub use keys::{KeyWord, Keys, ring};
pub use past::{HostRecord, Similar};
pub use prune::Pruned;
pub use undo::Work;

/// The memory of a controller.
pub struct Store(Connection);

/// One run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    pub id: String,
    /// Milliseconds since 1970.
    pub began: u64,
    pub ended: Option<u64>,
    pub mode: String,
    pub call: Call,
    pub exit: Option<u8>,
    /// What it came to; none of a run without an end.
    pub summary: Option<Summary>,
}

/// What was called, so that it can be called again from anywhere.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Call {
    pub playbooks: Vec<PathBuf>,
    pub inventory: Vec<String>,
    pub limit: Option<String>,
    pub tags: Vec<String>,
    pub skip_tags: Vec<String>,
    /// Names of extra variables; their values may be secrets and are not kept.
    pub extra_vars: Vec<String>,
    pub become_root: bool,
    pub waivers: Vec<PathBuf>,
    pub user: Option<String>,
    pub private_key: Option<PathBuf>,
    pub ask_become_pass: bool,
    /// The hosts that took part.
    pub hosts: Vec<String>,
    /// Whether any of its tasks acted as root.
    pub as_root: bool,
    /// Whether any of them acted as the user who logs in; an earlier version did not say.
    pub as_user: bool,
    /// The run that it went on with.
    pub resumes: Option<String>,
    /// What it took back.
    pub takes_back: Option<TakesBack>,
    /// Whether digests of what it writes in the journals of hosts are kept here: an earlier version kept none.
    pub keeps_digests: bool,
    /// The process that did it, and when that began in the kernel's ticks: a number alone is given again.
    pub process: (u32, u64),
}

/// Runs that were taken back on these hosts; `whole` is all that they did there.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TakesBack {
    pub runs: Vec<String>,
    pub hosts: Vec<String>,
    pub whole: bool,
}

impl Record {
    /// Whether it is over: its process is gone.
    ///
    /// # Errors
    /// It is not.
    pub fn over(&self) -> Result<()> {
        let (number, began) = self.call.process;
        if self.ended.is_none() && number != 0 && crate::host::began(number) == Some(began) {
            let fault = Fault::new(format!("run `{}` still goes on (process {number})", self.id));
            return Err(fault.hint("wait for its end, or interrupt it"));
        }
        Ok(())
    }
}

/// This process and when it began.
pub fn process() -> (u32, u64) {
    let number = std::process::id();
    (number, crate::host::began(number).unwrap_or(0))
}

/// Where everything is kept: `STEADFAST_STATE`, else the user's state directory.
///
/// # Errors
/// There is no home.
pub fn directory() -> Result<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set("STEADFAST_STATE")
        .or_else(|| set("XDG_STATE_HOME").map(|base| base.join("steadfast")))
        .or_else(|| set("HOME").map(|home| home.join(".local/state/steadfast")))
        .ok_or_else(|| Fault::new("no place for what steadfast remembers").hint("set STEADFAST_STATE or HOME"))
}

/// The key of this controller's digests: `STEADFAST_PLAN_KEY`, else one of its own, made when it is first needed.
///
/// # Errors
/// It cannot be read or written.
pub fn key() -> Result<Key> {
    if let Some(text) = std::env::var_os("STEADFAST_PLAN_KEY").filter(|text| !text.is_empty()) {
        return Ok(Key::of(text.as_encoded_bytes()));
    }
    let dir = directory()?;
    let path = dir.join("plan.key");
    let cannot =
        |error: std::io::Error| Fault::new(format!("cannot keep a key in {}", path.display())).why(error.to_string());
    fs::DirBuilder::new().recursive(true).mode(0o700).create(&dir).map_err(cannot)?;
    let mut bytes = [0u8; 32];
    getrandom::fill(&mut bytes).map_err(|error| Fault::new("no randomness").why(error.to_string()))?;
    // Whole or not at all, and whoever comes first wins.
    let mut file = tempfile::NamedTempFile::new_in(&dir).map_err(cannot)?;
    file.write_all(&bytes).map_err(cannot)?;
    match file.persist_noclobber(&path) {
        Err(error) if error.error.kind() != std::io::ErrorKind::AlreadyExists => return Err(cannot(error.error)),
        _ => {}
    }
    Ok(Key::of(&fs::read(&path).map_err(cannot)?))
}

const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS runs (
  id TEXT PRIMARY KEY, began INTEGER NOT NULL, ended INTEGER, mode TEXT NOT NULL, call TEXT NOT NULL, exit INTEGER
) STRICT;
CREATE TABLE IF NOT EXISTS left_true (
  host TEXT NOT NULL, step TEXT NOT NULL, meaning TEXT NOT NULL, run TEXT NOT NULL, PRIMARY KEY (host, step)
) STRICT;
CREATE TABLE IF NOT EXISTS steps (id INTEGER PRIMARY KEY, name TEXT NOT NULL, told TEXT NOT NULL UNIQUE) STRICT;
CREATE TABLE IF NOT EXISTS events (
  run TEXT NOT NULL, seq INTEGER NOT NULL, at INTEGER NOT NULL, host TEXT, step INTEGER, told TEXT, PRIMARY KEY (run, seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS events_of ON events (host, at) WHERE told IS NOT NULL;
CREATE TABLE IF NOT EXISTS hosts (
  host TEXT PRIMARY KEY, seen INTEGER NOT NULL, run TEXT NOT NULL, os TEXT, version TEXT, kernel TEXT, arch TEXT
) STRICT;
CREATE TABLE IF NOT EXISTS chain (
  n INTEGER PRIMARY KEY, run TEXT NOT NULL UNIQUE, digest TEXT NOT NULL, link TEXT NOT NULL, pruned INTEGER
) STRICT;
CREATE TABLE IF NOT EXISTS signatures (
  n INTEGER NOT NULL, made INTEGER NOT NULL, link TEXT NOT NULL, signature TEXT NOT NULL
) STRICT;
";

/// Columns that came later, for a history that an earlier version began.
fn grow(connection: &Connection) -> rusqlite::Result<()> {
    for (name, kind) in [("changed", "INTEGER"), ("summary", "TEXT")] {
        let has = "SELECT count(*) FROM pragma_table_info('runs') WHERE name = ?1";
        let known = || connection.query_row(has, [name], |row| row.get::<_, i64>(0)).map(|found| found > 0);
        if known()? {
            continue;
        }
        match connection.execute_batch(&format!("ALTER TABLE runs ADD COLUMN {name} {kind}")) {
            // Another process did the same at this moment.
            Err(_) if known()? => {}
            done => done?,
        }
    }
    Ok(())
}

/// It changed something, or was broken off.
const CHANGED: &str = "ifnull(changed, 1) > 0";

/// The columns of a run.
const FIELDS: &str = "SELECT id, began, ended, mode, call, exit, summary FROM runs";

impl Store {
    /// Opens the store, and makes it where there is none.
    ///
    /// # Errors
    /// No place, or one that cannot be written.
    pub fn open() -> Result<Self> {
        let dir = directory()?;
        let cannot = |why: String| {
            Fault::new(format!("cannot keep the history in {}", dir.display()))
                .why(why)
                .hint("STEADFAST_STATE names another directory")
        };
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&dir).map_err(|error| cannot(error.to_string()))?;
        let file = dir.join("history.db");
        let connection = Connection::open(&file).map_err(|error| cannot(error.to_string()))?;
        let ready = connection
            .busy_timeout(Duration::from_secs(10))
            .and_then(|()| connection.pragma_update(None, "journal_mode", "WAL"))
            .and_then(|()| connection.pragma_update(None, "synchronous", "NORMAL"))
            .and_then(|()| connection.execute_batch(SCHEMA))
            .and_then(|()| connection.execute_batch(keys::TABLE))
            .and_then(|()| connection.execute_batch(disks::TABLE))
            .and_then(|()| connection.execute_batch(fences::TABLE))
            .and_then(|()| connection.execute_batch(incidents::TABLE))
            .and_then(|()| connection.execute_batch(copies::TABLE))
            .and_then(|()| grow(&connection));
        ready.map_err(|error| cannot(error.to_string()))?;
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        fs::set_permissions(&file, mode).map_err(|error| cannot(error.to_string()))?;
        Ok(Self(connection))
    }

    /// A run begins.
    ///
    /// # Errors
    /// It cannot be written down.
    pub fn begin(&self, id: &str, mode: &str, call: &Call, began: u64) -> Result<()> {
        let call = serde_json::to_string(call).map_err(|error| broken(&error))?;
        let values = params![id, time(began), mode, call];
        self.0
            .execute("INSERT INTO runs (id, began, mode, call) VALUES (?1, ?2, ?3, ?4)", values)
            .map(drop)
            .map_err(|error| broken(&error))
    }

    /// A run ended; one that was broken off may have changed more than was told.
    ///
    /// # Errors
    /// It cannot be written down.
    pub fn end(&self, id: &str, exit: u8, summary: &Summary, ended: u64, broken_off: bool) -> Result<()> {
        let changed = summary.changed + summary.reverted + summary.failed + summary.unknown;
        let changed = (!broken_off).then(|| i64::try_from(changed).unwrap_or(i64::MAX));
        let told = serde_json::to_string(summary).map_err(|error| broken(&error))?;
        let done = self.0.execute(
            "UPDATE runs SET ended = ?2, exit = ?3, changed = ?4, summary = ?5 WHERE id = ?1",
            params![id, time(ended), exit, changed, told],
        );
        done.map(drop).map_err(|error| broken(&error))
    }

    /// All of it or nothing, with the file taken at the beginning.
    fn at_once<T>(&self, work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>) -> Result<T> {
        let write = || {
            let all = Transaction::new_unchecked(&self.0, TransactionBehavior::Immediate)?;
            let done = work(&all)?;
            all.commit()?;
            Ok(done)
        };
        write().map_err(|error: rusqlite::Error| broken(&error))
    }

    /// The run of this name; `last` is the last that changed something, or was broken off.
    ///
    /// # Errors
    /// There is none.
    pub fn run(&self, id: &str) -> Result<Record> {
        let found = if id == "last" {
            let last = format!(
                "{FIELDS} WHERE mode IN ('apply', 'rollback') AND {CHANGED} ORDER BY began DESC, id DESC LIMIT 1"
            );
            self.0.query_row(&last, [], record).optional()
        } else {
            self.0.query_row(&format!("{FIELDS} WHERE id = ?1"), [id], record).optional()
        };
        found.map_err(|error| broken(&error))?.ok_or_else(|| {
            Fault::new(format!("no run `{id}` is known here")).hint("`steadfast runs` lists those that are")
        })
    }

    /// Remembers which steps a run left true on which hosts: host, step, digest of what it wanted.
    ///
    /// # Errors
    /// It cannot be written down.
    pub fn leave(&self, run: &str, all: &[(String, String, String)]) -> Result<()> {
        self.at_once(|all_at_once| {
            let mut insert = all_at_once.prepare("INSERT OR REPLACE INTO left_true VALUES (?1, ?2, ?3, ?4)")?;
            for (host, step, meaning) in all {
                insert.execute(params![host, step, meaning, run])?;
            }
            Ok(())
        })
    }

    /// Forgets what was left true of these steps, by host and step: it was taken back.
    ///
    /// # Errors
    /// It cannot be written down.
    pub fn forget(&self, all: &[(String, String, String)]) -> Result<()> {
        for (host, step, _) in all {
            let done = self.0.execute("DELETE FROM left_true WHERE host = ?1 AND step = ?2", params![host, step]);
            done.map_err(|error| broken(&error))?;
        }
        Ok(())
    }

    /// What earlier runs left true: by host and step the digest and the run.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn left(&self) -> Result<HashMap<(String, String), (String, String)>> {
        let read = || {
            let mut query = self.0.prepare("SELECT host, step, meaning, run FROM left_true")?;
            let rows = query.query_map([], |row| Ok(((row.get(0)?, row.get(1)?), (row.get(2)?, row.get(3)?))))?;
            rows.collect::<rusqlite::Result<HashMap<_, _>>>()
        };
        read().map_err(|error| broken(&error))
    }

    /// Whether a run of this name is known.
    ///
    /// # Errors
    /// The history cannot be read.
    pub fn knows(&self, id: &str) -> Result<bool> {
        let found = self
            .0
            .query_row("SELECT 1 FROM runs WHERE id = ?1 UNION SELECT 1 FROM chain WHERE run = ?1", [id], |_| Ok(()))
            .optional();
        Ok(found.map_err(|error| broken(&error))?.is_some())
    }

    /// The newest runs first.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn runs(&self, most: usize) -> Result<Vec<Record>> {
        let read = || {
            let mut query = self.0.prepare(&format!("{FIELDS} ORDER BY began DESC, id DESC LIMIT ?1"))?;
            let rows = query.query_map([i64::try_from(most).unwrap_or(i64::MAX)], record)?;
            rows.collect::<rusqlite::Result<Vec<Record>>>()
        };
        read().map_err(|error| broken(&error))
    }
}

fn record(row: &rusqlite::Row<'_>) -> rusqlite::Result<Record> {
    let call: String = row.get(4)?;
    let summary: Option<String> = row.get(6)?;
    Ok(Record {
        id: row.get(0)?,
        began: row.get::<_, i64>(1)?.cast_unsigned(),
        ended: row.get::<_, Option<i64>>(2)?.map(i64::cast_unsigned),
        mode: row.get(3)?,
        call: serde_json::from_str(&call).unwrap_or_default(),
        exit: row.get(5)?,
        summary: summary.and_then(|text| serde_json::from_str(&text).ok()),
    })
}

fn time(ms: u64) -> i64 {
    i64::try_from(ms).unwrap_or(i64::MAX)
}

fn broken(error: &dyn std::fmt::Display) -> Fault {
    Fault::new("the history cannot be read or written").why(error.to_string())
}
