//! Plans in files: `plan -o FILE` writes one, `apply FILE` does exactly that, once, or refuses.

use super::Scope;
use super::session::{Session, now};
use crate::event::Mode;
use crate::fault::{Fault, Faults, Result, read_text};
use crate::plan::{Approved, Decision, Key, Plan, Shown};
use crate::store::{self, Call, Store};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

/// How a plan's file begins.
const MARK: &str = "{\"steadfast_plan\":";

/// A plan in a file.
#[derive(Debug, Serialize, Deserialize)]
struct Saved {
    /// The version of this form.
    steadfast_plan: u32,
    /// The name of the run that it will be.
    id: String,
    /// Milliseconds since 1970.
    expires: u64,
    call: Call,
    /// A digest of all that hosts, playbooks and variables meant.
    meaning: String,
    /// Host, then step, then what would be done.
    tasks: BTreeMap<String, BTreeMap<String, Entry>>,
    /// Over all of the above.
    #[serde(default)]
    seal: String,
}

/// One task that would do something.
#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    shown: Shown,
    /// For people: what, found, wanted; contents by their size alone.
    changes: Vec<[String; 3]>,
}

impl Saved {
    fn sealed(mut self, key: &Key) -> Result<Self> {
        self.seal = String::new();
        let text = serde_json::to_vec(&self)
            .map_err(|error| Fault::new("the plan cannot be written").why(error.to_string()))?;
        self.seal = key.digest([text.as_slice()]);
        Ok(self)
    }
}

/// Whether a file is a saved plan.
pub fn is_plan(path: &Path) -> bool {
    let mut start = [0u8; MARK.len()];
    let mut read = || std::io::Read::read_exact(&mut std::fs::File::open(path)?, &mut start);
    std::fs::metadata(path).is_ok_and(|about| about.is_file()) && read().is_ok() && start == MARK.as_bytes()
}

/// Writes a plan that was just shown.
pub fn save(path: &Path, plan: &Plan, scope: &Scope, decisions: &HashMap<usize, Decision>, hours: u64) -> Result<()> {
    let key = store::key()?;
    let approved = Approved::of(key.clone(), plan, decisions);
    let mut tasks: BTreeMap<String, BTreeMap<String, Entry>> = BTreeMap::new();
    for (number, shown) in approved.tasks() {
        let task = &plan.tasks[*number];
        let rows = decisions.get(number).map(Decision::rows).unwrap_or_default();
        let change = |row: crate::step::Row| {
            let row = row.veiled();
            [format!("{} {}", row.object, row.field), row.found.to_string(), row.wanted.to_string()]
        };
        let entry = Entry { shown: shown.clone(), changes: rows.into_iter().map(change).collect() };
        tasks.entry(plan.hosts[task.host].name.clone()).or_default().insert(task.step.id.clone(), entry);
    }
    let saved = Saved {
        steadfast_plan: 1,
        id: crate::run::new_id(),
        expires: now() + hours * 3_600_000,
        call: scope.call(),
        meaning: plan.meaning(&key),
        tasks,
        seal: String::new(),
    };
    let cannot = |why: String| Fault::new(format!("cannot write the plan to {}", path.display())).why(why);
    let text = serde_json::to_string(&saved.sealed(&key)?).map_err(|error| cannot(error.to_string()))?;
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(dir).map_err(|error| cannot(error.to_string()))?;
    file.write_all(text.as_bytes()).map_err(|error| cannot(error.to_string()))?;
    file.persist(path).map_err(|error| cannot(error.to_string()))?;
    Ok(())
}

/// A plan that was read back, with what it was made from.
pub struct Opened {
    saved: Saved,
    key: Key,
}

impl Opened {
    /// Reads a plan.
    ///
    /// # Errors
    /// It cannot be read, was changed, was made by another controller, is too old or was used.
    pub fn read(path: &Path) -> Result<Self> {
        let name = path.display();
        let text =
            read_text(path, 256 << 20).map_err(|why| Fault::new(format!("cannot read the plan {name}")).why(why))?;
        let saved: Saved = serde_json::from_str(&text)
            .map_err(|error| Fault::new(format!("{name} is no plan of this version")).why(error.to_string()))?;
        let key = store::key()?;
        let seal = saved.seal.clone();
        let saved = saved.sealed(&key)?;
        if saved.seal != seal {
            let fault = Fault::new(format!("the plan {name} was changed, or another controller made it"));
            return Err(fault.hint("make it here, or give both the same STEADFAST_PLAN_KEY"));
        }
        Ok(Self { saved, key })
    }

    /// What was called when it was made.
    pub fn call(&self) -> &Call {
        &self.saved.call
    }

    /// Why it must not be carried out, as far as that can be told without asking a host.
    pub fn stale(&self, plan: &Plan) -> Result<Option<String>> {
        if now() > self.saved.expires {
            return Ok(Some("it is too old".into()));
        }
        if Store::open()?.knows(&self.saved.id)? {
            return Ok(Some(format!("it was used: `steadfast runs` has its run {}", self.saved.id)));
        }
        if plan.meaning(&self.key) != self.saved.meaning {
            let why = "playbooks, inventory or variables are no longer what they were";
            return Ok(Some(format!("{why}{}", self.same_vars())));
        }
        Ok(None)
    }

    /// Which variables must be given again, where there were any: their values are not kept.
    pub fn same_vars(&self) -> String {
        let names = self.saved.call.extra_vars.join(" ");
        if names.is_empty() { names } else { format!("\n  give the same -e as to plan: {names}") }
    }

    /// What it allows, by the tasks of the plan made again.
    fn approved(&self, plan: &Plan) -> Approved {
        let mut tasks = HashMap::new();
        for (number, task) in plan.tasks.iter().enumerate() {
            let steps = self.saved.tasks.get(&plan.hosts[task.host].name);
            tasks.extend(steps.and_then(|steps| steps.get(&task.step.id)).map(|entry| (number, entry.shown.clone())));
        }
        Approved::from_tasks(self.key.clone(), tasks)
    }

    /// Carries it out: every host is read first, and nothing is done anywhere when one is no longer as it was.
    pub async fn apply(self, plan: &Arc<Plan>, session: &mut Session<'_>) -> Result<u8, Faults> {
        let approved = self.approved(plan);
        let (decisions, exit) = session.peek(plan).await?;
        if exit == 4 {
            return Ok(refuse("a host cannot be read now"));
        }
        let now = Approved::of(self.key.clone(), plan, &decisions);
        // Either way: what is no longer to be done was done by somebody else, and the plan does not know by whom.
        let both: BTreeSet<usize> = now.tasks().keys().chain(approved.tasks().keys()).copied().collect();
        let mut moved: Vec<String> = both
            .into_iter()
            .filter(|task| approved.tasks().get(task) != now.tasks().get(task))
            .map(|task| plan.name(task))
            .collect();
        moved.sort();
        if !moved.is_empty() {
            return Ok(refuse(&format!("no longer as the plan found it: {}", moved.join(", "))));
        }
        session.id = Some(self.saved.id);
        session.apply(plan, Mode::Apply, Some(approved)).await
    }
}

/// Says why a plan is not carried out; gives the exit code.
pub fn refuse(why: &str) -> u8 {
    super::say_error(&format!(
        "the plan is stale, and nothing was done: {why}\n  make a new one with `steadfast plan -o`"
    ));
    6
}
