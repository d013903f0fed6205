//! What was found in clouds before it was changed, word by word: the way back of what no host can remember.

use super::{Store, broken, time};
use crate::cloud::{Fence, Shape};
use crate::fact::{Family, JournalEntry, Thing, Touched};
use crate::fault::{Fault, Result};
use crate::target::{FenceNote, FenceWord};
use rusqlite::params;

/// The table of the words.
pub const TABLE: &str = "
CREATE TABLE IF NOT EXISTS fences (
  n INTEGER PRIMARY KEY, at INTEGER NOT NULL, host TEXT NOT NULL, run TEXT NOT NULL, seq INTEGER NOT NULL,
  step TEXT NOT NULL, title TEXT NOT NULL, kind TEXT NOT NULL, fence TEXT NOT NULL, was TEXT NOT NULL,
  became TEXT NOT NULL, word TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS fences_of ON fences (run, host, seq);
";

/// The last word on each change.
const LAST: &str = "SELECT host, run, seq, step, title, kind, fence, was, became, word FROM fences \
                    WHERE n IN (SELECT max(n) FROM fences GROUP BY run, host, seq, fence)";

impl Store {
    /// Writes a word down, durably.
    ///
    /// # Errors
    /// It cannot be written; what it names must not begin.
    pub fn note_fence(&self, note: &FenceNote, at: u64) -> Result<()> {
        self.0.pragma_update(None, "synchronous", "FULL").map_err(|error| broken(&error))?;
        let json = |value: serde_json::Result<String>| value.map_err(|error| broken(&error));
        let (fence, was, to) = (
            json(serde_json::to_string(&note.fence))?,
            json(serde_json::to_string(&note.was))?,
            json(serde_json::to_string(&note.to))?,
        );
        self.at_once(|all| {
            let FenceNote { host, run, seq, step, title, kind, word, .. } = note;
            all.execute(
                "INSERT INTO fences (at, host, run, seq, step, title, kind, fence, was, became, word) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
                params![time(at), host, run, seq, step, title, kind, fence, was, to, word.word()],
            )
            .map(drop)
        })
    }

    /// Changes that nobody proved, of runs that are no more.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn open_fences(&self) -> Result<Vec<FenceNote>> {
        let mut open = self.fences("word = ?1", params![FenceWord::Setting.word()])?;
        // A run whose name nobody knows any more is no more.
        open.retain(|note| {
            self.run(&note.run).is_ok_and(|record| record.over().is_ok()) || !self.knows(&note.run).unwrap_or(true)
        });
        Ok(open)
    }

    /// What was found before a fence was made what it is now.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn fence_before(&self, fence: &Fence, now: &Shape) -> Result<Option<Shape>> {
        let text = serde_json::to_string(fence).map_err(|error| broken(&error))?;
        let notes = self.fences("fence = ?1 AND word = 'stands' ORDER BY n", params![text])?;
        Ok(notes.into_iter().rev().find(|note| note.to.is(now)).map(|note| note.was))
    }

    /// Adds to a host's journal, from this run on, what was changed for it in clouds.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn add_fences(&self, host: &str, run: &str, journal: &mut Vec<JournalEntry>) -> Result<()> {
        journal.extend(self.fence_journal(host, run)?);
        journal.sort_by(|a, b| (&a.run, a.seq).cmp(&(&b.run, b.seq)));
        Ok(())
    }

    /// What runs from this one on changed in clouds for a host, in the form of a host's own journal.
    fn fence_journal(&self, host: &str, run: &str) -> Result<Vec<JournalEntry>> {
        let notes = self.fences(
            "host = ?1 AND run >= ?2 AND word IN ('setting', 'stands') ORDER BY run, seq",
            params![host, run],
        )?;
        let json = |value: serde_json::Result<String>| value.map_err(|error| broken(&error));
        let entry = |note: FenceNote| {
            let thing = Thing::new(Family::Fence, json(serde_json::to_string(&note.fence))?);
            let was = Some(json(serde_json::to_string(&note.was))?);
            // Of one that was broken off nobody knows how it was left.
            let now = match note.word {
                FenceWord::Stands => Some(json(serde_json::to_string(&note.to))?),
                _ => None,
            };
            Ok(JournalEntry {
                run: note.run,
                seq: note.seq,
                step: note.step,
                title: note.title,
                kind: note.kind,
                undo: ("exact".into(), String::new()),
                access: true,
                whole: true,
                touched: vec![Touched { thing, was, now }],
                end: (note.word == FenceWord::Stands).then(|| "done".into()),
                ..JournalEntry::default()
            })
        };
        notes.into_iter().map(entry).collect()
    }

    fn fences(&self, which: &str, values: impl rusqlite::Params) -> Result<Vec<FenceNote>> {
        let read = || {
            let mut query = self.0.prepare(&format!("{LAST} AND {which}"))?;
            query.query_map(values, |row| Ok(note(row)))?.collect::<rusqlite::Result<Vec<_>>>()
        };
        let strange =
            || Fault::new("what was found in a cloud was written down by a newer steadfast, or by nobody of ours");
        let rows = read().map_err(|error| broken(&error))?;
        rows.into_iter().map(|row| row.ok().flatten().ok_or_else(strange)).collect()
    }
}

/// `None` is a row that nobody of ours wrote.
fn note(row: &rusqlite::Row<'_>) -> rusqlite::Result<Option<FenceNote>> {
    let word: String = row.get(9)?;
    let (fence, was, to): (String, String, String) = (row.get(6)?, row.get(7)?, row.get(8)?);
    let word = FenceWord::ALL.into_iter().find(|known| known.word() == word);
    let (Some(word), Ok(fence), Ok(was), Ok(to)) =
        (word, serde_json::from_str(&fence), serde_json::from_str(&was), serde_json::from_str(&to))
    else {
        return Ok(None);
    };
    let (host, run, seq) = (row.get(0)?, row.get(1)?, row.get(2)?);
    Ok(Some(FenceNote {
        host,
        run,
        seq,
        step: row.get(3)?,
        title: row.get(4)?,
        kind: row.get(5)?,
        fence,
        was,
        to,
        word,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_word_on_a_change_counts() {
        let store = Store(rusqlite::Connection::open_in_memory().unwrap());
        store.0.execute_batch(TABLE).unwrap();
        let fence = Fence::Instance { region: "r".into(), id: "ins-1".into(), access: Default::default() };
        let shape = |id: &str| Shape::Groups(vec![id.into()]);
        let text = || String::from("x");
        let mut note = FenceNote {
            host: "h".into(),
            run: "r1".into(),
            seq: 1,
            step: text(),
            title: text(),
            kind: text(),
            fence,
            was: shape("sg-1"),
            to: shape("sg-2"),
            word: FenceWord::Setting,
        };
        store.note_fence(&note, 1).unwrap();
        let journal = |store: &Store| store.fence_journal("h", "r1").unwrap();
        assert_eq!(journal(&store)[0].touched[0].now, None);
        note.word = FenceWord::Stands;
        store.note_fence(&note, 2).unwrap();
        assert_eq!(journal(&store).len(), 1);
        assert_eq!(store.fence_before(&note.fence, &shape("sg-2")).unwrap(), Some(shape("sg-1")));
        assert_eq!(store.fence_before(&note.fence, &shape("sg-1")).unwrap(), None);
        assert!(journal(&store)[0].touched[0].now.as_deref().is_some_and(|now| now.contains("sg-2")));
        assert!(
            store.fence_journal("h", "r2").unwrap().is_empty()
                && store.fence_journal("other", "r1").unwrap().is_empty()
        );
        note.word = FenceWord::Back;
        store.note_fence(&note, 3).unwrap();
        assert!(journal(&store).is_empty(), "what went back is nothing to take back");
        store.0.execute("UPDATE fences SET word = 'floating'", []).unwrap();
        assert!(store.fences("word = ?1", params!["floating"]).is_err(), "an unknown word is told and never guessed");
    }
}
