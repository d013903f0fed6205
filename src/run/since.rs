//! Who moved, where something differs that an earlier run left true.

use super::site::Site;
use crate::event::{Moved, Outcome, Since};
use crate::plan::Decision;
use crate::step::Row;

/// Stands between the place of a host and what was wanted there; an earlier version kept no place.
const AT: char = '@';

impl Site {
    /// Keeps what differs by the first reading: what a later one finds may be this run's own doing.
    pub fn met(&mut self, decisions: &[(usize, Decision)]) {
        if self.changes > 0 {
            return;
        }
        let differs = |decision: &Decision| matches!(decision, Decision::Drift(_) | Decision::Manual(_));
        let met = decisions.iter().filter(|(_, decision)| differs(decision)).map(|(task, _)| *task);
        self.differed.extend(met);
    }

    /// Where the host of this name is and whose step it is, as the head of what is remembered of it: another inventory may know
    /// another host by the same name, and another playbook another step by the same id.
    pub(super) fn whereabouts(&self, task: usize) -> String {
        let plan = &self.run.plan;
        let (there, play) = (&plan.hosts[self.host].connection, &plan.plays[plan.tasks[task].play]);
        let port = there.port.map_or_else(String::new, |port| port.to_string());
        let book = std::path::Path::new(&play.file).file_name().unwrap_or_default().to_string_lossy();
        let parts = [there.address.as_bytes(), port.as_bytes(), book.as_bytes(), play.name.as_bytes()];
        let digest = self.run.settings.past.key.digest(parts);
        format!("{}{AT}", digest.get(..16).unwrap_or_default())
    }

    /// Somebody on the host, or the playbook; none where it was never true, is true now, or where we moved it ourselves: by
    /// a change of this run, or by an earlier one that broke off before what follows from it.
    pub(super) fn since(&self, task: usize, end: (&Outcome, &[Row]), meaning: &str) -> Option<Since> {
        let (outcome, rows) = end;
        let step = &self.run.plan.tasks[task].step;
        let ours = step.kind == "restore" || !self.differed.contains(&task) || rows.iter().all(Row::is_due);
        if self.reborn || ours || !matches!(outcome, Outcome::Drift | Outcome::Manual | Outcome::Changed) {
            return None;
        }
        let (wanted, run) = self.run.settings.past.left.get(&(self.name(), step.id.clone()))?;
        let another = wanted.contains(AT) && !wanted.starts_with(&self.whereabouts(task));
        if another {
            return None;
        }
        let moved = if wanted == meaning { Moved::Host } else { Moved::Playbook };
        Some(Since { moved, run: run.clone() })
    }
}
