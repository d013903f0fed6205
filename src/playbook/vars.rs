//! Variables as written in playbooks: plain values, and templates that are filled in when a step needs them.

use super::pattern::Pattern;
use super::reveal::reveal;
use crate::expr::{Scope, Template};
use crate::fault::{Fault, Faults, Place};
use crate::secret::refers;
use crate::yaml::{Node, Value, to_json};
use serde_json::Value as Json;
use std::collections::HashSet;
use std::sync::Arc;

/// The variables that are written around a step, outermost first; a later one of the same name counts.
#[derive(Debug, Clone, Default)]
pub(super) struct Vars(Vec<Arc<Var>>);

#[derive(Debug)]
pub(super) struct Var {
    pub name: String,
    pub place: Place,
    /// As written, templates unfilled.
    pub raw: Json,
    /// `None` where there is nothing to fill in.
    pattern: Option<Pattern>,
}

impl Vars {
    /// Reads a map of variables.
    pub fn read(node: Option<&Node>, faults: &mut Vec<Fault>) -> Self {
        let Some(node) = node else { return Self::default() };
        let entries = match &node.value {
            Value::Map(entries) => entries.as_slice(),
            Value::Null => &[],
            _ => {
                faults.push(Fault::new(format!("variables need a map, found {}", node.what())).at(&node.place));
                &[]
            }
        };
        let read = entries.iter().map(|(key, value)| {
            let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
            if key.text.is_empty() || !key.text.chars().all(word) || key.text.starts_with(|c: char| c.is_ascii_digit())
            {
                let fault = Fault::new(format!("`{}` cannot be a variable's name", key.text)).at(&key.place);
                faults.push(fault.hint("letters, digits and `_`, no digit first"));
            }
            let pattern = Pattern::parse(value, faults);
            let pattern = (!pattern.is_fixed()).then_some(pattern);
            Arc::new(Var { name: key.text.clone(), place: key.place.clone(), raw: to_json(value), pattern })
        });
        Self(read.collect())
    }

    /// These with others inside of them, which win.
    pub fn with(&self, inner: &Self) -> Self {
        Self(self.0.iter().chain(&inner.0).cloned().collect())
    }

    /// As written: what a plan puts over a host's own variables.
    pub fn raw(&self) -> Scope {
        self.0.iter().map(|var| (var.name.clone(), var.raw.clone())).collect()
    }

    /// The one that counts for a name.
    pub fn get(&self, name: &str) -> Option<&Arc<Var>> {
        self.0.iter().rev().find(|var| var.name == name)
    }

    /// All names that are used when these are, through templates of variables.
    pub fn closure(&self, names: impl IntoIterator<Item = String>) -> Vec<String> {
        let mut all: Vec<String> = Vec::new();
        let mut queue: Vec<String> = names.into_iter().collect();
        queue.reverse();
        while let Some(name) = queue.pop() {
            if !all.contains(&name) {
                let more = self.get(&name).and_then(|var| var.pattern.as_ref()).map(Pattern::names);
                queue.extend(more.unwrap_or_default().into_iter().map(|(name, _)| name));
                all.push(name);
            }
        }
        all
    }

    /// The names of all of them.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|var| var.name.as_str())
    }

    /// The names that a variable's own templates cannot do without, with their places.
    pub fn inside(&self, name: &str) -> Vec<(String, Place)> {
        self.get(name)
            .and_then(|var| var.pattern.as_ref())
            .map(|pattern| pattern.gather(Template::wanted))
            .unwrap_or_default()
    }

    /// The fault of variables whose templates need each other.
    pub fn circle(&self) -> Option<Fault> {
        let mut clear = HashSet::new();
        self.0.iter().find_map(|var| {
            let mut way = vec![var.name.clone()];
            let circle = self.leads_back(self.get(&var.name)?, &mut way, &mut clear)?;
            let names = circle.join("` → `");
            let first = self.get(circle.first()?)?;
            let fault = Fault::new(format!("variables need each other in a circle: `{names}`")).at(&first.place);
            let others = circle[1..circle.len() - 1].iter().filter_map(|name| self.get(name));
            Some(others.fold(fault, |fault, other| fault.also(&other.place, "goes on here")))
        })
    }

    /// The circle that a variable leads into. Those that are `clear` lead into none.
    fn leads_back(&self, var: &Var, way: &mut Vec<String>, clear: &mut HashSet<String>) -> Option<Vec<String>> {
        for (next, _) in var.pattern.as_ref().map(Pattern::names).unwrap_or_default() {
            if let Some(start) = way.iter().position(|name| *name == next) {
                let mut circle = way[start..].to_vec();
                circle.push(next);
                return Some(circle);
            }
            if let Some(var) = self.get(&next).filter(|_| !clear.contains(&next)) {
                way.push(next);
                if let Some(circle) = self.leads_back(var, way, clear) {
                    return Some(circle);
                }
                way.pop();
            }
        }
        clear.insert(var.name.clone());
        None
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Fills in the variables of these names and reads their secrets. A name whose value in the scope is not what is written here belongs to
    /// somebody with more say (or to a host) and is left as it is: only what a playbook wrote is ever a template.
    ///
    /// # Errors
    /// Every template that cannot be filled in.
    pub fn fill(&self, scope: &mut Scope, names: &[String], done: &mut HashSet<String>) -> Result<(), Faults> {
        for name in names {
            let var = self.get(name).filter(|var| scope.get(name) == Some(&var.raw));
            if let Some((var, pattern)) = var.and_then(|var| Some((var, var.pattern.as_ref()?)))
                && done.insert(var.name.clone())
            {
                let inner: Vec<String> = pattern.names().into_iter().map(|(name, _)| name).collect();
                self.fill(scope, &inner, done)?;
                let value = pattern.json(scope)?;
                scope.insert(name.clone(), value);
            }
            // Only now, that a step uses it.
            if let Some(value) = scope.get_mut(name).filter(|value| refers(value)) {
                reveal(value, name).map_err(|fault| match var {
                    Some(var) => fault.at(&var.place),
                    None => fault,
                })?;
            }
        }
        Ok(())
    }
}
