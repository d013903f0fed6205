//! HTML: one file that needs nothing else and runs nothing. Its head forbids scripts, pictures and requests; the style is
//! allowed by its digest.

use super::super::coverage::{controls, standards};
use super::super::fold::{Baseline, Report, reason, word};
use super::super::group::{Group, group, name_hosts};
use super::super::safe;
use super::super::verdict::{counts, verdict};
use super::told;
use crate::event::{Class, Moved, TaskDone, rfc3339};
use base64::Engine;
use sha2::{Digest, Sha256};
use std::fmt::Write;

const STYLE: &str = include_str!("html.css");

/// The whole page.
pub fn page(report: &Report) -> String {
    let mode = report.mode.map_or("check", crate::event::Mode::word);
    let title = format!("steadfast {mode} {}", report.run);
    let digest = base64::engine::general_purpose::STANDARD.encode(Sha256::digest(STYLE));
    let body = [summary(report), results(report), silent(report), hosts(report), rules(report), trend(report)].concat();
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'sha256-{digest}'; \
         base-uri 'none'; form-action 'none'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <meta name=\"referrer\" content=\"no-referrer\">\n\
         <title>{}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n{body}</main>\n</body>\n</html>\n",
        text(&title)
    )
}

fn summary(report: &Report) -> String {
    let mode = report.mode.map_or("check", crate::event::Mode::word);
    let (class, said) = match &report.end {
        Some(end) => {
            let (word, next) = verdict(report.mode, &end.summary, end.exit, end.interrupted);
            let class = match end.exit {
                0 => "good",
                2 => "differs",
                _ => "broken",
            };
            (class, format!("{word}{next}"))
        }
        None => ("broken", "not ended: this is what is known of it".into()),
    };
    let mut out = format!("<h1>steadfast {mode}</h1>\n<p class=\"verdict {class}\">{}</p>\n<dl>\n", text(&said));
    let facts = [
        ("Run", report.run.clone()),
        ("By", report.who.clone()),
        ("Began", rfc3339(report.began)),
        ("Until", rfc3339(report.until)),
        ("Playbooks", report.playbooks.join(", ")),
        ("Plan", report.plan.clone()),
        ("Compared with", report.past.run.clone().unwrap_or_default()),
        ("Program", format!("steadfast {}", report.version)),
        ("In all", counts(&report.summary()).join(", ")),
    ];
    for (name, value) in facts.iter().filter(|(_, value)| !value.is_empty()) {
        let _ = writeln!(out, "<dt>{name}</dt><dd>{}</dd>", text(value));
    }
    out + "</dl>\n"
}

fn results(report: &Report) -> String {
    let groups = group(&report.tasks());
    let (odd, fine): (Vec<&Group>, Vec<&Group>) =
        groups.iter().partition(|group| group.task.outcome.class() > Class::Good);
    let mut out = String::new();
    let mut part = |name: &str, all: &[&Group], open: bool| {
        if all.is_empty() {
            return;
        }
        let open = if open { " open" } else { "" };
        let _ = writeln!(out, "<details class=\"part\"{open}><summary><h2>{name} ({})</h2></summary>", all.len());
        all.iter().for_each(|group| out.push_str(&result(report, group)));
        out.push_str("</details>\n");
    };
    part("Findings", &odd, true);
    part("As it should be, or not applicable", &fine, odd.is_empty());
    out
}

fn result(report: &Report, group: &Group) -> String {
    let task = &group.task;
    let control = task.control.as_ref();
    let named = control.map(|control| format!("<b>{}</b> ", text(&control.id))).unwrap_or_default();
    let severity = control.and_then(|control| control.severity.as_deref());
    let severity = severity.map(|word| format!(" <span class=\"tag\">{}</span>", text(word))).unwrap_or_default();
    let new = match report.baseline(task) {
        Some(Baseline::New) if task.outcome.class() > Class::Good => " <span class=\"tag new\">new</span>",
        _ => "",
    };
    let mut out = format!(
        "<article><h3><span class=\"word {}\">{}</span> {named}{}{severity}{new}</h3>\n<p class=\"hosts\">{}</p>\n",
        class(task),
        word(task),
        text(&task.title),
        text(&name_hosts(&group.hosts, report.hosts.len(), 20)),
    );
    let why = reason(task);
    if !why.is_empty() {
        let _ = writeln!(out, "<pre>{}</pre>", lines(&why).replace('\n', "\n| "));
    }
    rows(&mut out, task);
    let says = [("Why", control.and_then(|c| c.why.as_ref())), ("May break", control.and_then(|c| c.breaks.as_ref()))];
    for (name, said) in says {
        let _ = said.map(|said| writeln!(out, "<p>{name}: {}</p>", text(said)));
    }
    if let Some(since) = &task.since {
        let who = match since.moved {
            Moved::Host => "somebody changed the host",
            Moved::Playbook => "the playbook changed",
        };
        let _ = writeln!(out, "<p>{who} since run {}</p>", text(&since.run));
    }
    let refs = control.map(|control| control.refs.join(", ")).filter(|refs| !refs.is_empty());
    let refs = refs.map(|refs| format!(" · {}", text(&refs))).unwrap_or_default();
    let place = format!("{}:{}", task.place.file, task.place.line);
    let _ = writeln!(
        out,
        "<p class=\"place\">{} · {} · {}{refs}</p></article>",
        text(&task.step),
        text(&task.kind),
        text(&place)
    );
    out
}

fn rows(out: &mut String, task: &TaskDone) {
    if task.rows.is_empty() {
        return;
    }
    out.push_str("<table><tr><th>object</th><th>field</th><th>found</th><th>wanted</th></tr>\n");
    for row in task.rows.iter() {
        let cells = [&row.object, &row.field, &row.found.to_string(), &row.wanted.to_string()];
        let cells: String = cells.iter().map(|cell| format!("<td>{}</td>", text(cell))).collect();
        let _ = writeln!(out, "<tr>{cells}</tr>");
    }
    out.push_str("</table>\n");
    for row in task.rows.iter() {
        let Some(diff) = &row.diff else { continue };
        let _ = writeln!(out, "<details><summary>diff of {}</summary><pre class=\"diff\">", text(&told(row, 200)));
        for line in diff {
            let class = match line.as_bytes().first() {
                Some(b'+') => "more",
                Some(b'-') => "less",
                _ => "same",
            };
            let _ = writeln!(out, "<span class=\"{class}\">{}</span>", text(line));
        }
        out.push_str("</pre></details>\n");
    }
}

fn silent(report: &Report) -> String {
    let mut out = String::new();
    for host in report.silent() {
        let why = report.loss(host).or_else(|| report.not_started(host).map(ToOwned::to_owned));
        let why = why.unwrap_or_else(|| "the run was broken off before its end".into());
        let _ = writeln!(out, "<li><b>{}</b> not heard: {}</li>", text(host), text(&why));
    }
    for (host, said) in &report.notes {
        let _ = writeln!(out, "<li><b>{}</b> {}</li>", text(host), text(said));
    }
    if out.is_empty() { out } else { format!("<h2>To know</h2>\n<ul>\n{out}</ul>\n") }
}

fn hosts(report: &Report) -> String {
    let by_host = report.by_host();
    let mut out = String::from("<h2>Hosts</h2>\n<table><tr><th>host</th><th>is</th><th>came to</th></tr>\n");
    for host in &report.hosts {
        let sum = by_host.get(host.as_str()).map(|sum| counts(sum).join(", ")).unwrap_or_default();
        let seen = report.seen.get(host).map(String::as_str).unwrap_or_default();
        let _ = writeln!(out, "<tr><td>{}</td><td>{}</td><td>{}</td></tr>", text(host), text(seen), text(&sum));
    }
    out + "</table>\n"
}

fn rules(report: &Report) -> String {
    let (controls, standards) = (controls(report), standards(report));
    let mut out = String::new();
    const NUMBERS: &str = "<th>kept</th><th>not kept</th><th>unknown</th><th>not applicable</th></tr>\n";
    if !standards.is_empty() {
        let _ = write!(out, "<h2>Standards</h2>\n<table><tr><th>clauses of</th>{NUMBERS}");
        for one in &standards {
            let numbers = [one.kept, one.not_kept, one.unknown, one.not_applicable];
            let _ = writeln!(out, "<tr><td>{}</td>{}</tr>", text(&one.name), cells(&numbers));
        }
        out.push_str("</table>\n");
    }
    if !controls.is_empty() {
        let _ = write!(out, "<h2>Controls</h2>\n<table><tr><th>control</th><th>title</th><th>severity</th>{NUMBERS}");
        for one in &controls {
            let severity = one.severity.as_deref().unwrap_or_default();
            let numbers = cells(&[one.kept, one.not_kept, one.unknown, one.not_applicable]);
            let (id, title) = (text(&one.id), text(&one.title));
            let _ = writeln!(out, "<tr><td>{id}</td><td>{title}</td><td>{}</td>{numbers}</tr>", text(severity));
        }
        out.push_str("</table>\n");
    }
    out
}

fn cells(numbers: &[usize]) -> String {
    numbers.iter().map(|number| format!("<td class=\"number\">{number}</td>")).collect()
}

fn trend(report: &Report) -> String {
    if report.past.trend.is_empty() {
        return String::new();
    }
    let mut out = String::from(
        "<h2>Runs before</h2>\n<table><tr><th>began</th><th>run</th><th>mode</th><th>exit</th><th>came to</th></tr>\n",
    );
    for point in &report.past.trend {
        let exit = point.exit.map_or_else(|| "none".into(), |exit| exit.to_string());
        let words =
            [rfc3339(point.began), point.run.clone(), point.mode.clone(), exit, counts(&point.summary).join(", ")];
        let words: String = words.iter().map(|word| format!("<td>{}</td>", text(word))).collect();
        let _ = writeln!(out, "<tr>{words}</tr>");
    }
    out + "</table>\n"
}

fn class(task: &TaskDone) -> &'static str {
    match task.outcome.class() {
        Class::Aside => "aside",
        Class::Good => "good",
        Class::Open => "open",
        Class::Differs => "differs",
        Class::Broken => "broken",
    }
}

/// On one line.
fn text(said: &str) -> String {
    escape(&safe::line(said, 4000))
}

/// With its ends of lines; who uses it sets further lines off.
fn lines(said: &str) -> String {
    escape(&safe::lines(said, 4000))
}

fn escape(shown: &str) -> String {
    let mut out = String::with_capacity(shown.len());
    for c in shown.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}
