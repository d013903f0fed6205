//! Inventories that a program prints: `--list`, and `--host NAME` where it gives no `_meta`.

use super::build::Builder;
use crate::expr::Scope;
use crate::fault::{Fault, Place, Source};
use crate::host::run_inventory_script;
use serde_json::Value;
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::thread;

/// So many `--host` calls run side by side.
const AT_ONCE: usize = 8;

/// Runs a program and reads its answer into what is being built. Gives all that it printed.
pub(super) fn read(path: &Path, builder: &mut Builder) -> Vec<Arc<Source>> {
    let source = match ask(path, &["--list"]) {
        Ok(source) => source,
        Err(fault) => {
            builder.faults.push(fault);
            return vec![];
        }
    };
    let before = builder.faults.len();
    let place = Place { source: source.clone(), start: 0, end: 0 };
    let answer = match object(&source) {
        Ok(answer) => answer,
        Err(fault) => {
            builder.faults.push(fault);
            return vec![source];
        }
    };
    let hosts = take_groups(&answer, &place, builder);
    let mut read = vec![source];
    let vars = match meta(&answer, &place, builder) {
        Some(vars) => vars,
        None if builder.faults.len() > before => HashMap::new(),
        None => {
            let mut vars = HashMap::new();
            for (name, answer) in one_by_one(path, &hosts) {
                match answer {
                    Ok((source, scope)) => {
                        vars.insert(name, scope);
                        read.push(source);
                    }
                    Err(fault) => builder.faults.push(fault),
                }
            }
            vars
        }
    };
    give(&hosts, vars, &place, builder);
    read
}

/// Takes an answer to `--list` that has all variables in it, whoever made it; `place` is what it comes from.
pub(super) fn take(answer: &Scope, place: &Place, builder: &mut Builder) {
    let hosts = take_groups(answer, place, builder);
    let vars = meta(answer, place, builder).unwrap_or_default();
    give(&hosts, vars, place, builder);
}

/// Gives the hosts in the order in which they were named.
fn take_groups(answer: &Scope, place: &Place, builder: &mut Builder) -> Vec<String> {
    let mut list = List { place: place.clone(), hosts: vec![], builder };
    for (name, group) in answer.iter().filter(|(name, _)| *name != "_meta") {
        list.group(name, group);
    }
    list.hosts
}

/// The variables of all hosts, where the answer has them.
fn meta(answer: &Scope, place: &Place, builder: &mut Builder) -> Option<HashMap<String, Scope>> {
    let mut vars = HashMap::new();
    match answer.get("_meta")?.get("hostvars") {
        Some(Value::Object(all)) => {
            for (name, scope) in all {
                match scope {
                    Value::Object(scope) => drop(vars.insert(name.clone(), scope.clone())),
                    _ => builder.faults.push(wrong(place, &format!("`_meta.hostvars.{name}`"), "an object", scope)),
                }
            }
        }
        other => {
            builder.faults.push(wrong(place, "`_meta.hostvars`", "an object", other.unwrap_or(&Value::Null)));
        }
    }
    Some(vars)
}

fn give(hosts: &[String], mut vars: HashMap<String, Scope>, place: &Place, builder: &mut Builder) {
    for host in hosts {
        for (key, value) in vars.remove(host).unwrap_or_default() {
            builder.set(host, &key, value, place);
        }
    }
}

fn ask(path: &Path, args: &[&str]) -> Result<Arc<Source>, Fault> {
    let out = run_inventory_script(path, args)?;
    let name = format!("<{} {}>", path.display(), args.join(" "));
    match String::from_utf8(out) {
        Ok(text) => Ok(Source::new(name, text)),
        Err(_) => Err(Fault::new(format!("{name} printed something that is not UTF-8"))),
    }
}

fn object(source: &Arc<Source>) -> Result<Scope, Fault> {
    serde_json::from_str(&source.text).map_err(|error| {
        let before =
            source.text.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum::<usize>();
        let mut at = (before + error.column().saturating_sub(1)).min(source.text.len());
        while !source.text.is_char_boundary(at) {
            at -= 1;
        }
        Fault::new("an inventory program prints one JSON object, but this is none").why(error.to_string()).at(&Place {
            source: source.clone(),
            start: at,
            end: at,
        })
    })
}

/// What a program says of one host: its name, and all it printed with the variables in it.
type Answer = (String, Result<(Arc<Source>, Scope), Fault>);

/// The variables of each host, asked for one at a time.
fn one_by_one(path: &Path, hosts: &[String]) -> Vec<Answer> {
    let one = |host: &String| {
        let answer = ask(path, &["--host", host]).and_then(|source| {
            let scope = if source.text.trim().is_empty() { Scope::new() } else { object(&source)? };
            Ok((source, scope))
        });
        (host.clone(), answer)
    };
    let share = hosts.len().div_ceil(AT_ONCE).max(1);
    thread::scope(|scope| {
        let running: Vec<_> =
            hosts.chunks(share).map(|some| scope.spawn(|| some.iter().map(one).collect::<Vec<_>>())).collect();
        running.into_iter().flat_map(|thread| thread.join().unwrap_or_default()).collect()
    })
}

struct List<'b> {
    place: Place,
    /// In the order in which they were named.
    hosts: Vec<String>,
    builder: &'b mut Builder,
}

impl List<'_> {
    fn group(&mut self, name: &str, group: &Value) {
        let number = self.builder.add_group(name, Some(&self.place));
        let empty = Value::Array(vec![]);
        let entries = match group {
            Value::Object(entries) => entries,
            // A bare list is the list of hosts.
            Value::Array(_) => return self.hosts(name, number, group),
            _ => {
                return self.builder.faults.push(wrong(
                    &self.place,
                    &format!("the group `{name}`"),
                    "an object",
                    group,
                ));
            }
        };
        for key in entries.keys().filter(|key| !["hosts", "vars", "children"].contains(&key.as_str())) {
            let fault = Fault::new(format!("the group `{name}` has no `{key}`")).at(&self.place);
            self.builder.faults.push(fault.nearest(key, ["hosts", "vars", "children"]));
        }
        self.hosts(name, number, entries.get("hosts").unwrap_or(&empty));
        match entries.get("vars") {
            None => {}
            Some(Value::Object(vars)) => {
                for (key, value) in vars {
                    self.builder.set(name, key, value.clone(), &self.place);
                }
            }
            Some(other) => self.builder.faults.push(wrong(&self.place, &format!("`{name}.vars`"), "an object", other)),
        }
        let children = entries.get("children").unwrap_or(&empty);
        let what = format!("`{name}.children`");
        for child in self.names(&what, children) {
            let child = self.builder.add_group(&child, Some(&self.place));
            self.builder.add_child(number, child, &self.place);
        }
    }

    fn hosts(&mut self, name: &str, number: usize, hosts: &Value) {
        for host in self.names(&format!("`{name}.hosts`"), hosts) {
            self.builder.add_host(&host, number, None, &self.place);
            self.hosts.push(host);
        }
    }

    /// The texts of a list.
    fn names(&mut self, what: &str, list: &Value) -> Vec<String> {
        let texts = list.as_array().and_then(|list| {
            list.iter().map(|item| item.as_str().filter(|text| !text.is_empty()).map(str::to_owned)).collect()
        });
        texts.unwrap_or_else(|| {
            self.builder.faults.push(wrong(&self.place, what, "a list of names", list));
            vec![]
        })
    }
}

fn wrong(place: &Place, what: &str, wanted: &str, found: &Value) -> Fault {
    let found = match found {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list of something else",
        Value::Object(_) => "an object",
    };
    Fault::new(format!("{what} is {wanted}, but the program printed {found}")).at(place)
}
