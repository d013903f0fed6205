//! From the command line's words to a plan.

use super::Scope;
use crate::expr;
use crate::fault::{Fault, Faults, Result, Source, read_text};
use crate::inventory::{self, Inventory};
use crate::plan::{Options, Plan, compile};
use crate::playbook::{self, Playbook};
use crate::yaml;
use std::path::Path;

/// The inventory that is used when none is named.
pub const DEFAULT_INVENTORY: &str = "inventory/local.yml";

/// Reads everything that is named; mistakes of playbooks and inventory are told together.
pub fn all(scope: &Scope) -> Result<(Vec<Playbook>, Inventory), Faults> {
    match (playbook::load(&scope.playbooks), inventory(&scope.inventory)) {
        (Ok(playbooks), Ok(inventory)) => Ok((playbooks, inventory)),
        (playbooks, inventory) => {
            let mut faults = playbooks.err().map(Faults::into_vec).unwrap_or_default();
            faults.extend(inventory.err().map(Faults::into_vec).unwrap_or_default());
            Err(Faults::some(faults).unwrap_or_else(|| Fault::new("nothing could be read").into()))
        }
    }
}

/// Reads the inventories that are named, or the default one.
pub fn inventory(sources: &[String]) -> Result<Inventory, Faults> {
    if !sources.is_empty() {
        return inventory::load(sources);
    }
    if Path::new(DEFAULT_INVENTORY).exists() {
        return inventory::load(&[DEFAULT_INVENTORY.to_owned()]);
    }
    Err(Fault::new("no inventory is named")
        .hint(format!("give one with `-i`, set STEADFAST_INVENTORY, or make {DEFAULT_INVENTORY}"))
        .into())
}

/// The plan's graph for these words.
pub fn plan(scope: &Scope) -> Result<Plan, Faults> {
    let (playbooks, inventory) = all(scope)?;
    compile(&playbooks, &inventory, &options(scope)?)
}

/// The same without reading any secret, for what only looks at playbooks.
pub fn closed(scope: &Scope) -> Result<Plan, Faults> {
    let (playbooks, inventory) = all(scope)?;
    compile(&playbooks, &inventory, &Options { closed: true, ..options(scope)? })
}

fn options(scope: &Scope) -> Result<Options, Faults> {
    Ok(Options {
        limit: scope.limit.clone(),
        tags: scope.tags.clone(),
        skip_tags: scope.skip_tags.clone(),
        extra: extra(&scope.extra_vars)?,
        become_root: scope.become_root.then_some(true),
        closed: false,
    })
}

/// `-e`: `name=value …`, a map in JSON or YAML, or `@FILE`.
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
                all.insert(name.into(), value.into());
            }
        }
    }
    Ok(all)
}
