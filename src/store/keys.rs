//! The ledger of keys: what happened to each key of each user of each host, in order. Nothing in it is ever changed; each
//! word holds a digest of itself and of the word before, and what a run wrote is in that run's seal as well.

use super::chain::{hex, put};
use super::{Store, broken, time};
use crate::cloud::{Fence, Shape};
use crate::fact::{Incident, KeyEvent, Known, Ours, Ring, Turn, WayBack};
use crate::fault::{Fault, Result};
use crate::host::PublicKey;
use crate::target::{FenceNote, KeyNote, Ledger};
use rusqlite::{OptionalExtension, Transaction, params};
use sha2::{Digest, Sha256};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

/// The table of the ledger.
pub const TABLE: &str = "
CREATE TABLE IF NOT EXISTS keys (
  n INTEGER PRIMARY KEY, at INTEGER NOT NULL, host TEXT NOT NULL, user TEXT NOT NULL, public TEXT NOT NULL,
  event TEXT NOT NULL, file TEXT NOT NULL, lock TEXT NOT NULL, run TEXT NOT NULL, link TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS keys_of ON keys (host, user);
";

/// One word of the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyWord {
    /// From 1, without gaps.
    pub n: u64,
    /// In milliseconds since 1970.
    pub at: u64,
    pub note: KeyNote,
    /// Of this word and the one before.
    pub link: String,
}

/// The ledger in a file that others may write to at the same time.
pub struct Keys(Mutex<Store>);

impl Keys {
    pub fn new(store: Store) -> Self {
        Self(Mutex::new(store))
    }
}

impl Ledger for Keys {
    fn ring(&self, host: &str, user: &str) -> Result<Ring> {
        let words = self.0.lock().unwrap_or_else(PoisonError::into_inner).key_words(Some((host, user)))?;
        Ok(ring(&words, now()))
    }

    fn note(&self, note: &KeyNote) -> Result<()> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).note_key(note, now())
    }

    fn way_back(&self, host: &str, disk: &str) -> Result<Option<WayBack>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).way_back(host, disk)
    }

    fn note_way_back(&self, host: &str, disk: &str, word: &WayBack) -> Result<()> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).note_way_back(host, disk, word)
    }

    fn note_fence(&self, note: &FenceNote) -> Result<()> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).note_fence(note, now())
    }

    fn fence_before(&self, fence: &Fence, now: &Shape) -> Result<Option<Shape>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).fence_before(fence, now)
    }

    fn open_fences(&self) -> Result<Vec<FenceNote>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).open_fences()
    }

    fn incident(&self, host: &str) -> Result<Incident> {
        let words = self.0.lock().unwrap_or_else(PoisonError::into_inner).turns(host)?;
        Ok(Incident::open(now(), words))
    }

    fn ours(&self, host: &str, days: u16) -> Result<Ours> {
        let now = now();
        let since = now.saturating_sub(u64::from(days) * 86_400_000);
        let changes = self.0.lock().unwrap_or_else(PoisonError::into_inner).changes(host, since)?;
        Ok(Ours { now, changes })
    }

    fn note_entry(&self, host: &str, run: &str, seq: u32, digest: Option<&str>) -> Result<()> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).note_entry(host, run, seq, digest)
    }

    fn note_turn(&self, host: &str, turn: &Turn) -> Result<()> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).note_turn(host, turn)
    }
}

/// What the words on the keys of one user of one host come to.
pub fn ring(words: &[KeyWord], now: u64) -> Ring {
    let mut keys: Vec<Known> = Vec::new();
    for KeyWord { at, note, .. } in words {
        let made = (note.event == KeyEvent::Made).then_some(*at);
        match keys.iter_mut().find(|key| key.public.is(&note.public)) {
            Some(known) => {
                (known.word, known.at, known.made) = (note.event, *at, known.made.or(made));
            }
            None => keys.push(Known {
                public: note.public.clone(),
                made,
                at: *at,
                word: note.event,
                file: note.file.clone(),
                lock: note.lock.clone(),
                lack: lack(&note.file),
            }),
        }
    }
    Ring { now, keys }
}

/// Why a private half on this machine is no good.
fn lack(file: &str) -> Option<String> {
    if file.is_empty() {
        return None;
    }
    match std::fs::symlink_metadata(Path::new(file)) {
        Err(_) => Some("its private half is gone".into()),
        Ok(found) if !found.is_file() => Some("its private half is no file".into()),
        Ok(found) if found.permissions().mode() & 0o077 != 0 => {
            Some(format!("others can read its private half (mode {:04o})", found.permissions().mode() & 0o7777))
        }
        Ok(_) => None,
    }
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

impl Store {
    /// The words of the ledger in their order: all, or those on the keys of a user of a host.
    ///
    /// # Errors
    /// It cannot be read, or holds what nobody of ours wrote.
    pub fn key_words(&self, of: Option<(&str, &str)>) -> Result<Vec<KeyWord>> {
        let (host, user) = of.unzip();
        let read = || {
            let text = "SELECT n, at, host, user, public, event, file, lock, run, link FROM keys \
                        WHERE (?1 IS NULL OR host = ?1) AND (?2 IS NULL OR user = ?2) ORDER BY n";
            let mut query = self.0.prepare_cached(text)?;
            query.query_map(params![host, user], |row| Ok(word(row)))?.collect::<rusqlite::Result<Vec<_>>>()
        };
        let rows = read().map_err(|error| broken(&error))?;
        let strange =
            || Fault::new("the ledger of keys holds what steadfast never wrote").hint("`steadfast audit verify`");
        rows.into_iter().map(|row| row.ok().flatten().ok_or_else(strange)).collect()
    }

    fn note_key(&self, note: &KeyNote, at: u64) -> Result<()> {
        // What the host is to be told next must not be ahead of what is on the disk.
        self.0.pragma_update(None, "synchronous", "FULL").map_err(|error| broken(&error))?;
        self.at_once(|all| {
            let last = all
                .query_row("SELECT n, link FROM keys ORDER BY n DESC LIMIT 1", [], |row| {
                    Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?))
                })
                .optional()?;
            let (n, before) = last.map_or((1, String::new()), |(n, link)| (n + 1, link));
            let link = link(n.cast_unsigned(), at, note, &before);
            let KeyNote { host, user, public, event, file, lock, run } = note;
            all.execute(
                "INSERT INTO keys (n, at, host, user, public, event, file, lock, run, link) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
                params![n, time(at), host, user, public.line(), event.word(), file, lock, run, link],
            )
            .map(drop)
        })
    }
}

/// `None` is a row that nobody of ours wrote.
fn word(row: &rusqlite::Row<'_>) -> rusqlite::Result<Option<KeyWord>> {
    let (public, event): (String, String) = (row.get(4)?, row.get(5)?);
    let event = KeyEvent::ALL.into_iter().find(|known| known.word() == event);
    let (Some(public), Some(event)) = (PublicKey::of_line(&public), event) else { return Ok(None) };
    Ok(Some(KeyWord {
        n: row.get::<_, i64>(0)?.cast_unsigned(),
        at: row.get::<_, i64>(1)?.cast_unsigned(),
        note: KeyNote {
            host: row.get(2)?,
            user: row.get(3)?,
            public,
            event,
            file: row.get(6)?,
            lock: row.get(7)?,
            run: row.get(8)?,
        },
        link: row.get(9)?,
    }))
}

fn link(n: u64, at: u64, note: &KeyNote, before: &str) -> String {
    let KeyNote { host, user, public, event, file, lock, run } = note;
    let mut hash = Sha256::new();
    let (n, at, public) = (n.to_string(), at.to_string(), public.line());
    ["steadfast keys 1", &n, &at, host, user, &public, event.word(), file, lock, run, before]
        .iter()
        .for_each(|part| put(&mut hash, Some(part)));
    hex(hash)
}

/// What is not as it was written.
pub fn wrong(all: &Transaction<'_>) -> rusqlite::Result<Vec<String>> {
    let text = "SELECT n, at, host, user, public, event, file, lock, run, link FROM keys ORDER BY n";
    let mut query = all.prepare(text)?;
    let rows = query.query_map([], |row| Ok(word(row).ok().flatten()))?.collect::<rusqlite::Result<Vec<_>>>()?;
    let mut before = String::new();
    let mut wrong = Vec::new();
    for (number, row) in (1u64..).zip(rows) {
        let Some(one) = row else {
            wrong.push(format!("word {number} of the ledger of keys is none of ours"));
            break;
        };
        if one.n != number {
            wrong.push(format!("word {number} of the ledger of keys is missing"));
            break;
        }
        if link(one.n, one.at, &one.note, &before) != one.link {
            wrong.push(format!("word {number} of the ledger of keys does not follow from the one before"));
        }
        before = one.link;
    }
    Ok(wrong)
}

/// Adds what a run wrote in the ledger to the digest of that run; a run that wrote nothing there keeps its digest.
pub fn add(hash: &mut Sha256, all: &Transaction<'_>, run: &str) -> rusqlite::Result<()> {
    let mut query = all.prepare_cached("SELECT link FROM keys WHERE run = ?1 ORDER BY n")?;
    let mut rows = query.query([run])?;
    while let Some(row) = rows.next()? {
        put(hash, Some(&row.get::<_, String>(0)?));
    }
    Ok(())
}
