//! What a person should know who answers an intrusion with a playbook.

use super::{Plan, Task};
use crate::fact::Milestone;
use crate::fault::Fault;
use crate::playbook::Mode;
use std::collections::HashSet;

/// Steps that are no mistake on other days: each once, however many hosts have it.
pub fn doubts(plan: &Plan) -> Vec<Fault> {
    let contains = |task: &Task| task.hope().iter().any(|one| one.kind.milestone() == Some(Milestone::Contained));
    let contained: HashSet<usize> = plan.tasks.iter().filter(|task| contains(task)).map(|task| task.play).collect();
    let answers = |task: &&Task| plan.plays[task.play].mode == Mode::Incident || contained.contains(&task.play);
    let mut seen = HashSet::new();
    let doubt = |task: &Task| {
        let doubt = task.hope().iter().find_map(|one| one.kind.doubt())?;
        let what = format!("`{}` answers an intrusion: {doubt}", task.step.id);
        seen.insert((task.play, task.step.id.clone())).then(|| Fault::new(what).at(&task.step.place))
    };
    plan.tasks.iter().filter(answers).filter_map(doubt).collect()
}
