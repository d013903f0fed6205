//! What happened, in the order of time: batches, hosts that were lost, guards and ways back, what was stopped and why.

use super::super::super::fold::Report;
use super::super::super::group::name_hosts;
use super::{class_word, count, text};
use crate::event::{Class, Event, Mode, Outcome, What};
use std::fmt::Write;

/// Entries that are shown.
const MOST: usize = 300;

/// One thing that happened: when, how it is to be taken, where, what.
type Told = (u64, &'static str, String, String);

/// The time line; nothing where the run is without events worth telling.
pub fn story(report: &Report, events: &[Event]) -> String {
    let all: Vec<Told> = events.iter().filter_map(|event| told(report, event)).collect();
    // A check that went as it should says all in its findings.
    if !all.iter().any(|(_, class, ..)| *class != "aside") {
        return String::new();
    }
    let mut out = format!(
        "<section id=\"story\" class=\"part\">\n<h2>What happened <span>{}</span></h2>\n<ol>\n",
        count(all.len(), "event")
    );
    for (at, class, place, what) in all.iter().take(MOST) {
        let since = at.saturating_sub(report.began);
        let _ = writeln!(
            out,
            "<li><time>+{}.{:03} s</time><i class=\"{class}\"></i><b>{}</b><span>{}</span></li>",
            since / 1000,
            since % 1000,
            text(place),
            text(what)
        );
    }
    out.push_str("</ol>\n");
    if let Some(more) = all.len().checked_sub(MOST).filter(|more| *more > 0) {
        let _ = writeln!(out, "<p>and {more} more; the NDJSON report holds them all</p>");
    }
    out + "</section>\n"
}

fn told(report: &Report, event: &Event) -> Option<Told> {
    let (class, place, what) = match &event.what {
        What::RunStarted { hosts, steps, .. } => {
            ("aside", String::new(), format!("begun: {} on {}", count(*steps, "step"), count(hosts.len(), "host")))
        }
        What::BatchStarted { play, batch, of, hosts } if *of > 1 => {
            ("aside", name_hosts(hosts, report.hosts.len(), 4), format!("batch {batch} of {of} of {play}"))
        }
        What::HostLost { host, kind, why } => {
            let loss = crate::host::Loss { kind: *kind, why: why.clone() };
            ("broken", host.clone(), loss.to_string())
        }
        What::Note { host, text } => ("differs", host.clone(), text.clone()),
        What::Stopped { why, hosts } => {
            ("broken", name_hosts(hosts, report.hosts.len(), 4), format!("left as they are: {why}"))
        }
        What::TaskDone(done) => {
            let title = &done.title;
            let what = match &done.outcome {
                Outcome::Reverted { why } => format!("{title}: taken back, {why}"),
                Outcome::Failed { why } => format!("{title}: failed, {why}"),
                Outcome::Stale { why } => format!("{title}: nothing done, {why}"),
                Outcome::Changed if report.mode == Some(Mode::Rollback) => format!("{title}: again as it was"),
                Outcome::Changed if done.access => format!("{title}: changed, on the way in"),
                _ => return None,
            };
            let class = match done.outcome.class() {
                Class::Good => "changed",
                other => class_word(other),
            };
            (class, done.host.clone(), what)
        }
        What::RunDone { exit, interrupted, .. } => {
            let how = if *interrupted { "interrupted" } else { "ended" };
            (if *exit == 0 { "good" } else { "aside" }, String::new(), format!("{how} with exit code {exit}"))
        }
        _ => return None,
    };
    Some((event.at, class, place, what))
}
