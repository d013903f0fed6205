//! From drafts to steps: ids are unique, references exist, names are known as far as a playbook can know them.

use super::load::Play;
use super::make::ITEM;
use super::raw_step::{Around, Draft, Names};
use super::title::{slug, title};
use super::vars::Vars;
use super::{Playbook, Reference, Step};
use crate::fault::{Fault, Place};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Gives meaning to what was read, and tells every mistake, those of reading included.
pub(super) fn resolve(plays: Vec<Play>, mut faults: Vec<Fault>) -> (Vec<Playbook>, Vec<Fault>) {
    let known = ids(&plays, &mut faults);
    // How often an id was given; those that are written are taken already.
    let mut taken: HashMap<String, usize> = known.keys().map(|id| ((*id).to_owned(), 1)).collect();
    let known: HashMap<String, (usize, Place)> = known.into_iter().map(|(id, at)| (id.to_owned(), at)).collect();
    let mut playbooks = Vec::new();
    for (n, play) in plays.into_iter().enumerate() {
        let Play { raw, file, steps: drafts, lost, whole, digest } = play;
        lost.iter().for_each(|names| references(names, n, &known, &mut faults));
        let mut told: HashSet<Spot> = HashSet::new();
        let circle = raw.vars.circle();
        told.extend(circle.iter().filter_map(Fault::place).map(spot));
        faults.extend(circle);
        let mut steps = Vec::with_capacity(drafts.len());
        for (draft, around) in drafts {
            references(&draft.names, n, &known, &mut faults);
            let around = Around { defaults: around.defaults.with(&raw.defaults), ..around };
            let own = !around.vars.is_empty() || !around.defaults.is_empty();
            let step = step(*draft, around, &raw.vars, &mut taken, &mut faults);
            let circle = own.then(|| step.within.circle()).flatten();
            faults.extend(circle.filter(|fault| fault.place().is_none_or(|place| told.insert(spot(place)))));
            steps.push(Arc::new(step));
        }
        if !whole {
            steps.clear();
        }
        let stem = || file.file_stem().map_or_else(|| file.display().to_string(), |stem| stem.to_string_lossy().into());
        playbooks.push(Playbook {
            name: raw.name.unwrap_or_else(stem),
            hosts: raw.hosts,
            hosts_place: raw.hosts_place,
            become_root: raw.become_root,
            serial: raw.serial,
            budget: raw.budget,
            mode: raw.mode,
            vars: raw.vars.raw(),
            file,
            steps,
            digest,
        });
    }
    // The same file may be included twice: its mistakes are the same mistakes.
    let mut seen = HashSet::new();
    faults.retain(|fault| seen.insert(format!("{fault:?}")));
    in_order(&mut faults);
    (playbooks, faults)
}

/// File by file as they were met, each from its top.
fn in_order(faults: &mut [Fault]) {
    let mut files: Vec<String> = Vec::new();
    for place in faults.iter().filter_map(Fault::place) {
        if !files.contains(&place.source.name) {
            files.push(place.source.name.clone());
        }
    }
    faults.sort_by_key(|fault| {
        fault.place().map(|place| (files.iter().position(|name| *name == place.source.name), place.start))
    });
}

type Spot = (String, usize);

fn spot(place: &Place) -> Spot {
    (place.source.name.clone(), place.start)
}

/// The written ids with their playbook and place; ids that stand twice are told.
fn ids<'p>(plays: &'p [Play], faults: &mut Vec<Fault>) -> HashMap<&'p str, (usize, Place)> {
    let mut known: HashMap<&str, (usize, Place)> = HashMap::new();
    for (n, play) in plays.iter().enumerate() {
        let names = play.steps.iter().map(|(draft, _)| &draft.names).chain(&play.lost);
        for id in names.filter_map(|names| names.id.as_ref()) {
            match known.get(id.text.as_str()) {
                Some((_, first)) if *first == id.place => {
                    let fault = Fault::new(format!("the step `{}` comes twice: its file is included twice", id.text));
                    faults.push(fault.at(&id.place).hint("leave out the `id:`, or loop inside of the file"));
                }
                Some((_, first)) => {
                    let fault = Fault::new(format!("the id `{}` stands twice", id.text)).at(&id.place);
                    faults.push(fault.also(first, "first used here"));
                }
                None => {
                    known.insert(&id.text, (n, id.place.clone()));
                }
            }
        }
    }
    known
}

fn references(names: &Names, play: usize, known: &HashMap<String, (usize, Place)>, faults: &mut Vec<Fault>) {
    let own = names.id.as_ref().map(|id| id.text.as_str());
    let mut look = |reference: &Reference, word: &str, anywhere: bool| {
        let name = &reference.step;
        let fault = match known.get(name) {
            Some(_) if own == Some(name) => Fault::new(format!("`{name}` cannot be in its own `{word}`")),
            Some((of, _)) if *of == play || anywhere => return,
            Some((_, place)) => Fault::new(format!("`{name}` is a step of another playbook"))
                .also(place, "it is here")
                .hint("playbooks run in the order given: no `needs` is needed between them"),
            None => {
                let fault = Fault::new(format!("`{word}` names `{name}`, which is no step's id"));
                let here = known.iter().filter(|(id, (of, _))| (*of == play || anywhere) && own != Some(id.as_str()));
                let near = crate::fault::nearest(name, here.map(|(id, _)| id.as_str()));
                match near.and_then(|near| known.get(near).map(|(_, place)| (near, place))) {
                    Some((near, place)) => fault.also(place, "the nearest").hint(format!("did you mean `{near}`?")),
                    None => fault.hint(format!("give the step that is meant `id: {}`", slug(name))),
                }
            }
        };
        faults.push(fault.at(&reference.place));
    };
    for need in &names.needs {
        look(&need.step, "needs", need.hosts.is_some());
    }
    for follow in &names.on_change {
        look(follow, "on_change", false);
    }
}

fn step(
    draft: Draft,
    around: Around,
    play: &Vars,
    taken: &mut HashMap<String, usize>,
    faults: &mut Vec<Fault>,
) -> Step {
    let within = around.defaults.with(play).with(&around.vars);
    let mut names: Vec<(String, Place)> =
        around.when.iter().flat_map(|condition| condition.places().to_vec()).collect();
    names.extend(draft.looped.iter().flat_map(super::make::Each::names));
    names.extend(draft.filled.names());
    names.extend(draft.headline.iter().flat_map(crate::expr::Template::looks_at));
    if draft.each.is_none() && within.get(ITEM).is_none() {
        for (_, place) in names.iter().filter(|(name, _)| name == ITEM) {
            let fault = Fault::new("`item` is known only in a step with a `loop`").at(place);
            faults.push(fault.hint("write `loop: [a, b]` beside the kind"));
        }
    }
    let mut uses = within.closure(names.into_iter().map(|(name, _)| name));
    uses.retain(|name| draft.each.is_none() || name != ITEM);
    let title = draft.title.map_or_else(|| title(draft.kind, &draft.body), |title| title.text);
    Step {
        id: draft.names.id.map_or_else(|| fresh(&slug(&title), taken), |id| id.text),
        title,
        place: draft.place,
        hosts: draft.hosts,
        when: around.when,
        tags: around.tags,
        needs: draft.names.needs,
        on_change: draft.names.on_change,
        each: draft.each,
        control: draft.control,
        health: draft.health,
        become_root: around.become_root,
        defaults: around.defaults.raw(),
        choices: around.choices,
        vars: around.vars.raw(),
        kind: draft.kind,
        body: draft.body,
        ready: draft.ready,
        uses,
        headline: draft.headline,
        looped: draft.looped,
        filled: draft.filled,
        within,
    }
}

/// An id that no other step has.
fn fresh(wish: &str, taken: &mut HashMap<String, usize>) -> String {
    let mut n = taken.get(wish).copied().unwrap_or(0);
    loop {
        n += 1;
        let id = if n == 1 { wish.to_owned() } else { format!("{wish}-{n}") };
        if n == 1 || !taken.contains_key(&id) {
            taken.insert(wish.to_owned(), n);
            taken.entry(id.clone()).or_insert(1);
            return id;
        }
    }
}
