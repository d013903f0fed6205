//! Which runs are one work, and which were taken back: what a rollback means by a run.

use super::{CHANGED, FIELDS, Record, Store, broken, record};
use crate::event::{Differs, Mode};
use crate::fact::JournalEntry;
use crate::fault::{Fault, Result};
use rusqlite::params;
use std::collections::BTreeSet;

/// Kinds that may have changed something though a host's journal does not tell: it was on the controller, or was a whole disk.
const ELSEWHERE: [&str; 4] = ["evidence", "snapshot", "key_rotation", "host_key_rotation"];

/// One work: a run that was broken off, and those that went on with it.
#[derive(Debug)]
pub struct Work {
    /// Its runs that were not taken back yet, the oldest first, and the one that was asked for whatever became of it.
    pub parts: Vec<Record>,
    /// All runs that had to do with it and are over: their hosts may be taken over.
    pub over: Vec<String>,
}

impl Work {
    /// The names of its parts.
    pub fn names(&self) -> Vec<String> {
        self.parts.iter().map(|part| part.id.clone()).collect()
    }

    /// Every host of its parts.
    pub fn hosts(&self) -> BTreeSet<String> {
        self.parts.iter().flat_map(|part| part.call.hosts.iter().cloned()).collect()
    }
}

/// Runs that took others back, or found that they were.
struct Undone(Vec<Record>);

impl Undone {
    /// Rollbacks of whole runs that came to a good end, and plans of such that found nothing left to do.
    fn among(mut backs: Vec<Record>) -> Self {
        let nothing_left = |run: &Record| run.summary.as_ref().is_some_and(|found| found.exit(Mode::Plan, false) == 0);
        let whole = |run: &Record| run.call.takes_back.as_ref().is_some_and(|what| what.whole);
        backs.retain(|run| run.exit == Some(0) && whole(run) && (run.mode == "rollback" || nothing_left(run)));
        Self(backs)
    }

    /// Whether a run was taken back on all its hosts, and that was not taken back itself.
    fn has(&self, of: &Record) -> bool {
        !of.call.hosts.is_empty() && of.call.hosts.iter().all(|host| self.has_on(of, host))
    }

    fn has_on(&self, of: &Record, host: &String) -> bool {
        let after = |back: &&Record| (back.began, &back.id) > (of.began, &of.id);
        let of_it = |back: &&Record| {
            let what = back.call.takes_back.as_ref();
            what.is_some_and(|what| what.runs.contains(&of.id) && what.hosts.contains(host))
        };
        self.0.iter().filter(after).filter(of_it).any(|back| !self.has_on(back, host))
    }
}

impl Store {
    /// The run that a rollback means: its name, or `last` for the last apply that changed something and was not taken back
    /// since, those left out that were `passed`. After a conflict `last` is the same run again; a rollback is taken back by its
    /// own name alone.
    ///
    /// # Errors
    /// There is none, or the history cannot be read.
    pub fn to_take_back(&self, id: &str, passed: &[String]) -> Result<Record> {
        if id != "last" {
            return self.run(id);
        }
        let undone = Undone::among(self.backs()?);
        let applies = self.all(&format!("mode = 'apply' AND {CHANGED}"))?;
        let none = || {
            Fault::new("no apply that changed something and was not taken back is known here")
                .hint("`steadfast runs` lists all")
        };
        applies.into_iter().rev().find(|run| !passed.contains(&run.id) && !undone.has(run)).ok_or_else(none)
    }

    /// The work of which a run is a part.
    ///
    /// # Errors
    /// The history cannot be read, or one of its runs still goes on.
    pub fn work(&self, of: &Record) -> Result<Work> {
        let mut names = BTreeSet::from([of.id.clone()]);
        let applies = self.all("mode = 'apply'")?;
        // Links lead to older runs, and from each to any number of younger ones.
        loop {
            let before = names.len();
            for run in &applies {
                let Some(resumed) = &run.call.resumes else { continue };
                if names.contains(resumed) || names.contains(&run.id) {
                    names.extend([resumed.clone(), run.id.clone()]);
                }
            }
            if names.len() == before {
                break;
            }
        }
        let backs = self.backs()?;
        let of_it = |back: &&Record| {
            let runs = back.call.takes_back.iter().flat_map(|what| &what.runs);
            back.mode == "rollback" && runs.into_iter().any(|run| names.contains(run))
        };
        let mine = applies.iter().filter(|run| names.contains(&run.id));
        let all: Vec<&Record> = mine.chain(backs.iter().filter(of_it)).collect();
        all.iter().try_for_each(|run| run.over())?;
        of.over()?;
        let mut over: Vec<String> = all.iter().map(|run| run.id.clone()).collect();
        if !over.contains(&of.id) {
            over.push(of.id.clone());
        }
        let undone = Undone::among(backs);
        // Said once more it is the same work, of which nothing is left to do.
        let again = undone.has(of);
        let mut parts: Vec<Record> = applies
            .into_iter()
            .filter(|run| names.contains(&run.id) && run.id != of.id && (again || !undone.has(run)))
            .chain([of.clone()])
            .collect();
        parts.sort_by(|a, b| (a.began, &a.id).cmp(&(b.began, &b.id)));
        Ok(Work { parts, over })
    }

    /// Adds to a host's journal what this work is known to have changed there and the journal does not tell, as entries without
    /// a number: somebody took them out. What was taken back may be cleared away.
    ///
    /// # Errors
    /// The history cannot be read.
    pub fn add_missing(&self, work: &Work, host: &String, journal: &mut Vec<JournalEntry>) -> Result<()> {
        let undone = Undone::among(self.backs()?);
        for part in work.parts.iter().filter(|part| !undone.has_on(part, host)) {
            let mut missing = self.changed_on(&part.id, host).map_err(|error| broken(&error))?;
            missing.retain(|gone| !journal.iter().any(|entry| entry.run == gone.run && entry.step == gone.step));
            journal.extend(missing);
        }
        Ok(())
    }

    /// The steps by which a run is known to have changed a host and left it so. What was changed in a cloud is written down here
    /// alone, and what was written down on a disk may have gone with it.
    fn changed_on(&self, run: &str, host: &str) -> rusqlite::Result<Vec<JournalEntry>> {
        let mut query = self.0.prepare(
            "SELECT s.name, json_extract(s.told, '$.title'), json_extract(s.told, '$.kind'), json_extract(e.told, '$.outcome'), \
             json_extract(e.told, '$.rows') FROM events e JOIN steps s ON s.id = e.step WHERE e.run = ?1 AND e.host = ?2 \
             AND NOT EXISTS (SELECT 1 FROM fences f WHERE f.run = ?1 AND f.host = ?2 AND f.step = s.name) \
             AND NOT EXISTS (SELECT 1 FROM disks d WHERE d.host = ?2 AND d.at >= e.at) ORDER BY e.seq",
        )?;
        let mut all: Vec<JournalEntry> = Vec::new();
        let mut rows = query.query(params![run, host])?;
        while let Some(row) = rows.next()? {
            let step: String = row.get(0)?;
            let (title, kind): (String, String) = (row.get(1)?, row.get(2)?);
            let (outcome, rows): (Option<String>, Option<String>) = (row.get(3)?, row.get(4)?);
            let rows: Vec<Differs> = rows.and_then(|rows| serde_json::from_str(&rows).ok()).unwrap_or_default();
            match outcome.as_deref() {
                Some("changed") if !ELSEWHERE.contains(&kind.as_str()) => {
                    let was = |row: &Differs| format!("{} {} was {}", row.object, row.field, row.found);
                    let remembered = rows.iter().map(was).collect();
                    let entry = JournalEntry { run: run.to_owned(), step, title, kind, ..JournalEntry::default() };
                    all.push(JournalEntry { remembered, ..entry });
                }
                Some("reverted") => all.retain(|entry| entry.step != step),
                _ => {}
            }
        }
        Ok(all)
    }

    /// Rollbacks, and plans of such.
    fn backs(&self) -> Result<Vec<Record>> {
        self.all("mode IN ('rollback', 'plan') AND json_extract(call, '$.takes_back') IS NOT NULL")
    }

    /// Runs of this sort, the oldest first.
    fn all(&self, sort: &str) -> Result<Vec<Record>> {
        let read = || {
            let mut query = self.0.prepare(&format!("{FIELDS} WHERE {sort} ORDER BY began, id"))?;
            query.query_map([], record)?.collect::<rusqlite::Result<Vec<Record>>>()
        };
        read().map_err(|error| broken(&error))
    }
}
