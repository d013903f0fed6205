//! Ways back of disks, word by word: a run that dies in the middle is taken on from its last word.

use super::{Store, broken, time};
use crate::fact::{Stage, WayBack};
use crate::fault::{Fault, Result};
use rusqlite::{OptionalExtension, params};

/// The table of the words.
pub const TABLE: &str = "
CREATE TABLE IF NOT EXISTS disks (
  n INTEGER PRIMARY KEY, at INTEGER NOT NULL, host TEXT NOT NULL, disk TEXT NOT NULL, snapshot TEXT NOT NULL,
  made INTEGER NOT NULL, stage TEXT NOT NULL, boot TEXT NOT NULL, run TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS disks_of ON disks (host, disk);
";

impl Store {
    /// The last word on a disk of a host.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn way_back(&self, host: &str, disk: &str) -> Result<Option<WayBack>> {
        let text = "SELECT snapshot, made, stage, at, boot, run FROM disks WHERE host = ?1 AND disk = ?2 ORDER BY n DESC LIMIT 1";
        let row = |row: &rusqlite::Row<'_>| {
            let word = WayBack {
                snapshot: row.get(0)?,
                made: row.get::<_, i64>(1)?.cast_unsigned(),
                stage: Stage::Done,
                at: row.get::<_, i64>(3)?.cast_unsigned(),
                boot: row.get(4)?,
                run: row.get(5)?,
            };
            Ok((row.get::<_, String>(2)?, word))
        };
        let found = self.0.query_row(text, params![host, disk], row).optional().map_err(|error| broken(&error))?;
        let Some((said, word)) = found else { return Ok(None) };
        // A guess would stop a machine, or put a disk back once more.
        let strange = || {
            let what = format!("the last word on {disk} of {host} is `{said}`, which is none of ours");
            Fault::new(what).hint("a newer steadfast may have written it: use that one")
        };
        let stage = Stage::ALL.into_iter().find(|stage| stage.word() == said).ok_or_else(strange)?;
        Ok(Some(WayBack { stage, ..word }))
    }

    /// Writes a word down, durably. With the last one of a way back all is forgotten that runs left true of the host after the
    /// snapshot: its disk knows nothing of that, and nobody who moved would be to blame.
    ///
    /// # Errors
    /// It cannot be written; what it names must not begin.
    pub fn note_way_back(&self, host: &str, disk: &str, word: &WayBack) -> Result<()> {
        self.0.pragma_update(None, "synchronous", "FULL").map_err(|error| broken(&error))?;
        self.at_once(|all| {
            let WayBack { snapshot, made, stage, at, boot, run } = word;
            all.execute(
                "INSERT INTO disks (at, host, disk, snapshot, made, stage, boot, run) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                params![time(*at), host, disk, snapshot, time(*made), stage.word(), boot, run],
            )?;
            if *stage == Stage::Done {
                all.execute(
                    "DELETE FROM left_true WHERE host = ?1 AND run NOT IN (SELECT id FROM runs WHERE ended <= ?2)",
                    params![host, time(*made)],
                )?;
            }
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_that_is_none_of_ours_is_told_and_never_guessed() {
        let store = Store(rusqlite::Connection::open_in_memory().unwrap());
        store.0.execute_batch(TABLE).unwrap();
        let (snapshot, boot, run) = ("s".to_owned(), "b".to_owned(), "r".to_owned());
        let word = WayBack { snapshot, made: 7, stage: Stage::Applying, at: 9, boot, run };
        store.note_way_back("h", "d", &word).unwrap();
        assert_eq!(store.way_back("h", "d").unwrap(), Some(word));
        assert_eq!(store.way_back("h", "other").unwrap(), None);
        store.0.execute("UPDATE disks SET stage = 'thawing'", []).unwrap();
        let fault = store.way_back("h", "d").unwrap_err();
        assert!(fault.what().contains("`thawing`"), "{fault:?}");
    }

    #[test]
    fn what_was_left_true_after_the_snapshot_is_forgotten() {
        let store = Store(rusqlite::Connection::open_in_memory().unwrap());
        store.0.execute_batch(super::super::SCHEMA).unwrap();
        super::super::grow(&store.0).unwrap();
        store.0.execute_batch(TABLE).unwrap();
        for (run, ended) in [("before", 5), ("after", 9)] {
            store.begin(run, "apply", &super::super::Call::default(), 1).unwrap();
            store.end(run, 0, &crate::event::Summary::default(), ended, false).unwrap();
        }
        let left = |host: &str, step: &str| (host.to_owned(), step.to_owned(), "m".to_owned());
        store.leave("before", &[left("h", "old"), left("h", "both"), left("other", "old")]).unwrap();
        store.leave("after", &[left("h", "both"), left("other", "new")]).unwrap();
        store.leave("unknown", &[left("h", "odd")]).unwrap();
        let (snapshot, boot, run) = ("s".to_owned(), "b".to_owned(), "r".to_owned());
        let word =
            |stage| WayBack { snapshot: snapshot.clone(), made: 7, stage, at: 9, boot: boot.clone(), run: run.clone() };
        store.note_way_back("h", "d", &word(Stage::Waiting)).unwrap();
        assert_eq!(store.left().unwrap().len(), 5);
        store.note_way_back("h", "d", &word(Stage::Done)).unwrap();
        let mut kept: Vec<(String, String)> = store.left().unwrap().into_keys().collect();
        kept.sort();
        let text = |host: &str, step: &str| (host.to_owned(), step.to_owned());
        assert_eq!(kept, [text("h", "old"), text("other", "new"), text("other", "old")]);
    }
}
