//! Lines of a report on a terminal: wrapped, painted, with nothing raw.

use super::diff::{lines_between, unified};
use super::fold::{Report, tells};
use super::group::{Group, name_hosts};
use super::left::Left;
use super::safe;
use super::text::Style;
use crate::event::{Differs, Moved, Outcome, Seen, Since, began, length};
use crate::step::Undo;
use anstyle::{AnsiColor, Style as Ansi};
use std::fmt::Write;

/// Rows of a result that are shown.
const ROWS: usize = 40;

pub const BOLD: Ansi = Ansi::new().bold();
const DIM: Ansi = Ansi::new().dimmed();
pub const RED: Ansi = AnsiColor::Red.on_default();
pub const GREEN: Ansi = AnsiColor::Green.on_default();
pub const YELLOW: Ansi = AnsiColor::Yellow.on_default();
const CYAN: Ansi = AnsiColor::Cyan.on_default();

fn color(outcome: &Outcome) -> Ansi {
    match outcome {
        Outcome::Unchanged | Outcome::Changed => GREEN,
        Outcome::Drift | Outcome::Manual => YELLOW,
        Outcome::Pending { .. } | Outcome::Skipped { .. } => CYAN,
        Outcome::Unknown { .. } | Outcome::Failed { .. } | Outcome::Reverted { .. } | Outcome::Stale { .. } => RED,
    }
}

/// The columns a text takes on a terminal.
pub fn wide(text: &str) -> usize {
    unicode_width::UnicodeWidthStr::width(text)
}

/// A value in a few words: of a short text the one line that says something, else its size.
fn brief(val: &Seen) -> String {
    let Seen::Data(data) = val else { return val.to_string() };
    let text = std::str::from_utf8(data).unwrap_or_default();
    let mut telling = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    match (telling.next(), telling.next()) {
        (Some(line), None) if line.len() <= 80 => format!("`{line}`"),
        _ => val.to_string(),
    }
}

/// A word in pieces that have room: behind a comma or a slash where there is one in the second half.
fn pieces(word: &str, room: usize) -> Vec<&str> {
    let (mut all, mut rest) = (Vec::new(), word);
    while wide(rest) > room {
        let (mut cut, mut at_sign, mut columns) = (0, 0, 0);
        for (at, character) in rest.char_indices() {
            columns += unicode_width::UnicodeWidthChar::width(character).unwrap_or(0);
            if columns > room {
                break;
            }
            cut = at + character.len_utf8();
            if matches!(character, ',' | '/' | ';' | ':') && columns > room / 2 {
                at_sign = cut;
            }
        }
        // A character is at most two columns wide, so something always has room.
        let (piece, more) = rest.split_at(if at_sign > 0 { at_sign } else { cut });
        all.push(piece);
        rest = more;
    }
    all.push(rest);
    all
}

/// What is told, as it grows.
pub struct Page {
    pub out: String,
    pub style: Style,
}

impl Page {
    pub fn paint(&self, ansi: Ansi, text: &str) -> String {
        if self.style.color { format!("{ansi}{text}{ansi:#}") } else { text.to_owned() }
    }

    pub fn line(&mut self, text: &str) {
        let _ = writeln!(self.out, "{}", text.trim_end());
    }

    /// As many names as have room behind an indent, at most so many.
    pub fn names(&self, hosts: &[String], total: usize, indent: usize, most: usize) -> String {
        let fits = |text: &String| indent + wide(text) <= self.style.width;
        let some = (1..=most).rev().map(|most| name_hosts(hosts, total, most)).find(fits);
        some.unwrap_or_else(|| name_hosts(hosts, total, 1))
    }

    /// Breaks at blanks so that nothing runs over the width; what goes on in a further line is marked, so that no text
    /// of a host passes for a row of ours.
    pub fn wrapped(&mut self, indent: usize, text: &str) {
        let room = self.style.width.saturating_sub(indent + 2).max(30);
        for line in text.lines() {
            let mut rest = String::new();
            let mut mark = "";
            for word in line.split(' ') {
                for (n, piece) in pieces(word, room).into_iter().enumerate() {
                    let full = wide(mark) + wide(&rest) + 1 + wide(piece) > room + 2;
                    if n > 0 || (!rest.is_empty() && full) {
                        self.line(&format!("{}{mark}{rest}", " ".repeat(indent)));
                        rest.clear();
                        mark = "| ";
                    }
                    if !rest.is_empty() {
                        rest.push(' ');
                    }
                    rest.push_str(piece);
                }
            }
            self.line(&format!("{}{mark}{rest}", " ".repeat(indent)));
        }
    }

    /// What somebody else said; lines after the first are marked, so that none passes for a row.
    pub fn said(&mut self, text: &str, most: usize) {
        self.wrapped(14, &safe::lines(text.trim_end(), most).replace('\n', "\n| "));
    }

    /// Controls that were left, in two lines: which, and why.
    pub fn left(&mut self, left: &Left, hosts: usize) {
        let word = if left.waived { "waived" } else { "left alone" };
        let word = self.paint(CYAN, &format!("{word:<11}"));
        let names = safe::line(&left.controls.join(", "), 400);
        let who = if hosts == 1 { String::new() } else { format!("  {}", self.names(&left.hosts, hosts, 16, 4)) };
        if 14 + wide(&names) + wide(&who) <= self.style.width {
            self.line(&format!("  {word} {names}{who}"));
        } else {
            self.line(&format!("  {word}{}", if who.is_empty() { " " } else { &who[1..] }));
            self.wrapped(14, &names);
        }
        self.said(&left.reason, 600);
    }

    pub fn group(&mut self, group: &Group, report: &Report) {
        let (task, hosts) = (&group.task, report.hosts.len());
        let (word, ansi) = match &task.outcome {
            // Nothing is to be done about what it tells.
            Outcome::Unchanged if tells(task) => ("told", YELLOW),
            outcome if outcome.is_waived() => ("waived", color(outcome)),
            outcome => (outcome.word(), color(outcome)),
        };
        let word = self.paint(ansi, &format!("{word:<11}"));
        let indent = 16 + wide(&task.step);
        let who =
            if hosts == 1 { String::new() } else { format!("  {}", self.names(&group.hosts, hosts, indent + 2, 4)) };
        let id = self.paint(BOLD, &task.step);
        let control = task.control.as_ref().map(|c| format!("{} ", c.id)).unwrap_or_default();
        let plain = safe::line(&format!("{control}{}", task.title), 400);
        if indent + wide(&plain) + wide(&who) <= self.style.width {
            let title = self.paint(DIM, &plain);
            self.line(&format!("  {word} {id}  {title}{who}"));
        } else {
            self.line(&format!("  {word} {id}{who}"));
            self.wrapped(14, &plain);
        }
        match &task.outcome {
            Outcome::Pending { after } => {
                let after = if group.hosts.len() > 1 { after.rsplit('/').next().unwrap_or(after) } else { after };
                self.wrapped(14, &safe::line(&format!("after {after}"), 400));
            }
            Outcome::Skipped { why, because: Some(because), .. } => self.said(&format!("{because}: {why}"), 2000),
            outcome => {
                if let Some(why) = outcome.why() {
                    self.said(why, 2000);
                }
            }
        }
        let most = if self.style.verbose > 0 { usize::MAX } else { ROWS };
        task.rows.iter().take(most).for_each(|row| self.row(row));
        if task.rows.len() > most {
            self.wrapped(14, &format!("and {} more (-v shows them)", task.rows.len() - most));
        }
        if let Some(Since { moved, run }) = &task.since {
            let who = match moved {
                Moved::Host => "somebody changed the host since",
                Moved::Playbook => "the step wants something else than in",
            };
            let ago = began(run).and_then(|then| report.until.checked_sub(then));
            let ago = ago.map(|ms| format!(", {} ago", length(ms))).unwrap_or_default();
            self.wrapped(14, &format!("{who} run {run}{ago}"));
        }
        if let (Outcome::Drift, Undo::Partial(why) | Undo::None(why)) = (&task.outcome, &task.undo) {
            let class = if matches!(task.undo, Undo::Partial(_)) { "partial" } else { "none" };
            self.wrapped(14, &format!("way back: {class}, {}", safe::line(why, 400)));
        }
        if let Some(expired) = &task.expired_waiver {
            self.said(expired, 600);
        }
        let control = task.control.as_ref();
        if let Some(why) = control.and_then(|control| control.why.as_ref()).filter(|_| self.style.verbose > 0) {
            self.said(&format!("why: {why}"), 600);
        }
        let breaks = control.and_then(|control| control.breaks.as_ref());
        if let Some(breaks) = breaks.filter(|_| matches!(task.outcome, Outcome::Drift | Outcome::Pending { .. })) {
            self.said(&format!("may break: {breaks}"), 600);
        }
        if matches!(task.outcome, Outcome::Manual) {
            self.wrapped(14, "steadfast does not change this; a person must");
        }
    }

    fn row(&mut self, row: &Differs) {
        let object = safe::line(&row.object, 200);
        let field = safe::line(&row.field, 80);
        let (found, wanted) = (row.found.data(), row.wanted.data());
        let diff = match &row.diff {
            _ if !self.style.diff => None,
            None if found.is_some() || wanted.is_some() => Some(unified(found, wanted)),
            known => known.clone(),
        };
        if let Some(diff) = diff {
            self.line(&format!("              {object} {field}"));
            for line in diff {
                let ansi = match line.as_bytes().first() {
                    Some(b'+') => GREEN,
                    Some(b'-') => RED,
                    Some(b'@') => CYAN,
                    _ => Ansi::new(),
                };
                let line = self.paint(ansi, &safe::line(&line, 400));
                self.line(&format!("                {line}"));
            }
            return;
        }
        let (before, after) = (brief(&row.found), brief(&row.wanted));
        if let (Some(a), Some(b)) = (&found, &wanted)
            && before.ends_with(" bytes")
            && let Some((more, less)) = lines_between(a, b)
        {
            return self.wrapped(14, &format!("{object} {field}: +{more} −{less} lines (-D shows them)"));
        }
        let value = |text: &str| safe::line(text, 160);
        let (found, wanted) = match (&found, &wanted) {
            (Some(_), Some(_)) if before == after => (value(&before), "other content".to_owned()),
            _ => (value(&before), value(&after)),
        };
        self.wrapped(14, &format!("{object} {field}: {found} → {wanted}"));
    }
}
