//! An inventory while it is read: hosts, groups and their bonds, kept by the rules that Ansible keeps.
//!
//! Order is part of the rules: hosts and children stand in the order in which they were first said, and what nobody
//! claims comes under `all` or `ungrouped` only when everything is read.

use crate::expr::Scope;
use crate::fault::{Fault, Place};
use serde_json::Value;
use std::collections::{BTreeSet, HashMap, HashSet};

/// Variables, with the places of those that say how to connect.
#[derive(Debug, Clone, Default)]
pub(super) struct Vars {
    pub scope: Scope,
    pub places: HashMap<String, Place>,
}

impl Vars {
    pub fn set(&mut self, key: &str, value: Value, place: &Place) {
        if key.starts_with("ansible_") || key == "ssh_known_hosts_file" {
            self.places.insert(key.to_owned(), place.clone());
        }
        self.scope.insert(key.to_owned(), value);
    }

    /// Lays other variables over these; a map replaces a map as a whole.
    pub fn lay(&mut self, over: &Self) {
        self.scope.extend(over.scope.iter().map(|(key, value)| (key.clone(), value.clone())));
        self.places.extend(over.places.iter().map(|(key, place)| (key.clone(), place.clone())));
    }
}

/// A group while it is read; hosts and groups by number.
#[derive(Debug)]
pub(super) struct Group {
    pub name: String,
    pub hosts: Vec<usize>,
    members: HashSet<usize>,
    pub children: Vec<usize>,
    pub parents: Vec<usize>,
    pub vars: Vars,
    pub priority: i64,
    pub place: Option<Place>,
}

/// A host while it is read.
#[derive(Debug)]
pub(super) struct Host {
    pub name: String,
    pub vars: Vars,
    /// The groups that name it, by number.
    pub groups: BTreeSet<usize>,
    pub place: Place,
}

pub(super) const ALL: usize = 0;
pub(super) const UNGROUPED: usize = 1;

/// Everything read so far, with every mistake found.
#[derive(Debug)]
pub(super) struct Builder {
    pub groups: Vec<Group>,
    pub hosts: Vec<Host>,
    pub faults: Vec<Fault>,
    group_numbers: HashMap<String, usize>,
    host_numbers: HashMap<String, usize>,
    /// Where a group was put under another.
    bonds: HashMap<(usize, usize), Place>,
}

impl Builder {
    pub fn new() -> Self {
        let mut new = Self {
            groups: vec![],
            hosts: vec![],
            faults: vec![],
            group_numbers: HashMap::new(),
            host_numbers: HashMap::new(),
            bonds: HashMap::new(),
        };
        new.add_group("all", None);
        new.add_group("ungrouped", None);
        new.bind(ALL, UNGROUPED);
        new
    }

    pub fn group(&self, name: &str) -> Option<usize> {
        self.group_numbers.get(name).copied()
    }

    pub fn host(&self, name: &str) -> Option<usize> {
        self.host_numbers.get(name).copied()
    }

    /// The group of this name, made if there is none.
    pub fn add_group(&mut self, name: &str, place: Option<&Place>) -> usize {
        let next = self.groups.len();
        let number = *self.group_numbers.entry(name.to_owned()).or_insert(next);
        if number == next {
            self.groups.push(Group {
                name: name.to_owned(),
                hosts: vec![],
                members: HashSet::new(),
                children: vec![],
                parents: vec![],
                vars: Vars::default(),
                priority: 1,
                place: place.cloned(),
            });
        } else if let Some(place) = place {
            self.groups[number].place.get_or_insert_with(|| place.clone());
        }
        number
    }

    /// Puts a host into a group. A port counts only where the host is named first, as in Ansible.
    pub fn add_host(&mut self, name: &str, group: usize, port: Option<u16>, place: &Place) {
        let next = self.hosts.len();
        let number = *self.host_numbers.entry(name.to_owned()).or_insert(next);
        if number == next {
            let mut vars = Vars::default();
            if let Some(port) = port {
                vars.set("ansible_port", port.into(), place);
            }
            self.hosts.push(Host { name: name.to_owned(), vars, groups: BTreeSet::new(), place: place.clone() });
        }
        self.join(number, group);
    }

    fn join(&mut self, host: usize, group: usize) {
        if self.groups[group].members.insert(host) {
            self.groups[group].hosts.push(host);
            self.hosts[host].groups.insert(group);
        }
    }

    /// Sets a variable of a group or a host. Where both have one name it is the group's, as in Ansible.
    pub fn set(&mut self, entity: &str, key: &str, value: Value, place: &Place) {
        if let Some(group) = self.group(entity) {
            if key == "ansible_group_priority" {
                match priority(&value) {
                    Some(priority) => self.groups[group].priority = priority,
                    None => self.faults.push(
                        Fault::new(format!("`ansible_group_priority` of `{entity}` is not a whole number")).at(place),
                    ),
                }
            } else {
                self.groups[group].vars.set(key, value, place);
            }
        } else if let Some(host) = self.host(entity) {
            self.hosts[host].vars.set(key, value, place);
        }
    }

    /// Puts a group under another, unless that would close a circle.
    pub fn add_child(&mut self, parent: usize, child: usize, place: &Place) {
        if let Some(path) = self.path(child, parent) {
            let names: Vec<String> =
                path.iter().chain([&child]).map(|n| format!("`{}`", self.groups[*n].name)).collect();
            let mut fault = Fault::new(format!("the groups form a circle: {}", names.join(" > "))).at(place);
            for pair in path.windows(2) {
                if let Some(place) = self.bonds.get(&(pair[0], pair[1])) {
                    let (upper, lower) = (&self.groups[pair[0]].name, &self.groups[pair[1]].name);
                    fault = fault.also(place, format!("`{lower}` is put under `{upper}` here"));
                }
            }
            self.faults.push(fault.hint("a group cannot be among its own children; leave one of these out"));
            return;
        }
        self.bonds.entry((parent, child)).or_insert_with(|| place.clone());
        self.bind(parent, child);
    }

    fn bind(&mut self, parent: usize, child: usize) {
        if !self.groups[parent].children.contains(&child) {
            self.groups[parent].children.push(child);
            self.groups[child].parents.push(parent);
        }
    }

    /// The way down from one group to another, both included.
    fn path(&self, from: usize, to: usize) -> Option<Vec<usize>> {
        let mut came: HashMap<usize, usize> = HashMap::new();
        let mut open = vec![from];
        while let Some(at) = open.pop() {
            if at == to {
                let mut path = vec![at];
                while let Some(before) = path.last().filter(|n| **n != from).and_then(|n| came.get(n)) {
                    path.push(*before);
                }
                path.reverse();
                return Some(path);
            }
            for child in &self.groups[at].children {
                if *child != from && !came.contains_key(child) {
                    came.insert(*child, at);
                    open.push(*child);
                }
            }
        }
        None
    }

    /// Puts what has no group yet under `all` and `ungrouped`; to be called when everything is read.
    pub fn settle(&mut self) {
        for group in 1..self.groups.len() {
            if self.groups[group].parents.is_empty() {
                match (self.path(group, ALL), self.groups[group].place.clone()) {
                    (None, _) => self.bind(ALL, group),
                    (Some(_), Some(place)) => self.add_child(ALL, group, &place),
                    (Some(_), None) => {}
                }
            }
        }
        for host in 0..self.hosts.len() {
            let others = self.hosts[host].groups.iter().any(|group| *group > UNGROUPED);
            if others && self.hosts[host].groups.remove(&UNGROUPED) {
                self.groups[UNGROUPED].members.remove(&host);
                self.groups[UNGROUPED].hosts.retain(|other| *other != host);
            } else if !others {
                self.join(host, UNGROUPED);
            }
        }
    }

    /// The longest way from `all` to each group.
    pub fn depths(&self) -> Vec<usize> {
        let mut open: Vec<usize> = self.groups.iter().map(|group| group.parents.len()).collect();
        let mut depths = vec![0; self.groups.len()];
        let mut ready: Vec<usize> = (0..open.len()).filter(|group| open[*group] == 0).collect();
        while let Some(group) = ready.pop() {
            for child in &self.groups[group].children {
                depths[*child] = depths[*child].max(depths[group] + 1);
                open[*child] -= 1;
                if open[*child] == 0 {
                    ready.push(*child);
                }
            }
        }
        depths
    }

    /// A group and all above it.
    pub fn upwards(&self, group: usize) -> BTreeSet<usize> {
        let mut seen = BTreeSet::from([group]);
        let mut open = vec![group];
        while let Some(at) = open.pop() {
            open.extend(self.groups[at].parents.iter().filter(|parent| seen.insert(**parent)));
        }
        seen
    }
}

/// What Python's `int()` makes of a value.
fn priority(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64().or_else(|| number.as_f64().map(|float| float as i64)),
        Value::String(text) => text.trim().parse().ok(),
        Value::Bool(yes) => Some(i64::from(*yes)),
        _ => None,
    }
}
