//! What earlier runs came to: the run before this one, the trend, and when each host was last seen.

use super::{FIELDS, Record, Store, broken, record, time};
use crate::fault::Result;
use rusqlite::{OptionalExtension, params};
use std::collections::HashMap;

/// What makes two runs comparable: the same playbooks on the same part of the same inventory.
const SAME: &str = "json_extract(call, '$.playbooks') = json_extract(?2, '$.playbooks') \
    AND json_extract(call, '$.inventory') = json_extract(?2, '$.inventory') \
    AND json_extract(call, '$.limit') IS json_extract(?2, '$.limit') \
    AND json_extract(call, '$.tags') = json_extract(?2, '$.tags') \
    AND json_extract(call, '$.skip_tags') = json_extract(?2, '$.skip_tags')";

/// A run to which others are compared.
#[derive(Debug, Clone, Copy)]
pub struct Similar<'a> {
    pub to: &'a Record,
    /// At most so many.
    pub most: usize,
}

/// When a host was last read, and what it was then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostRecord {
    pub host: String,
    /// Milliseconds since 1970.
    pub seen: u64,
    pub run: String,
    /// `debian 12`, in brief.
    pub is: String,
}

impl Store {
    /// The newest run of any kind.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn latest(&self) -> Result<Option<Record>> {
        let text = format!("{FIELDS} ORDER BY began DESC, id DESC LIMIT 1");
        self.0.query_row(&text, [], record).optional().map_err(|error| broken(&error))
    }

    /// Runs before this one that looked at the same and came to an end, the newest first.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn before(&self, what: Similar<'_>) -> Result<Vec<Record>> {
        let call = serde_json::to_string(&what.to.call).map_err(|error| broken(&error))?;
        let read = || {
            let text = format!(
                "{FIELDS} WHERE (began, id) < (?1, ?3) AND ended IS NOT NULL AND mode IN ('check', 'plan', 'apply') \
                 AND {SAME} ORDER BY began DESC, id DESC LIMIT ?4"
            );
            let most = i64::try_from(what.most).unwrap_or(i64::MAX);
            let mut query = self.0.prepare(&text)?;
            let rows = query.query_map(params![time(what.to.began), call, what.to.id, most], record)?;
            rows.collect::<rusqlite::Result<Vec<Record>>>()
        };
        read().map_err(|error| broken(&error))
    }

    /// The words for how each step ended on each host.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn outcomes(&self, run: &str) -> Result<HashMap<(String, String), String>> {
        let read = || {
            let mut query = self.0.prepare(
                "SELECT e.host, s.name, ifnull(json_extract(e.told, '$.outcome'), 'unchanged') \
                 FROM events e JOIN steps s ON s.id = e.step WHERE e.run = ?1 ORDER BY e.seq",
            )?;
            // The last word on a step of a host counts.
            let rows = query.query_map([run], |row| Ok(((row.get(0)?, row.get(1)?), row.get(2)?)))?;
            rows.collect::<rusqlite::Result<HashMap<_, _>>>()
        };
        read().map_err(|error| broken(&error))
    }

    /// When each host was last read, the longest ago first.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn hosts(&self) -> Result<Vec<HostRecord>> {
        let read = || {
            let mut query = self.0.prepare(
                "SELECT host, seen, run, trim(ifnull(os, '') || ' ' || ifnull(version, '')) FROM hosts ORDER BY seen, host",
            )?;
            let rows = query.query_map([], |row| {
                let seen: i64 = row.get(1)?;
                Ok(HostRecord { host: row.get(0)?, seen: seen.cast_unsigned(), run: row.get(2)?, is: row.get(3)? })
            })?;
            rows.collect::<rusqlite::Result<Vec<_>>>()
        };
        read().map_err(|error| broken(&error))
    }
}
