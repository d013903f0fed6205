//! HTML: one file that needs nothing else and asks nobody. Its head forbids requests, pictures, forms and every script and
//! style but the two that stand in it, which are allowed by their digests. The script only filters and moves about; without it
//! all is there as well.

use super::super::fold::{Report, tells, word};
use super::super::safe;
use crate::event::{Class, Event, Mode, TaskDone};
use crate::secret::redact;
use base64::Engine;
use sha2::{Digest, Sha256};

mod finding;
mod head;
mod heat;
mod incident;
mod rules;
mod story;
mod trend;

const STYLE: &str = include_str!("html/page.css");
const SCRIPT: &str = include_str!("html/page.js");

/// The whole page.
pub fn page(report: &Report, events: &[Event]) -> String {
    let columns = heat::Columns::of(report);
    let parts = [
        head::head(report),
        head::bar(report),
        "<main>\n".into(),
        incident::incident(report),
        finding::all(report, &columns),
        heat::map(report, &columns),
        story::story(report, events),
        rules::standards(report),
        rules::controls(report),
        trend::trend(report),
        "</main>\n".into(),
        head::foot(report),
    ];
    let body = parts.concat();
    let title = text(&format!("steadfast {} {}", mode(report), report.run));
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'sha256-{}'; \
         script-src 'sha256-{}'; base-uri 'none'; form-action 'none'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <meta name=\"referrer\" content=\"no-referrer\">\n\
         <title>{}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n{}<script>{SCRIPT}</script>\n</body>\n</html>\n",
        digest(STYLE),
        digest(SCRIPT),
        redact(&title),
        redact(&body),
    )
}

fn digest(text: &str) -> String {
    base64::engine::general_purpose::STANDARD.encode(Sha256::digest(text))
}

fn mode(report: &Report) -> &'static str {
    report.mode.map_or("check", Mode::word)
}

/// The style's word for how a task ended.
fn class(task: &TaskDone) -> &'static str {
    if tells(task) { "differs" } else { class_word(task.outcome.class()) }
}

/// The word for how a task ended, on this page.
fn said(task: &TaskDone) -> &'static str {
    if tells(task) { "told" } else { word(task) }
}

fn class_word(class: Class) -> &'static str {
    match class {
        Class::Aside => "aside",
        Class::Good => "good",
        Class::Open => "open",
        Class::Differs => "differs",
        Class::Broken => "broken",
    }
}

/// A bar of parts that share one width, each with the style's word for it.
fn stacked(parts: &[(&str, usize)]) -> String {
    let total = parts.iter().map(|(_, n)| n).sum::<usize>().max(1);
    let (mut at, mut out) = (
        0,
        String::from("<svg class=\"stack\" viewBox=\"0 0 1000 1\" preserveAspectRatio=\"none\" aria-hidden=\"true\">"),
    );
    for (class, n) in parts.iter().filter(|(_, n)| *n > 0) {
        // What is there is seen, be it one of thousands.
        let width = (n * 1000 / total).max(3);
        out.push_str(&format!("<path class=\"{class}\" d=\"M{at} 0h{width}v1h-{width}z\"/>"));
        at += width;
    }
    out + "</svg>"
}

/// `1 host`, `2 hosts`.
fn count(n: usize, thing: &str) -> String {
    format!("{n} {thing}{}", if n == 1 { "" } else { "s" })
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
