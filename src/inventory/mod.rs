//! Inventories: which hosts there are, in which groups, with which variables; and patterns that choose among them.
//!
//! Own YAML and everything Ansible reads: YAML, INI, a directory with `group_vars` and `host_vars`, an executable, and
//! `host1,host2,` on the command line. What a cloud says is taken as a program's `--list` is.

use crate::expr::Scope;
use crate::fault::{Fault, Faults, Place};
use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

mod build;
mod connection;
mod ini;
mod literal;
mod merge;
mod range;
mod script;
mod select;
mod show;
mod source;
mod tencent;
mod tree;
mod vars;
mod words;

pub use show::schema;
pub use tencent::{asks_a_cloud, permits};

/// The file of waivers that may lie beside inventories.
pub const WAIVERS: &str = "waivers.yml";

/// All hosts and groups of a run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Inventory {
    /// By name, in the order in which Ansible would list them.
    pub hosts: Vec<Host>,
    /// By name; `all` and `ungrouped` are always there.
    pub groups: BTreeMap<String, Group>,
    /// SHA-256 over everything that was read, hex.
    pub digest: String,
    /// The groups' names in the order in which they were first said, which patterns follow.
    order: Vec<String>,
    /// Where in `hosts` each name stands.
    at: HashMap<String, usize>,
}

/// A host with its variables, groups' variables merged in.
#[derive(Debug, Clone, PartialEq)]
pub struct Host {
    pub name: String,
    pub vars: Scope,
    /// All groups it is in, directly or not, `all` included, sorted.
    pub groups: Vec<String>,
    /// How to reach it.
    pub connection: Connection,
}

/// A group as written.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Group {
    pub hosts: Vec<String>,
    pub children: Vec<String>,
    pub vars: Scope,
    pub place: Option<Place>,
}

/// How to reach a host; what is `None` is left to the user's ssh configuration.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Connection {
    pub local: bool,
    /// Name or address to connect to; empty where `trouble` says why it is not known.
    pub address: String,
    pub port: Option<u16>,
    pub user: Option<String>,
    pub private_key: Option<PathBuf>,
    /// A known_hosts file of its own.
    pub known_hosts: Option<PathBuf>,
    /// Options of `ansible_ssh_common_args` and `ansible_ssh_extra_args` (`-o Key=Value`, `-J`), split into words.
    pub ssh_args: Vec<String>,
    pub become_root: Option<bool>,
    /// Why this host cannot be reached as its variables say, though nothing in them is wrong: told when it is wanted.
    pub trouble: Vec<Fault>,
}

/// Reads inventories; later ones add to and override earlier ones.
///
/// # Errors
/// Every mistake in any of the files.
pub fn load(sources: &[String]) -> Result<Inventory, Faults> {
    let mut builder = build::Builder::new();
    let mut reader = source::Reader::new();
    let given = sources.iter().filter(|source| !source.is_empty());
    let directories: Vec<PathBuf> = given.filter_map(|source| reader.source(source, &mut builder)).collect();
    builder.settle();
    let beside = vars::read(&directories, &mut reader, &mut builder);
    let mut faults = std::mem::take(&mut builder.faults);
    let inventory = merge::merge(&builder, &beside, reader.digest(), &mut faults);
    match Faults::some(faults) {
        Some(faults) => Err(faults),
        None => Ok(inventory),
    }
}

impl Inventory {
    pub fn host(&self, name: &str) -> Option<&Host> {
        self.at.get(name).map(|at| &self.hosts[*at])
    }
}
