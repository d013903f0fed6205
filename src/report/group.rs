//! Puts together what is the same on many hosts, so that 480 equal hosts take one line and 3 odd ones are named.

use super::safe::line;
use crate::event::{Differs, Outcome, TaskDone};

/// Hosts on which one step ended in the same way with the same rows.
#[derive(Debug, Clone)]
pub struct Group {
    pub task: TaskDone,
    pub hosts: Vec<String>,
}

/// Groups the ends of tasks; steps stay in the order in which they were first told, odd outcomes after common ones.
pub fn group(tasks: &[&TaskDone]) -> Vec<Group> {
    let mut steps: Vec<&str> = Vec::new();
    let mut groups: Vec<Group> = Vec::new();
    let mut index: std::collections::HashMap<(String, Key), usize> = std::collections::HashMap::new();
    for task in tasks {
        if !steps.contains(&task.step.as_str()) {
            steps.push(&task.step);
        }
        let key = (task.step.clone(), Key::of(task));
        match index.get(&key) {
            Some(at) => groups[*at].hosts.push(task.host.clone()),
            None => {
                index.insert(key, groups.len());
                groups.push(Group { task: (*task).clone(), hosts: vec![task.host.clone()] });
            }
        }
    }
    let at = |group: &Group| steps.iter().position(|step| *step == group.task.step);
    groups.sort_by_key(|group| (at(group), std::cmp::Reverse(group.hosts.len()), group.hosts.first().cloned()));
    groups
}

/// What makes two ends the same.
#[derive(PartialEq, Eq, Hash)]
struct Key {
    word: &'static str,
    why: Option<String>,
    rows: Vec<(String, String, String, String)>,
}

impl Key {
    fn of(task: &TaskDone) -> Self {
        // `pending: after web1/x` is the same on every host: after its own x.
        let since = task.since.as_ref().map(|since| format!(" since {:?} {}", since.moved, since.run));
        let why = match &task.outcome {
            Outcome::Pending { after } => Some(after.rsplit('/').next().unwrap_or(after).to_owned()),
            other => other.why().map(ToOwned::to_owned),
        };
        let row = |row: &Differs| {
            (row.object.clone(), row.field.clone(), row.found.brief().to_string(), row.wanted.brief().to_string())
        };
        let expired = task.expired_waiver.clone();
        let why = why.into_iter().chain(since).chain(expired).reduce(|a, b| a + &b);
        Self { word: task.outcome.word(), why, rows: task.rows.iter().map(row).collect() }
    }
}

/// `all 40 hosts`, `web1, web2`, or `web1, web2, web3 and 37 more`.
pub fn name_hosts(hosts: &[String], total: usize, most: usize) -> String {
    if total > 1 && hosts.len() == total {
        return format!("all {total} hosts");
    }
    let some = &hosts[..most.min(hosts.len())];
    let names = some.iter().map(|name| line(name, 120)).collect::<Vec<_>>().join(", ");
    if hosts.len() <= most { names } else { format!("{names} and {} more", hosts.len() - most) }
}
