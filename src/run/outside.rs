//! A host that does not answer: what clouds and keepers of disks do for it needs no word of it, and is said to be no more than
//! that. Where its disk is put back it may answer again, and the rest of its tasks goes on.

use super::lines::keeps_out;
use super::order::orders;
use super::site::Site;
use super::voice::is_good;
use super::work::{Work, told};
use crate::event::{Outcome, What};
use crate::fact::{Facts, Gap, Query};
use crate::host::Loss;
use crate::plan::{Body, Decision, Part, decide};
use crate::playbook::Made;
use crate::step::Row;
use std::sync::Arc;

/// What of a task is outside its host, as it was read.
struct Outside {
    made: Arc<[Made]>,
    facts: Facts,
    parts: Result<Vec<Part>, Gap>,
    /// Nothing of it is the host's own.
    whole: bool,
}

impl Outside {
    fn is_due(&self) -> bool {
        self.parts.as_ref().is_ok_and(|parts| !parts.is_empty())
    }
}

fn is_outside(query: &Query) -> bool {
    matches!(query, Query::Fence(_) | Query::Disk(_))
}

impl Site {
    /// Reads what of a task is outside the host; `None`: nothing, or its conditions ask the host.
    async fn beyond(&self, task: usize) -> Option<Outside> {
        let Body::Made(made) = &self.run.plan.tasks[task].body else { return None };
        let queries: Vec<Query> = made.iter().flat_map(|one| one.kind.facts()).filter(is_outside).collect();
        if queries.is_empty() {
            return None;
        }
        let facts = self.run.opener.beyond(&self.run.plan.hosts[self.host], &queries).await;
        let mut parts = Ok(Vec::new());
        for (kind, one) in made.iter().enumerate() {
            match (one.kind.outside(&facts)?, &mut parts) {
                (Ok(rows), Ok(all)) if !rows.is_empty() => all.push(Part { kind, rows }),
                (Err(gap), Ok(_)) => parts = Err(gap),
                _ => {}
            }
        }
        let whole = made.iter().all(|one| one.kind.disk().is_some());
        Some(Outside { made: Arc::clone(made), facts, parts, whole })
    }

    /// What of a task is outside the host, as it is now.
    pub(super) async fn beyond_facts(&self, task: usize) -> Option<Facts> {
        Some(self.beyond(task).await?.facts)
    }

    /// Says what a check can tell of a host that does not answer.
    pub(super) async fn tell_outside(&mut self, order: &[usize], loss: &Loss) {
        if !keeps_out(loss) {
            return;
        }
        for task in order {
            let Some(Outside { made, facts, parts, whole }) = self.beyond(*task).await else { continue };
            self.turn(*task, &facts);
            if whole {
                self.tell(*task, &decide(&made, &facts, None), &facts);
                continue;
            }
            let (why, rows) = match parts {
                Ok(parts) => ("what its cloud lets through".to_owned(), rows(&parts)),
                Err(gap) => (format!("what its cloud lets through is not well ({})", words(&gap)), vec![]),
            };
            let so = if rows.is_empty() { "" } else { " is not as wanted" };
            let why = format!("{why}{so}; the host itself does not answer");
            self.done(*task, Outcome::Unknown { why }, rows);
        }
    }
}

impl Work<'_> {
    /// Sets for a host that does not answer what needs no word of it. `true`: its disk was put back, and it answers.
    pub(super) async fn outside(&mut self, site: &mut Site, loss: &Loss) -> bool {
        // What was approved was approved of a host that answered, and what was begun on one is not taken on without it.
        if !keeps_out(loss) || self.shared.approved.is_some() || self.acted.is_some() || !self.ends.is_empty() {
            return false;
        }
        self.away = true;
        for task in self.order {
            if *self.shared.run.settings.stop.borrow() {
                break;
            }
            let Some(seen) = site.beyond(*task).await else { continue };
            // Whether rules let in whom they must is proven by logins, and there are none: only the membership is set.
            if !seen.whole && site.run.plan.tasks[*task].step.kind != "quarantine" {
                continue;
            }
            if seen.is_due()
                && let Some(before) = self.undone(site, *task).await
            {
                let name = self.shared.run.plan.name(before);
                let what = if seen.whole { "nothing is done with its disk" } else { "it is not cut off from outside" };
                let text = format!("{what}: {name} comes first, and is not done");
                self.shared.run.voice.say(What::Note { host: site.name(), text });
                continue;
            }
            site.turn(*task, &seen.facts);
            if seen.whole {
                let (outcome, rows) = self.keep(site, *task, seen).await;
                self.tell(site, *task, outcome, rows);
            } else {
                let (outcome, rows) = self.set_outside(site, *task, seen).await;
                self.ends.insert(*task, outcome.clone());
                site.done(*task, outcome, rows);
            }
            if !self.away {
                // What is half done only because the host did not answer is gone through once more.
                self.ends.retain(|_, end| !matches!(end, Outcome::Unknown { .. }));
                return true;
            }
        }
        false
    }

    /// What must come first and is not so: what is outside too and stands already is. A gate is asked at when nothing else is left.
    async fn undone(&mut self, site: &mut Site, task: usize) -> Option<usize> {
        let plan = Arc::clone(&self.shared.run.plan);
        let (mut gates, mut first) = (vec![], None);
        for (before, _) in plan.graph.before(task) {
            let ended = self.ends.get(&before).is_some_and(is_good);
            let earlier = !self.order.contains(&before) && self.shared.past(before);
            if ended || earlier {
                continue;
            }
            if plan.tasks[before].is_gate() && !self.ends.contains_key(&before) {
                gates.push(before);
            } else if !site.beyond(before).await.is_some_and(|seen| seen.parts.is_ok_and(|parts| parts.is_empty())) {
                first = first.or(Some(before));
            }
        }
        for gate in gates.into_iter().filter(|_| first.is_none()) {
            site.turn(gate, &Facts::default());
            let Decision::Gate(message) = site.decide(gate, &Facts::default()) else { return Some(gate) };
            if let Some(before) = Box::pin(self.undone(site, gate)).await {
                return Some(before);
            }
            let outcome = self.gate(site, gate, &message).await;
            let open = is_good(&outcome);
            self.tell(site, gate, outcome, vec![]);
            if !open {
                return Some(gate);
            }
        }
        first
    }

    /// What a task wants of a disk alone, by its keeper.
    async fn keep(&mut self, site: &mut Site, task: usize, seen: Outside) -> (Outcome, Vec<Row>) {
        let planned = decide(&seen.made, &seen.facts, None);
        let rows = planned.rows();
        self.facts = seen.facts;
        match planned {
            Decision::InSync => (Outcome::Unchanged, rows),
            Decision::Drift(_) => match self.disks(site, task, &seen.made).await {
                Ok(outcome) => (outcome, rows),
                Err(loss) => (Outcome::Failed { why: loss.to_string() }, rows),
            },
            Decision::Impossible(why) => (Outcome::Failed { why }, rows),
            other => (Outcome::Unknown { why: told(&other) }, rows),
        }
    }

    async fn set_outside(&mut self, site: &mut Site, task: usize, seen: Outside) -> (Outcome, Vec<Row>) {
        let parts = match seen.parts {
            Ok(parts) => parts,
            Err(Gap::Impossible(why)) => return (Outcome::Failed { why }, vec![]),
            Err(gap) => return (Outcome::Unknown { why: words(&gap) }, vec![]),
        };
        let all = rows(&parts);
        let orders = orders(&seen.made, &Decision::Drift(parts), &seen.facts);
        for order in &orders {
            let _held = self.shared.alone(&order.fence.name()).await;
            site.started(task);
            let outcome = self.carry(site, task, order, vec![], false).await;
            if outcome != Outcome::Changed {
                return (outcome, all);
            }
        }
        let so = if orders.is_empty() { "is as wanted" } else { "was set, and reads so" };
        let why = format!("its cloud's half {so}; the host's own half is not known, for the host does not answer");
        (Outcome::Unknown { why }, all)
    }
}

fn rows(parts: &[Part]) -> Vec<Row> {
    parts.iter().flat_map(|part| part.rows.clone()).collect()
}

fn words(gap: &Gap) -> String {
    match gap {
        Gap::Unknown(why) | Gap::Missing(why) | Gap::Impossible(why) => why.clone(),
    }
}
