//! How many tasks ended in which way, and the exit code of that.

use super::{Mode, Outcome};
use serde::{Deserialize, Serialize};

/// How many of each.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default)]
pub struct Summary {
    pub hosts: usize,
    pub unreachable: usize,
    pub unchanged: usize,
    pub changed: usize,
    pub drift: usize,
    pub manual: usize,
    pub pending: usize,
    pub unknown: usize,
    pub failed: usize,
    pub reverted: usize,
    pub stale: usize,
    pub skipped: usize,
    /// Those of the skipped that waited for what did not succeed, or was not approved.
    #[serde(skip_serializing_if = "none")]
    pub blocked: usize,
}

fn none(count: &usize) -> bool {
    *count == 0
}

impl Summary {
    /// Counts one task.
    pub fn count(&mut self, outcome: &Outcome) {
        *self.slot(outcome) += 1;
        self.blocked += usize::from(matches!(outcome, Outcome::Skipped { blocked: true, .. }));
    }

    /// Takes back what was counted: the task has a later word.
    pub fn uncount(&mut self, outcome: &Outcome) {
        let slot = self.slot(outcome);
        *slot = slot.saturating_sub(1);
        let blocked = usize::from(matches!(outcome, Outcome::Skipped { blocked: true, .. }));
        self.blocked = self.blocked.saturating_sub(blocked);
    }

    fn slot(&mut self, outcome: &Outcome) -> &mut usize {
        match outcome {
            Outcome::Unchanged => &mut self.unchanged,
            Outcome::Drift => &mut self.drift,
            Outcome::Manual => &mut self.manual,
            Outcome::Pending { .. } => &mut self.pending,
            Outcome::Unknown { .. } => &mut self.unknown,
            Outcome::Changed => &mut self.changed,
            Outcome::Failed { .. } => &mut self.failed,
            Outcome::Reverted { .. } => &mut self.reverted,
            Outcome::Stale { .. } => &mut self.stale,
            Outcome::Skipped { .. } => &mut self.skipped,
        }
    }

    /// The exit code: the first that applies of 5 reverted, 3 failed, 4 unreachable or unknown, 6 stale, 2 drift, 0.
    pub fn exit(&self, mode: Mode, report_only: bool) -> u8 {
        let drift = self.drift + self.manual + self.pending;
        // What only a person can mend was not mended by an apply: that is no success.
        if self.reverted > 0 {
            5
        } else if self.failed > 0 || (matches!(mode, Mode::Apply | Mode::Rollback) && self.manual > 0) {
            3
        } else if self.unreachable + self.unknown > 0 {
            4
        } else if self.stale > 0 {
            6
        } else if matches!(mode, Mode::Apply | Mode::Rollback) && self.blocked > 0 {
            // Nothing failed, and yet something was not begun: a gate stayed shut.
            3
        } else if drift > 0 && !report_only {
            2
        } else {
            0
        }
    }
}
