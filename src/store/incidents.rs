//! Incidents, turn by turn, on each host: when the first evidence is from, when it was found, contained, put back and let go.
//! Nothing is ever changed; each word holds a digest of itself and of the word before.

use super::chain::{hex, put};
use super::{Store, broken, time};
use crate::fact::{Milestone, Turn};
use crate::fault::{Fault, Result};
use rusqlite::{OptionalExtension, Transaction, params};
use sha2::{Digest, Sha256};

/// The table of the words.
pub const TABLE: &str = "
CREATE TABLE IF NOT EXISTS incidents (
  n INTEGER PRIMARY KEY, host TEXT NOT NULL, milestone TEXT NOT NULL, at INTEGER NOT NULL, told TEXT NOT NULL,
  run TEXT NOT NULL, link TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS incidents_of ON incidents (host);
";

const FIELDS: &str = "SELECT n, host, milestone, at, told, run, link FROM incidents";

/// A row as it stands: its number, whose it is, the turn, the digest. `None` is one that nobody of ours wrote.
type Row = (u64, String, Option<Turn>, String);

fn row(row: &rusqlite::Row<'_>) -> rusqlite::Result<Row> {
    let word: String = row.get(2)?;
    let at = row.get::<_, i64>(3)?.cast_unsigned();
    let (told, run) = (row.get(4)?, row.get(5)?);
    let milestone = Milestone::ALL.into_iter().find(|one| one.word() == word);
    let turn = milestone.map(|milestone| Turn { milestone, at, told, run });
    Ok((row.get::<_, i64>(0)?.cast_unsigned(), row.get(1)?, turn, row.get(6)?))
}

impl Store {
    /// All turns of a host's incidents, the first written first.
    ///
    /// # Errors
    /// They cannot be read, or hold what nobody of ours wrote.
    pub fn turns(&self, host: &str) -> Result<Vec<Turn>> {
        let read = || {
            let mut query = self.0.prepare_cached(&format!("{FIELDS} WHERE host = ?1 ORDER BY n"))?;
            query.query_map([host], row)?.collect::<rusqlite::Result<Vec<Row>>>()
        };
        let rows = read().map_err(|error| broken(&error))?;
        let strange =
            || Fault::new("the ledger of incidents holds what steadfast never wrote").hint("`steadfast audit verify`");
        rows.into_iter().map(|(_, _, turn, _)| turn.ok_or_else(strange)).collect()
    }

    /// Writes a turn down, durably.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn note_turn(&self, host: &str, turn: &Turn) -> Result<()> {
        self.0.pragma_update(None, "synchronous", "FULL").map_err(|error| broken(&error))?;
        self.at_once(|all| {
            let last = all
                .query_row("SELECT n, link FROM incidents ORDER BY n DESC LIMIT 1", [], |row| {
                    Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?))
                })
                .optional()?;
            let (n, before) = last.map_or((1, String::new()), |(n, link)| (n + 1, link));
            let link = link(n.cast_unsigned(), host, turn, &before);
            let Turn { milestone, at, told, run } = turn;
            all.execute(
                "INSERT INTO incidents (n, host, milestone, at, told, run, link) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                params![n, host, milestone.word(), time(*at), told, run, link],
            )
            .map(drop)
        })
    }
}

fn link(n: u64, host: &str, turn: &Turn, before: &str) -> String {
    let Turn { milestone, at, told, run } = turn;
    let mut hash = Sha256::new();
    let (n, at) = (n.to_string(), at.to_string());
    ["steadfast incidents 1", &n, host, milestone.word(), &at, told, run, before]
        .iter()
        .for_each(|part| put(&mut hash, Some(part)));
    hex(hash)
}

/// What is not as it was written.
pub fn wrong(all: &Transaction<'_>) -> rusqlite::Result<Vec<String>> {
    let mut query = all.prepare(&format!("{FIELDS} ORDER BY n"))?;
    let rows = query.query_map([], row)?.collect::<rusqlite::Result<Vec<Row>>>()?;
    let mut before = String::new();
    let mut wrong = Vec::new();
    for (number, (n, host, turn, digest)) in (1u64..).zip(rows) {
        let Some(turn) = turn.filter(|_| n == number) else {
            wrong.push(format!("word {number} of the ledger of incidents is missing, or none of ours"));
            break;
        };
        if link(n, &host, &turn, &before) != digest {
            wrong.push(format!("word {number} of the ledger of incidents does not follow from the one before"));
        }
        before = digest;
    }
    Ok(wrong)
}

/// Adds what a run wrote here to the digest of that run; a run that wrote nothing keeps its digest.
pub fn add(hash: &mut Sha256, all: &Transaction<'_>, run: &str) -> rusqlite::Result<()> {
    let mut query = all.prepare_cached("SELECT link FROM incidents WHERE run = ?1 ORDER BY n")?;
    let mut rows = query.query([run])?;
    while let Some(row) = rows.next()? {
        put(hash, Some(&row.get::<_, String>(0)?));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_come_back_and_a_changed_one_shows() {
        let store = Store(rusqlite::Connection::open_in_memory().unwrap());
        store.0.execute_batch(TABLE).unwrap();
        let turn = |milestone, at| Turn { milestone, at, told: "a\nb".into(), run: "r".into() };
        let all = [turn(Milestone::FirstEvidence, 7), turn(Milestone::Contained, 9)];
        all.iter().for_each(|turn| store.note_turn("h", turn).unwrap());
        store.note_turn("other", &all[0]).unwrap();
        assert_eq!(store.turns("h").unwrap(), all);
        assert_eq!(store.at_once(wrong).unwrap(), Vec::<String>::new());
        store.0.execute("UPDATE incidents SET at = 8 WHERE n = 2", []).unwrap();
        assert!(store.at_once(wrong).unwrap()[0].contains("word 2"));
        store.0.execute("UPDATE incidents SET milestone = 'forgiven' WHERE n = 1", []).unwrap();
        assert!(store.turns("h").is_err());
    }
}
