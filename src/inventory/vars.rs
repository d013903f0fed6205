//! `group_vars/` and `host_vars/`: which files belong to a name, and what they say.

use super::build::{Builder, Vars};
use super::source::Reader;
use super::tree::Tree;
use crate::fault::Fault;
use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Path, PathBuf};

/// The variables beside the sources: for each source those by the number of the group and of the host.
#[derive(Default)]
pub(super) struct Beside {
    pub groups: Vec<HashMap<usize, Vars>>,
    pub hosts: Vec<HashMap<usize, Vars>>,
}

/// Reads what lies in `directories` for the groups and hosts that there are.
pub(super) fn read(directories: &[PathBuf], reader: &mut Reader, builder: &mut Builder) -> Beside {
    let groups: Vec<String> = builder.groups.iter().map(|group| group.name.clone()).collect();
    let hosts: Vec<String> = builder.hosts.iter().map(|host| host.name.clone()).collect();
    let mut beside = Beside::default();
    for (at, directory) in directories.iter().enumerate() {
        // Said twice it counts where it is said last, and is read once.
        if directories[at + 1..].contains(directory) {
            continue;
        }
        beside.groups.push(of_kind(&directory.join("group_vars"), &groups, reader, &mut builder.faults));
        beside.hosts.push(of_kind(&directory.join("host_vars"), &hosts, reader, &mut builder.faults));
    }
    beside
}

fn of_kind(path: &Path, names: &[String], reader: &mut Reader, faults: &mut Vec<Fault>) -> HashMap<usize, Vars> {
    let mut found = HashMap::new();
    if !path.exists() {
        return found;
    }
    let entries = match listing(path) {
        Ok(entries) => entries,
        Err(fault) => {
            faults.push(fault);
            return found;
        }
    };
    for (number, name) in names.iter().enumerate() {
        // The first that is there counts, with a directory or a bare name before all others.
        let ends = ["", ".yml", ".yaml", ".json"];
        let Some((path, is_dir)) = ends.iter().find_map(|end| entries.get(&format!("{name}{end}"))) else { continue };
        let mut files = Vec::new();
        if *is_dir {
            inside(path, &mut files, faults);
        } else {
            files.push(path.clone());
        }
        let mut vars = Vars::default();
        for file in files {
            match reader.text(&file).map_err(Into::into).and_then(|source| Tree::read(&source)) {
                Ok(tree) => match tree.vars() {
                    Ok(entries) => entries.into_iter().for_each(|(key, value, place)| vars.set(&key, value, place)),
                    Err(fault) => faults.push(fault),
                },
                Err(more) => faults.extend(more.into_vec()),
            }
        }
        found.insert(number, vars);
    }
    found
}

/// What is in a directory by its name, and whether it is itself a directory.
fn listing(path: &Path) -> Result<BTreeMap<String, (PathBuf, bool)>, Fault> {
    let cannot = |error: std::io::Error| {
        Fault::new(format!("the directory {} cannot be read", path.display())).why(error.to_string())
    };
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(path).map_err(cannot)? {
        let entry = entry.map_err(cannot)?;
        let (name, path) = (entry.file_name(), entry.path());
        let is_dir = path.is_dir();
        found.insert(name.to_string_lossy().into_owned(), (path, is_dir));
    }
    Ok(found)
}

/// All files of variables in a directory and below, in the order of their names.
fn inside(path: &Path, files: &mut Vec<PathBuf>, faults: &mut Vec<Fault>) {
    let entries = match listing(path) {
        Ok(entries) => entries,
        Err(fault) => return faults.push(fault),
    };
    for (name, (path, is_dir)) in entries {
        if name.starts_with('.') || name.ends_with('~') {
            continue;
        }
        let end = name.rfind('.').map_or("", |dot| &name[dot..]);
        if is_dir && end.is_empty() {
            inside(&path, files, faults);
        } else if !is_dir && matches!(end, "" | ".yml" | ".yaml" | ".json") {
            files.push(path);
        }
    }
}
