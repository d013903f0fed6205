//! CSV (RFC 4180): a line for each row of each result, for spreadsheets. No cell is a formula: what could be read as one
//! stands behind an apostrophe.

use super::super::fold::{Report, reason, word};
use super::super::safe;
use crate::event::{Moved, TaskDone, rfc3339};

const HEAD: &[&str] = &[
    "run",
    "began",
    "mode",
    "host",
    "step",
    "title",
    "kind",
    "control",
    "severity",
    "refs",
    "outcome",
    "reason",
    "object",
    "field",
    "found",
    "wanted",
    "moved",
    "true_until_run",
    "file",
    "line",
];

/// The most of one value.
const MOST: usize = 4000;

/// The whole table.
pub fn table(report: &Report) -> String {
    let mut out = String::new();
    put(&mut out, HEAD.iter().map(|name| (*name).to_owned()));
    let began = rfc3339(report.began);
    let mode = report.mode.map_or("", crate::event::Mode::word);
    let run = || [report.run.clone(), began.clone(), mode.to_owned()].into_iter();
    for task in report.tasks() {
        let nothing = [const { String::new() }; 4];
        let rows: Vec<[String; 4]> = task
            .rows
            .iter()
            .map(|row| [row.object.clone(), row.field.clone(), row.found.to_string(), row.wanted.to_string()])
            .collect();
        for row in if rows.is_empty() { vec![nothing] } else { rows } {
            put(&mut out, run().chain(about(task)).chain(row).chain(behind(task)));
        }
    }
    for host in report.silent() {
        let (word, why) = match report.loss(host) {
            Some(loss) => ("unreachable", loss),
            None => ("not started", report.not_started(host).unwrap_or("the run was broken off").to_owned()),
        };
        let mut cells = vec![String::new(); HEAD.len() - 3];
        (cells[0], cells[7], cells[8]) = (host.to_owned(), word.to_owned(), why);
        put(&mut out, run().chain(cells));
    }
    out
}

fn about(task: &TaskDone) -> impl Iterator<Item = String> {
    let control = task.control.as_ref();
    [
        task.host.clone(),
        task.step.clone(),
        task.title.clone(),
        task.kind.to_string(),
        control.map(|control| control.id.clone()).unwrap_or_default(),
        control.and_then(|control| control.severity.clone()).unwrap_or_default(),
        control.map(|control| control.refs.join(" ")).unwrap_or_default(),
        word(task).to_owned(),
        reason(task),
    ]
    .into_iter()
}

fn behind(task: &TaskDone) -> impl Iterator<Item = String> {
    let moved = task.since.as_ref().map(|since| match since.moved {
        Moved::Host => "host",
        Moved::Playbook => "playbook",
    });
    [
        moved.unwrap_or_default().to_owned(),
        task.since.as_ref().map(|since| since.run.clone()).unwrap_or_default(),
        task.place.file.clone(),
        task.place.line.to_string(),
    ]
    .into_iter()
}

fn put(out: &mut String, cells: impl Iterator<Item = String>) {
    let cells: Vec<String> = cells.map(|text| cell(&text)).collect();
    out.push_str(&cells.join(","));
    out.push_str("\r\n");
}

fn cell(text: &str) -> String {
    let shown = safe::line(text, MOST);
    // Spreadsheets look past blanks, and some of them know the wide forms as well.
    let formula = shown.trim_start().starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠', '|', '%']);
    // What was a control character is written out by now, and so begins with a backslash.
    let guard = if formula { "'" } else { "" };
    format!("\"{guard}{}\"", shown.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::cell;

    #[test]
    fn no_cell_is_a_formula() {
        for bad in ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "  =cmd|' /C calc'!A0", "＝1"] {
            let shown = cell(bad);
            let inner = shown.trim_matches('"');
            assert!(inner.starts_with('\'') || inner.starts_with('\\'), "{shown}");
        }
        assert_eq!(cell("a \"b\"\n"), "\"a \"\"b\"\"\\n\"");
        assert_eq!(cell("0600"), "\"0600\"");
    }
}
