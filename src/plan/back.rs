//! The plan of a rollback, read from the journals of the hosts: the tasks of the run, last first.

use super::{Acted, Body, Host, Plan, Play, Task};
use crate::expr::Scope;
use crate::fact::{Family, JournalEntry, Thing, Touched};
use crate::graph::Graph;
use crate::host::Loss;
use crate::playbook::{Budget, Made, Mode, Step};
use crate::step::{ALTERED, Before, Force, Later, Restore, is_way_in};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// What to take back.
#[derive(Debug, Clone, Default)]
pub struct Back {
    pub run: String,
    /// The runs that are one work with it, the run itself among them: one that was broken off and those that went on with it.
    pub work: Vec<String>,
    /// These steps alone; none is all.
    pub steps: Vec<String>,
    /// Also what was changed since.
    pub force: Force,
    /// Whose journals tell of it.
    pub acted: Acted,
}

impl Back {
    /// The oldest of the runs: from it on the journals are read.
    pub fn first(&self) -> &str {
        self.work.iter().min().unwrap_or(&self.run)
    }
}

/// The plan that takes a run back on these hosts, each with its journal from that run on; a host whose journal could not
/// be read has one task that is unknown, for nobody can say that there is nothing to take back.
pub fn back(
    hosts: Vec<Host>,
    neighbours: Vec<Host>,
    journals: &[Result<Vec<JournalEntry>, Loss>],
    what: &Back,
) -> Plan {
    let graph = Graph::new(0);
    let mut plan = Plan { hosts, plays: vec![], tasks: vec![], graph, order: vec![], neighbours, notes: vec![] };
    let mut steps: BTreeMap<(String, String), Arc<Step>> = BTreeMap::new();
    for (host, journal) in journals.iter().enumerate() {
        let unread = JournalEntry { step: "journal".into(), ..JournalEntry::default() };
        // What the user wrote without root's rights blocks nothing of root's, and is put back by the user.
        let (own, roots): (Vec<JournalEntry>, Vec<JournalEntry>) =
            journal.iter().flatten().cloned().partition(|entry| entry.by_user);
        let mut tasks = match journal {
            Ok(_) => {
                let (mut all, mut theirs) = (restores(&roots, what), restores(&own, what));
                knows_of(&mut all, &own, what);
                knows_of(&mut theirs, &roots, what);
                all.extend(theirs);
                // What is known from memory alone has no number: it comes last in its run.
                all.sort_by_key(|(entry, _)| (entry.run.clone(), entry.seq.wrapping_sub(1)));
                all
            }
            Err(loss) => vec![(&unread, Restore { unread: Some(loss.to_string()), ..Restore::default() })],
        };
        tasks.reverse();
        let mut seen: HashMap<String, usize> = HashMap::new();
        for (entry, restore) in tasks {
            let plain = if entry.step.is_empty() { format!("change-{:04}", entry.seq) } else { entry.step.clone() };
            // A step that changed the host in stages, or a cloud as well, has a word on each: none may hide another.
            let times = seen.entry(plain.clone()).or_default();
            *times += 1;
            let name = if *times == 1 { plain } else { format!("{plain} ({times})") };
            let title = if entry.title.is_empty() { name.clone() } else { entry.title.clone() };
            let step = steps.entry((name.clone(), title.clone())).or_insert_with(|| {
                Arc::new(Step::plain(name, title, "restore", &format!("<journal of {}>", what.run)))
            });
            let made = Made { item: None, kind: Arc::new(restore) };
            plan.tasks.push(Task {
                host,
                play: 0,
                step: Arc::clone(step),
                body: Body::Made(Arc::new([made])),
                become_root: Some(what.acted.as_root && !entry.by_user),
                expired: None,
            });
        }
    }
    plan.graph = Graph::new(plan.tasks.len());
    plan.order = (0..plan.tasks.len()).collect();
    plan.plays.push(Play {
        name: format!("rollback of {}", what.run),
        file: format!("rollback of {}", what.run),
        vars: Scope::new(),
        batches: vec![(0..plan.hosts.len()).collect()],
        budget: Budget::default(),
        mode: Mode::default(),
        canary: false,
    });
    plan
}

/// The tasks of the work in their order, each with what it alone must put back: a thing that several tasks touched goes
/// back once, with the first of them, unless another run moved it in between.
fn restores<'a>(journal: &'a [JournalEntry], what: &Back) -> Vec<(&'a JournalEntry, Restore)> {
    let chosen = |entry: &&JournalEntry| {
        // One that lost its name may be any of them.
        let named = what.steps.is_empty() || what.steps.contains(&entry.step) || entry.step.is_empty();
        what.work.contains(&entry.run) && named
    };
    let mut all: Vec<(&JournalEntry, Restore)> = Vec::new();
    // Where it goes back, and the run that touched it last.
    let mut first: HashMap<Thing, (usize, usize, &str)> = HashMap::new();
    for (at, entry) in journal.iter().enumerate().filter(|(_, entry)| chosen(entry)) {
        if !entry.whole {
            let why = match entry.seq {
                0 => {
                    let was = if entry.remembered.is_empty() { String::new() } else { ". As remembered here, ".into() };
                    format!(
                        "run {} changed something by this step, and no entry of its journal tells what, so it cannot be \
                         put back{was}{}",
                        entry.run,
                        entry.remembered.join(", ")
                    )
                }
                seq => format!("it is cut: {}/{seq:04} does not say all that was touched", entry.run),
            };
            all.push((entry, Restore { unread: Some(why), ..Restore::default() }));
            continue;
        }
        if entry.altered && entry.touched.is_empty() && what.force != Force::All {
            all.push((entry, Restore { unread: Some(ALTERED.into()), ..Restore::default() }));
            continue;
        }
        let mut restore = Restore {
            pokes: entry.pokes.clone(),
            access: entry.access || entry.touched.iter().any(|touched| opens(&touched.thing)),
            force: what.force.clone(),
            ..Restore::default()
        };
        let lost = (entry.undo.0 == "none").then(|| entry.undo.1.clone());
        for (n, touched) in entry.touched.iter().enumerate() {
            let Some(was) = &touched.was else { continue };
            let copy = format!("{}/{:04}.{}", entry.run, entry.seq, n + 1);
            let of_packages =
                |all: &[String]| if touched.thing.family == Family::Packages { all.to_vec() } else { vec![] };
            let later = standing(journal, what, &touched.thing, (&entry.run, None));
            let beside = beside(&journal[at + 1..], what, &touched.thing);
            if let Some((task, at, run)) = first.get(&touched.thing).copied() {
                let between = standing(journal, what, &touched.thing, (run, Some(&entry.run)));
                let earlier =
                    if task == all.len() { restore.things.get_mut(at) } else { all[task].1.things.get_mut(at) };
                if let Some(earlier) = earlier {
                    if between.is_none() && (run == entry.run || goes_on(earlier, was)) {
                        earlier.left_as(touched.now.as_ref());
                        (earlier.later, earlier.beside) = (later, beside);
                        earlier.lost = earlier.lost.take().or(lost.clone());
                        earlier.also.push(copy);
                        earlier.altered |= entry.altered;
                        moves(&mut earlier.came, &mut earlier.went, &of_packages(&entry.came));
                        moves(&mut earlier.went, &mut earlier.came, &of_packages(&entry.went));
                        first.insert(touched.thing.clone(), (task, at, &entry.run));
                        // Who gets in by it is asked there, and what reads it is told there.
                        if let Some((_, with)) = all.get_mut(task) {
                            with.access |= restore.access;
                            let more = restore.pokes.iter().filter(|poke| !with.pokes.contains(poke));
                            let more: Vec<_> = more.cloned().collect();
                            with.pokes.extend(more);
                        }
                        continue;
                    }
                    earlier.later = between.or(earlier.later.take());
                }
            }
            first.insert(touched.thing.clone(), (all.len(), restore.things.len(), &entry.run));
            restore.things.push(Before {
                thing: touched.thing.clone(),
                was: was.clone(),
                left: touched.now.iter().cloned().collect(),
                settled: Vec::new(),
                copy,
                also: Vec::new(),
                later,
                beside,
                lost: lost.clone(),
                altered: entry.altered,
                came: of_packages(&entry.came),
                went: of_packages(&entry.went),
            });
        }
        all.push((entry, restore));
    }
    agree_on_modes(&mut all);
    settle(&mut all);
    let packages = |(_, restore): &(&JournalEntry, Restore)| {
        restore.things.iter().any(|before| before.thing.family == Family::Packages)
    };
    if let Some(at) = all.iter().position(packages) {
        all[at + 1..].iter_mut().for_each(|(_, restore)| restore.before_packages = true);
    }
    all.retain(|(_, restore)| !restore.things.is_empty() || restore.unread.is_some());
    all
}

/// What another journal of the same work says of a thing later is no change of somebody else's.
fn knows_of(tasks: &mut [(&JournalEntry, Restore)], other: &[JournalEntry], what: &Back) {
    for (entry, restore) in tasks {
        let after = |later: &&JournalEntry| {
            !later.altered && what.work.contains(&later.run) && (&later.run, later.seq) > (&entry.run, entry.seq)
        };
        for touched in other.iter().filter(after).flat_map(|later| &later.touched) {
            for before in restore.things.iter_mut().filter(|before| before.thing == touched.thing) {
                before.left_as(touched.now.as_ref());
            }
        }
    }
}

/// Packages that moved later: what moved the other way before is where it was.
fn moves(there: &mut Vec<String>, back: &mut Vec<String>, packages: &[String]) {
    for package in packages {
        match back.iter().position(|other| other == package) {
            Some(at) => drop(back.remove(at)),
            None => there.push(package.clone()),
        }
    }
}

/// Steps of the same work that touched a thing later, where not all of them are taken back.
fn beside(after: &[JournalEntry], what: &Back, thing: &Thing) -> Vec<String> {
    let left = |entry: &&JournalEntry| {
        what.work.contains(&entry.run)
            && !what.steps.is_empty()
            && !what.steps.contains(&entry.step)
            && entry.touched.iter().any(|touched| touched.thing == *thing)
    };
    let mut steps: Vec<String> = Vec::new();
    for entry in after.iter().filter(left) {
        if !steps.contains(&entry.step) {
            steps.push(entry.step.clone());
        }
    }
    steps
}

/// Whether somebody may get in by it: a user who was made by a run may be the one who takes it back.
fn opens(thing: &Thing) -> bool {
    matches!(thing.family, Family::Path | Family::Meta) && is_way_in(&thing.name)
}

/// Whether a later part of the work found a thing as the earlier one had left it, or as nobody knows; what somebody changed in
/// between is theirs. Modes are looked at apart.
fn goes_on(earlier: &Before, was: &str) -> bool {
    let same = |left: &String| match (with_mode(left, ""), with_mode(was, "")) {
        (Some(left), Some(was)) => left == was,
        _ => left == was,
    };
    earlier.left.is_empty()
        || earlier.thing.family == Family::Meta
        || earlier.left.iter().chain([&earlier.was]).any(same)
}

/// A path whose content and whose mode were set by different tasks is in a state that neither of them left alone.
fn agree_on_modes(all: &mut [(&JournalEntry, Restore)]) {
    let mut modes: HashMap<String, Vec<String>> = HashMap::new();
    let things = || all.iter().flat_map(|(_, restore)| &restore.things);
    for before in things() {
        for state in before.left.iter().chain([&before.was]) {
            if let Some(mode) = mode_of(before.thing.family, state) {
                modes.entry(before.thing.name.clone()).or_default().push(mode);
            }
        }
    }
    for before in all.iter_mut().flat_map(|(_, restore)| &mut restore.things) {
        if before.left.is_empty() {
            continue;
        }
        for mode in modes.get(&before.thing.name).into_iter().flatten() {
            match before.thing.family {
                Family::Meta => before.left.push(mode.clone()),
                Family::Path => {
                    let with: Vec<String> = before.left.iter().filter_map(|left| with_mode(left, mode)).collect();
                    before.left.extend(with);
                }
                _ => {}
            }
        }
        before.left.dedup();
    }
}

/// A path whose mode an earlier task set is back with its content and the mode that this task found: so a rollback that is said
/// again after one that failed leaves it.
fn settle(all: &mut [(&JournalEntry, Restore)]) {
    let mut modes: HashMap<String, String> = HashMap::new();
    for before in all.iter_mut().flat_map(|(_, restore)| &mut restore.things) {
        match before.thing.family {
            Family::Meta => {
                modes.entry(before.thing.name.clone()).or_insert_with(|| before.was.clone());
            }
            Family::Path => {
                before.settled =
                    modes.get(&before.thing.name).and_then(|mode| with_mode(&before.was, mode)).into_iter().collect();
            }
            _ => {}
        }
    }
}

/// `MODE:USER:GROUP` of a state.
fn mode_of(family: Family, state: &str) -> Option<String> {
    match (family, state.split(':').collect::<Vec<_>>().as_slice()) {
        (Family::Meta, [mode, user, group])
        | (Family::Path, ["file", mode, user, group, _] | ["dir", mode, user, group]) => {
            Some(format!("{mode}:{user}:{group}"))
        }
        _ => None,
    }
}

/// The state of a path with another mode and owner.
fn with_mode(state: &str, mode: &str) -> Option<String> {
    match state.split(':').collect::<Vec<_>>().as_slice() {
        ["file", _, _, _, digest] => Some(format!("file:{mode}:{digest}")),
        ["dir", ..] => Some(format!("dir:{mode}")),
        _ => None,
    }
}

/// The last run between two that moved the same thing, is no part of the work, and was neither taken back since nor went
/// back by itself.
fn standing(
    journal: &[JournalEntry],
    what: &Back,
    thing: &Thing,
    (after, before): (&str, Option<&str>),
) -> Option<Later> {
    let mut runs: BTreeMap<&str, Vec<(&JournalEntry, &Touched)>> = BTreeMap::new();
    let others = |entry: &&JournalEntry| {
        entry.run.as_str() > after
            && before.is_none_or(|before| entry.run.as_str() < before)
            && !what.work.contains(&entry.run)
            && entry.end.as_deref() != Some("reverted")
    };
    for entry in journal.iter().filter(others) {
        let same = entry.touched.iter().filter(|touched| touched.thing.name == thing.name);
        runs.entry(&entry.run).or_default().extend(same.map(|touched| (entry, touched)));
    }
    let mut standing: Vec<Later> = Vec::new();
    for (run, mut touches) in runs {
        touches.sort_by_key(|(entry, _)| entry.seq);
        if touches.iter().any(|(entry, _)| entry.kind == "restore") {
            standing.pop();
        } else if let Some(open) = moved(&touches) {
            standing.push(Later { run: run.to_owned(), open });
        }
    }
    // One that was broken off hides none that moved it.
    let last = standing.iter().rposition(|later| !later.open).or(standing.len().checked_sub(1))?;
    Some(standing.swap_remove(last))
}

/// Whether the touches of one run may have left anything otherwise than it was, and nobody knows (`true`) because it was broken
/// off: what was only looked after needs no way back, and gets none.
fn moved(touches: &[(&JournalEntry, &Touched)]) -> Option<bool> {
    let mut ends: HashMap<&Thing, (&Option<String>, &Option<String>)> = HashMap::new();
    for (_, touched) in touches {
        ends.entry(&touched.thing).or_insert((&touched.was, &touched.now)).1 = &touched.now;
    }
    let known = ends.values().any(|(was, now)| now.is_some() && was != now);
    let open = ends.values().any(|(_, now)| now.is_none());
    (known || open).then_some(!known)
}

#[cfg(test)]
mod tests;
