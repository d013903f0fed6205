//! The report for people: grouped, odd ones by name, what to do next at the end.

use super::diff::{lines_between, unified};
use super::fold::{End, Report};
use super::group::{Group, group, name_hosts};
use super::left::{Left, left};
use super::safe;
use super::verdict::{counts, verdict};
use crate::event::{Differs, Mode, Moved, Outcome, Seen, Since};
use crate::step::Undo;
use anstyle::{AnsiColor, Style as Ansi};
use std::collections::BTreeMap;
use std::fmt::Write;

/// How a report looks.
#[derive(Debug, Clone, Copy)]
pub struct Style {
    pub color: bool,
    /// Columns.
    pub width: usize,
    /// Contents of files as diffs.
    pub diff: bool,
    /// 0: what differs. 1: what is in order as well.
    pub verbose: u8,
}

impl Report {
    /// The whole report, for people.
    pub fn text(&self, style: Style) -> String {
        let mut page = Page { out: String::new(), style };
        self.head(&mut page);
        let groups = group(&self.tasks());
        let verbose = style.verbose > 0;
        let shown = |outcome: &Outcome| match outcome {
            Outcome::Unchanged => verbose,
            Outcome::Skipped { blocked, .. } => verbose || *blocked,
            _ => true,
        };
        let mut any = false;
        for group in groups.iter().filter(|group| shown(&group.task.outcome)) {
            any = true;
            page.group(group, self.hosts.len());
        }
        if !verbose {
            for left in left(&groups) {
                any = true;
                page.left(&left, self.hosts.len());
            }
        }
        if any {
            page.line("");
        }
        self.losses(&mut page);
        self.recap(&mut page);
        page.out
    }

    fn head(&self, page: &mut Page) {
        let mode = self.mode.map_or("check", Mode::word);
        let what = format!("steadfast {mode}");
        let (hosts, steps) = (count(self.hosts.len(), "host"), count(self.steps, "step"));
        let head = format!(
            "{} · {} · {hosts} · {steps}",
            page.paint(BOLD, &what),
            safe::line(&self.playbooks.join(", "), 400)
        );
        page.line(&head);
        page.line("");
    }

    fn losses(&self, page: &mut Page) {
        let mut by_reason: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (host, kind, why) in &self.lost {
            let loss = crate::host::Loss { kind: *kind, why: why.clone() };
            by_reason.entry(loss.to_string()).or_default().push(host.clone());
        }
        for (reason, hosts) in &by_reason {
            let word = page.paint(RED, &format!("{:<11}", "unreachable"));
            page.line(&format!("  {word} {}", name_hosts(hosts, self.hosts.len(), 8)));
            page.said(reason, 600);
        }
        for (why, hosts) in &self.stopped {
            let word = page.paint(RED, &format!("{:<11}", "not started"));
            page.line(&format!("  {word} {}", name_hosts(hosts, self.hosts.len(), 8)));
            page.said(why, 600);
        }
        for (host, text) in &self.notes {
            let word = page.paint(YELLOW, &format!("{:<11}", "note"));
            page.line(&format!("  {word} {}", safe::line(host, 120)));
            page.said(text, 600);
        }
        if !self.notes.is_empty() || !by_reason.is_empty() || !self.stopped.is_empty() {
            page.line("");
        }
    }

    /// One line for hosts that did equally, then the sum and what to do next.
    fn recap(&self, page: &mut Page) {
        let by_host = self.by_host();
        let mut alike: Vec<(String, Vec<String>)> = Vec::new();
        for host in &self.hosts {
            let lost = self.lost.iter().any(|(name, ..)| name == host);
            let mut words = by_host.get(host.as_str()).map(counts).unwrap_or_default();
            if lost {
                words.push("unreachable".into());
            }
            if words.is_empty() {
                continue;
            }
            let words = words.join("  ");
            match alike.iter_mut().find(|(known, _)| *known == words) {
                Some((_, hosts)) => hosts.push(host.clone()),
                None => alike.push((words, vec![host.clone()])),
            }
        }
        let names: Vec<String> = alike.iter().map(|(_, hosts)| name_hosts(hosts, self.hosts.len(), 4)).collect();
        let width = names.iter().map(|name| wide(name)).max().unwrap_or(0).min(page.style.width / 2);
        for (name, (words, _)) in names.iter().zip(&alike) {
            page.line(&format!("  {name}{}  {words}", " ".repeat(width.saturating_sub(wide(name)))));
        }
        let Some(End { summary, exit, interrupted, ms }) = &self.end else {
            page.line("");
            let line = page.paint(RED, "not ended");
            return page.line(&format!("{line}: it goes on, or was broken off; this is what is known of it"));
        };
        page.line("");
        #[expect(clippy::cast_precision_loss, reason = "for reading")]
        let seconds = *ms as f64 / 1000.0;
        let (word, next) = verdict(self.mode, summary, *exit, *interrupted);
        let color = match exit {
            0 => GREEN,
            2 => YELLOW,
            _ => RED,
        };
        let line = format!("{} in {seconds:.1} s{next}", page.paint(color, &word));
        page.line(&line);
    }
}

fn count(n: usize, thing: &str) -> String {
    format!("{n} {thing}{}", if n == 1 { "" } else { "s" })
}

const BOLD: Ansi = Ansi::new().bold();
const DIM: Ansi = Ansi::new().dimmed();
const RED: Ansi = AnsiColor::Red.on_default();
const GREEN: Ansi = AnsiColor::Green.on_default();
const YELLOW: Ansi = AnsiColor::Yellow.on_default();
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
fn wide(text: &str) -> usize {
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

struct Page {
    out: String,
    style: Style,
}

impl Page {
    fn paint(&self, ansi: Ansi, text: &str) -> String {
        if self.style.color { format!("{ansi}{text}{ansi:#}") } else { text.to_owned() }
    }

    fn line(&mut self, text: &str) {
        let _ = writeln!(self.out, "{}", text.trim_end());
    }

    /// Breaks at blanks so that nothing runs over the width; what goes on in a further line is marked, so that no text
    /// of a host passes for a row of ours.
    fn wrapped(&mut self, indent: usize, text: &str) {
        for line in text.lines() {
            let mut rest = String::new();
            let mut mark = "";
            for word in line.split(' ') {
                let room = self.style.width.saturating_sub(indent + mark.len()).max(30);
                if !rest.is_empty() && wide(&rest) + 1 + wide(word) > room {
                    self.line(&format!("{}{mark}{rest}", " ".repeat(indent)));
                    rest.clear();
                    mark = "| ";
                }
                if !rest.is_empty() {
                    rest.push(' ');
                }
                rest.push_str(word);
            }
            self.line(&format!("{}{mark}{rest}", " ".repeat(indent)));
        }
    }

    /// What somebody else said; lines after the first are marked, so that none passes for a row.
    fn said(&mut self, text: &str, most: usize) {
        self.wrapped(14, &safe::lines(text.trim_end(), most).replace('\n', "\n| "));
    }

    /// Controls that were left, in two lines: which, and why.
    fn left(&mut self, left: &Left, hosts: usize) {
        let word = if left.waived { "waived" } else { "left alone" };
        let word = self.paint(CYAN, &format!("{word:<11}"));
        let who = if hosts == 1 { String::new() } else { format!("  {}", name_hosts(&left.hosts, hosts, 4)) };
        let names = safe::line(&left.controls.join(", "), 400);
        self.line(&format!("  {word} {names}{who}"));
        self.said(&left.reason, 600);
    }

    fn group(&mut self, group: &Group, hosts: usize) {
        let task = &group.task;
        let word = match &task.outcome {
            Outcome::Skipped { waived: true, .. } => "waived",
            outcome => outcome.word(),
        };
        let word = self.paint(color(&task.outcome), &format!("{word:<11}"));
        let who = if hosts == 1 { String::new() } else { format!("  {}", name_hosts(&group.hosts, hosts, 4)) };
        let id = self.paint(BOLD, &task.step);
        let control = task.control.as_ref().map(|c| format!("{} ", c.id)).unwrap_or_default();
        let plain = safe::line(&format!("{control}{}", task.title), 400);
        if 16 + wide(&task.step) + wide(&plain) + wide(&who) <= self.style.width {
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
        for row in task.rows.iter() {
            self.row(row);
        }
        if let Some(Since { moved, run }) = &task.since {
            let who = match moved {
                Moved::Host => "somebody changed the host",
                Moved::Playbook => "the playbook changed",
            };
            self.wrapped(14, &format!("{who} since run {run}"));
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
