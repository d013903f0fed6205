//! The chain of runs: each that is over is sealed with a digest of all that is remembered of it and of the seal before. What
//! is changed later, left out or put in between shows. Who could write the whole file anew could also seal anew; so the
//! newest seal can be signed by a key that this file does not hold, or be written down elsewhere.

use super::{Store, broken, time};
use crate::fault::Result;
use rusqlite::{OptionalExtension, Transaction, params};
use sha2::{Digest, Sha256};

/// A seal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// From 1, without gaps.
    pub n: u64,
    pub run: String,
    /// Of what is remembered of the run.
    pub digest: String,
    /// Of this seal and the one before.
    pub link: String,
    /// Since when what was told of it is forgotten, in milliseconds since 1970.
    pub pruned: Option<u64>,
}

/// A signature of a seal, and so of all before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    pub n: u64,
    pub made: u64,
    pub link: String,
    /// As `ssh-keygen -Y sign` writes it.
    pub signature: String,
}

/// What a look at the whole chain found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Audit {
    pub links: Vec<Link>,
    pub signatures: Vec<Signature>,
    /// Runs without a seal: they go on, or nothing was sealed since they were broken off.
    pub open: Vec<String>,
    /// What is not as it was sealed.
    pub wrong: Vec<String>,
}

/// What is signed for a seal.
pub fn statement(n: u64, link: &str) -> String {
    format!("steadfast audit 1\nrecords {n}\nhead {link}\n")
}

impl Store {
    /// Seals a run that ended, and before it those that were broken off and are over.
    ///
    /// # Errors
    /// The history cannot be written.
    pub fn seal(&self, run: &str) -> Result<()> {
        let broken_off: Vec<String> = self.unsealed()?.into_iter().filter(|id| id != run).collect();
        let over = broken_off.into_iter().filter(|id| self.run(id).is_ok_and(|record| record.over().is_ok()));
        let all: Vec<String> = over.chain([run.to_owned()]).collect();
        self.at_once(|file| all.iter().try_for_each(|run| seal(file, run)))
    }

    /// The runs without a seal, the oldest first.
    fn unsealed(&self) -> Result<Vec<String>> {
        let read = || {
            let text = "SELECT id FROM runs WHERE id NOT IN (SELECT run FROM chain) ORDER BY began, id";
            let mut query = self.0.prepare(text)?;
            query.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<Vec<String>>>()
        };
        read().map_err(|error| broken(&error))
    }

    /// Looks at the whole chain and at all that it seals.
    ///
    /// # Errors
    /// The history cannot be read.
    pub fn audit(&self) -> Result<Audit> {
        let mut audit = self.at_once(audit)?;
        audit.open = self.unsealed()?;
        Ok(audit)
    }

    /// Keeps a signature.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn keep_signature(&self, signature: &Signature) -> Result<()> {
        let Signature { n, made, link, signature } = signature;
        let done = self.0.execute(
            "INSERT INTO signatures (n, made, link, signature) VALUES (?1, ?2, ?3, ?4)",
            params![time(*n), time(*made), link, signature],
        );
        done.map(drop).map_err(|error| broken(&error))
    }
}

fn seal(all: &Transaction<'_>, run: &str) -> rusqlite::Result<()> {
    if all.query_row("SELECT 1 FROM chain WHERE run = ?1", [run], |_| Ok(())).optional()?.is_some() {
        return Ok(());
    }
    let last: Option<(i64, String)> = all
        .query_row("SELECT n, link FROM chain ORDER BY n DESC LIMIT 1", [], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let (n, before) = last.map_or((1, String::new()), |(n, link)| (n + 1, link));
    let digest = digest(all, run)?.unwrap_or_default();
    let link = link(n.cast_unsigned(), run, &digest, &before);
    all.execute("INSERT INTO chain (n, run, digest, link) VALUES (?1, ?2, ?3, ?4)", params![n, run, digest, link])
        .map(drop)
}

fn link(n: u64, run: &str, digest: &str, before: &str) -> String {
    let mut hash = Sha256::new();
    let n = n.to_string();
    ["steadfast chain 1", &n, run, digest, before].iter().for_each(|part| put(&mut hash, Some(part)));
    hex(hash)
}

/// Of all that is remembered of a run; none where it is not.
fn digest(all: &Transaction<'_>, run: &str) -> rusqlite::Result<Option<String>> {
    let mut hash = Sha256::new();
    let text = "SELECT id, began, ended, mode, call, exit, changed, summary FROM runs WHERE id = ?1";
    let known = all
        .query_row(text, [run], |row| {
            for column in 0..8 {
                put(&mut hash, cell(row, column)?.as_deref());
            }
            Ok(())
        })
        .optional()?;
    if known.is_none() {
        return Ok(None);
    }
    let mut query = all.prepare_cached(
        "SELECT e.seq, e.at, e.host, s.told, e.told FROM events e LEFT JOIN steps s ON s.id = e.step \
         WHERE e.run = ?1 ORDER BY e.seq",
    )?;
    let mut rows = query.query([run])?;
    while let Some(row) = rows.next()? {
        for column in 0..5 {
            put(&mut hash, cell(row, column)?.as_deref());
        }
    }
    super::keys::add(&mut hash, all, run)?;
    super::incidents::add(&mut hash, all, run)?;
    super::copies::add(&mut hash, all, run)?;
    Ok(Some(hex(hash)))
}

/// A value as text, whatever it is.
fn cell(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<Option<String>> {
    use rusqlite::types::ValueRef;
    Ok(match row.get_ref(column)? {
        ValueRef::Null => None,
        ValueRef::Integer(number) => Some(number.to_string()),
        ValueRef::Real(number) => Some(number.to_string()),
        ValueRef::Text(text) | ValueRef::Blob(text) => Some(String::from_utf8_lossy(text).into_owned()),
    })
}

/// With its length before it, so that no two lists of values have one digest.
pub(super) fn put(hash: &mut Sha256, part: Option<&str>) {
    match part {
        None => hash.update([0]),
        Some(text) => {
            hash.update([1]);
            hash.update((text.len() as u64).to_be_bytes());
            hash.update(text);
        }
    }
}

pub(super) fn hex(hash: Sha256) -> String {
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn audit(all: &Transaction<'_>) -> rusqlite::Result<Audit> {
    let mut audit = Audit {
        links: all
            .prepare("SELECT n, run, digest, link, pruned FROM chain ORDER BY n")?
            .query_map([], |row| {
                Ok(Link {
                    n: row.get::<_, i64>(0)?.cast_unsigned(),
                    run: row.get(1)?,
                    digest: row.get(2)?,
                    link: row.get(3)?,
                    pruned: row.get::<_, Option<i64>>(4)?.map(i64::cast_unsigned),
                })
            })?
            .collect::<rusqlite::Result<_>>()?,
        signatures: all
            .prepare("SELECT n, made, link, signature FROM signatures ORDER BY n, made")?
            .query_map([], |row| {
                let (n, made): (i64, i64) = (row.get(0)?, row.get(1)?);
                let (n, made) = (n.cast_unsigned(), made.cast_unsigned());
                Ok(Signature { n, made, link: row.get(2)?, signature: row.get(3)? })
            })?
            .collect::<rusqlite::Result<_>>()?,
        ..Audit::default()
    };
    let mut before = String::new();
    for (number, one) in (1u64..).zip(&audit.links) {
        if one.n != number {
            audit.wrong.push(format!("seal {number} is missing"));
            break;
        }
        if link(one.n, &one.run, &one.digest, &before) != one.link {
            audit.wrong.push(format!("seal {number} (run {}) does not follow from the one before", one.run));
        }
        if one.pruned.is_none() {
            match digest(all, &one.run)? {
                None => audit.wrong.push(format!("run {} was sealed and is missing", one.run)),
                Some(now) if now != one.digest => {
                    audit.wrong.push(format!("what is remembered of run {} is not what was sealed", one.run));
                }
                Some(_) => {}
            }
        }
        before.clone_from(&one.link);
    }
    for signed in &audit.signatures {
        if !audit.links.iter().any(|one| one.n == signed.n && one.link == signed.link) {
            audit.wrong.push(format!("seal {} is not the one that was signed", signed.n));
        }
    }
    audit.wrong.extend(super::keys::wrong(all)?);
    audit.wrong.extend(super::incidents::wrong(all)?);
    Ok(audit)
}
