//! A host that does not answer: what clouds do for it needs no word of it, and is said to be no more than that.

use super::lines::keeps_out;
use super::order::orders;
use super::site::Site;
use super::voice::is_good;
use super::work::Work;
use crate::event::{Outcome, What};
use crate::fact::{Facts, Gap, Query};
use crate::host::Loss;
use crate::plan::{Body, Decision, Part};
use crate::playbook::Made;
use crate::step::Row;
use std::sync::Arc;

/// What of a task is outside its host, as it was read.
struct Outside {
    made: Arc<[Made]>,
    facts: Facts,
    parts: Result<Vec<Part>, Gap>,
}

impl Site {
    /// Reads what of a task is outside the host; `None`: nothing, or its conditions ask the host.
    async fn beyond(&self, task: usize) -> Option<Outside> {
        let Body::Made(made) = &self.run.plan.tasks[task].body else { return None };
        let queries: Vec<Query> =
            made.iter().flat_map(|one| one.kind.facts()).filter(|query| matches!(query, Query::Fence(_))).collect();
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
        Some(Outside { made: Arc::clone(made), facts, parts })
    }

    /// Says what a check can tell of a host that does not answer.
    pub(super) async fn tell_outside(&mut self, order: &[usize], loss: &Loss) {
        if !keeps_out(loss) {
            return;
        }
        for task in order {
            let Some(Outside { facts, parts, .. }) = self.beyond(*task).await else { continue };
            let (why, rows) = match parts {
                Ok(parts) => ("what its cloud lets through".to_owned(), rows(&parts)),
                Err(gap) => (format!("what its cloud lets through is not well ({})", words(&gap)), vec![]),
            };
            let so = if rows.is_empty() { "" } else { " is not as wanted" };
            self.turn(*task, &facts);
            let why = format!("{why}{so}; the host itself does not answer");
            self.done(*task, Outcome::Unknown { why }, rows);
        }
    }
}

impl Work<'_> {
    /// Sets for a host that does not answer what needs no word of it.
    pub(super) async fn outside(&mut self, site: &mut Site, loss: &Loss) {
        // What was approved was approved of a host that answered, and what was begun on one is not taken on without it.
        if !keeps_out(loss) || self.shared.approved.is_some() || self.acted.is_some() || !self.ends.is_empty() {
            return;
        }
        for task in self.order {
            if *self.shared.run.settings.stop.borrow() {
                break;
            }
            let Some(seen) = site.beyond(*task).await else { continue };
            // Whether rules let in whom they must is proven by logins, and there are none: only the membership is set.
            if site.run.plan.tasks[*task].step.kind != "quarantine" {
                continue;
            }
            if let Some(before) = self.undone(site, *task).await {
                let name = self.shared.run.plan.name(before);
                let text = format!("it is not cut off from outside: {name} comes first, and is not done");
                self.shared.run.voice.say(What::Note { host: site.name(), text });
                continue;
            }
            site.turn(*task, &seen.facts);
            let (outcome, rows) = self.set_outside(site, *task, seen).await;
            self.ends.insert(*task, outcome.clone());
            site.done(*task, outcome, rows);
        }
    }

    /// What must come first and is not so: what is outside too and stands already is.
    async fn undone(&self, site: &Site, task: usize) -> Option<usize> {
        for (before, _) in self.shared.run.plan.graph.before(task) {
            let ended = self.ends.get(&before).is_some_and(is_good);
            let earlier = !self.order.contains(&before) && self.shared.past(before);
            if !(ended
                || earlier
                || site.beyond(before).await.is_some_and(|seen| seen.parts.is_ok_and(|parts| parts.is_empty())))
            {
                return Some(before);
            }
        }
        None
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
