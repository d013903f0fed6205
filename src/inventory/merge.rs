//! From what was read to what is meant: each host with its groups' variables, nearest last.

use super::build::{ALL, Builder, Vars};
use super::vars::Beside;
use super::{Group, Host, Inventory, connection};
use crate::fault::Fault;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::hash::Hash;

/// Makes the inventory. The order of layers is Ansible's: `all`, groups by depth, priority and name, then the same from
/// `group_vars` of each source, then the host's own, then its `host_vars`.
pub(super) fn merge(builder: &Builder, beside: &Beside, digest: String, faults: &mut Vec<Fault>) -> Inventory {
    let ranks = ranks(builder);
    let mut layers: HashMap<BTreeSet<usize>, Vars> = HashMap::new();
    let above: Vec<BTreeSet<usize>> = (0..builder.groups.len()).map(|group| builder.upwards(group)).collect();
    let mut hosts = Vec::with_capacity(builder.hosts.len());
    let all = under(ALL, |group| builder.groups[group].hosts.clone(), |group| builder.groups[group].children.clone());
    for number in all {
        let host = &builder.hosts[number];
        let groups: BTreeSet<usize> = host.groups.iter().flat_map(|group| &above[*group]).copied().collect();
        let mut names: Vec<String> = groups.iter().map(|group| builder.groups[*group].name.clone()).collect();
        names.sort();
        let mut vars = layers.entry(groups).or_insert_with_key(|groups| layer(builder, beside, &ranks, groups)).clone();
        vars.lay(&host.vars);
        for source in &beside.hosts {
            source.get(&number).into_iter().for_each(|over| vars.lay(over));
        }
        let connection = connection::connection(&host.name, &vars, &host.place, faults);
        hosts.push(Host { name: host.name.clone(), vars: vars.scope, groups: names, connection });
    }
    let name_of_host = |host: &usize| builder.hosts[*host].name.clone();
    let name_of_group = |group: &usize| builder.groups[*group].name.clone();
    let groups = builder.groups.iter().enumerate().map(|(number, group)| {
        let mut vars = group.vars.clone();
        for source in &beside.groups {
            source.get(&number).into_iter().for_each(|over| vars.lay(over));
        }
        let meant = Group {
            hosts: group.hosts.iter().map(name_of_host).collect(),
            children: group.children.iter().map(name_of_group).collect(),
            vars: vars.scope,
            place: group.place.clone(),
        };
        (group.name.clone(), meant)
    });
    let order = builder.groups.iter().map(|group| group.name.clone()).collect();
    let at = hosts.iter().enumerate().map(|(at, host): (usize, &Host)| (host.name.clone(), at)).collect();
    Inventory { groups: groups.collect(), hosts, digest, order, at }
}

/// All hosts under a group, each once: its own first, then level by level.
pub(super) fn under<G: Copy + Eq + Hash, H: Copy + Eq + Hash>(
    group: G,
    hosts: impl Fn(G) -> Vec<H>,
    children: impl Fn(G) -> Vec<G>,
) -> Vec<H> {
    let (mut seen, mut once) = (HashSet::from([group]), HashSet::new());
    let (mut level, mut found) = (vec![group], Vec::new());
    while !level.is_empty() {
        found.extend(level.iter().flat_map(|group| hosts(*group)).filter(|host| once.insert(*host)));
        level = level.iter().flat_map(|group| children(*group)).filter(|child| seen.insert(*child)).collect();
    }
    found
}

/// For each group its rank among all: by depth, priority and name.
fn ranks(builder: &Builder) -> Vec<usize> {
    let depths = builder.depths();
    let mut sorted: Vec<usize> = (0..builder.groups.len()).collect();
    sorted.sort_by_key(|group| (depths[*group], builder.groups[*group].priority, &builder.groups[*group].name));
    let mut ranks = vec![0; sorted.len()];
    sorted.iter().enumerate().for_each(|(rank, group)| ranks[*group] = rank);
    ranks
}

/// What a host has from its groups.
fn layer(builder: &Builder, beside: &Beside, ranks: &[usize], groups: &BTreeSet<usize>) -> Vars {
    let mut others: Vec<usize> = groups.iter().copied().filter(|group| *group != ALL).collect();
    others.sort_by_key(|group| ranks[*group]);
    let mut vars = builder.groups[ALL].vars.clone();
    others.iter().for_each(|group| vars.lay(&builder.groups[*group].vars));
    for source in &beside.groups {
        source.get(&ALL).into_iter().for_each(|over| vars.lay(over));
    }
    for source in &beside.groups {
        others.iter().filter_map(|group| source.get(group)).for_each(|over| vars.lay(over));
    }
    vars
}
