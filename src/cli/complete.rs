//! Completions that know hosts, steps, tags and runs. The shell calls this very program (`STEADFAST_COMPLETE`), which reads
//! what the line names so far. Nothing is run for it: inventories that are programs, or ask a cloud, are left alone.

use super::{Cli, load};
use crate::fault::Faults;
use crate::report::safe_line;
use crate::step::KINDS;
use crate::store::Store;
use clap::CommandFactory;
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate};
use clap_complete::env::{CompleteEnv, Shells};
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// The variable by which the shell asks.
const VARIABLE: &str = "STEADFAST_COMPLETE";
/// Runs that are offered.
const RUNS: usize = 40;

/// Answers the shell and ends, where it is the shell that asks.
pub fn answer() {
    CompleteEnv::with_factory(Cli::command).var(VARIABLE).complete();
}

/// What the shell is to read once, to ask from then on.
pub fn registration(shell: clap_complete::Shell) -> Result<String, Faults> {
    let mut text = Vec::new();
    let name = shell.to_string();
    let shells = Shells::builtins();
    let done = shells
        .completer(&name)
        .map(|shell| shell.write_registration(VARIABLE, "steadfast", "steadfast", "steadfast", &mut text));
    match done {
        Some(Ok(())) => Ok(String::from_utf8_lossy(&text).into_owned()),
        _ => Err(crate::fault::Fault::new(format!("there are no completions for {name}")).into()),
    }
}

/// The words of the line that is being written.
fn line() -> Vec<String> {
    let words = std::env::args_os().map(|word| word.to_string_lossy().into_owned());
    words.skip_while(|word| word != "--").skip(2).collect()
}

/// The values that were given by one of these flags.
fn given(words: &[String], short: &str, long: &str) -> Vec<String> {
    let mut all = Vec::new();
    for (at, word) in words.iter().enumerate() {
        if word == short || word == long {
            all.extend(words.get(at + 1).cloned());
        } else if let Some(value) = word.strip_prefix(long).and_then(|rest| rest.strip_prefix('=')) {
            all.push(value.to_owned());
        } else if let Some(value) = word.strip_prefix(short).filter(|_| !word.starts_with("--")) {
            all.push(value.to_owned());
        }
    }
    all
}

fn playbooks(words: &[String]) -> Vec<PathBuf> {
    let named = words.iter().filter(|word| word.ends_with(".yml") || word.ends_with(".yaml"));
    let inventories = given(words, "-i", "--inventory");
    named.filter(|word| !inventories.contains(word)).map(PathBuf::from).filter(|path| path.is_file()).collect()
}

/// Whether reading a source would run it, or something in it.
fn runs(path: &Path) -> bool {
    let Ok(about) = std::fs::metadata(path) else { return false };
    if about.is_dir() {
        return std::fs::read_dir(path)
            .into_iter()
            .flatten()
            .flatten()
            .any(|entry| entry.path().is_file() && runs(&entry.path()));
    }
    about.permissions().mode() & 0o111 != 0 || crate::inventory::asks_a_cloud(path)
}

/// Those of the names that go on with what is written, each behind `before`.
fn candidates(names: impl IntoIterator<Item = String>, before: &str, written: &str) -> Vec<CompletionCandidate> {
    let fitting = names.into_iter().filter(|name| name.starts_with(written) && !name.contains(char::is_control));
    fitting.map(|name| CompletionCandidate::new(format!("{before}{name}"))).collect()
}

/// Names of hosts and groups, also behind a sign of a pattern (`web:!db`).
pub fn hosts() -> ArgValueCompleter {
    ArgValueCompleter::new(|current: &OsStr| {
        let written = current.to_string_lossy();
        let at = written.rfind([':', ',', '!', '&']).map_or(0, |at| at + 1);
        let words = line();
        let sources = load::sources(&given(&words, "-i", "--inventory"), &playbooks(&words));
        let named = std::env::var("STEADFAST_INVENTORY").ok().filter(|_| given(&words, "-i", "--inventory").is_empty());
        let sources: Vec<String> = named.map_or(sources, |named| vec![named]);
        if sources.iter().any(|source| runs(Path::new(source))) {
            return vec![];
        }
        let Ok(inventory) = crate::inventory::load(&sources) else { return vec![] };
        let hosts = inventory.hosts.iter().map(|host| host.name.clone());
        let all: BTreeSet<String> = hosts.chain(inventory.groups.keys().cloned()).collect();
        candidates(all, &written[..at], &written[at..])
    })
}

/// Tags of the playbooks that the line names.
pub fn tags() -> ArgValueCompleter {
    ArgValueCompleter::new(|current: &OsStr| {
        let written = current.to_string_lossy();
        let at = written.rfind(',').map_or(0, |at| at + 1);
        let Ok(books) = crate::playbook::load(&playbooks(&line())) else { return vec![] };
        let all: BTreeSet<String> =
            books.iter().flat_map(|book| &book.steps).flat_map(|step| step.tags.clone()).collect();
        candidates(all, &written[..at], &written[at..])
    })
}

/// Steps of the run that the line names, or of the newest.
pub fn steps() -> ArgValueCompleter {
    ArgValueCompleter::new(|current: &OsStr| {
        let words = line();
        let run =
            words.iter().skip(1).find(|word| word.as_str() == "last" || word.starts_with(|c: char| c.is_ascii_digit()));
        let all = Store::open().and_then(|store| {
            let id = store.run(run.map_or("last", String::as_str))?.id;
            store.outcomes(&id)
        });
        let steps: BTreeSet<String> = all.unwrap_or_default().into_keys().map(|(_, step)| step).collect();
        candidates(steps, "", &current.to_string_lossy())
    })
}

/// Runs that are remembered, with what each was for.
pub fn remembered() -> ArgValueCompleter {
    ArgValueCompleter::new(|current: &OsStr| {
        let written = current.to_string_lossy().into_owned();
        let runs = Store::open().and_then(|store| store.runs(RUNS)).unwrap_or_default();
        let told = runs.iter().map(|run| {
            let books: Vec<String> = run.call.playbooks.iter().map(|book| book.display().to_string()).collect();
            (run.id.clone(), safe_line(&format!("{} {}", run.mode, books.join(" ")), 120))
        });
        let all = std::iter::once(("last".to_owned(), "the newest".to_owned())).chain(told);
        let fitting = all.filter(|(id, _)| id.starts_with(&written));
        fitting.map(|(id, help)| CompletionCandidate::new(id).help(Some(help.into()))).collect()
    })
}

/// Kinds of steps and codes of errors.
pub fn pages() -> ArgValueCompleter {
    ArgValueCompleter::new(|current: &OsStr| {
        let kinds = KINDS.iter().map(|entry| entry.name).chain(["playbook", "errors"]);
        let codes = crate::fault::pages().iter().map(|page| page.code);
        candidates(kinds.chain(codes).map(ToOwned::to_owned), "", &current.to_string_lossy())
    })
}
