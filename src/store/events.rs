//! The events of a run, as they come. What a step is is the same on every host and in every run, so it is kept once; of
//! what is in order stays its place in the stream alone.

use super::{Store, broken, time};
use crate::event::{Event, What};
use crate::fault::Result;
use rusqlite::{Transaction, params};
use serde_json::{Map, Value};

/// What belongs to the step and not to the host.
const OF_STEP: &[&str] = &["step", "title", "kind", "control", "place", "disruption", "undo", "access"];

/// An event in its columns.
struct Parts {
    host: Option<String>,
    /// Name, and all that belongs to the step.
    step: Option<(String, String)>,
    /// The rest; none where the step was true already.
    told: Option<String>,
}

impl Store {
    /// Writes down what happened, all of it or nothing.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn tell(&self, run: &str, events: &[Event]) -> Result<()> {
        let parts: Vec<Parts> = events.iter().map(split).collect::<serde_json::Result<_>>().map_err(|e| broken(&e))?;
        self.at_once(|all| {
            let mut insert = all.prepare_cached(
                "INSERT OR IGNORE INTO events (run, seq, at, host, step, told) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?;
            for (event, parts) in events.iter().zip(&parts) {
                let step = parts.step.as_ref().map(|(name, told)| step(all, name, told)).transpose()?;
                insert.execute(params![run, time(event.seq), time(event.at), parts.host, step, parts.told])?;
                see(all, run, event)?;
            }
            Ok(())
        })
    }

    /// What happened in a run, as far as it was told and is still kept.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn events(&self, run: &str) -> Result<Vec<Event>> {
        let read = || {
            let mut query = self.0.prepare(
                "SELECT e.seq, e.at, e.host, e.told, s.told FROM events e LEFT JOIN steps s ON s.id = e.step \
                 WHERE e.run = ?1 ORDER BY e.seq",
            )?;
            let rows = query.query_map([run], |found| row(found, 0))?;
            rows.collect::<rusqlite::Result<Vec<_>>>()
        };
        let rows = read().map_err(|error| broken(&error))?;
        rows.into_iter().map(Kept::join).collect::<serde_json::Result<_>>().map_err(|error| broken(&error))
    }
}

/// An event as it is kept: its number, its moment, the host, the rest, the step.
pub(super) struct Kept(u64, u64, Option<String>, Option<String>, Option<String>);

/// The same from the columns that begin here.
pub(super) fn row(row: &rusqlite::Row<'_>, from: usize) -> rusqlite::Result<Kept> {
    let (seq, at): (i64, i64) = (row.get(from)?, row.get(from + 1)?);
    Ok(Kept(seq.cast_unsigned(), at.cast_unsigned(), row.get(from + 2)?, row.get(from + 3)?, row.get(from + 4)?))
}

impl Kept {
    pub(super) fn join(self) -> serde_json::Result<Event> {
        let Self(seq, at, host, told, step) = self;
        join(host, told, step).map(|what| Event { seq, at, what })
    }
}

/// The number of a step, which gets one when it is first told.
fn step(all: &Transaction<'_>, name: &str, told: &str) -> rusqlite::Result<i64> {
    all.prepare_cached("INSERT OR IGNORE INTO steps (name, told) VALUES (?1, ?2)")?.execute(params![name, told])?;
    all.prepare_cached("SELECT id FROM steps WHERE told = ?1")?.query_row([told], |row| row.get(0))
}

/// Keeps when a host was last seen, and what it was.
fn see(all: &Transaction<'_>, run: &str, event: &Event) -> rusqlite::Result<()> {
    let What::HostSeen { host, os, version, kernel, arch } = &event.what else { return Ok(()) };
    all.prepare_cached("INSERT OR REPLACE INTO hosts VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?
        .execute(params![host, time(event.at), run, os, version, kernel, arch])
        .map(drop)
}

fn split(event: &Event) -> serde_json::Result<Parts> {
    let value = serde_json::to_value(&event.what)?;
    let What::TaskDone(done) = &event.what else {
        // By these two it is found what was changed on a host, and when.
        let host = if let What::TaskStarted { host, .. } = &event.what { Some(host.clone()) } else { None };
        return Ok(Parts { host, step: None, told: Some(value.to_string()) });
    };
    let Value::Object(mut rest) = value else { return Ok(Parts { host: None, step: None, told: None }) };
    let of_step: Map<String, Value> =
        OF_STEP.iter().filter_map(|name| rest.remove(*name).map(|value| ((*name).to_owned(), value))).collect();
    rest.remove("host");
    rest.remove("type");
    let plain = rest.len() == 2 && rest.get("outcome").is_some_and(|word| word == "unchanged") && done.rows.is_empty();
    Ok(Parts {
        host: Some(done.host.clone()),
        step: Some((done.step.clone(), Value::Object(of_step).to_string())),
        told: (!plain).then(|| Value::Object(rest).to_string()),
    })
}

fn join(host: Option<String>, told: Option<String>, step: Option<String>) -> serde_json::Result<What> {
    let Some(step) = step else { return serde_json::from_str(&told.unwrap_or_default()) };
    let mut all: Map<String, Value> = serde_json::from_str(&step)?;
    let rest: Map<String, Value> = match told {
        Some(told) => serde_json::from_str(&told)?,
        None => [("outcome".to_owned(), "unchanged".into()), ("rows".to_owned(), Value::Array(vec![]))]
            .into_iter()
            .collect(),
    };
    all.extend(rest);
    all.insert("type".into(), "task_done".into());
    all.insert("host".into(), host.into());
    serde_json::from_value(Value::Object(all))
}
