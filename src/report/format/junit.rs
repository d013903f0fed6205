//! JUnit XML: a suite is a host, a case a control or a step. What differs is a failure, what cannot be told or did not
//! come out is an error, what does not apply is skipped with the reason.

use super::super::fold::{Report, reason, word};
use super::super::safe;
use super::told;
use crate::event::{Outcome, TaskDone};
use quick_junit::{NonSuccessKind, Property, Report as Junit, TestCase, TestCaseStatus, TestSuite};
use std::time::Duration;

/// Rows that a case names; a file with thousands of entries would be no message any more.
const ROWS: usize = 50;

/// The whole report.
///
/// # Errors
/// It cannot be written as XML.
pub fn xml(report: &Report) -> Result<String, String> {
    let mode = report.mode.map_or("check", crate::event::Mode::word);
    let mut all = Junit::new(line(&format!("steadfast {mode} {}", report.playbooks.join(", "))));
    if let Some(end) = &report.end {
        all.set_time(Duration::from_millis(end.ms));
    }
    let tasks = report.tasks();
    for host in &report.hosts {
        let mut suite = TestSuite::new(line(host));
        suite.add_property(Property::new("run", report.run.clone()));
        if let Some(seen) = report.seen.get(host) {
            suite.add_property(Property::new("os", line(seen)));
        }
        if let Some(ms) = report.took.get(host) {
            suite.set_time(Duration::from_millis(*ms));
        }
        suite.add_test_cases(tasks.iter().filter(|task| task.host == *host).map(|task| case(task)));
        suite.add_test_cases(absent(report, host));
        all.add_test_suite(suite);
    }
    let text = all.to_string().map_err(|error| error.to_string())?;
    Ok(if text.ends_with('\n') { text } else { text + "\n" })
}

fn case(task: &TaskDone) -> TestCase {
    let name = match &task.control {
        Some(control) => format!("{} {}: {}", control.id, task.step, task.title),
        None => format!("{}: {}", task.step, task.title),
    };
    let mut case = TestCase::new(line(&name), status(task));
    case.set_classname(line(&task.place.file));
    case.extra.insert("file".into(), line(&task.place.file).into());
    case.extra.insert("line".into(), task.place.line.to_string().into());
    if let Some(control) = &task.control {
        case.add_property(Property::new("control", line(&control.id)));
        case.add_properties(control.severity.iter().map(|word| Property::new("severity", line(word))));
        case.add_properties(control.refs.iter().map(|name| Property::new("ref", line(name))));
    }
    case
}

fn status(task: &TaskDone) -> TestCaseStatus {
    let bad = |kind| {
        let mut status = TestCaseStatus::non_success(kind);
        let first = task.rows.first().map(|row| told(row, 160)).unwrap_or_default();
        let why = reason(task);
        let message = if why.is_empty() { first } else { line(&why) };
        status.set_type(task.outcome.word()).set_message(message).set_description(details(task));
        status
    };
    match &task.outcome {
        Outcome::Unchanged | Outcome::Changed => TestCaseStatus::success(),
        Outcome::Drift | Outcome::Manual => bad(NonSuccessKind::Failure),
        Outcome::Unknown { .. } | Outcome::Failed { .. } | Outcome::Reverted { .. } | Outcome::Stale { .. } => {
            bad(NonSuccessKind::Error)
        }
        Outcome::Pending { .. } | Outcome::Skipped { .. } => {
            let mut status = TestCaseStatus::skipped();
            status.set_type(word(task)).set_message(line(&reason(task)));
            status
        }
    }
}

/// The reason and the rows, one a line.
fn details(task: &TaskDone) -> String {
    let why = reason(task);
    let mut lines: Vec<String> = if why.is_empty() { vec![] } else { vec![safe::line(&why, 2000)] };
    lines.extend(task.rows.iter().take(ROWS).map(|row| told(row, 400)));
    if task.rows.len() > ROWS {
        lines.push(format!("and {} more", task.rows.len() - ROWS));
    }
    lines.extend(task.since.iter().map(|since| format!("true until run {}", since.run)));
    lines.join("\n")
}

/// A case for what kept a host from being read.
fn absent(report: &Report, host: &str) -> Option<TestCase> {
    let mut case = if let Some(loss) = report.loss(host) {
        let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
        status.set_type("unreachable").set_message(line(&loss));
        TestCase::new("connection", status)
    } else {
        report.silent().find(|name| *name == host)?;
        let mut status = TestCaseStatus::skipped();
        let why = report.not_started(host).unwrap_or("the run was broken off before its end");
        status.set_type("not started").set_message(line(why));
        TestCase::new("not started", status)
    };
    case.set_classname("steadfast");
    Some(case)
}

fn line(text: &str) -> String {
    safe::line(text, 1000)
}
