//! The head of the page: what it came to, who ran it, and the bar that filters.

use super::super::super::fold::{Baseline, Report};
use super::{class, count, mode, said, stacked, text};
use crate::event::{Class, length, rfc3339};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

/// The severities, the gravest first.
pub const SEVERITIES: [&str; 4] = ["critical", "high", "medium", "low"];

/// The words for ends of tasks, the worst first.
const WORDS: [&str; 12] = [
    "reverted",
    "failed",
    "drift",
    "manual",
    "told",
    "stale",
    "unknown",
    "pending",
    "changed",
    "unchanged",
    "skipped",
    "waived",
];

/// The verdict in large, the numbers as one bar, and the facts of the run.
pub fn head(report: &Report) -> String {
    let (class, said, next) = match &report.end {
        Some(end) => {
            let (word, next) = report.verdict(end);
            let class = match end.exit {
                0 => "good",
                2 => "differs",
                _ => "broken",
            };
            (class, word, next.trim_start_matches([':', ',', ';', ' ']).to_owned())
        }
        None => ("broken", "not ended".into(), "this is what is known of it".into()),
    };
    let mut out = format!(
        "<header>\n<p class=\"brand\"><b>steadfast</b> {}</p>\n<h1 class=\"{class}\">{}</h1>\n<p class=\"next\">{}</p>\n",
        mode(report),
        text(&said),
        text(&next)
    );
    let counted = words(report);
    let parts: Vec<(&str, usize)> = counted.iter().map(|(_, class, n)| (*class, *n)).collect();
    out.push_str(&stacked(&parts));
    out.push_str("\n<ul class=\"legend\">");
    for (word, class, n) in &counted {
        let _ = write!(out, "<li><i class=\"{class}\"></i><b>{n}</b> {word}</li>");
    }
    let silent = report.silent().count();
    if silent > 0 {
        let _ = write!(
            out,
            "<li><i class=\"silent\"></i><b>{silent}</b> of {} not heard</li>",
            count(report.hosts.len(), "host")
        );
    } else {
        let _ = write!(out, "<li class=\"of\">{}</li>", count(report.hosts.len(), "host"));
    }
    out.push_str("</ul>\n<dl class=\"facts\">\n");
    let facts = [
        ("Run", report.run.clone()),
        ("By", report.who.clone()),
        ("Began", shown_time(report.began)),
        ("Took", length_of(report)),
        ("Playbooks", report.playbooks.join(", ")),
        ("Plan", report.plan.clone()),
        ("Compared with", report.past.run.clone().unwrap_or_default()),
        ("Program", format!("steadfast {}", report.version)),
    ];
    for (name, value) in facts.iter().filter(|(_, value)| !value.is_empty()) {
        let _ = writeln!(out, "<div><dt>{name}</dt><dd>{}</dd></div>", text(value));
    }
    out + "</dl>\n</header>\n"
}

/// `2026-11-24 21:05:09 UTC`.
pub fn shown_time(ms: u64) -> String {
    let told = rfc3339(ms);
    format!("{} {} UTC", told.get(..10).unwrap_or_default(), told.get(11..19).unwrap_or_default())
}

fn length_of(report: &Report) -> String {
    let ms = report.until.saturating_sub(report.began);
    if ms < 10_000 { format!("{}.{} s", ms / 1000, ms % 1000 / 100) } else { length(ms) }
}

/// How many tasks ended in which way.
fn words(report: &Report) -> Vec<(&'static str, &'static str, usize)> {
    let mut all: BTreeMap<&str, (&'static str, usize)> = BTreeMap::new();
    for task in report.tasks() {
        let word = said(task);
        let class = if word == "changed" { word } else { class(task) };
        all.entry(word).or_insert((class, 0)).1 += 1;
    }
    WORDS.iter().filter_map(|word| all.get(word).map(|(class, n)| (*word, *class, *n))).collect()
}

/// The bar that filters: shown by the script, for without it nothing would come of it.
pub fn bar(report: &Report) -> String {
    let mut out = String::from(
        "<div id=\"bar\" role=\"search\" hidden>\n<input id=\"q\" type=\"search\" autocomplete=\"off\" spellcheck=\"false\" \
         aria-label=\"Search hosts, controls, paths\" placeholder=\"Search hosts, controls, paths   /\">\n<div class=\"chips\">",
    );
    let mut chip = |filter: &str, word: &str, class: &str| {
        let _ = write!(
            out,
            "<button type=\"button\" data-f=\"{filter}\" data-v=\"{word}\" aria-pressed=\"false\"><i class=\"{class}\"></i>{word}</button>"
        );
    };
    words(report).iter().for_each(|(word, class, _)| chip("w", word, class));
    let severities: BTreeSet<&str> =
        report.tasks().iter().filter_map(|task| task.control.as_ref()?.severity.as_deref()).collect();
    SEVERITIES.iter().filter(|word| severities.contains(**word)).for_each(|word| chip("s", word, word));
    let new = |task: &&crate::event::TaskDone| {
        task.outcome.class() > Class::Good && report.baseline(task) == Some(Baseline::New)
    };
    if report.tasks().iter().any(new) {
        chip("n", "new", "new");
    }
    out + "</div>\n<output id=\"told\" aria-live=\"polite\"></output>\n\
           <button type=\"button\" id=\"all\" aria-pressed=\"false\">Open all</button>\n</div>\n"
}

/// The keys, and where the page comes from.
pub fn foot(report: &Report) -> String {
    format!(
        "<footer><p id=\"keys\" hidden><kbd>/</kbd> search <kbd>j</kbd> <kbd>k</kbd> next and previous <kbd>Enter</kbd> open \
         <kbd>o</kbd> open all <kbd>m</kbd> map, then arrows <kbd>Esc</kbd> show everything</p>\n\
         <p>Told by steadfast {} from the events of run {}. This page asks nobody and sends nothing.</p></footer>\n",
        text(&report.version),
        text(&report.run)
    )
}
