//! An incident as a run goes through it: each turn is told, and written down by the controller, so that the next run goes on from
//! it and the time line goes over all of them.

use super::site::Site;
use super::voice::is_good;
use super::work::Work;
use crate::event::{Outcome, What};
use crate::fact::{Answer, Facts, Incident, Milestone, Query, Turn};
use crate::moment::written;
use crate::plan::Body;
use crate::playbook::Mode;
use crate::step::{Claim, Object, Row};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// A moment that was read once more is the same within this, in milliseconds: hosts tell whole seconds.
const SAME: u64 = 5000;
/// So much of a sign is told.
const TOLD: usize = 400;

pub(super) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

impl Site {
    /// Puts what this run's triage saw beside what is written down, for those that ask.
    pub(super) fn see(&mut self, tasks: &[usize], facts: &mut Facts) {
        let plan = Arc::clone(&self.run.plan);
        let kinds = tasks.iter().flat_map(|task| plan.tasks[*task].hope());
        if let Some(seen) = kinds.filter_map(|one| one.kind.signs(facts)).next() {
            self.signs = Some(seen);
        }
        let Ok(incident) = facts.incident() else { return };
        let whole = Incident { seen: self.signs.clone(), held: self.held(), ..incident.clone() };
        if let (Ok((at, told)), false) = (whole.first(), self.told_first) {
            self.told_first = true;
            self.say(format!("the first evidence of compromise is of {}: {}", written(at), cut(&told)));
        }
        facts.put(Query::Incident, Ok(Answer::Incident(whole)));
    }

    /// The files whose whole content the steps of this host hold.
    fn held(&self) -> Vec<String> {
        let plan = &self.run.plan;
        let claims = plan
            .of_host(self.host)
            .into_iter()
            .flat_map(|task| plan.tasks[task].hope())
            .flat_map(|one| one.kind.claims());
        let mut all: Vec<String> = claims
            .filter_map(|claim| match claim {
                Claim::Owns { object: Object::Path(path), field, .. } if field == "content" => Some(path),
                _ => None,
            })
            .collect();
        all.sort();
        all.dedup();
        all
    }

    /// The incident on this host that is not over, as it was written down.
    fn incident(&self) -> Incident {
        let keys = self.run.opener.keys();
        let known = keys.and_then(|keys| keys.ledger.incident(&self.name()).ok());
        known.unwrap_or_default()
    }

    /// Tells a turn, and writes it down.
    pub(super) fn turned(&self, milestone: Milestone, at: u64, told: &str) {
        let told = cut(told);
        let turn = Turn { milestone, at, told, run: self.run.id.clone() };
        if let Some(keys) = self.run.opener.keys()
            && let Err(fault) = keys.ledger.note_turn(&self.name(), &turn)
        {
            self.say(format!("this turn of the incident is not written down: {fault}"));
        }
        self.run.voice.say(What::Incident { host: self.name(), turn });
    }
}

/// Without secrets, which are looked for before anything is cut.
fn cut(text: &str) -> String {
    crate::secret::redact(text).chars().take(TOLD).collect()
}

impl Work<'_> {
    fn milestones(&self, task: usize) -> impl Iterator<Item = Milestone> + '_ {
        self.shared.run.plan.tasks[task].hope().iter().filter_map(|one| one.kind.milestone())
    }

    /// Whether these steps answer an intrusion: they are written for it, or cut the host off.
    pub(super) fn answers(&self) -> bool {
        use Milestone::{Contained, Released, RolledBack};
        let plan = &self.shared.run.plan;
        self.order.iter().any(|task| {
            let incident = plan.plays[plan.tasks[*task].play].mode == Mode::Incident;
            self.milestones(*task).any(|one| matches!(one, Contained | Released) || (incident && one == RolledBack))
        })
    }

    /// Tells what earlier runs wrote down of an incident that goes on.
    pub(super) fn recall(&self, site: &Site) {
        if self.answers() {
            for turn in site.incident().turns {
                site.run.voice.say(What::Incident { host: site.name(), turn });
            }
        }
    }

    /// What the end of a task is in an incident.
    pub(super) fn mark(&mut self, site: &Site, task: usize, outcome: &Outcome, rows: &[Row]) {
        if !self.answers() {
            return;
        }
        let made = site.made(task);
        if made.iter().any(|one| one.kind.signs(&self.facts).is_some()) {
            return detect(site);
        }
        let milestone = made.iter().find_map(|one| one.kind.milestone()).filter(|_| *outcome == Outcome::Changed);
        match milestone {
            // Each is told when it is there: the disk whatever comes of the rest, the key after the last of its stages.
            Some(Milestone::RolledBack | Milestone::Rotated) => {}
            Some(Milestone::Released) if site.incident().turns.is_empty() => {}
            Some(Milestone::Sealed) => {
                let kept = rows.first().map(|row| row.wanted.to_string()).unwrap_or_default();
                site.turned(Milestone::Sealed, now(), &kept);
            }
            // The host's part of it was told when it stood.
            Some(milestone)
                if site
                    .incident()
                    .turns
                    .last()
                    .is_some_and(|turn| turn.milestone == milestone && turn.run == site.run.id) => {}
            Some(milestone) => site.turned(milestone, now(), &site.run.plan.title(task)),
            None => self.harden(site, task),
        }
    }

    /// A part of a task stands, whatever comes of the rest: who is cut off by the host is cut off.
    pub(super) fn mark_half(&self, site: &Site, task: usize) {
        if self.answers() && self.milestones(task).any(|one| one == Milestone::Contained) {
            site.turned(Milestone::Contained, now(), &site.run.plan.title(task));
        }
    }

    /// All stages of a change of keys are done, or all but those that wait while the old one is trusted as well.
    pub(super) fn rotated(&self, site: &Site, task: usize) {
        if !self.answers() {
            return;
        }
        let title = site.run.plan.title(task);
        match site.made(task).iter().find_map(|one| one.kind.trusts_until(&self.facts)) {
            Some(until) => {
                let told = format!("{title}: the old key is trusted beside it until {}", written(until));
                site.turned(Milestone::Offered, now(), &told);
            }
            None => site.turned(Milestone::Rotated, now(), &title),
        }
    }

    /// The last of the steps that are written behind the way back, or behind the containment where there is none.
    fn harden(&mut self, site: &Site, task: usize) {
        use Milestone::{Contained, Hardened, RolledBack};
        let plan = &self.shared.run.plan;
        let last =
            |wanted: Milestone| self.order.iter().rposition(|task| self.milestones(*task).any(|one| one == wanted));
        let first =
            |wanted: Milestone| self.order.iter().position(|task| self.milestones(*task).any(|one| one == wanted));
        let Some(from) = last(RolledBack).or_else(|| first(Contained)) else { return };
        let hardens = |task: &usize| {
            let (one, hope) = (&plan.tasks[*task], plan.tasks[*task].hope());
            let plain = hope.iter().all(|one| one.kind.milestone().is_none() && !one.kind.read_only());
            // What is taken back is hardened by nobody.
            plain && one.step.kind != "restore" && !one.is_gate() && !matches!(one.body, Body::Left(_))
        };
        let all: Vec<usize> = self.order[from + 1..].iter().copied().filter(hardens).collect();
        let holds = |task: &usize| {
            let end = self.ends.get(task);
            end.is_some_and(|end| is_good(end) && !matches!(end, Outcome::Manual | Outcome::Unknown { .. }))
        };
        if self.hardened || !all.contains(&task) || !all.iter().all(holds) {
            return;
        }
        self.hardened = true;
        let changed = all.iter().filter(|task| self.ends.get(task) == Some(&Outcome::Changed)).count();
        let known = site.incident();
        let since = known.put_back().unwrap_or(0);
        if changed > 0 || !known.turns.iter().any(|turn| turn.milestone == Hardened && turn.at >= since) {
            site.turned(Hardened, now(), &format!("{} steps hold, {changed} of them changed something", all.len()));
        }
    }
}

/// Signs that were found before the disk went back are those of the intrusion.
fn detect(site: &Site) {
    let Some(seen) = site.signs.as_ref().filter(|seen| seen.signs > 0) else { return };
    let known = site.incident();
    if known.put_back().is_some() {
        return;
    }
    let written =
        known.turns.iter().filter(|turn| turn.milestone == Milestone::FirstEvidence).map(|turn| turn.at).min();
    let now = now();
    let whole = Incident { now, seen: site.signs.clone(), ..known.clone() };
    if let Ok((at, told)) = whole.first()
        && written.is_none_or(|known| at + SAME < known)
    {
        site.turned(Milestone::FirstEvidence, at, &told);
    }
    if !known.has(Milestone::Detected) {
        let more = if seen.signs == 1 { "sign" } else { "signs" };
        site.turned(Milestone::Detected, now, &format!("triage found {} {more}", seen.signs));
    }
}
