//! What was left, and why: each reason once, with the controls that it left and the hosts.

use super::group::Group;
use crate::event::Outcome;

/// Controls that were left for one reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    pub waived: bool,
    pub reason: String,
    /// Ids of controls, or of steps that have none.
    pub controls: Vec<String>,
    pub hosts: Vec<String>,
}

/// Those that a person gave a reason for: the author of a playbook, or who waived them.
pub fn left(groups: &[Group]) -> Vec<Left> {
    let mut all: Vec<Left> = Vec::new();
    for Group { task, hosts } in groups {
        let Outcome::Skipped { why, blocked: false, waived, because } = &task.outcome else { continue };
        let Some(reason) = because.as_ref().or(waived.then_some(why)) else { continue };
        let control = task.control.as_ref().map_or(&task.step, |control| &control.id);
        match all.iter_mut().find(|left| left.reason == *reason && left.hosts == *hosts) {
            Some(left) if left.controls.contains(control) => {}
            Some(left) => left.controls.push(control.clone()),
            None => all.push(Left {
                waived: *waived,
                reason: reason.clone(),
                controls: vec![control.clone()],
                hosts: hosts.clone(),
            }),
        }
    }
    all
}
