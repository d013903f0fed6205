//! How long things are remembered. What a run was called with stays short and is needed by its rollback; what was told of
//! it is large, and goes first.

use super::{Store, time};
use crate::fault::Result;
use rusqlite::{Transaction, params};

/// Days after which what was told of a run goes by itself.
const DAYS: u64 = 180;
const DAY: u64 = 86_400_000;

/// What was forgotten.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pruned {
    pub runs: usize,
    pub events: usize,
}

impl Store {
    /// Forgets what was told of runs that are too old. The runs themselves stay.
    ///
    /// # Errors
    /// The history cannot be written.
    pub fn age(&self, now: u64) -> Result<()> {
        self.at_once(|all| {
            let old = "SELECT id FROM runs WHERE began < ?1 AND EXISTS (SELECT 1 FROM events WHERE run = id)";
            let old: Vec<String> = all
                .prepare(old)?
                .query_map([time(now.saturating_sub(DAYS * DAY))], |row| row.get(0))?
                .collect::<rusqlite::Result<_>>()?;
            forget_events(all, &old, now).map(drop)
        })
    }

    /// Forgets runs: all but the newest `keep`, and of the others those that began before `before`.
    ///
    /// # Errors
    /// The history cannot be written.
    pub fn prune(&self, keep: usize, before: u64, now: u64) -> Result<Pruned> {
        self.at_once(|all| {
            let keep = i64::try_from(keep).unwrap_or(i64::MAX);
            let old: Vec<String> = all
                .prepare(
                    "SELECT id FROM runs WHERE began < ?2 AND ended IS NOT NULL \
                     AND id NOT IN (SELECT id FROM runs ORDER BY began DESC, id DESC LIMIT ?1)",
                )?
                .query_map(params![keep, time(before)], |row| row.get(0))?
                .collect::<rusqlite::Result<_>>()?;
            let events = forget_events(all, &old, now)?;
            let mut runs = 0;
            for run in &old {
                all.prepare_cached("DELETE FROM copies WHERE run = ?1")?.execute([run])?;
                runs += all.prepare_cached("DELETE FROM runs WHERE id = ?1")?.execute([run])?;
            }
            Ok(Pruned { runs, events })
        })
    }
}

fn forget_events(all: &Transaction<'_>, runs: &[String], now: u64) -> rusqlite::Result<usize> {
    let mut events = 0;
    for run in runs {
        events += all.prepare_cached("DELETE FROM events WHERE run = ?1")?.execute([run])?;
        all.prepare_cached("UPDATE chain SET pruned = ?2 WHERE run = ?1 AND pruned IS NULL")?
            .execute(params![run, time(now)])?;
    }
    if events > 0 {
        all.execute("DELETE FROM steps WHERE id NOT IN (SELECT step FROM events WHERE step IS NOT NULL)", [])?;
    }
    Ok(events)
}
