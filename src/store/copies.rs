//! What this controller knows of the journals of its hosts: for each change of each run a digest of the entry, as the host told
//! it with the change. Who is root there may write in the journal; what is no more as it was told is not gone back to unasked.

use super::chain::put;
use super::{Store, broken};
use crate::fact::JournalEntry;
use crate::fault::Result;
use rusqlite::{Transaction, params};
use sha2::Sha256;
use std::collections::HashMap;

/// The table of the digests; without one the change began, and its end was not told.
pub const TABLE: &str = "
CREATE TABLE IF NOT EXISTS copies (
  run TEXT NOT NULL, host TEXT NOT NULL, seq INTEGER NOT NULL, digest TEXT, PRIMARY KEY (run, host, seq)
) STRICT, WITHOUT ROWID;
";

impl Store {
    /// Keeps the digest of an entry; none yet when the change begins.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn note_entry(&self, host: &str, run: &str, seq: u32, digest: Option<&str>) -> Result<()> {
        let text = "INSERT OR REPLACE INTO copies (run, host, seq, digest) VALUES (?1, ?2, ?3, ?4)";
        let insert = || self.0.prepare_cached(text)?.execute(params![run, host, seq, digest]);
        insert().map(drop).map_err(|error| broken(&error))
    }

    /// Marks what a host's journal tells otherwise than it was told when it was made, and what no run of this controller made
    /// though the entry says so. Of runs of others, and of changes whose end was not told, nothing is known.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn compare(&self, host: &str, journal: &mut [JournalEntry]) -> Result<()> {
        let mut runs: HashMap<String, Option<HashMap<u32, Option<String>>>> = HashMap::new();
        for entry in journal {
            if !runs.contains_key(&entry.run) {
                let keeps = self.run(&entry.run).is_ok_and(|record| record.call.keeps_digests);
                let known = if keeps { Some(self.digests(host, &entry.run)?) } else { None };
                runs.insert(entry.run.clone(), known);
            }
            let Some(Some(known)) = runs.get(&entry.run) else { continue };
            entry.altered = known.get(&entry.seq).is_none_or(|told| told.as_ref().is_some_and(|d| *d != entry.digest));
        }
        Ok(())
    }

    /// The digests of one run on one host, by the number of the change.
    fn digests(&self, host: &str, run: &str) -> Result<HashMap<u32, Option<String>>> {
        let read = || {
            let mut query = self.0.prepare_cached("SELECT seq, digest FROM copies WHERE run = ?1 AND host = ?2")?;
            let rows = query.query_map([run, host], |row| Ok((row.get(0)?, row.get(1)?)))?;
            rows.collect::<rusqlite::Result<HashMap<_, _>>>()
        };
        read().map_err(|error| broken(&error))
    }
}

/// Adds what is known of a run's entries to the digest of that run; a run without any keeps its digest.
pub fn add(hash: &mut Sha256, all: &Transaction<'_>, run: &str) -> rusqlite::Result<()> {
    let mut query = all.prepare_cached("SELECT host, seq, digest FROM copies WHERE run = ?1 ORDER BY host, seq")?;
    let mut rows = query.query([run])?;
    while let Some(row) = rows.next()? {
        put(hash, Some(&row.get::<_, String>(0)?));
        put(hash, Some(&row.get::<_, i64>(1)?.to_string()));
        put(hash, row.get::<_, Option<String>>(2)?.as_deref());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Call;

    #[test]
    fn what_is_otherwise_than_it_was_told_and_what_nobody_made_is_marked() {
        let store = Store(rusqlite::Connection::open_in_memory().unwrap());
        store.0.execute_batch(crate::store::SCHEMA).unwrap();
        store.0.execute_batch(TABLE).unwrap();
        crate::store::grow(&store.0).unwrap();
        for (run, keeps_digests) in [("new", true), ("old", false)] {
            store.begin(run, "apply", &Call { keeps_digests, ..Call::default() }, 1).unwrap();
        }
        store.note_entry("h", "new", 1, None).unwrap();
        store.note_entry("h", "new", 1, Some("a")).unwrap();
        store.note_entry("h", "new", 2, None).unwrap();
        let altered = |host: &str, run: &str, seq: u32, digest: &str| {
            let mut all = [JournalEntry { run: run.into(), seq, digest: digest.into(), ..JournalEntry::default() }];
            store.compare(host, &mut all).unwrap();
            all[0].altered
        };
        assert!(!altered("h", "new", 1, "a") && altered("h", "new", 1, "b"));
        assert!(!altered("h", "new", 2, "b"), "its end was not told");
        assert!(altered("h", "new", 3, "b") && altered("other", "new", 1, "a"), "nobody made it");
        assert!(!altered("h", "old", 1, "b") && !altered("h", "unknown", 1, "b"));
    }
}
