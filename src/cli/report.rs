//! `--report FMT:PATH`, and `show` and `report`, which tell again what a run of the history came to.

use super::session::now;
use super::{Told, complete, say, terminal};
use crate::event::Event;
use crate::fault::{Fault, Faults, Result};
use crate::report::{FORMATS, Format, Past, Point, Report as Folded, Style, render};
use crate::store::{Record, Similar, Store};
use clap::Args;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};

/// Earlier runs in a trend.
const TREND: usize = 30;

/// A report that is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    format: Format,
    /// `-` is standard output.
    path: PathBuf,
}

/// `junit:report.xml`.
pub fn wanted(text: &str) -> Result<Wanted, String> {
    let names: Vec<&str> = FORMATS.iter().map(|(name, _)| *name).collect();
    let (format, path) = text.split_once(':').filter(|(_, path)| !path.is_empty()).ok_or_else(|| {
        format!(
            "write FORMAT:PATH, for example junit:report.xml; PATH `-` is standard output; FORMAT is one of {}",
            names.join(", ")
        )
    })?;
    let format = Format::of(format).ok_or_else(|| {
        let near = names.iter().max_by(|a, b| strsim::jaro(a, format).total_cmp(&strsim::jaro(b, format)));
        let near = near.filter(|name| strsim::jaro(name, format) > 0.7);
        let near = near.map(|name| format!("; did you mean `{name}`?")).unwrap_or_default();
        format!("`{format}` is none of {}{near}", names.join(", "))
    })?;
    Ok(Wanted { format, path: path.into() })
}

impl Wanted {
    /// Whether it goes to standard output.
    pub fn is_out(&self) -> bool {
        self.path == Path::new("-")
    }

    /// Whether it is made of the events themselves.
    pub fn of_events(&self) -> bool {
        matches!(self.format, Format::Ndjson | Format::Html)
    }
}

/// At most one thing can be told on standard output.
///
/// # Errors
/// There are two.
pub fn one_on_stdout(all: &[Wanted], json: bool) -> Result<()> {
    let reports = all.iter().filter(|one| one.is_out()).count();
    if reports + usize::from(json) > 1 {
        let fault = Fault::new("two things are to go to standard output");
        return Err(fault.hint("give a file for one of them: `--report json:report.json`"));
    }
    Ok(())
}

/// Writes the reports that are wanted, each whole or not at all.
///
/// # Errors
/// One cannot be written.
pub fn deliver(all: &[Wanted], report: &Folded, events: &[Event]) -> Result<(), Faults> {
    let mut faults = Vec::new();
    for one in all {
        let cannot = |why: String| Fault::new(format!("cannot write the report {}", one.path.display())).why(why);
        match render(one.format, report, events) {
            Err(why) => faults.push(cannot(why)),
            Ok(text) if one.is_out() => say(&text)?,
            Ok(text) => faults.extend(put(&one.path, &text).err().map(|error| cannot(error.to_string()))),
        }
    }
    Faults::some(faults).map_or(Ok(()), Err)
}

/// A file that is replaced whole, readable as any file that the user makes.
fn put(path: &Path, text: &str) -> std::io::Result<()> {
    // What is no regular file (a pipe, a device) is written as it is.
    if std::fs::metadata(path).is_ok_and(|about| !about.is_file()) {
        return std::fs::write(path, text);
    }
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o666);
    // The mask of the process takes away what the user wants taken away.
    let mut file = tempfile::Builder::new().permissions(mode).tempfile_in(dir)?;
    file.write_all(text.as_bytes())?;
    file.persist(path).map(drop).map_err(|error| error.error)
}

/// What runs before this one came to.
pub fn past(store: &Store, record: &Record) -> Result<Past> {
    let before = store.before(Similar { to: record, most: TREND })?;
    let point = |run: &Record| Point {
        run: run.id.clone(),
        began: run.began,
        mode: run.mode.clone(),
        exit: run.exit,
        summary: run.summary.clone().unwrap_or_default(),
    };
    let mut past = Past { trend: before.iter().rev().map(point).collect(), ..Past::default() };
    for run in &before {
        let outcomes = store.outcomes(&run.id)?;
        // What was told of it may be forgotten, or it reached nobody.
        if !outcomes.is_empty() {
            (past.run, past.before) = (Some(run.id.clone()), outcomes);
            break;
        }
    }
    Ok(past)
}

/// A run of the history; `last` is the newest of any kind.
pub fn find(store: &Store, id: &str) -> Result<Record> {
    if id != "last" {
        return store.run(id);
    }
    store.latest()?.ok_or_else(|| Fault::new("no run is remembered").hint("`steadfast check` makes one"))
}

/// The report of a run that is remembered.
///
/// # Errors
/// What was told of it is forgotten.
pub fn recall(store: &Store, record: &Record) -> Result<(Folded, Vec<Event>)> {
    let events = store.events(&record.id)?;
    if events.is_empty() {
        return Err(Fault::new(format!("nothing is remembered of what run `{}` told", record.id))
            .why("it was forgotten by age or by `runs prune`, or an earlier version made it"));
    }
    let mut report = Folded::of(&events);
    report.past = past(store, record)?;
    Ok((report, events))
}

/// Tell again what a run came to; `last` is the newest run.
#[derive(Debug, Args)]
pub struct Report {
    /// The run, or `last`.
    #[arg(add = complete::remembered())]
    run: String,
    /// Write a report as FORMAT:PATH (json, ndjson, junit, sarif, md, html, csv, oscal; `-` is standard output); may be given
    /// again.
    #[arg(long, value_name = "FORMAT:PATH", value_parser = wanted)]
    report: Vec<Wanted>,
    /// Show contents of files as diffs, where the run was called with it.
    #[arg(short = 'D', long)]
    diff: bool,
}

impl Report {
    pub fn run(self, told: Told) -> Result<u8, Faults> {
        one_on_stdout(&self.report, false)?;
        let store = Store::open()?;
        let record = find(&store, &self.run)?;
        let (report, events) = recall(&store, &record)?;
        if self.report.is_empty() {
            say(&report.text(style(told, self.diff)))?;
        } else {
            deliver(&self.report, &report, &events)?;
        }
        Ok(0)
    }
}

/// What is remembered of a run: how it was called, what it came to. `last` is the newest run.
#[derive(Debug, Args)]
pub struct Show {
    /// The run, or `last`.
    #[arg(default_value = "last", add = complete::remembered())]
    run: String,
    /// Show contents of files as diffs, where the run was called with it.
    #[arg(short = 'D', long)]
    diff: bool,
}

impl Show {
    pub fn run(self, told: Told) -> Result<u8, Faults> {
        let store = Store::open()?;
        let record = find(&store, &self.run)?;
        let mut out = head(&record);
        match recall(&store, &record) {
            Ok((report, _)) => out.push_str(&report.text(style(told, self.diff))),
            Err(fault) => out.push_str(&format!("{}\n", fault.what())),
        }
        say(&out)?;
        Ok(0)
    }
}

fn head(record: &Record) -> String {
    let call = &record.call;
    let books: Vec<String> = call.playbooks.iter().map(|book| book.display().to_string()).collect();
    let end = match (record.exit, record.over().is_ok()) {
        (Some(exit), _) => format!("exit {exit}"),
        (None, true) => "broken off: it has no end".into(),
        (None, false) => format!("goes on (process {})", call.process.0),
    };
    let ended = record.ended.map(crate::event::rfc3339).unwrap_or_default();
    let lines = [
        ("run", record.id.clone()),
        ("mode", record.mode.clone()),
        ("began", format!("{} ({})", crate::event::rfc3339(record.began), ago(record.began))),
        ("ended", ended),
        ("end", end),
        ("playbooks", books.join(", ")),
        ("inventory", call.inventory.join(", ")),
        ("limit", call.limit.clone().unwrap_or_default()),
        ("tags", call.tags.join(", ")),
        ("skip tags", call.skip_tags.join(", ")),
        ("variables", call.extra_vars.join(", ")),
    ];
    let shown = lines.iter().filter(|(_, value)| !value.is_empty());
    let line = |(name, value): &(&str, String)| format!("{name:<10} {}\n", crate::report::safe_line(value, 1000));
    shown.map(line).collect::<String>() + "\n"
}

/// How long ago something was, in a word or two.
pub fn ago(ms: u64) -> String {
    format!("{} ago", crate::event::length(now().saturating_sub(ms)))
}

fn style(told: Told, diff: bool) -> Style {
    let color = told.color && std::io::stdout().is_terminal();
    Style { color, width: terminal::width(), diff, verbose: told.verbose }
}
