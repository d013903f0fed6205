//! SARIF 2.1.0: a rule is a control (or a step that has none), a place is a line of a playbook, a host is a logical
//! location. What is kept is no result; what cannot be told is one of kind `open`.

use super::super::fold::{Baseline, Report, reason};
use super::super::safe;
use super::told;
use crate::event::{Class, Outcome, TaskDone, rfc3339};
use serde_json::{Value, json};
use std::collections::BTreeMap;

const SCHEMA: &str = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

/// The whole log.
pub fn log(report: &Report) -> Value {
    let tasks = report.tasks();
    let mut rules: Vec<Value> = Vec::new();
    let mut at: BTreeMap<&str, usize> = BTreeMap::new();
    for task in &tasks {
        at.entry(rule_id(task)).or_insert_with(|| {
            rules.push(rule(task));
            rules.len() - 1
        });
    }
    let results: Vec<Value> = tasks
        .iter()
        .filter(|task| !matches!(task.outcome.class(), Class::Good | Class::Aside))
        .map(|task| result(report, task, at[rule_id(task)]))
        .collect();
    let mut invocation = json!({
        "executionSuccessful": report.end.as_ref().is_some_and(|end| matches!(end.exit, 0 | 2)),
        "startTimeUtc": rfc3339(report.began),
        "endTimeUtc": rfc3339(report.until),
        "toolExecutionNotifications": notifications(report),
    });
    if let Some(end) = &report.end {
        invocation["exitCode"] = end.exit.into();
    }
    json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "steadfast",
                "semanticVersion": if report.version.is_empty() { env!("CARGO_PKG_VERSION") } else { &report.version },
                "rules": rules,
            }},
            "automationDetails": {"id": format!("steadfast/{}", uri(&report.run))},
            "columnKind": "unicodeCodePoints",
            "invocations": [invocation],
            "results": results,
        }],
    })
}

fn rule_id(task: &TaskDone) -> &str {
    task.control.as_ref().map_or(task.step.as_str(), |control| control.id.as_str())
}

fn rule(task: &TaskDone) -> Value {
    let severity = task.control.as_ref().and_then(|control| control.severity.as_deref());
    let tags = task.control.iter().flat_map(|control| &control.refs);
    let tags: Vec<String> = std::iter::once("security".to_owned()).chain(tags.map(|tag| plain(tag, 200))).collect();
    let mut rule = json!({
        "id": plain(rule_id(task), 200),
        "shortDescription": {"text": message(&task.title, 400)},
        "defaultConfiguration": {"level": level(severity)},
        "properties": {"tags": tags, "security-severity": score(severity), "kind": plain(&task.kind, 60)},
    });
    let control = task.control.as_ref();
    let said = [control.and_then(|one| one.why.as_ref()), control.and_then(|one| one.breaks.as_ref())];
    if let [Some(why), breaks] = said {
        let breaks = breaks.map(|breaks| format!(" May break: {breaks}")).unwrap_or_default();
        rule["help"] = json!({"text": message(&format!("{why}{breaks}"), 2000)});
    }
    rule
}

fn level(severity: Option<&str>) -> &'static str {
    match severity {
        Some("critical" | "high") => "error",
        Some("low") => "note",
        _ => "warning",
    }
}

/// A number from 0 to 10 for programs that sort by it.
fn score(severity: Option<&str>) -> &'static str {
    match severity {
        Some("critical") => "9.5",
        Some("high") => "8.0",
        Some("low") => "2.0",
        _ => "5.0",
    }
}

fn result(report: &Report, task: &TaskDone, rule: usize) -> Value {
    let severity = task.control.as_ref().and_then(|control| control.severity.as_deref());
    let (kind, level) = match task.outcome {
        Outcome::Drift | Outcome::Manual => ("fail", level(severity)),
        Outcome::Failed { .. } | Outcome::Reverted { .. } => ("fail", "error"),
        _ => ("open", "none"),
    };
    let mut says = vec![format!("{} on {}: {}", task.step, safe::line(&task.host, 120), task.outcome.word())];
    let why = reason(task);
    says.extend((!why.is_empty()).then(|| safe::line(&why, 1000)));
    says.extend(task.rows.iter().take(20).map(|row| told(row, 200)));
    says.extend((task.rows.len() > 20).then(|| format!("and {} more", task.rows.len() - 20)));
    let mut result = json!({
        "ruleId": plain(rule_id(task), 200),
        "ruleIndex": rule,
        "kind": kind,
        "level": level,
        "message": {"text": message(&says.join("; "), 8000)},
        "locations": [{
            "physicalLocation": {
                "artifactLocation": artifact(&task.place.file),
                "region": {"startLine": task.place.line, "startColumn": task.place.column},
            },
            "logicalLocations": [{
                "name": plain(&task.host, 200),
                "fullyQualifiedName": plain(&format!("{}/{}", task.host, task.step), 400),
                "kind": "resource",
            }],
        }],
        // The line is left out: a finding stays the same when a playbook grows above it.
        "partialFingerprints": {"hostAndStep/v1": super::uuid(&[rule_id(task), &task.host, &task.step])},
    });
    if let Some(baseline) = report.baseline(task) {
        result["baselineState"] = match baseline {
            Baseline::New => "new",
            Baseline::Same => "unchanged",
            Baseline::Other => "updated",
        }
        .into();
    }
    result
}

/// What kept hosts from being read, and what a person should know of them.
fn notifications(report: &Report) -> Vec<Value> {
    let one = |level: &str, host: &str, text: &str| {
        json!({
            "level": level,
            "message": {"text": message(&format!("{host}: {text}"), 2000)},
            "locations": [{"logicalLocations": [{"name": plain(host, 200), "kind": "resource"}]}],
        })
    };
    let silent = report.silent().map(|host| match (report.loss(host), report.not_started(host)) {
        (Some(loss), _) => one("error", host, &loss),
        (None, Some(why)) => one("error", host, why),
        (None, None) => one("error", host, "the run was broken off before its end"),
    });
    silent.chain(report.notes.iter().map(|(host, text)| one("note", host, text))).collect()
}

/// Where a playbook lies: below the directory that the call was made in, or anywhere.
fn artifact(file: &str) -> Value {
    if file.starts_with('/') {
        return json!({"uri": format!("file://{}", uri(file))});
    }
    json!({"uri": uri(file.trim_start_matches("./")), "uriBaseId": "%SRCROOT%"})
}

fn uri(path: &str) -> String {
    let one = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    path.bytes().map(one).collect()
}

fn plain(text: &str, most: usize) -> String {
    safe::line(text, most)
}

/// A message's text, in which brackets would be links and braces would be filled in.
fn message(text: &str, most: usize) -> String {
    let text = safe::line(text, most);
    text.replace('[', "\\[").replace(']', "\\]").replace('{', "{{").replace('}', "}}")
}
