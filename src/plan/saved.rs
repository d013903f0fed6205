//! A plan that was shown, to be carried out as it was shown or not at all.
//!
//! What each task would change is kept as a keyed digest, so that a plan may lie about in a build's artefacts: without
//! the controller's key nobody can try values against it.

use super::{Decision, Plan};
use crate::expr::Condition;
use crate::step::{Row, Val};
use crate::yaml::to_json;
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use std::collections::{BTreeSet, HashMap, HashSet};

/// What was shown of one task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shown {
    /// It can be told, or done, only at its turn.
    Later,
    /// Exactly these changes, as a digest; what is found at the things `apart` is known only at its turn, because an
    /// earlier task changes them too (another line of one file).
    Change { digest: String, apart: BTreeSet<String> },
}

/// What was shown and said yes to, by task number; a task that is not among them changes nothing.
#[derive(Debug, Clone, Default)]
pub struct Approved {
    key: Key,
    tasks: HashMap<usize, Shown>,
}

/// Makes digests that cannot be made without it.
#[derive(Clone)]
pub struct Key([u8; 32]);

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(…)")
    }
}

impl Default for Key {
    /// One that nobody knows, for digests that leave no program.
    fn default() -> Self {
        let mut bytes = [0; 32];
        // Without randomness the digests are as good as those without a key.
        let _ = getrandom::fill(&mut bytes);
        Self(bytes)
    }
}

impl Key {
    /// The key that a text stands for.
    pub fn of(text: &[u8]) -> Self {
        use sha2::Digest;
        Self(Sha256::digest(text).into())
    }

    /// The digest of some parts, in hexadecimal digits.
    pub fn digest<'a>(&self, parts: impl IntoIterator<Item = &'a [u8]>) -> String {
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.0) else { return String::new() };
        for part in parts {
            mac.update(&(part.len() as u64).to_le_bytes());
            mac.update(part);
        }
        mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The digest of what a decision would change, apart from some things.
    fn of_change(&self, rows: &[Row], apart: &BTreeSet<String>) -> String {
        let value = |val: &Val| match val {
            Val::Absent => vec![0],
            Val::Text(text) => [&[1], text.as_bytes()].concat(),
            Val::Data(data) => [&[2], data.as_ref()].concat(),
        };
        let parts: Vec<Vec<u8>> = rows
            .iter()
            .filter(|row| !apart.contains(&row.object))
            .flat_map(|row| {
                [row.object.clone().into_bytes(), row.field.clone().into_bytes(), value(&row.found), value(&row.wanted)]
            })
            .collect();
        self.digest(parts.iter().map(Vec::as_slice))
    }
}

impl Approved {
    /// What a look at all hosts showed.
    pub fn of(key: Key, plan: &Plan, decisions: &HashMap<usize, Decision>) -> Self {
        let mut tasks = HashMap::new();
        let mut moved: HashSet<(usize, String)> = HashSet::new();
        for task in plan.order.iter().filter(|task| decisions.contains_key(task)) {
            let (decision, host) = (&decisions[task], plan.tasks[*task].host);
            let rows = decision.rows();
            let shown = match decision {
                Decision::Pending { .. } | Decision::Blind => Shown::Later,
                Decision::Drift(_) => {
                    let objects = rows.iter().map(|row| row.object.clone());
                    let apart = objects.filter(|object| moved.contains(&(host, object.clone()))).collect();
                    Shown::Change { digest: key.of_change(&rows, &apart), apart }
                }
                _ => continue,
            };
            moved.extend(rows.into_iter().map(|row| (host, row.object)));
            tasks.insert(*task, shown);
        }
        Self { key, tasks }
    }

    /// What was shown in another program, by tasks of this plan.
    pub fn from_tasks(key: Key, tasks: HashMap<usize, Shown>) -> Self {
        Self { key, tasks }
    }

    /// What was shown, by task.
    pub fn tasks(&self) -> &HashMap<usize, Shown> {
        &self.tasks
    }

    /// Whether a task may do this.
    pub fn allows(&self, task: usize, planned: &Decision) -> bool {
        match self.tasks.get(&task) {
            Some(Shown::Later) => true,
            Some(Shown::Change { digest, apart }) => *digest == self.key.of_change(&planned.rows(), apart),
            None => false,
        }
    }
}

impl Plan {
    /// A digest of all that the plan means: hosts, steps, everything filled in. Two plans with the same digest do the
    /// same to the same hosts.
    pub fn meaning(&self, key: &Key) -> String {
        let mut parts: Vec<String> = Vec::new();
        for host in &self.hosts {
            parts.push(format!("{} {:?}", host.name, host.connection));
        }
        for (n, task) in self.tasks.iter().enumerate() {
            let step = &task.step;
            // By values and never by places: the same files may be named in another way.
            let when: Vec<&str> = step.when.iter().map(Condition::text).collect();
            let body = to_json(&step.body);
            parts.push(format!("{} {} {:?} {body} {:?} {when:?}", self.name(n), step.kind, task.body, step.vars));
            parts.push(format!("{:?} {:?} {:?}", step.defaults, self.plays[task.play].vars, self.becomes_root(n)));
        }
        parts.push(format!("{:?}", self.order));
        key.digest(parts.iter().map(String::as_bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::{Approved, Key, Shown};
    use crate::plan::{Decision, Part};
    use crate::step::Row;
    use std::collections::{BTreeSet, HashMap};

    #[test]
    fn what_an_earlier_task_moves_frees_that_thing_alone() {
        let row = |object: &str, found: &str| Row::new(object, "content", found, "wanted");
        let drift = |rows: &[Row]| Decision::Drift(vec![Part { kind: 0, rows: rows.to_vec() }]);
        let shown = [row("/moved", "a"), row("/other", "a")];
        let (key, apart) = (Key::of(b"k"), BTreeSet::from(["/moved".to_owned()]));
        let change = Shown::Change { digest: key.of_change(&shown, &apart), apart };
        let approved = Approved::from_tasks(key, HashMap::from([(0, change)]));
        assert!(approved.allows(0, &drift(&shown)));
        assert!(approved.allows(0, &drift(&[row("/moved", "b"), row("/other", "a")])));
        assert!(!approved.allows(0, &drift(&[row("/moved", "b"), row("/other", "b")])));
        assert!(!approved.allows(0, &drift(&[row("/moved", "b"), row("/other", "a"), row("/third", "a")])));
        assert!(!approved.allows(1, &drift(&[row("/moved", "a")])));
    }
}
