//! From playbooks and an inventory to tasks in an order.

use super::scope::HostScope;
use super::waive::{Waived, Word};
use super::{Body, Day, Host, Plan, Play, Task, Waiver, Why, edges, night};
use crate::expr::Scope;
use crate::fault::{Fault, Faults, Result};
use crate::graph::Graph;
use crate::inventory::Inventory;
use crate::playbook::{Batch, Made, Playbook, Step, Turn, question};
use crate::secret;
use serde_json::json;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

/// What narrows and colours a run.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// A pattern within which hosts must lie.
    pub limit: Option<String>,
    pub tags: Vec<String>,
    pub skip_tags: Vec<String>,
    /// `-e`: stronger than every other variable.
    pub extra: Scope,
    /// `-b` on the command line.
    pub become_root: Option<bool>,
    /// No secret is read: something else stands in for it. For what only looks at playbooks.
    pub closed: bool,
    /// Controls that somebody answers for leaving out.
    pub waivers: Vec<Waiver>,
    /// The day by which waivers are judged; today where none is given.
    pub today: Option<Day>,
}

/// The names that are known only after a host was read.
const LATE: &[&str] = &["os"];

/// Makes the plan's graph.
///
/// # Errors
/// Every mistake in patterns, references between hosts, filled-in fields, owners; or a cycle as a circle.
pub fn compile(playbooks: &[Playbook], inventory: &Inventory, options: &Options) -> Result<Plan, Faults> {
    let mut faults = Vec::new();
    let selected = select(playbooks, inventory, options, &mut faults);
    unknown_tags(playbooks, options, &mut faults);
    if let Some(faults) = Faults::some(std::mem::take(&mut faults)) {
        return Err(faults);
    }
    let mut plan = hosts(inventory, &selected, options, &mut faults);
    // Before any program is started.
    let inventory_vars = inventory.hosts.iter().flat_map(|host| host.vars.values());
    inventory_vars.chain(options.extra.values()).for_each(secret::withhold_in);
    for playbook in playbooks {
        let of_steps = playbook.steps.iter().flat_map(|step| step.defaults.values().chain(step.vars.values()));
        playbook.vars.values().chain(of_steps).for_each(secret::withhold_in);
    }
    // What the inventory says of a chosen host and cannot be done here (another become method, a vaulted address).
    faults.extend(plan.hosts.iter().flat_map(|host| host.connection.trouble.iter().cloned()));
    let today = options.today.unwrap_or_else(Day::today);
    let mut waived = Waived::new(&options.waivers, today, inventory, &mut faults);
    let mut seen: HashSet<String> = HashSet::new();
    for (play, (playbook, names)) in playbooks.iter().zip(&selected).enumerate() {
        let members: Vec<usize> =
            plan.hosts.iter().enumerate().filter(|(_, h)| names.contains(&h.name)).map(|(i, _)| i).collect();
        let steps = wanted_steps(playbook, options);
        let narrowed = narrow(&steps, inventory, &mut faults);
        for host in &members {
            for (step, within) in steps.iter().zip(&narrowed) {
                if within.as_ref().is_some_and(|names| !names.contains(&plan.hosts[*host].name)) {
                    continue;
                }
                let here = &plan.hosts[*host];
                for choice in &step.choices {
                    let value = here.scope.value(&playbook.vars, step, &choice.name);
                    let fault = value.and_then(|value| choice.fault(value));
                    faults.extend(fault.filter(|fault| seen.insert(fault.what().to_owned())));
                }
                let word = waived.of(step, &here.name, &here.scope, &playbook.vars);
                let word = word.unwrap_or_else(|fault| {
                    faults.extend(seen.insert(fault.to_string()).then_some(fault));
                    Word::default()
                });
                let made = match word.left {
                    Some(left) => Ok(Body::Left(left)),
                    None => body(step, &here.scope, playbook, options.closed),
                };
                match made {
                    Ok(body) => plan.tasks.push(Task {
                        host: *host,
                        play,
                        step: Arc::clone(step),
                        body,
                        become_root: step.become_root.or(playbook.become_root).or(options.become_root),
                        expired: word.expired,
                    }),
                    // The same mistake on a thousand hosts is one mistake.
                    Err(more) => faults.extend(more.into_vec().into_iter().filter(|f| seen.insert(f.to_string()))),
                }
            }
        }
        let rotates = |task: &Task| task.play == play && task.hope().iter().any(|one| one.kind.rotates());
        let canary = plan.tasks.iter().any(rotates);
        plan.plays.push(Play {
            name: playbook.name.clone(),
            file: playbook.file.display().to_string(),
            vars: playbook.vars.clone(),
            batches: batches(&playbook.serial, members, canary),
            budget: playbook.budget,
            mode: playbook.mode,
            canary,
        });
    }
    if let Some(faults) = Faults::some(faults) {
        return Err(faults);
    }
    plan.neighbours = neighbours(inventory, &options.extra);
    plan.notes = waived.notes(playbooks);
    plan.notes.extend(night::doubts(&plan));
    plan.tasks.sort_by_key(|task| (task.host, task.play));
    plan.graph = edges::find(&plan, inventory)?;
    plan.order = plan.graph.order().map_err(|circle| cycle(&plan, &circle))?;
    Ok(plan)
}

/// The hosts of each playbook, by name.
fn select(
    playbooks: &[Playbook],
    inventory: &Inventory,
    options: &Options,
    faults: &mut Vec<Fault>,
) -> Vec<BTreeSet<String>> {
    let names =
        |hosts: Vec<&crate::inventory::Host>| hosts.into_iter().map(|h| h.name.clone()).collect::<BTreeSet<_>>();
    let limit = match options.limit.as_deref().map(|pattern| inventory.select(pattern)).transpose() {
        Ok(hosts) => hosts.map(names),
        Err(fault) => {
            faults.push(fault);
            None
        }
    };
    let mut all = Vec::new();
    for playbook in playbooks {
        match inventory.select(&playbook.hosts) {
            Ok(hosts) => {
                let mut chosen = names(hosts);
                if let Some(limit) = &limit {
                    chosen.retain(|name| limit.contains(name));
                }
                all.push(chosen);
            }
            Err(fault) => faults.push(fault.at(&playbook.hosts_place)),
        }
    }
    if faults.is_empty() && all.iter().all(BTreeSet::is_empty) {
        let limit = options.limit.as_deref().unwrap_or("");
        faults.push(
            Fault::new(format!("no host is left: `--limit {limit}` has none of the playbook's hosts"))
                .hint("`--list-hosts` shows which hosts a playbook would reach"),
        );
    }
    all
}

/// A tag that no step has is a slip of the fingers, and would make a run that looks at nothing and finds all well.
fn unknown_tags(playbooks: &[Playbook], options: &Options, faults: &mut Vec<Fault>) {
    let known: BTreeSet<&str> =
        playbooks.iter().flat_map(|book| &book.steps).flat_map(|step| &step.tags).map(String::as_str).collect();
    for tag in options.tags.iter().chain(&options.skip_tags).filter(|tag| !known.contains(tag.as_str())) {
        faults.push(Fault::new(format!("no step has the tag `{tag}`")).nearest(tag, known.iter().copied()));
    }
    if playbooks.iter().all(|book| book.steps.is_empty()) {
        faults
            .push(Fault::new("there is no step in the playbooks").hint("`steadfast explain` lists the kinds of steps"));
    }
}

/// The hosts of these names, in the inventory's order, for a plan that no playbook made.
pub fn hosts_of(inventory: &Inventory, names: &BTreeSet<String>) -> Vec<Host> {
    hosts(inventory, std::slice::from_ref(names), &Options::default(), &mut Vec::new()).hosts
}

/// Every host of an inventory, for what is done to one of them and might cut off others.
pub fn neighbours(inventory: &Inventory, extra: &Scope) -> Vec<Host> {
    let all = inventory.hosts.iter().map(|host| host.name.clone()).collect();
    let options = Options { extra: extra.clone(), ..Options::default() };
    hosts(inventory, &[all], &options, &mut Vec::new()).hosts
}

fn hosts(inventory: &Inventory, selected: &[BTreeSet<String>], options: &Options, faults: &mut Vec<Fault>) -> Plan {
    let groups: serde_json::Map<_, _> = inventory
        .groups
        .keys()
        .map(|group| {
            let members = inventory.hosts.iter().filter(|host| host.groups.contains(group));
            (group.clone(), json!(members.map(|h| h.name.as_str()).collect::<Vec<_>>()))
        })
        .collect();
    let groups = Arc::new(Scope::from_iter([("groups".to_owned(), serde_json::Value::Object(groups))]));
    let extra = Arc::new(options.extra.clone());
    let chosen = inventory.hosts.iter().filter(|host| selected.iter().any(|names| names.contains(&host.name)));
    // One wrong value is one mistake, however many hosts have it.
    let mut reach = |host: &crate::inventory::Host| {
        let reached = host.reached_with(&options.extra);
        reached
            .map_err(|more| {
                if faults.is_empty() {
                    faults.extend(more)
                }
            })
            .unwrap_or_else(|()| host.connection.clone())
    };
    let hosts = chosen.map(|host| Host {
        name: host.name.clone(),
        connection: reach(host),
        scope: Arc::new(HostScope::new(host, Arc::clone(&groups), Arc::clone(&extra))),
    });
    let hosts = hosts.collect();
    Plan { hosts, plays: vec![], tasks: vec![], graph: Graph::new(0), order: vec![], neighbours: vec![], notes: vec![] }
}

/// The steps that tags leave over, with all they need: a step without what it depends on would tell lies.
pub fn wanted_steps(playbook: &Playbook, options: &Options) -> Vec<Arc<Step>> {
    let has = |step: &Step, tags: &[String]| step.tags.iter().any(|tag| tags.contains(tag));
    let chosen = |step: &Step| {
        let by_tag = options.tags.is_empty() || has(step, &options.tags) || step.tags.iter().any(|t| t == "always");
        let never = step.tags.iter().any(|tag| tag == "never") && !has(step, &options.tags);
        by_tag && !never && !has(step, &options.skip_tags)
    };
    let by_id: HashMap<&str, &Arc<Step>> = playbook.steps.iter().map(|s| (s.id.as_str(), s)).collect();
    let mut wanted: HashSet<&str> = HashSet::new();
    let mut queue: Vec<&Arc<Step>> = playbook.steps.iter().filter(|step| chosen(step)).collect();
    while let Some(step) = queue.pop() {
        if wanted.insert(&step.id) {
            let needs = step.needs.iter().map(|need| need.step.step.as_str());
            let follow = step.on_change.iter().map(|reference| reference.step.as_str());
            queue.extend(needs.chain(follow).filter_map(|id| by_id.get(id).copied()));
        }
    }
    playbook.steps.iter().filter(|step| wanted.contains(step.id.as_str())).cloned().collect()
}

/// The hosts of each step that names its own.
fn narrow(steps: &[Arc<Step>], inventory: &Inventory, faults: &mut Vec<Fault>) -> Vec<Option<HashSet<String>>> {
    let one = |step: &Arc<Step>| {
        let pattern = step.hosts.as_deref()?;
        match inventory.select(pattern) {
            Ok(hosts) => Some(hosts.into_iter().map(|host| host.name.clone()).collect()),
            Err(fault) => {
                faults.push(fault.at(&step.place));
                None
            }
        }
    };
    steps.iter().map(one).collect()
}

fn body(step: &Arc<Step>, scope: &HostScope, playbook: &Playbook, closed: bool) -> Result<Body, Faults> {
    if step.uses.iter().any(|name| LATE.contains(&name.as_str())) {
        let hope = step.ready.iter().map(|kind| Made { item: None, kind: Arc::clone(kind) }).collect();
        return Ok(Body::Late { hope, asks: step.asks().into() });
    }
    if let (Some(kind), true) = (&step.ready, step.when.is_empty()) {
        return Ok(Body::Made(Arc::new([Made { item: None, kind: Arc::clone(kind) }])));
    }
    let mut used = scope.with(&playbook.vars, step, &step.uses, None);
    if closed && used.values().any(secret::refers) {
        used.values_mut().for_each(secret::stand_in);
        // What a placeholder does not fit is told once the secret is there.
        let late = || Body::Late { hope: Arc::new([]), asks: step.asks().into() };
        return Ok(step.make(&used, &question::unasked).map_or_else(|_| late(), |turn| filled(step, turn)));
    }
    let turn = step.make(&used, &question::unasked);
    let turn = turn.or_else(|_| step.make(&scope.whole(&playbook.vars, step, None), &question::unasked))?;
    Ok(filled(step, turn))
}

/// What is known before the host is read.
fn filled(step: &Step, turn: Turn) -> Body {
    match turn {
        Turn::Made(made) => Body::Made(made),
        Turn::Left(left) => Body::Left(left),
        Turn::Open { unasked, hope, .. } => {
            let mut asks = step.asks();
            asks.extend(unasked);
            asks.sort();
            asks.dedup();
            Body::Late { hope, asks: asks.into() }
        }
    }
}

/// Cuts the hosts into batches; the last size repeats. A `canary` is a first batch of one host, whatever is written: what
/// may shut out everybody is proven there first.
fn batches(serial: &[Batch], hosts: Vec<usize>, canary: bool) -> Vec<Vec<usize>> {
    let total = hosts.len();
    let mut sizes = serial.iter().map(|batch| batch.of(total).max(1));
    let mut last = sizes.next().unwrap_or(total.max(1));
    let mut left = hosts.as_slice();
    let mut all = Vec::new();
    while !left.is_empty() {
        let (batch, rest) = left.split_at(last.min(left.len()));
        all.push(batch.to_vec());
        left = rest;
        last = sizes.next().unwrap_or(last);
    }
    if canary && all.first().is_some_and(|first| first.len() > 1) {
        let rest = all[0].split_off(1);
        all.insert(1, rest);
    }
    all
}

/// So many steps of a circle are told.
const MOST_OF_CIRCLE: usize = 12;

/// A cycle as a circle, with the place of each of its steps.
fn cycle(plan: &Plan, circle: &[(usize, Why)]) -> Faults {
    let name = |n: usize| plan.tasks[circle[n % circle.len()].0].step.id.as_str();
    let told = circle.len().min(MOST_OF_CIRCLE);
    let mut names: Vec<&str> = (0..told).map(name).collect();
    let more = format!("… {} more …", circle.len() - told);
    if circle.len() > told {
        names.push(&more);
    }
    let mut fault = Fault::new(format!("steps wait for each other in a circle: {} → {}", names.join(" → "), name(0)));
    for (n, (task, why)) in circle.iter().take(told).enumerate() {
        let next = name(n + 1);
        let says = match why {
            Why::Needs => format!("`{next}` needs this"),
            Why::OnChange => format!("`{next}` follows when this changes"),
            Why::Gate => format!("`{next}` is written behind it, and one of them is a gate or puts the disk back"),
            Why::Disk => format!("`{next}` is written behind it, and this puts the disk back"),
            Why::Object(object) => format!("`{next}` uses {object}, which this decides"),
            Why::Condition(object) => format!("`{next}` asks in its `when` about {object}, which this decides"),
        };
        let place = &plan.tasks[*task].step.place;
        fault = if n == 0 { fault.at(place).why(says) } else { fault.also(place, says) };
    }
    fault.hint("take one `needs:` out of the circle, or split a step").into()
}
