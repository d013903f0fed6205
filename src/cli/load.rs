//! From the command line's words to a plan.

use super::{Scope, say_error};
use crate::expr;
use crate::fault::{Fault, Faults, Place, Result, Source, read_text};
use crate::inventory::{self, Inventory};
use crate::plan::{Options, Plan, WAIVE, compile, wanted_steps};
use crate::playbook::{self, Playbook};
use crate::report::fault::warning;
use crate::yaml;
use std::collections::{BTreeSet, HashSet};
use std::path::{Path, PathBuf};

/// The inventory that is used when none is named: seen from here, or from the directory above a playbook's.
const DEFAULT_INVENTORY: &str = "inventory/local.yml";

/// The inventories for these playbooks: those that are named, or the default one where there is one.
pub fn sources(named: &[String], playbooks: &[PathBuf]) -> Vec<String> {
    if !named.is_empty() {
        return named.to_vec();
    }
    let above = |playbook: &PathBuf| {
        let directory = std::path::absolute(playbook).ok()?.parent()?.to_owned();
        Some(directory.parent()?.join(DEFAULT_INVENTORY))
    };
    let places = std::iter::once(PathBuf::from(DEFAULT_INVENTORY)).chain(playbooks.iter().filter_map(above));
    places.filter(|path| path.exists()).map(|path| path.display().to_string()).take(1).collect()
}

/// The files of waivers for these words: those that are named, or those that lie beside inventories and playbooks.
pub fn waivers(scope: &Scope) -> Vec<PathBuf> {
    if !scope.waivers.is_empty() {
        return scope.waivers.clone();
    }
    let beside = |path: &Path| {
        let directory = if path.is_dir() { Some(path) } else { path.parent() };
        Some(directory?.join(inventory::WAIVERS)).filter(|file| file.is_file())
    };
    let sources = sources(&scope.inventory, &scope.playbooks);
    let named = sources.iter().map(Path::new).filter(|path| path.exists());
    let mut seen = HashSet::new();
    let all = named.chain(scope.playbooks.iter().map(PathBuf::as_path)).filter_map(beside);
    all.filter(|file| seen.insert(std::fs::canonicalize(file).unwrap_or_else(|_| file.clone()))).collect()
}

/// Reads the inventories that are named, or the default one.
pub fn inventory(named: &[String], playbooks: &[PathBuf]) -> Result<Inventory, Faults> {
    let sources = sources(named, playbooks);
    if !sources.is_empty() {
        return inventory::load(&sources);
    }
    let beside = if playbooks.is_empty() { "" } else { ", here or in the directory above the playbook's" };
    Err(Fault::new("no inventory is named")
        .hint(format!("give one with `-i`, set STEADFAST_INVENTORY, or make {DEFAULT_INVENTORY}{beside}"))
        .into())
}

/// The plan's graph for these words; every mistake in them and in what they name is told together.
pub fn plan(scope: &Scope) -> Result<Plan, Faults> {
    made(scope, false)
}

/// The same without reading any secret, for what only looks at playbooks.
pub fn closed(scope: &Scope) -> Result<Plan, Faults> {
    made(scope, true)
}

fn made(scope: &Scope, closed: bool) -> Result<Plan, Faults> {
    let (playbooks, mut faults) = playbook::read(&scope.playbooks);
    let inventory = told(inventory(&scope.inventory, &scope.playbooks), &mut faults);
    let options = told(options(scope), &mut faults).map(|options| Options { closed, ..options });
    if let (Some(inventory), Some(options)) = (inventory, options) {
        let whole = faults.is_empty();
        faults.extend(names(&playbooks, &inventory, &options));
        if whole {
            faults.extend(strange_extras(&scope.extra_vars, &playbooks, &inventory, &options));
        }
        match if whole { compile(&playbooks, &inventory, &options).map(Some) } else { Ok(None) } {
            Ok(Some(plan)) if faults.is_empty() => {
                plan.notes.iter().for_each(|note| say_error(&warning(note)));
                return Ok(plan);
            }
            Ok(Some(_)) => {}
            Ok(None) => faults.extend(patterns(&playbooks, &inventory, &options)),
            Err(more) => {
                faults.extend(patterns(&playbooks, &inventory, &options));
                faults.extend(more.into_vec());
            }
        }
    }
    let mut seen = HashSet::new();
    faults.retain(|fault| seen.insert(format!("{:?} {}", fault.place(), fault.what())));
    Err(Faults::some(faults).unwrap_or_else(|| Fault::new("nothing could be read").into()))
}

fn told<T>(read: Result<T, Faults>, faults: &mut Vec<Fault>) -> Option<T> {
    read.map_err(|more| faults.extend(more.into_vec())).ok()
}

/// The names in the steps of this run that are unknown on every host.
fn names(playbooks: &[Playbook], inventory: &Inventory, options: &Options) -> Vec<Fault> {
    let known: BTreeSet<&str> = inventory.hosts.iter().flat_map(|host| host.vars.keys()).map(String::as_str).collect();
    let wanted = playbooks.iter().flat_map(|playbook| wanted_steps(playbook, options));
    wanted.flat_map(|step| playbook::strangers(&step, &known, &options.extra)).collect()
}

/// What `-e` sets by name and nobody has: a word that is mistyped would be passed over. A file of variables may be meant for
/// many playbooks.
fn strange_extras(words: &[String], playbooks: &[Playbook], inventory: &Inventory, options: &Options) -> Vec<Fault> {
    let steps = || playbooks.iter().flat_map(|playbook| &playbook.steps);
    let declared = || {
        let hosts = inventory.hosts.iter().flat_map(|host| host.vars.keys()).map(String::as_str);
        let plays = playbooks.iter().flat_map(|playbook| playbook.vars.keys()).map(String::as_str);
        hosts.chain(plays).chain(steps().flat_map(|step| playbook::familiar(step)))
    };
    let ours = |name: &str| name.starts_with("ansible_") || ["ssh_known_hosts_file", WAIVE].contains(&name);
    // Templates of an inventory may look at what nobody sets.
    let looked_at =
        |name: &str| inventory.hosts.iter().flat_map(|host| host.vars.values()).any(|value| mentions(value, name));
    let spoken =
        words.iter().filter(|word| !word.starts_with('@')).filter_map(|word| extra(std::slice::from_ref(word)).ok());
    let mut names: Vec<String> = spoken.flat_map(|vars| vars.into_iter().map(|(name, _)| name)).collect();
    names.retain(|name| options.extra.contains_key(name) && !ours(name));
    names.retain(|name| !declared().any(|known| known == name) && !looked_at(name));
    let fault = |name: &String| {
        Fault::new(format!("nothing here has a variable `{name}`, which --extra-vars sets"))
            .nearest(name, declared())
            .hint("variables for several playbooks may stand in a file: `-e @FILE`")
    };
    names.iter().map(fault).collect()
}

/// Whether a value of an inventory has a template with this word.
fn mentions(value: &serde_json::Value, name: &str) -> bool {
    match value {
        serde_json::Value::String(text) => (text.contains("{{") || text.contains("{%")) && text.contains(name),
        serde_json::Value::Array(list) => list.iter().any(|value| mentions(value, name)),
        serde_json::Value::Object(map) => map.values().any(|value| mentions(value, name)),
        _ => false,
    }
}

/// The patterns that choose no host.
fn patterns(playbooks: &[Playbook], inventory: &Inventory, options: &Options) -> Vec<Fault> {
    let mut faults: Vec<Fault> = options.limit.iter().filter_map(|limit| inventory.select(limit).err()).collect();
    let mut look = |pattern: &str, place: &Place| {
        faults.extend(inventory.select(pattern).err().map(|fault| fault.at(place)));
    };
    for playbook in playbooks.iter().filter(|playbook| !playbook.hosts.is_empty()) {
        look(&playbook.hosts, &playbook.hosts_place);
        for step in &playbook.steps {
            step.hosts.iter().for_each(|pattern| look(pattern, &step.place));
            step.needs.iter().for_each(|need| need.hosts.iter().for_each(|hosts| look(hosts, &need.step.place)));
        }
    }
    faults
}

fn options(scope: &Scope) -> Result<Options, Faults> {
    let mut waivers = Vec::new();
    for file in self::waivers(scope) {
        waivers.extend(crate::plan::waivers(&file)?);
    }
    Ok(Options {
        waivers,
        today: None,
        limit: scope.limit.clone(),
        tags: scope.tags.clone(),
        skip_tags: scope.skip_tags.clone(),
        extra: extra(&scope.extra_vars)?,
        become_root: scope.become_root.then_some(true),
        closed: false,
    })
}

/// `-e`: `name=value …` (a text; `true` and `false` are truths), a map in JSON or YAML, or `@FILE`.
fn extra(words: &[String]) -> Result<expr::Scope, Faults> {
    let mut all = expr::Scope::new();
    for word in words {
        let (name, text) = match word.strip_prefix('@') {
            Some(path) => {
                let text = read_text(Path::new(path), 16 << 20)
                    .map_err(|why| Fault::new(format!("cannot read the variables in {path}")).why(why))?;
                (path.to_owned(), text)
            }
            None => ("<--extra-vars>".to_owned(), word.clone()),
        };
        let is_map = word.starts_with('@') || word.trim_start().starts_with('{') || !word.contains('=');
        if is_map {
            let source = Source::new(name, text);
            let node = yaml::parse(&source)?;
            match yaml::to_json(&node) {
                serde_json::Value::Object(vars) => all.extend(vars),
                _ => {
                    let fault = Fault::new("variables must be a map or `name=value`").at(&node.place);
                    return Err(fault.hint("for example -e 'port=8443' or -e @vars.yml").into());
                }
            }
        } else {
            for pair in word.split_whitespace() {
                let Some((name, value)) = pair.split_once('=').filter(|(name, _)| !name.is_empty()) else {
                    return Err(Fault::new(format!("`{pair}` in --extra-vars is no `name=value`"))
                        .hint("values with blanks go into a map: -e '{name: \"some words\"}'")
                        .into());
                };
                // Texts, as with Ansible; but what can be nothing else than a truth is one, or no condition could take it.
                let value = match value {
                    "true" => true.into(),
                    "false" => false.into(),
                    text => text.into(),
                };
                all.insert(name.into(), value);
            }
        }
    }
    Ok(all)
}
