//! What was found and what was changed: an entry for each step and way it ended, with the hosts and the differences.

use super::super::super::fold::{Baseline, Report, reason, word};
use super::super::super::group::{Group, group, name_hosts};
use super::super::told;
use super::head::SEVERITIES;
use super::heat::Columns;
use super::{class, count, lines, text};
use crate::event::{Class, Differs, Moved, TaskDone};
use crate::step::{Disruption, Undo};
use std::collections::HashMap;
use std::fmt::Write;

/// Ways in which hosts differ on one step that are shown.
const WAYS: usize = 40;
/// Rows that are shown of one way.
const ROWS: usize = 200;

/// One step and how it ended, with the different ways of that.
struct Entry {
    word: &'static str,
    ways: Vec<Group>,
    hosts: usize,
}

impl Entry {
    fn task(&self) -> &TaskDone {
        &self.ways[0].task
    }
}

/// All entries in three parts: what is not well, what was changed, and the rest.
pub fn all(report: &Report, columns: &Columns) -> String {
    let places: HashMap<&str, usize> = report.hosts.iter().enumerate().map(|(n, host)| (host.as_str(), n)).collect();
    let mut entries = entries(report);
    entries.sort_by_key(rank);
    let mut out = String::new();
    let mut number = 0;
    let is_changed = |entry: &Entry| entry.word == "changed";
    let odd = |entry: &Entry| entry.task().outcome.class() > Class::Good;
    type Part<'a> = (&'a str, &'a str, &'a dyn Fn(&Entry) -> bool);
    let parts: [Part; 3] = [
        ("findings", "Findings", &odd),
        ("changes", "Changes", &is_changed),
        ("kept", "As it should be, or not applicable", &|entry| !odd(entry) && !is_changed(entry)),
    ];
    for (id, name, belongs) in parts {
        let part: Vec<&Entry> = entries.iter().filter(|entry| belongs(entry)).collect();
        if part.is_empty() {
            continue;
        }
        let _ = writeln!(out, "<section id=\"{id}\" class=\"part\">\n<h2>{name} <span>{}</span></h2>", part.len());
        for entry in part {
            number += 1;
            out.push_str(&told_entry(report, columns, &places, entry, number));
        }
        out.push_str("</section>\n");
    }
    out
}

fn entries(report: &Report) -> Vec<Entry> {
    let mut all: Vec<Entry> = Vec::new();
    let mut at: HashMap<(String, &'static str), usize> = HashMap::new();
    for one in group(&report.tasks()) {
        let key = (one.task.step.clone(), word(&one.task));
        let place = *at.entry(key).or_insert(all.len());
        if place == all.len() {
            all.push(Entry { word: word(&one.task), ways: vec![], hosts: 0 });
        }
        all[place].hosts += one.hosts.len();
        all[place].ways.push(one);
    }
    all
}

/// The gravest first, what is on most hosts before the rest.
fn rank(entry: &Entry) -> (usize, std::cmp::Reverse<Class>, std::cmp::Reverse<usize>) {
    let severity = entry.task().control.as_ref().and_then(|control| control.severity.as_deref());
    let severity = SEVERITIES.iter().position(|word| Some(*word) == severity).unwrap_or(SEVERITIES.len());
    (severity, std::cmp::Reverse(entry.task().outcome.class()), std::cmp::Reverse(entry.hosts))
}

fn told_entry(
    report: &Report,
    columns: &Columns,
    places: &HashMap<&str, usize>,
    entry: &Entry,
    number: usize,
) -> String {
    let task = entry.task();
    let control = task.control.as_ref();
    let severity = control.and_then(|control| control.severity.as_deref()).unwrap_or_default();
    let is_new =
        |way: &Group| way.task.outcome.class() > Class::Good && report.baseline(&way.task) == Some(Baseline::New);
    let new = entry.ways.iter().any(is_new);
    let mut hosts: Vec<usize> =
        entry.ways.iter().flat_map(|way| &way.hosts).filter_map(|host| places.get(host.as_str()).copied()).collect();
    hosts.sort_unstable();
    let mut out = format!(
        "<details class=\"f\" id=\"f{number}\" data-w=\"{}\" data-s=\"{}\"{} data-k=\"{}\" data-h=\"{}\">\n\
         <summary><span class=\"word {}\">{}</span><span class=\"id\">{}</span><span class=\"title\">{}</span>",
        entry.word,
        text(severity),
        if new { " data-n=\"\"" } else { "" },
        columns.place(task).unwrap_or_default(),
        spans(&hosts),
        class(task),
        entry.word,
        control.map(|control| text(&control.id)).unwrap_or_default(),
        text(&task.title),
    );
    if new {
        out.push_str("<span class=\"tag new\">new</span>");
    }
    if !severity.is_empty() {
        let _ = write!(out, "<span class=\"tag {0}\">{0}</span>", text(severity));
    }
    let on = if entry.hosts == report.hosts.len() && entry.hosts > 1 {
        format!("all {} hosts", entry.hosts)
    } else {
        count(entry.hosts, "host")
    };
    let _ = writeln!(out, "<span class=\"on\">{on}</span></summary>\n<div class=\"body\">");
    if let Some(why) = control.and_then(|control| control.why.as_ref()) {
        let _ = writeln!(out, "<p class=\"why\">{}</p>", text(why));
    }
    entry.ways.iter().take(WAYS).for_each(|way| out.push_str(&told_way(report, way)));
    if let Some(more) = entry.ways.len().checked_sub(WAYS).filter(|more| *more > 0) {
        let _ = writeln!(out, "<p>and {more} more ways to differ; the JSON report holds them all</p>");
    }
    out.push_str(&small(task));
    out + "</div>\n</details>\n"
}

/// Hosts by their numbers, runs of them as `3-17`.
fn spans(hosts: &[usize]) -> String {
    let mut all: Vec<(usize, usize)> = Vec::new();
    for host in hosts {
        match all.last_mut() {
            Some((_, last)) if *last + 1 >= *host => *last = *host,
            _ => all.push((*host, *host)),
        }
    }
    let word = |(from, to): &(usize, usize)| if from == to { from.to_string() } else { format!("{from}-{to}") };
    all.iter().map(word).collect::<Vec<_>>().join(",")
}

fn told_way(report: &Report, way: &Group) -> String {
    let task = &way.task;
    let mut out = format!("<section>\n<h3>{}</h3>\n", text(&name_hosts(&way.hosts, report.hosts.len(), 12)));
    if way.hosts.len() > 12 && way.hosts.len() < report.hosts.len() {
        let names = way.hosts.join(" ");
        let _ = writeln!(
            out,
            "<details class=\"names\"><summary>all {}</summary><p>{}</p></details>",
            way.hosts.len(),
            super::escape(&super::safe::line(&names, usize::MAX))
        );
    }
    let why = reason(task);
    if !why.is_empty() {
        let _ = writeln!(out, "<pre class=\"said\">{}</pre>", lines(&why).replace('\n', "\n| "));
    }
    rows(&mut out, task);
    if let Some(since) = &task.since {
        let who = match since.moved {
            Moved::Host => "somebody changed the host since",
            Moved::Playbook => "the step wants something else than in",
        };
        let _ = writeln!(out, "<p class=\"since\">{who} run {}</p>", text(&since.run));
    }
    out + "</section>\n"
}

fn rows(out: &mut String, task: &TaskDone) {
    let shown = &task.rows[..task.rows.len().min(ROWS)];
    let (diffs, plain): (Vec<&Differs>, Vec<&Differs>) = shown.iter().partition(|row| row.diff.is_some());
    if !plain.is_empty() {
        let after = if word(task) == "changed" { "is now" } else { "wanted" };
        let before = if word(task) == "changed" { "was" } else { "found" };
        let _ = writeln!(
            out,
            "<table class=\"rows\"><thead><tr><th>object</th><th>field</th><th>{before}</th><th>{after}</th></tr></thead><tbody>"
        );
        for row in plain {
            let _ = writeln!(
                out,
                "<tr><td>{}</td><td>{}</td><td class=\"less\">{}</td><td class=\"more\">{}</td></tr>",
                text(&row.object),
                text(&row.field),
                text(&row.found.to_string()),
                text(&row.wanted.to_string())
            );
        }
        out.push_str("</tbody></table>\n");
    }
    for row in diffs {
        let _ = write!(out, "<figure><figcaption>{}</figcaption><pre class=\"diff\">", text(&told(row, 200)));
        for line in row.diff.iter().flatten() {
            let class = match line.as_bytes().first() {
                Some(b'+') => "more",
                Some(b'-') => "less",
                Some(b'@') => "at",
                _ => "same",
            };
            let _ = write!(out, "<span class=\"{class}\">{}\n</span>", text(line));
        }
        out.push_str("</pre></figure>\n");
    }
    if let Some(more) = task.rows.len().checked_sub(ROWS).filter(|more| *more > 0) {
        let _ = writeln!(out, "<p>and {more} more rows; the JSON report holds them all</p>");
    }
}

/// What else is known of a step, in small.
fn small(task: &TaskDone) -> String {
    let control = task.control.as_ref();
    let undo = match &task.undo {
        Undo::Exact => String::new(),
        Undo::Partial(why) => format!("partial: {why}"),
        Undo::None(why) => format!("none: {why}"),
    };
    let disruption = match task.disruption {
        Disruption::None => "",
        Disruption::Reload => "reload",
        Disruption::Restart => "restart",
        Disruption::Reboot => "reboot",
        Disruption::Access => "access",
        Disruption::Data => "data",
    };
    let access = if task.access { "it touches the way in: an apply arms the guard first" } else { "" };
    let facts = [
        ("May break", control.and_then(|control| control.breaks.clone()).unwrap_or_default()),
        ("Way back", undo),
        ("Disruption", disruption.to_owned()),
        ("Guard", access.to_owned()),
        ("Clauses", control.map(|control| control.refs.join(", ")).unwrap_or_default()),
        ("Step", format!("{} ({})", task.step, task.kind)),
        ("Written at", format!("{}:{}", task.place.file, task.place.line)),
    ];
    let mut out = String::from("<dl class=\"small\">");
    for (name, value) in facts.iter().filter(|(_, value)| !value.is_empty()) {
        let _ = write!(out, "<dt>{name}</dt><dd>{}</dd>", text(value));
    }
    out + "</dl>\n"
}

#[cfg(test)]
mod tests {
    use super::spans;

    #[test]
    fn runs_of_hosts_are_short() {
        assert_eq!(spans(&[]), "");
        assert_eq!(spans(&[0, 1, 2, 4, 6, 7]), "0-2,4,6-7");
    }
}
