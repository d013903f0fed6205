//! The layout tells the truth: imports point down, kinds are whole, rooms stay small.

use std::fs;
use std::path::{Path, PathBuf};
use steadfast::step::KINDS;

/// Rooms by floor, lowest first; a room uses rooms on lower floors only.
const FLOORS: &[&[&str]] = &[
    &["fault", "day"],
    &["secret", "moment"],
    &["yaml", "graph"],
    &["expr"],
    &["host", "probe"],
    &["cloud"],
    &["disk"],
    &["fact"],
    &["act"],
    &["target"],
    &["step"],
    &["playbook", "inventory"],
    &["plan"],
    &["event", "evidence"],
    &["run", "report", "store", "lab"],
    &["cli"],
];

fn files(at: &Path, out: &mut Vec<PathBuf>) {
    if at.is_file() {
        out.push(at.to_owned());
    } else if let Ok(dir) = fs::read_dir(at) {
        let mut entries: Vec<PathBuf> = dir.map(|entry| entry.unwrap().path()).collect();
        entries.sort();
        entries.iter().for_each(|path| files(path, out));
    }
}

fn sources() -> Vec<PathBuf> {
    let mut all = Vec::new();
    files(Path::new("src"), &mut all);
    all.retain(|path| path.extension().is_some_and(|ending| ending == "rs"));
    all
}

/// The room that a file belongs to: the first part of its path below `src`.
fn room(file: &Path) -> String {
    let first = file.strip_prefix("src").unwrap().components().next().unwrap();
    first.as_os_str().to_string_lossy().trim_end_matches(".rs").to_owned()
}

fn floor(room: &str) -> Option<usize> {
    FLOORS.iter().position(|rooms| rooms.contains(&room))
}

/// A file without comments and without its tests.
fn code(file: &Path) -> String {
    let text = fs::read_to_string(file).unwrap();
    let text = text.split("#[cfg(test)]").next().unwrap();
    let lines = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

/// The rooms that a text names after `crate::`.
fn uses(text: &str) -> Vec<String> {
    let name = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let mut found = Vec::new();
    for rest in text.split("crate::").skip(1) {
        match rest.strip_prefix('{') {
            Some(group) => found.extend(group.split(';').next().unwrap().split(',').map(|part| name(part.trim()))),
            None => found.push(name(rest)),
        }
    }
    found
}

#[test]
fn every_room_has_a_floor() {
    for file in sources() {
        let room = room(&file);
        assert!(matches!(room.as_str(), "lib" | "main") || floor(&room).is_some(), "{room} has no floor");
    }
}

#[test]
fn imports_point_down() {
    let mut wrong = Vec::new();
    for file in sources() {
        let own = room(&file);
        let Some(here) = floor(&own) else { continue };
        for other in uses(&code(&file)) {
            if other != own && floor(&other).is_some_and(|there| there >= here) {
                wrong.push(format!("{}: {own} reaches {other}", file.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_kind_is_listed_with_page_schema_and_example() {
    for file in fs::read_dir("src/step").unwrap() {
        let path = file.unwrap().path();
        let file = if path.is_dir() { path.join("mod.rs") } else { path.clone() };
        // The rooms behind a kind's own file lie in a folder of its name.
        if !file.is_file() {
            continue;
        }
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        // What a rollback's plan is made of is no word of playbooks.
        if name != "mod" && name != "restore" && code(&file).contains("impl Kind for") {
            assert!(KINDS.iter().any(|entry| entry.name == name), "{name} is not in the list");
        }
    }
    for entry in KINDS {
        let page = entry.page();
        assert!(page.len() > 200, "{} has no handbook page", entry.name);
        assert!(page.contains("Way back:"), "{}: its page does not tell the way back", entry.name);
        assert!(!entry.examples().is_empty(), "{} has no example", entry.name);
        assert!(entry.schema().is_object(), "{} has no schema", entry.name);
    }
}

#[test]
fn rooms_stay_small() {
    for file in sources() {
        let lines = fs::read_to_string(&file).unwrap().lines().count();
        assert!(lines <= 400, "{} has {lines} lines: it is two rooms", file.display());
    }
}

#[test]
fn processes_start_only_in_host_and_lab() {
    for file in sources() {
        let text = code(&file);
        let starts = text.contains("process::Command") || text.contains("Command::new(\"");
        let may = matches!(room(&file).as_str(), "host" | "lab");
        assert!(may || !starts, "{} starts a process", file.display());
    }
}

#[test]
fn printing_is_left_to_report_and_cli() {
    for file in sources() {
        let text = code(&file);
        let prints = ["println!", "print!(", "io::stdout()", "io::stderr()"].iter().any(|word| text.contains(word));
        let may = matches!(room(&file).as_str(), "report" | "cli");
        assert!(may || !prints, "{} prints", file.display());
    }
}

/// The shell texts of the host are put together: a name that two of them use would silently mean the later one.
#[test]
fn no_two_shell_functions_have_one_name() {
    let mut names = std::collections::BTreeMap::new();
    for file in ["src/act", "src/fact"].iter().flat_map(|dir| fs::read_dir(dir).unwrap()) {
        let path = file.unwrap().path();
        if path.extension().is_none_or(|ending| ending != "sh") {
            continue;
        }
        for line in fs::read_to_string(&path).unwrap().lines() {
            let Some((name, _)) =
                line.split_once("()").filter(|(name, _)| name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'))
            else {
                continue;
            };
            let other = names.insert(name.to_owned(), path.clone());
            assert!(other.is_none(), "{name} in {} and in {}", path.display(), other.unwrap().display());
        }
    }
    assert!(names.len() > 30, "nothing was looked at");
}
