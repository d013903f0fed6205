//! The report for people: grouped, odd ones by name, what to do next at the end.

use super::fold::{End, Report, tells};
use super::group::{Group, group};
use super::left::left;
use super::page::{BOLD, GREEN, Page, RED, YELLOW, wide};
use super::safe;
use super::timeline::{Timeline, clock, spell, timelines};
use super::verdict::counts;
use crate::event::{Mode, Outcome, Summary, TaskDone};
use crate::step::Undo;
use std::collections::{BTreeMap, BTreeSet, HashMap};

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

/// All, but what has no way back.
fn back(tasks: &[&TaskDone]) -> String {
    // What was told to read again reads again after a way back as well.
    let lost = |task: &&&TaskDone| {
        task.outcome == Outcome::Changed && matches!(task.undo, Undo::None(_)) && task.kind != "service"
    };
    let steps: BTreeSet<&str> = tasks.iter().filter(lost).map(|task| task.step.as_str()).collect();
    let steps: Vec<&str> = steps.into_iter().collect();
    match steps.as_slice() {
        [] => "all".to_owned(),
        few if few.len() <= 3 => format!("all but {}", few.join(", ")),
        many => format!("all but {} steps without a way back", many.len()),
    }
}

impl Report {
    /// What to do after a run that changes things and did not come out.
    fn next(&self, summary: &Summary, interrupted: bool) -> Option<String> {
        let apply = self.mode == Some(Mode::Apply) && !self.run.is_empty();
        let bad = summary.failed + summary.reverted + summary.unreachable > 0 || interrupted;
        let run = &self.run;
        let tasks = self.tasks();
        let back = match summary.changed {
            0 => String::new(),
            _ => format!("; `steadfast rollback {run}` takes {} back", back(&tasks)),
        };
        if apply && !bad && summary.blocked > 0 {
            let waits = |task: &&&TaskDone| matches!(task.outcome, Outcome::Skipped { blocked: true, .. });
            let gate = tasks.iter().filter(waits).find(|task| task.kind == "approve");
            let gate = gate.map_or("STEP", |gate| gate.step.as_str());
            return Some(format!("`steadfast resume {run} --approve {gate}` goes on once somebody says yes{back}"));
        }
        (apply && bad).then(|| format!("`steadfast resume {run}` goes on once it is mended{back}"))
    }

    /// The whole report, for people.
    pub fn text(&self, style: Style) -> String {
        let mut page = Page { out: String::new(), style };
        self.head(&mut page);
        let groups = group(&self.tasks());
        let verbose = style.verbose > 0;
        // Before anything is done it is told where somebody will be asked.
        let asks = |group: &Group| group.task.kind == "approve" && matches!(self.mode, Some(Mode::Check | Mode::Plan));
        let shown = |group: &&Group| match &group.task.outcome {
            // What is told though all goes on, such as signs that are why a playbook is run.
            Outcome::Unchanged => verbose || tells(&group.task),
            Outcome::Skipped { blocked, .. } => verbose || *blocked || asks(group),
            _ => true,
        };
        let (told, folded) = fold(groups.iter().filter(shown), verbose);
        for group in &told {
            page.group(group, self);
        }
        for ((step, word), hosts) in &folded {
            page.line(&format!("  {word:<11} {step}  {hosts} more hosts in other ways (-v shows them)"));
        }
        // With -v they are told one by one above.
        let left = if verbose { vec![] } else { left(&groups) };
        left.iter().for_each(|left| page.left(left, self.hosts.len()));
        if !told.is_empty() || !left.is_empty() {
            page.line("");
        }
        self.losses(&mut page);
        self.incidents(&mut page);
        self.recap(&mut page);
        page.out
    }

    fn head(&self, page: &mut Page) {
        let mode = self.mode.map_or("check", Mode::word);
        let what = format!("steadfast {mode}");
        let (hosts, steps) = (count(self.hosts.len(), "host"), count(self.steps, "step"));
        let books = safe::line(&self.playbooks.join(", "), 400);
        let painted = page.paint(BOLD, &what);
        if wide(&format!("{what} · {books} · {hosts} · {steps}")) <= page.style.width {
            page.line(&format!("{painted} · {books} · {hosts} · {steps}"));
        } else {
            page.line(&format!("{painted} · {hosts} · {steps}"));
            page.wrapped(2, &books);
        }
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
            page.line(&format!("  {word} {}", page.names(hosts, self.hosts.len(), 14, 8)));
            page.said(reason, 600);
        }
        for (why, hosts) in &self.stopped {
            let word = page.paint(RED, &format!("{:<11}", "not started"));
            page.line(&format!("  {word} {}", page.names(hosts, self.hosts.len(), 14, 8)));
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

    /// The time line of each host that an incident is on.
    fn incidents(&self, page: &mut Page) {
        let all = timelines(self);
        for one in all.iter().take(TIMELINES) {
            page.incident(one);
        }
        if let Some(more) = all.len().checked_sub(TIMELINES).filter(|more| *more > 0) {
            page.line(&format!("  incident    on {more} more hosts (`--report html:PATH` shows them)"));
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
        let names: Vec<String> =
            alike.iter().map(|(_, hosts)| page.names(hosts, self.hosts.len(), page.style.width / 2, 4)).collect();
        let width = names.iter().map(|name| wide(name)).max().unwrap_or(0).min(page.style.width / 2);
        let most = if page.style.verbose > 0 { usize::MAX } else { KINDS };
        for (name, (words, _)) in names.iter().zip(&alike).take(most) {
            let line = format!("  {name}{}  {words}", " ".repeat(width.saturating_sub(wide(name))));
            if wide(&line) <= page.style.width {
                page.line(&line);
            } else {
                page.wrapped(2, name);
                page.wrapped(6, words);
            }
        }
        let left: usize = alike.iter().skip(most).map(|(_, hosts)| hosts.len()).sum();
        if left > 0 {
            page.line(&format!("  and {left} more hosts in {} other ways (-v shows them)", alike.len() - most));
        }
        let Some(end) = &self.end else {
            page.line("");
            let line = page.paint(RED, "not ended");
            return page.line(&format!("{line}: it goes on, or was broken off; this is what is known of it"));
        };
        let End { summary, exit, interrupted, ms } = end;
        page.line("");
        if let Some(next) = self.next(summary, *interrupted) {
            page.wrapped(2, &next);
            page.line("");
        }
        #[expect(clippy::cast_precision_loss, reason = "for reading")]
        let seconds = *ms as f64 / 1000.0;
        let (word, next) = self.verdict(end);
        let color = match exit {
            0 => GREEN,
            2 => YELLOW,
            _ => RED,
        };
        let behind = format!(" in {seconds:.1} s{next}");
        if wide(&word) + wide(&behind) <= page.style.width {
            page.line(&format!("{}{behind}", page.paint(color, &word)));
        } else {
            page.wrapped(0, &format!("{word}{behind}"));
        }
    }
}

/// Hosts whose time line is told.
const TIMELINES: usize = 6;
/// The groups of one step that are shown; on many hosts each may differ in its own way.
const GROUPS: usize = 8;
/// Ways in which hosts came out that are shown at the end.
const KINDS: usize = 12;
/// By step and word, on how many hosts it came out in ways that are not shown.
type Folded = BTreeMap<(String, &'static str), usize>;

impl Page {
    fn incident(&mut self, one: &Timeline<'_>) {
        let word = self.paint(RED, &format!("{:<11}", "incident"));
        self.line(&format!("  {word} {}", safe::line(one.host, 120)));
        for turn in &one.turns {
            let title = self.paint(BOLD, &format!("{:<15}", turn.milestone.title()));
            let head = format!("              {}  {title}", clock(turn.at));
            let told = safe::line(&turn.told, 200);
            // The moment, the word, and two blanks before each.
            if 14 + 19 + 2 + 15 + 2 + wide(&told) <= self.style.width {
                self.line(&format!("{head}  {told}"));
            } else {
                self.line(&head);
                self.wrapped(16, &told);
            }
        }
        let told = |(name, ms): (&str, Option<u64>)| format!("{name} {}", ms.map_or(one.missing().into(), spell));
        self.wrapped(14, &one.numbers().map(told).join(" · "));
        self.line("");
    }
}

/// The groups that are told, and what is left of them.
fn fold<'a>(groups: impl Iterator<Item = &'a Group>, all: bool) -> (Vec<&'a Group>, Folded) {
    let mut told: Vec<&Group> = Vec::new();
    let mut folded = Folded::new();
    let mut shown: HashMap<(&str, &str), usize> = HashMap::new();
    for group in groups {
        let word = group.task.outcome.word();
        let count = shown.entry((&group.task.step, word)).or_default();
        *count += 1;
        if all || *count <= GROUPS {
            told.push(group);
        } else {
            *folded.entry((group.task.step.clone(), word)).or_default() += group.hosts.len();
        }
    }
    (told, folded)
}

fn count(n: usize, thing: &str) -> String {
    format!("{n} {thing}{}", if n == 1 { "" } else { "s" })
}
