//! Markdown for a comment below a pull request: what differs first, folded details, never longer than a comment may be.
//!
//! What hosts say stands in code spans, in which nothing is a link, an image or a mention; titles and reasons have every
//! sign escaped that could be one.

use super::super::coverage::standards;
use super::super::fold::{Report, reason};
use super::super::group::{Group, group};
use super::super::safe;
use super::super::timeline::{clock, spell, timelines};
use super::told;
use crate::event::{Class, Outcome};

/// Bytes of a comment; the common forges take 65 536 characters.
pub const MOST: usize = 60_000;

/// Rows of a result that are shown.
const ROWS: usize = 20;

/// The whole comment, at most so many bytes.
pub fn comment(report: &Report, most: usize) -> String {
    let mut out = head(report) + &incidents(report);
    let groups = group(&report.tasks());
    let mut odd: Vec<&Group> = groups.iter().filter(|group| group.task.outcome.class() > Class::Good).collect();
    odd.sort_by_key(|group| std::cmp::Reverse(group.task.outcome.class()));
    let tail = tail(report);
    let mut left = odd.len();
    for group in &odd {
        let text = section(report, group);
        // Room for the sentence that says what is left out.
        if out.len() + text.len() + tail.len() + 120 > most {
            break;
        }
        out.push_str(&text);
        left -= 1;
    }
    if left > 0 {
        out.push_str(&format!("\n**{left} more findings** are left out here: this comment is full.\n"));
    }
    out + &tail
}

fn head(report: &Report) -> String {
    let mode = report.mode.map_or("check", crate::event::Mode::word);
    let summary = report.summary();
    let (mark, word, next) = match &report.end {
        Some(end) => {
            let (word, next) = report.verdict(end);
            let mark = match end.exit {
                0 => "✅",
                2 => "⚠️",
                _ => "❌",
            };
            (mark, word, next)
        }
        None => ("❌", "not ended".into(), ": this is what is known of it".into()),
    };
    let hosts = match summary.unreachable {
        0 => format!("{}", summary.hosts),
        lost => format!("{} ({lost} unreachable)", summary.hosts),
    };
    let cells = [
        ("hosts", hosts),
        ("ok", summary.unchanged.to_string()),
        ("changed", summary.changed.to_string()),
        ("drift", (summary.drift + summary.manual).to_string()),
        ("pending", summary.pending.to_string()),
        ("unknown", (summary.unknown + summary.stale).to_string()),
        ("failed", (summary.failed + summary.reverted).to_string()),
        ("skipped", summary.skipped.to_string()),
    ];
    let row = |cells: Vec<&str>| format!("| {} |\n", cells.join(" | "));
    let books: Vec<String> = report.playbooks.iter().map(|book| code(book, 200)).collect();
    format!(
        "### {mark} steadfast {mode}: {}{}\n\n{}\n\n{}{}{}\n",
        text(&word, 200),
        text(&next, 200),
        books.join(", "),
        row(cells.iter().map(|(name, _)| *name).collect()),
        row(vec!["---:"; cells.len()]),
        row(cells.iter().map(|(_, n)| n.as_str()).collect()),
    )
}

/// The time line of hosts that an incident is on. Bounded by itself.
fn incidents(report: &Report) -> String {
    let all = timelines(report);
    let mut out = String::new();
    for one in all.iter().take(8) {
        let told = |(name, ms): (&str, Option<u64>)| format!("{name} **{}**", ms.map_or(one.missing().into(), spell));
        let numbers = one.numbers().map(told).join(" · ");
        out.push_str(&format!("\n**incident** {}: {numbers}\n\n", code(one.host, 100)));
        out.push_str("| UTC | after it was found | | |\n| --- | ---: | --- | --- |\n");
        for turn in &one.turns {
            let after = one.after(turn).map(spell).unwrap_or_default();
            let (at, title) = (clock(turn.at), turn.milestone.title());
            // A bar ends a cell, also in a code span.
            let said = code(&turn.told, 200).replace('|', "\\|");
            out.push_str(&format!("| {at} | {after} | {title} | {said} |\n"));
        }
    }
    if let Some(more) = all.len().checked_sub(8).filter(|more| *more > 0) {
        out.push_str(&format!("\nand an incident on {more} more hosts.\n"));
    }
    out
}

fn section(report: &Report, group: &Group) -> String {
    let task = &group.task;
    let control = task.control.as_ref().map(|control| format!("{} ", code(&control.id, 80))).unwrap_or_default();
    let severity = task.control.as_ref().and_then(|control| control.severity.as_deref());
    let severity = severity.map(|word| format!(" ({})", text(word, 40))).unwrap_or_default();
    let new = if report.baseline(task) == Some(super::super::fold::Baseline::New) { " 🆕" } else { "" };
    let mut out = format!(
        "\n**{}** {control}{}{severity}{new} · {}\n",
        task.outcome.word(),
        text(&task.title, 300),
        hosts(&group.hosts, report.hosts.len())
    );
    let after = match &task.outcome {
        Outcome::Pending { after } if group.hosts.len() > 1 => Some(after.rsplit('/').next().unwrap_or(after)),
        _ => None,
    };
    let why = after.map_or_else(|| reason(task), |after| format!("it can be told only after {after}"));
    let mut lines: Vec<String> = if why.is_empty() { vec![] } else { vec![format!("- {}", code(&why, 600))] };
    lines.extend(task.rows.iter().take(ROWS).map(|row| format!("- {}", code(&told(row, 200), 800))));
    if task.rows.len() > ROWS {
        lines.push(format!("- and {} more", task.rows.len() - ROWS));
    }
    if let Some(since) = &task.since {
        lines.push(format!("- true until run {}", code(&since.run, 60)));
    }
    let place = &task.place;
    lines.push(format!("- {}", code(&format!("{}:{}", place.file, place.line), 300)));
    out.push('\n');
    out.push_str(&lines.join("\n"));
    out.push('\n');
    out
}

fn hosts(names: &[String], total: usize) -> String {
    if total > 1 && names.len() == total {
        return format!("all {total} hosts");
    }
    let some: Vec<String> = names.iter().take(5).map(|name| code(name, 100)).collect();
    match names.len() {
        n if n > some.len() => format!("{} and {} more", some.join(", "), n - some.len()),
        _ => some.join(", "),
    }
}

/// Hosts that were not heard, standards, and the name of the run. Bounded by itself.
fn tail(report: &Report) -> String {
    let mut out = String::new();
    let silent: Vec<&str> = report.silent().collect();
    for host in silent.iter().take(20) {
        let why = match (report.loss(host), report.not_started(host)) {
            (Some(loss), _) => loss,
            (None, Some(why)) => why.to_owned(),
            (None, None) => "the run was broken off before its end".into(),
        };
        out.push_str(&format!("\n**unreachable** {}: {}\n", code(host, 100), code(&why, 300)));
    }
    if silent.len() > 20 {
        out.push_str(&format!("\n{} more hosts were not heard.\n", silent.len() - 20));
    }
    for (host, said) in report.notes.iter().take(20) {
        out.push_str(&format!("\n**note** {}: {}\n", code(host, 100), code(said, 300)));
    }
    let standards = standards(report);
    if !standards.is_empty() {
        out.push_str("\n| standard | kept | not kept | unknown |\n| --- | ---: | ---: | ---: |\n");
        for one in standards.iter().take(20) {
            out.push_str(&format!("| {} | {} | {} | {} |\n", text(&one.name, 60), one.kept, one.not_kept, one.unknown));
        }
    }
    out + &format!("\n<sub>run {} · steadfast {}</sub>\n", text(&report.run, 80), text(&report.version, 40))
}

/// A code span that holds whatever it is given, on one line.
pub(super) fn code(said: &str, most: usize) -> String {
    let shown = safe::line(said, most);
    let longest = shown.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest + 1);
    match shown.trim() {
        "" => "(nothing)".into(),
        _ if shown.starts_with(['`', ' ']) || shown.ends_with(['`', ' ']) => format!("{fence} {shown} {fence}"),
        _ => format!("{fence}{shown}{fence}"),
    }
}

/// Plain words: every sign that Markdown, HTML or a forge could read is only itself.
pub(super) fn text(said: &str, most: usize) -> String {
    let mut before = ' ';
    let mut out = String::new();
    for c in safe::line(said, most).chars() {
        match c {
            // A forge looks for mentions in what is left after Markdown; an empty comment keeps the name from its sign.
            '@' | '#' => out.push_str(&format!("{c}<!-- -->")),
            // `www.` would be a link.
            '.' if before != 'w' => out.push(c),
            '&' | '<' | '>' | ':' | '.' => out.push_str(&format!("&#{};", u32::from(c))),
            ' ' | ',' | ';' | '/' | '-' => out.push(c),
            c if c.is_ascii_punctuation() => out.extend(['\\', c]),
            c => out.push(c),
        }
        before = c;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{code, text};

    #[test]
    fn code_holds_whatever_it_is_given() {
        assert_eq!(code("a `b` ``c", 99), "```a `b` ``c```");
        assert_eq!(code("`", 99), "`` ` ``");
        assert_eq!(code("a|b\nc", 99), "`a|b\\nc`");
    }

    #[test]
    fn words_are_no_links_images_or_mentions() {
        let shown = text("![x](http://e.x/a) @all #1 <img src=x> www.e.x *b* `c`", 400);
        for bad in ["![", "](", "://", "@all", "#1", "<img", "www.e", " *b", " `c"] {
            assert!(!shown.contains(bad), "{bad}: {shown}");
        }
    }
}
