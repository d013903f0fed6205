//! To which snapshot a disk goes back.

use super::{DiskTurn, Kept};
use crate::fact::{DiskState, Gap, Incident, Stage};
use crate::moment::{lasts, length, moment, written};
use crate::step::Row;
use serde::Deserialize;

/// The moment comes from triage.
const EVIDENCE: &str = "evidence";
/// To which snapshot the disk goes back.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rollback {
    /// The first evidence of compromise: `2026-11-27T02:00:00Z`, or `evidence`: what triage found in the same run.
    pub before: String,
    /// How old the snapshot must be now at least: `24h`.
    #[serde(default)]
    pub at_least: Option<String>,
}

impl Rollback {
    /// Whether the moment comes from triage.
    pub fn by_evidence(&self) -> bool {
        self.before == EVIDENCE
    }
}

/// Before which moment the snapshot must have been made, and what that is; `None` where the disk was put back already.
fn first(rollback: &Rollback, state: &DiskState, incident: Option<&Incident>) -> Result<Option<(u64, String)>, Gap> {
    let last = state.last.as_ref();
    let Some(incident) = incident else {
        let before = moment(&rollback.before).unwrap_or(0);
        if before > state.now {
            return Err(Gap::Impossible(format!("`before` is {}, which is still to come", rollback.before)));
        }
        let done = last.is_some_and(|last| last.made < before && last.at > before);
        return Ok((!done).then(|| (before, rollback.before.clone())));
    };
    // A run that died just behind its way back wrote down no turn of it.
    let begun = incident.began();
    if incident.put_back().is_some() || last.is_some_and(|last| begun.is_some_and(|begun| last.at > begun)) {
        return Ok(None);
    }
    let (at, told) = incident.first().map_err(|why| {
        Gap::Unknown(format!("nobody can tell which snapshot is from before the intrusion: {why}; say `before:` yourself"))
    })?;
    Ok(Some((at, format!("{} ({told})", written(at)))))
}

/// What the way back costs.
fn lost(disk: &str, made: &str) -> Row {
    Row::new(disk, format!("written since {made}"), "there", "lost")
}

/// What differs, and what is next.
pub fn back(
    rollback: &Rollback,
    disk: &str,
    state: &DiskState,
    incident: Option<&Incident>,
) -> Result<(Vec<Row>, Option<DiskTurn>), Gap> {
    match &state.last {
        Some(last) if last.stage != Stage::Done => {
            let found = format!("being put back by run {}, {}", last.run, last.stage.word());
            let made = written(last.made);
            let mut rows = vec![Row::new(disk, "content", found, format!("as of {made}"))];
            if last.stage == Stage::Stopping {
                rows.push(lost(disk, &made));
            }
            return Ok((rows, Some(DiskTurn::GoOn(last.clone()))));
        }
        _ => {}
    }
    let Some((before, evidence)) = first(rollback, state, incident)? else { return Ok((vec![], None)) };
    let least = rollback.at_least.as_deref().and_then(length).unwrap_or(0);
    let lack = |one: &Kept| match &one.lack {
        Some(lack) => Some(lack.clone()),
        None if one.made >= before => Some("it is not older than the first evidence".into()),
        None if state.now.saturating_sub(one.made) < least => Some(format!("it is not {} old", lasts(least))),
        None => None,
    };
    let chosen = state.snapshots.iter().filter(|one| lack(one).is_none()).max_by_key(|one| (one.made, one.id.clone()));
    let Some(chosen) = chosen else {
        let told: Vec<String> = state
            .snapshots
            .iter()
            .take(8)
            .map(|one| format!("{} of {}: {}", one.name, written(one.made), lack(one).unwrap_or_default()))
            .collect();
        let told = if told.is_empty() { "there is none at all".into() } else { told.join("; ") };
        return Err(Gap::Impossible(format!("no snapshot of {disk} is from before {evidence}: {told}")));
    };
    let made = written(chosen.made);
    let rows = vec![
        Row::new(disk, "content", "as it is", format!("as of {made} (snapshot {})", chosen.name)),
        lost(disk, &made),
    ];
    Ok((rows, Some(DiskTurn::Back(chosen.clone()))))
}
