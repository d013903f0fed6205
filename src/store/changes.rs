//! What was changed on a host, by whom of ours and when.

use super::{Store, broken, time};
use crate::event::{Event, Outcome, Seen, What};
use crate::fact::Change;
use crate::fault::Result;
use rusqlite::params;
use std::collections::HashMap;

impl Store {
    /// What tasks changed on a host since then, in milliseconds since 1970, as far as it is still kept.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn changes(&self, host: &str, since: u64) -> Result<Vec<Change>> {
        let mut began: HashMap<(String, String), u64> = HashMap::new();
        let mut all = Vec::new();
        for (run, Event { at, what, .. }) in self.of_host(host, since)? {
            match what {
                What::TaskStarted { step, .. } => _ = began.insert((run, step), at),
                What::TaskDone(done) if done.outcome == Outcome::Changed => {
                    let Some(from) = began.get(&(run.clone(), done.step.clone())) else { continue };
                    // What was there before may hold more than what the step set; a rule or a key that was absent is no file.
                    let new = done.rows.iter().filter(|row| row.found == Seen::Absent);
                    let named = new.map(|row| if row.field == "content" { &row.object } else { &row.field });
                    let mut paths: Vec<String> = named.filter(|name| name.starts_with('/')).cloned().collect();
                    paths.sort_unstable();
                    paths.dedup();
                    all.push(Change { paths, from: *from, to: at, run, step: done.step });
                }
                _ => {}
            }
        }
        Ok(all)
    }

    /// What was told of a host and was no mere "in order", with the run.
    fn of_host(&self, host: &str, since: u64) -> Result<Vec<(String, Event)>> {
        let read = || {
            let mut query = self.0.prepare_cached(
                "SELECT e.run, e.seq, e.at, e.host, e.told, s.told FROM events e LEFT JOIN steps s ON s.id = e.step \
                 WHERE e.host = ?1 AND e.at >= ?2 AND e.told IS NOT NULL ORDER BY e.run, e.seq",
            )?;
            let rows = query.query_map(params![host, time(since)], |row| {
                let run: String = row.get(0)?;
                Ok((run, super::events::row(row, 1)?))
            })?;
            rows.collect::<rusqlite::Result<Vec<_>>>()
        };
        let rows = read().map_err(|error| broken(&error))?;
        rows.into_iter().map(|(run, parts)| Ok((run, parts.join().map_err(|error| broken(&error))?))).collect()
    }
}
