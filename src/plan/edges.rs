//! The passes that find the edges, each with one reason to add them.

use super::{Body, Plan, Why, doors};
use crate::fault::{Fault, Faults, Result};
use crate::graph::Graph;
use crate::inventory::Inventory;
use crate::playbook::{Mode, question};
use crate::step::{Claim, Many, Object};
use globset::{Glob, GlobMatcher};
use std::collections::{HashMap, HashSet};
use std::ops::Range;

/// All edges of a plan: what `needs` and `on_change` say, then what claims say.
pub fn find(plan: &Plan, inventory: &Inventory) -> Result<Graph<Why>, Faults> {
    let mut graph = Graph::new(plan.tasks.len());
    let mut faults = Vec::new();
    let ranges = ranges(plan);
    let by_step = by_step(plan);
    for range in &ranges {
        written(plan, range.clone(), &mut graph);
        barriers(plan, range.clone(), &mut graph);
        evidence_first(plan, range.clone(), &mut graph, &mut faults);
    }
    across(plan, inventory, &by_step, &mut graph, &mut faults);
    follow_ups(plan, &mut faults);
    let mut known: HashMap<Vec<usize>, Vec<(usize, usize, Why)>> = HashMap::new();
    for range in ranges {
        // Hosts whose steps are all the same have the same edges: a fleet of a thousand is worked out once.
        let same = shape(plan, range.clone());
        let found = match same.as_ref().and_then(|shape| known.get(shape)) {
            Some(found) => found.clone(),
            None => claimed(plan, range.clone(), &mut faults),
        };
        for (first, then, why) in &found {
            graph.edge(range.start + first, range.start + then, why.clone());
        }
        if let Some(shape) = same {
            known.entry(shape).or_insert(found);
        }
    }
    Faults::some(faults).map_or(Ok(graph), Err)
}

/// The tasks of each host, which stand together.
fn ranges(plan: &Plan) -> Vec<Range<usize>> {
    let mut ranges: Vec<Range<usize>> = Vec::new();
    for (n, task) in plan.tasks.iter().enumerate() {
        match ranges.last_mut() {
            Some(last) if plan.tasks[last.start].host == task.host => last.end = n + 1,
            _ => ranges.push(n..n + 1),
        }
    }
    ranges
}

fn by_step(plan: &Plan) -> HashMap<&str, HashMap<usize, usize>> {
    let mut by_step: HashMap<&str, HashMap<usize, usize>> = HashMap::new();
    for (n, task) in plan.tasks.iter().enumerate() {
        by_step.entry(&task.step.id).or_default().insert(task.host, n);
    }
    by_step
}

/// `needs` and `on_change` on the same host. A needed step that does not concern this host is no edge.
fn written(plan: &Plan, range: Range<usize>, graph: &mut Graph<Why>) {
    let here: HashMap<&str, usize> = range.clone().map(|n| (plan.tasks[n].step.id.as_str(), n)).collect();
    // First, for a pair keeps its first reason: what follows and also needs the other is due by it all the same.
    for n in range.clone() {
        for follow in &plan.tasks[n].step.on_change {
            if let Some(then) = here.get(follow.step.as_str()) {
                graph.edge(n, *then, Why::OnChange);
            }
        }
    }
    // What judges the host comes when all others of its playbook are done.
    for judge in range.clone().filter(|n| plan.tasks[*n].step.health.is_some()) {
        let of_play = |n: &usize| plan.tasks[*n].play == plan.tasks[judge].play && plan.tasks[*n].step.health.is_none();
        range.clone().filter(of_play).for_each(|first| graph.edge(first, judge, Why::Needs));
    }
    for n in range {
        let step = &plan.tasks[n].step;
        for need in step.needs.iter().filter(|need| need.hosts.is_none()) {
            if let Some(first) = here.get(need.step.step.as_str()) {
                graph.edge(*first, n, Why::Needs);
            }
        }
    }
}

/// What all that is written before it in its playbook comes before, and all that is written after it comes after: a gate, and
/// what puts the disk back.
fn barriers(plan: &Plan, range: Range<usize>, graph: &mut Graph<Why>) {
    for n in range.clone() {
        let task = &plan.tasks[n];
        let why = match () {
            () if task.is_gate() => Why::Gate,
            () if task.hope().iter().any(|one| one.kind.rolls_back()) => Why::Disk,
            () => continue,
        };
        let before = |first: &usize| {
            let first = &plan.tasks[*first];
            first.play == task.play && first.step.health.is_none()
        };
        (range.start..n).filter(before).for_each(|first| graph.edge(first, n, Why::Gate));
        (n + 1..range.end).for_each(|then| graph.edge(n, then, why.clone()));
    }
}

/// In a playbook for an incident evidence is taken before anything may change the host.
fn evidence_first(plan: &Plan, range: Range<usize>, graph: &mut Graph<Why>, faults: &mut Vec<Fault>) {
    let incident = |n: &usize| plan.plays[plan.tasks[*n].play].mode == Mode::Incident;
    let gathers = |n: usize| plan.tasks[n].step.kind == "evidence";
    // What is not filled in yet may change something.
    let looks = |n: usize| {
        let hope = plan.tasks[n].hope();
        matches!(plan.tasks[n].body, Body::Left(_)) || (!hope.is_empty() && hope.iter().all(|one| one.kind.read_only()))
    };
    for then in range.clone().filter(incident).filter(|n| !gathers(*n) && !looks(*n)) {
        let play = plan.tasks[then].play;
        let mut first = range.clone().filter(|n| plan.tasks[*n].play == play && gathers(*n)).peekable();
        if first.peek().is_none() {
            let what =
                format!("`{}` may change the host before any evidence was taken of it", plan.tasks[then].step.id);
            let fault = Fault::new(what).at(&plan.tasks[then].step.place);
            let fault = fault.hint("`mode: incident` wants a step `evidence: {}`; it comes first by itself");
            if !faults.contains(&fault) {
                faults.push(fault);
            }
        }
        first.for_each(|first| graph.edge(first, then, Why::Needs));
    }
}

/// `needs: {step, hosts}`: the step on those other hosts comes first.
fn across(
    plan: &Plan,
    inventory: &Inventory,
    by_step: &HashMap<&str, HashMap<usize, usize>>,
    graph: &mut Graph<Why>,
    faults: &mut Vec<Fault>,
) {
    let numbers: HashMap<&str, usize> = plan.hosts.iter().enumerate().map(|(n, h)| (h.name.as_str(), n)).collect();
    let mut batch_of: HashMap<(usize, usize), usize> = HashMap::new();
    for (play, all) in plan.plays.iter().enumerate() {
        for (batch, hosts) in all.batches.iter().enumerate() {
            batch_of.extend(hosts.iter().map(|host| ((play, *host), batch)));
        }
    }
    let mut told = HashSet::new();
    for (n, task) in plan.tasks.iter().enumerate() {
        for need in &task.step.needs {
            let Some(pattern) = &need.hosts else { continue };
            let hosts = match inventory.select(pattern) {
                Ok(hosts) => hosts,
                Err(fault) => {
                    if told.insert(pattern.clone()) {
                        faults.push(fault.at(&need.step.place));
                    }
                    continue;
                }
            };
            let tasks = by_step.get(need.step.step.as_str());
            let found: Vec<usize> = hosts
                .iter()
                .filter_map(|host| numbers.get(host.name.as_str()))
                .filter_map(|host| tasks.and_then(|tasks| tasks.get(host)).copied())
                .filter(|first| *first != n)
                .collect();
            for first in found {
                let (a, b) = (&plan.tasks[first], task);
                let later = a.play > b.play
                    || (a.play == b.play && batch_of.get(&(a.play, a.host)) > batch_of.get(&(b.play, b.host)));
                if later && told.insert(format!("{} {}", need.step.step, task.step.id)) {
                    let what = format!(
                        "`{}` on {} needs `{}` on {}, which comes in a later batch",
                        task.step.id, plan.hosts[task.host].name, need.step.step, plan.hosts[a.host].name
                    );
                    faults.push(
                        Fault::new(what)
                            .at(&need.step.place)
                            .hint("change `serial:` or put the step into an earlier playbook"),
                    );
                }
                graph.edge(first, n, Why::Needs);
            }
        }
    }
}

/// An `on_change:` must lead to a step that can be due.
fn follow_ups(plan: &Plan, faults: &mut Vec<Fault>) {
    let mut told = HashSet::new();
    let mut can: HashMap<&str, bool> = HashMap::new();
    for task in &plan.tasks {
        if let Body::Made(made) = &task.body {
            let able = made.iter().any(|one| one.kind.follow_up().is_some());
            can.insert(&task.step.id, able);
        }
    }
    for task in &plan.tasks {
        for follow in &task.step.on_change {
            if can.get(follow.step.as_str()) == Some(&false) && told.insert(follow.place.to_string()) {
                let what = format!("`{}` cannot follow a change: it does nothing that could be due", follow.step);
                faults.push(
                    Fault::new(what).at(&follow.place).hint(
                        "name a `service` step with `state: reloaded` or `restarted`; use `needs:` for order alone",
                    ),
                );
            }
        }
    }
}

/// What makes two hosts alike: the same ready kinds in the same order. `None` where anything was filled in.
fn shape(plan: &Plan, range: Range<usize>) -> Option<Vec<usize>> {
    plan.tasks[range]
        .iter()
        .map(|task| match (&task.body, &task.step.ready) {
            (Body::Made(_), Some(_)) => Some(std::sync::Arc::as_ptr(&task.step) as usize),
            // What it asks must be as written. A step's address is even.
            (Body::Late { asks, .. }, Some(_)) => {
                let written = task.step.asks();
                let same = asks.iter().all(|ask| written.contains(ask));
                same.then_some(std::sync::Arc::as_ptr(&task.step) as usize + 1)
            }
            _ => None,
        })
        .collect()
}

/// One step's claim on an object of a host.
struct Owner<'a> {
    task: usize,
    object: &'a Object,
    field: &'a str,
    value: &'a str,
    but: &'a Many,
}

/// A step's claim on all paths that a glob covers.
struct Glade<'a> {
    glob: GlobMatcher,
    owner: &'a Owner<'a>,
}

impl Glade<'_> {
    fn covers(&self, path: &str) -> bool {
        self.glob.is_match(path) && !self.owner.but.covers(path)
    }
}

/// Edges between owners and readers of the same object on one host, as offsets in the range; two owners that disagree
/// are a fault.
fn claimed(plan: &Plan, range: Range<usize>, faults: &mut Vec<Fault>) -> Vec<(usize, usize, Why)> {
    let Range { start, end } = range;
    let claims: Vec<(usize, Claim)> =
        (start..end).flat_map(|n| of(plan, n).into_iter().map(move |claim| (n, claim))).collect();
    let owners: Vec<Owner> = claims
        .iter()
        .filter_map(|(task, claim)| match claim {
            Claim::Owns { object, field, value, but } => Some(Owner { task: *task, object, field, value, but }),
            _ => None,
        })
        .collect();
    let mut exact: HashMap<&Object, Vec<&Owner>> = HashMap::new();
    let mut globs: Vec<Glade> = Vec::new();
    for owner in &owners {
        match owner.object {
            Object::Path(path) if is_glob(path) => {
                globs.extend(Glob::new(path).ok().map(|glob| Glade { glob: glob.compile_matcher(), owner }));
            }
            object => exact.entry(object).or_default().push(owner),
        }
    }
    disagreements(plan, &exact, &globs, faults);
    doors::shut(plan, &claims, faults);
    // Before all others, for of two reasons the first is kept.
    let mut edges = asked(plan, start..end, &exact, &globs, &owners);
    let mut edge = |first: usize, then: usize, object: &Object| {
        if first != then {
            edges.push((first - start, then - start, Why::Object(object.to_string())));
        }
    };
    for (task, claim) in &claims {
        if let Claim::Reads(object) = claim {
            exact.get(object).into_iter().flatten().for_each(|owner| edge(owner.task, *task, object));
            if let Object::Path(path) = object {
                let matching = globs.iter().filter(|glade| glade.covers(path));
                matching.for_each(|glade| edge(glade.owner.task, *task, object));
            }
        }
    }
    for owner in &owners {
        let Object::Path(path) = owner.object else { continue };
        for parent in parents(path) {
            for outer in exact.get(&Object::Path(parent)).into_iter().flatten() {
                // What goes away is emptied before it goes.
                let (first, then) = if outer.value == "absent" { (owner, *outer) } else { (*outer, owner) };
                edge(first.task, then.task, outer.object);
            }
        }
    }
    edges
}

fn of(plan: &Plan, task: usize) -> Vec<Claim> {
    plan.tasks[task].hope().iter().flat_map(|one| one.kind.claims()).collect()
}

/// The edges to tasks whose conditions ask about what others own. Two that both own it stay as they are: several steps
/// may each keep a line of a file that they ask for.
fn asked(
    plan: &Plan,
    range: Range<usize>,
    exact: &HashMap<&Object, Vec<&Owner>>,
    globs: &[Glade],
    owners: &[Owner],
) -> Vec<(usize, usize, Why)> {
    let mut edges = Vec::new();
    for task in range.clone() {
        for object in plan.tasks[task].asks().iter().filter_map(question::object) {
            let mut first: Vec<usize> = exact.get(&object).into_iter().flatten().map(|owner| owner.task).collect();
            if let Object::Path(path) = &object {
                first.extend(globs.iter().filter(|glade| glade.covers(path)).map(|glade| glade.owner.task));
                let asked = Glob::new(path).ok().filter(|_| is_glob(path)).map(|glob| glob.compile_matcher());
                let inside = |owner: &&Owner| match (owner.object, &asked) {
                    (Object::Path(owned), Some(asked)) => asked.is_match(owned),
                    _ => false,
                };
                first.extend(owners.iter().filter(inside).map(|owner| owner.task));
            }
            if !first.contains(&task) {
                let why = || Why::Condition(object.to_string());
                edges.extend(first.into_iter().map(|first| (first - range.start, task - range.start, why())));
            }
        }
    }
    edges
}

fn disagreements(plan: &Plan, exact: &HashMap<&Object, Vec<&Owner>>, globs: &[Glade], faults: &mut Vec<Fault>) {
    let mut objects: Vec<_> = exact.iter().collect();
    objects.sort_by_key(|(object, _)| *object);
    for (object, owners) in objects {
        let matching = globs.iter().filter(|glade| matches!(object, Object::Path(path) if glade.covers(path)));
        let all: Vec<&Owner> = owners.iter().copied().chain(matching.map(|glade| glade.owner)).collect();
        for (n, second) in all.iter().enumerate() {
            // Of two that wait for what the host is, perhaps only one will be there.
            let late = |owner: &Owner| plan.tasks[owner.task].is_late();
            let clash = |first: &&&Owner| {
                first.field == second.field && first.value != second.value && !late(first) && !late(second)
            };
            let Some(first) = all[..n].iter().find(clash) else { continue };
            let (a, b) = (&plan.tasks[first.task].step, &plan.tasks[second.task].step);
            let what = format!(
                "two steps want different values for {} of {object}: `{}` wants {}, `{}` wants {}",
                second.field, a.id, first.value, b.id, second.value
            );
            let fault = Fault::new(what).at(&b.place).also(&a.place, format!("`{}` owns it first", a.id));
            let fault = fault.hint("leave it to one of them, or narrow one with `hosts:` or `when:`");
            if !faults.contains(&fault) {
                faults.push(fault);
            }
        }
    }
}

fn is_glob(path: &str) -> bool {
    path.contains(['*', '?', '['])
}

/// The directories above a path, nearest first.
fn parents(path: &str) -> impl Iterator<Item = String> + '_ {
    path.char_indices().rev().filter(|(at, c)| *c == '/' && *at > 0).map(|(at, _)| path[..at].to_owned())
}
