//! `runs`: what this controller remembers, newest first; what differs between two runs; what is forgotten; which hosts
//! nobody has looked at for long.

use super::report::{ago, find};
use super::session::now;
use super::{complete, load, say, say_error};
use crate::event::rfc3339;
use crate::fault::{Fault, Faults};
use crate::report::{Change, changes, safe_line};
use crate::store::{Record, Store};
use clap::{Args, Subcommand};
use std::collections::BTreeSet;
use std::fmt::Write;

/// The runs that this controller remembers, newest first.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Runs {
    /// At most so many.
    #[arg(short = 'n', long, default_value_t = 20)]
    count: usize,
    /// List the hosts that no run has read for so long (`7d`, `36h`) instead; exit 2 where there are any.
    #[arg(long, value_name = "TIME", value_parser = span)]
    stale: Option<u64>,
    /// With `--stale`: these hosts, so that those that were never read are told as well.
    #[arg(short, long, value_name = "INVENTORY", requires = "stale", value_delimiter = '\0')]
    inventory: Vec<String>,
    #[command(subcommand)]
    what: Option<What>,
}

#[derive(Debug, Subcommand)]
enum What {
    /// What differs between two runs: newly failing, fixed, still failing, unknown; exit 2 where something fails anew.
    Diff {
        /// The earlier run.
        #[arg(add = complete::remembered())]
        before: String,
        /// The later run, or `last`.
        #[arg(default_value = "last", add = complete::remembered())]
        after: String,
    },
    /// Forget runs that are old. What was told of a run goes after 180 days by itself.
    Prune {
        /// Keep so many of the newest.
        #[arg(long, value_name = "N", required_unless_present = "older")]
        keep: Option<usize>,
        /// Forget only what is older (`180d`, `12w`).
        #[arg(long, value_name = "TIME", value_parser = span)]
        older: Option<u64>,
    },
}

impl Runs {
    pub fn run(self) -> Result<u8, Faults> {
        match (self.what, self.stale) {
            (Some(What::Diff { before, after }), _) => diff(&before, &after),
            (Some(What::Prune { keep, older }), _) => prune(keep, older),
            (None, Some(most)) => stale(most, &self.inventory),
            (None, None) => list(self.count),
        }
    }
}

fn list(count: usize) -> Result<u8, Faults> {
    let mut out = String::new();
    let mut runs = Store::open()?.runs(count.saturating_add(1))?;
    let more = runs.len() > count;
    runs.truncate(count);
    for run in runs {
        let end = match run.exit {
            Some(exit) => format!("exit {exit}"),
            None if run.over().is_ok() => "broken off".into(),
            None => "goes on".into(),
        };
        let books: Vec<String> = run.call.playbooks.iter().map(|book| book.display().to_string()).collect();
        let hosts = match run.call.hosts.as_slice() {
            [one] => one.clone(),
            many => format!("{} hosts", many.len()),
        };
        let (hosts, books) = (safe_line(&hosts, 120), safe_line(&books.join(", "), 400));
        let _ = writeln!(out, "{}  {:<8}  {end:<10}  {}{hosts}  {books}", run.id, run.mode, came_to(&run));
    }
    say(&out)?;
    if more {
        say_error(&format!("the newest {count} of more: -n tells how many\n"));
    }
    Ok(0)
}

/// The numbers that are worth a look.
fn came_to(run: &Record) -> String {
    let Some(sum) = &run.summary else { return String::new() };
    let all = [
        (sum.failed + sum.reverted, "failed"),
        (sum.unreachable, "unreachable"),
        (sum.unknown + sum.stale, "unknown"),
        (sum.drift + sum.manual + sum.pending, "differ"),
        (sum.changed, "changed"),
    ];
    let words: Vec<String> = all.iter().filter(|(n, _)| *n > 0).map(|(n, word)| format!("{n} {word}")).collect();
    if words.is_empty() { String::new() } else { format!("{}  ", words.join(", ")) }
}

fn diff(before: &str, after: &str) -> Result<u8, Faults> {
    let store = Store::open()?;
    let (before, after) = (find(&store, before)?, find(&store, after)?);
    if before.id == after.id {
        return Err(Fault::new("a run does not differ from itself").hint("`steadfast runs` lists all").into());
    }
    let mut told = Vec::new();
    for run in [&before, &after] {
        let outcomes = store.outcomes(&run.id)?;
        if outcomes.is_empty() {
            let fault = Fault::new(format!("nothing is remembered of what run `{}` told", run.id));
            return Err(fault.why("it was forgotten, or it reached no host").into());
        }
        told.push(outcomes);
    }
    let all = changes(&told[0], &told[1]);
    let mut out = format!("{} → {}\n", before.id, after.id);
    let mut anew = false;
    for (change, word) in Change::ALL {
        let lines: Vec<_> = all.iter().filter(|one| one.change == *change).collect();
        if lines.is_empty() {
            continue;
        }
        anew |= *change == Change::NewlyFailing;
        let hosts: usize = lines.iter().map(|one| one.hosts.len()).sum();
        let _ = writeln!(out, "\n{word} ({hosts})");
        for one in lines {
            let names: Vec<String> = one.hosts.iter().take(5).map(|host| safe_line(host, 120)).collect();
            let more = one.hosts.len() - names.len();
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            let (step, names) = (safe_line(&one.step, 120), names.join(", "));
            let _ = writeln!(out, "  {step}  {} → {}  {names}{more}", one.before, one.after);
        }
    }
    if all.is_empty() {
        out.push_str("\nnothing differs, and nothing fails\n");
    }
    say(&out)?;
    Ok(if anew { 2 } else { 0 })
}

fn prune(keep: Option<usize>, older: Option<u64>) -> Result<u8, Faults> {
    let store = Store::open()?;
    let before = older.map_or(u64::MAX >> 1, |span| now().saturating_sub(span));
    let pruned = store.prune(keep.unwrap_or(0), before, now())?;
    say_error(&format!("forgot {} runs and {} events", pruned.runs, pruned.events));
    Ok(0)
}

fn stale(most: u64, inventory: &[String]) -> Result<u8, Faults> {
    let seen = Store::open()?.hosts()?;
    let mut wanted: BTreeSet<String> = BTreeSet::new();
    if inventory.is_empty() {
        wanted.extend(seen.iter().map(|host| host.host.clone()));
    } else {
        wanted.extend(load::inventory(inventory, &[])?.hosts.iter().map(|host| host.name.clone()));
    }
    let mut out = String::new();
    let old = seen.iter().filter(|host| wanted.contains(&host.host) && now().saturating_sub(host.seen) > most);
    let never = wanted.iter().filter(|name| !seen.iter().any(|host| host.host == **name));
    for name in never {
        let _ = writeln!(out, "{}  never read", safe_line(name, 120));
    }
    for host in old {
        let (name, is) = (safe_line(&host.host, 120), safe_line(&host.is, 60));
        let _ =
            writeln!(out, "{name}  last read {}, {}, by run {}  {is}", ago(host.seen), rfc3339(host.seen), host.run);
    }
    let found = !out.is_empty();
    say(&out)?;
    if !found {
        say_error(&format!("all {} hosts were read in this time", wanted.len()));
    }
    Ok(if found { 2 } else { 0 })
}

/// `90s`, `30m`, `36h`, `7d`, `12w` in milliseconds.
pub fn span(text: &str) -> Result<u64, String> {
    let wrong = || format!("`{text}` is no time: write 36h, 7d or 12w");
    let unit = text.chars().last().ok_or_else(wrong)?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        'w' => 604_800,
        _ => return Err(wrong()),
    };
    let number: u64 = text[..text.len() - unit.len_utf8()].parse().map_err(|_| wrong())?;
    number.checked_mul(seconds * 1000).ok_or_else(wrong)
}
