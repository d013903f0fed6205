//! What the world answers.

use super::{State, Thing, What};
use crate::fact::tls::PLACES;
use crate::fact::{
    Answer, AptConfig, Audit, Content, Effective, Entry, EntryKind, Holder, Listener, Listeners, Module, Query, Said,
    Sought, Swept, Tls, TlsFile, Unit, UnitFile, UnitFiles,
};
use crate::probe::Reach;
use globset::GlobBuilder;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The answer to one question.
pub fn answer(state: &State, query: &Query) -> Result<Answer, String> {
    Ok(match query {
        Query::Os => Answer::Os(state.os.clone()),
        Query::Clock => Answer::Clock(state.clock),
        Query::Sysctl(key) => Answer::Sysctl(state.live.get(key).cloned()),
        Query::Stat(glob) => Answer::Stat(stat(state, glob)),
        Query::File(path) => Answer::File(match state.files.get(path).map(|thing| &thing.what) {
            None => Content::Absent,
            Some(What::File(content)) => Content::Regular(content.clone()),
            Some(What::Directory) => Content::Other("a directory".into()),
            Some(What::Link(_)) => Content::Other("a symbolic link".into()),
        }),
        Query::Unit(name) => Answer::Unit(unit(state, name)),
        Query::Package(name) => Answer::Package(state.packages.get(name).cloned()),
        Query::Module(name) => Answer::Module(module(state, name)),
        Query::Sshd { .. } => Answer::Sshd(sshd(state)?),
        Query::Nft(table) => Answer::Nft(state.tables.get(table).cloned()),
        Query::Database(engine) => Answer::Database(super::database::servers(state, engine)),
        Query::Login => Answer::Login(None),
        Query::Sockets => Answer::Sockets(state.sockets.clone()),
        Query::Connections => Answer::Connections(crate::fact::Connections::default()),
        Query::Handshakes(_) => return Err("nobody calls this world from outside".into()),
        Query::Tls { .. } => Answer::Tls(tls(state)),
        Query::Accounts => Answer::Accounts(Arc::new(state.accounts())),
        Query::Mounts => Answer::Mounts(state.mounts.clone()),
        Query::Updates => Answer::Updates(state.updates.clone().ok_or("nobody said how new this world is")?),
        Query::Audit => Answer::Audit(audit(state)),
        Query::AptConfig => Answer::AptConfig(apt_config(state)),
        Query::Due(name) => Answer::Due(state.due.contains(name)),
        Query::Guards => Answer::Guards(vec![]),
        Query::State(_) | Query::Journal(_) => return Err("this world keeps no journal".into()),
        Query::Shell(script) => Answer::Shell(shell(state, script)),
        Query::Listeners => Answer::Listeners(listeners(state)),
        Query::Outside(ports) => Answer::Outside(outside(state, ports)),
        Query::Sweep(sought) => Answer::Sweep(swept(state, *sought)),
        Query::UnitFiles => Answer::UnitFiles(Arc::new(unit_files(state))),
        Query::Elements(table) => {
            Answer::Elements(crate::fact::elements(state.tables.get(table).map_or("", String::as_str)))
        }
        Query::Leftover(_) => Answer::Leftover(vec![]),
        Query::Ring(user) => Answer::Ring(state.rings.get(user).cloned().unwrap_or_default()),
        Query::Baseline => Answer::Baseline(None),
        Query::Incident => Answer::Incident(crate::fact::Incident::default()),
        Query::Ours(_) => Answer::Ours(crate::fact::Ours::default()),
        Query::Signs(_) => Answer::Signs(Box::default()),
        Query::HostKeys => Answer::HostKeys(vec![]),
        Query::KnownHosts => return Err("nobody knows this world".into()),
        Query::Scan(look) => Answer::Scan(quiet(look)),
        Query::KeyFiles => Answer::KeyFiles(crate::fact::KeyFiles::default()),
        Query::Disk(_) => Answer::Disk(state.disk.clone()),
        Query::HostScan(_) => return Err("no cloud scans this world".into()),
        Query::Fence(fence) => Answer::Fence(state.fences.get(fence).cloned().ok_or("no cloud knows this world")?),
    })
}

/// Scanners that are there and find nothing.
fn quiet(look: &crate::fact::Look) -> crate::fact::Scanned {
    use crate::fact::scan::Told;
    let told = look.scanners.iter().map(|one| Told { base: Some(0), code: Some(0), ..Told::of(*one) });
    crate::fact::Scanned { at: 0, told: told.collect() }
}

fn entry(path: &str, thing: &Thing) -> Entry {
    let (kind, size) = match &thing.what {
        What::File(content) => (EntryKind::File, content.len() as u64),
        What::Directory => (EntryKind::Directory, 4096),
        What::Link(target) => (EntryKind::Symlink, target.len() as u64),
    };
    let (owner, group) = (thing.owner.clone(), thing.group.clone());
    Entry { path: path.into(), kind, mode: thing.mode, owner, group, size, mtime: 0, links: 1, doubt: None }
}

fn stat(state: &State, glob: &str) -> Vec<Entry> {
    if !glob.contains(['*', '?', '[']) {
        return state.files.get(glob).map(|thing| entry(glob, thing)).into_iter().collect();
    }
    let Ok(matcher) = GlobBuilder::new(glob).literal_separator(true).build() else { return Vec::new() };
    let matcher = matcher.compile_matcher();
    state.files.iter().filter(|(path, _)| matcher.is_match(path)).map(|(path, thing)| entry(path, thing)).collect()
}

fn listeners(state: &State) -> Listeners {
    let one = |socket: &crate::fact::Socket| Listener {
        protocol: socket.protocol.clone(),
        address: socket.address.clone(),
        port: socket.port,
        holders: socket
            .process
            .iter()
            .map(|name| Holder { name: name.clone(), pid: socket.pid.unwrap_or(1), exe: None, package: None })
            .collect(),
    };
    Listeners { all: state.sockets.iter().map(one).collect(), ..Listeners::default() }
}

/// All that listens is open, and nothing else.
fn outside(state: &State, ports: &BTreeSet<u16>) -> BTreeMap<u16, Reach> {
    let reachable = |socket: &&crate::fact::Socket| socket.protocol == "tcp" && !socket.address.starts_with("127.");
    let open: BTreeSet<u16> = state.sockets.iter().filter(reachable).map(|socket| socket.port).collect();
    let reach = |port: u16| if open.contains(&port) { Reach::Open } else { Reach::Closed };
    ports.union(&open).map(|port| (*port, reach(*port))).collect()
}

fn swept(state: &State, sought: Sought) -> Swept {
    let entries = state.files.iter().map(|(path, thing)| entry(path, thing));
    Swept { entries: entries.filter(|entry| sought.is(entry)).collect(), lack: None }
}

fn unit_files(state: &State) -> UnitFiles {
    let one = |unit: &Unit| UnitFile {
        name: unit.id.clone(),
        file: unit.file.clone(),
        preset: String::new(),
        active: unit.active.clone(),
        also: vec![],
    };
    UnitFiles { units: state.units.values().map(one).collect(), supers: vec![] }
}

fn unit(state: &State, name: &str) -> Unit {
    let missing = || Unit {
        load: "not-found".into(),
        active: "inactive".into(),
        sub: "dead".into(),
        id: name.into(),
        ..Unit::default()
    };
    state.units.get(name).cloned().unwrap_or_else(missing)
}

fn module(state: &State, name: &str) -> Module {
    let says = |words: &[&str]| {
        let mut files = state.files.keys().filter(|path| path.starts_with("/etc/modprobe.d/"));
        files.any(|path| {
            let text = state.text(path).unwrap_or_default();
            text.lines().any(|line| line.split_whitespace().collect::<Vec<_>>().starts_with(words))
        })
    };
    let known = state.modules.get(name);
    Module {
        loaded: known.is_some_and(|module| module.loaded),
        builtin: known.is_some_and(|module| module.builtin),
        blocked: says(&["install", name, "/bin/false"]),
        blacklisted: says(&["blacklist", name]),
        exists: known.is_some(),
    }
}

/// As sshd reads its files: drop-ins where they are included, the first value wins.
fn sshd(state: &State) -> Result<Effective, String> {
    let main = state.text("/etc/ssh/sshd_config").ok_or("sshd is not installed")?;
    let mut lines: Vec<&str> = Vec::new();
    for line in main.lines() {
        if line.to_lowercase().starts_with("include ") {
            let drop_ins = state
                .files
                .keys()
                .filter(|path| path.starts_with("/etc/ssh/sshd_config.d/") && path.ends_with(".conf"));
            lines.extend(drop_ins.flat_map(|path| state.text(path).unwrap_or_default().lines()));
        } else {
            lines.push(line);
        }
    }
    let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in lines.iter().map(|line| line.trim()).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (keyword, value) = line.split_once(' ').unwrap_or((line, ""));
        let values = all.entry(keyword.to_lowercase()).or_default();
        // Ports add up.
        if values.is_empty() || keyword.eq_ignore_ascii_case("port") {
            values.push(value.trim().to_owned());
        }
    }
    let defaults = [
        ("passwordauthentication", "yes"),
        ("kbdinteractiveauthentication", "yes"),
        ("permitrootlogin", "prohibit-password"),
        ("maxauthtries", "6"),
        ("maxsessions", "10"),
        ("logingracetime", "120"),
        ("x11forwarding", "no"),
        ("loglevel", "INFO"),
        ("port", "22"),
        ("usepam", "no"),
    ];
    for (keyword, value) in defaults {
        all.entry(keyword.into()).or_insert_with(|| vec![value.to_owned()]);
    }
    Ok(Effective(all))
}

/// The kernel of this world has what the last start or load gave it: all that the one file says.
fn audit(state: &State) -> Audit {
    let text = state.text("/etc/audit/audit.rules").unwrap_or_default();
    let value = |flag: &str| text.lines().rev().find_map(|line| line.strip_prefix(flag)?.trim().parse().ok());
    let rules = text.lines().filter(|line| line.starts_with("-a") || line.starts_with("-w")).map(ToOwned::to_owned);
    Audit {
        enabled: value("-e ").unwrap_or(1),
        failure: value("-f ").unwrap_or(1),
        backlog: value("-b ").unwrap_or(64),
        rules: rules.collect(),
    }
}

/// The files of apt.conf.d in the order of their names, each setting on a line of its own.
fn apt_config(state: &State) -> AptConfig {
    let mut all: Vec<(String, String)> = Vec::new();
    let files = state.files.keys().filter(|path| path.starts_with("/etc/apt/apt.conf.d/"));
    for line in files.filter_map(|path| state.text(path)).flat_map(str::lines) {
        if let Some(name) = line.strip_prefix("#clear ") {
            let name = name.trim_end_matches(';');
            all.retain(|(key, _)| key.trim_end_matches("::") != name);
        } else if let Some((name, value)) = line.strip_suffix("\";").and_then(|line| line.split_once(" \"")) {
            if !name.ends_with("::") {
                all.retain(|(key, _)| key != name);
            }
            all.push((name.to_owned(), value.to_owned()));
        }
    }
    AptConfig(all)
}

/// All files where servers have theirs; nobody listens.
fn tls(state: &State) -> Tls {
    let of = |path: &String| {
        let place = PLACES.iter().find(|(_, place)| path.starts_with(place))?;
        let text = state.text(path)?.to_owned();
        let server = if text.starts_with("-----BEGIN DH") { "dh" } else { place.0 };
        Some(TlsFile { server: server.into(), path: path.clone(), real: path.clone(), text: Some(text) })
    };
    Tls { files: state.files.keys().filter_map(of).collect(), ..Tls::default() }
}

/// The few words of shell that the world knows; variables are put in first.
fn shell(state: &State, script: &str) -> Said {
    let text = fill_in(script);
    let code = match text.split_whitespace().collect::<Vec<_>>().as_slice() {
        ["true"] => 0,
        ["false"] => 1,
        ["test", "-e", path] => i32::from(!state.files.contains_key(*path)),
        ["test", "!", "-e", path] => i32::from(state.files.contains_key(*path)),
        _ => 127,
    };
    let err = if code == 127 { format!("the world does not know `{text}`") } else { String::new() };
    Said { code, out: String::new(), err }
}

/// `NAME='value'; export NAME` before a command, taken as what it says.
pub fn fill_in(script: &str) -> String {
    let mut values: Vec<(String, String)> = Vec::new();
    let mut rest = script;
    while let Some((line, after)) = rest.split_once('\n').filter(|(line, _)| line.contains("; export ")) {
        if let Some((name, value)) = line.split_once(';').and_then(|(set, _)| set.split_once('=')) {
            values.push((name.to_owned(), value.trim_matches('\'').to_owned()));
        }
        rest = after;
    }
    let mut text = rest.trim().to_owned();
    for (name, value) in values {
        text = text.replace(&format!("\"${name}\""), &value).replace(&format!("${name}"), &value);
    }
    text
}
