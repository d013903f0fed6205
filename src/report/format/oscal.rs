//! OSCAL assessment results (JSON): hosts are inventory items, what was seen of a step is an observation with the hosts
//! on which it was seen, each control is a finding.

use super::super::coverage::{Control, controls};
use super::super::fold::{Report, reason};
use super::super::group::{Group, group};
use super::super::safe;
use super::md::{code, text};
use super::{told, uuid};
use crate::event::{Class, rfc3339};
use serde_json::{Value, json};

/// The version of the model.
const MODEL: &str = "1.2.1";
/// The namespace of properties of our own.
const OURS: &str = "urn:steadfast:oscal";
/// What stands for the controls of a run in which no step has one.
const NONE: &str = "no-control";

/// The whole document.
pub fn results(report: &Report) -> Value {
    let mode = report.mode.map_or("check", crate::event::Mode::word);
    let controls = controls(report);
    let groups = group(&report.tasks());
    let title = format!("steadfast {mode} {}", report.run);
    let selected: Vec<Value> = match controls.as_slice() {
        [] => vec![json!({"control-id": NONE})],
        some => some.iter().map(|control| json!({"control-id": token(&control.id)})).collect(),
    };
    let mut result = json!({
        "uuid": uuid(&["result", &report.run]),
        "title": line(&title),
        "description": description(report),
        "start": rfc3339(report.began),
        "end": rfc3339(report.until),
        "reviewed-controls": {"control-selections": [{"include-controls": selected}]},
    });
    let mut put = |name: &str, all: Vec<Value>| {
        if !all.is_empty() {
            result[name] = all.into();
        }
    };
    put("observations", groups.iter().map(|group| observation(report, group)).chain(silence(report)).collect());
    put("findings", controls.iter().map(|control| finding(report, control, &groups)).collect());
    if !report.hosts.is_empty() {
        let items: Vec<Value> = report.hosts.iter().map(|host| item(report, host)).collect();
        result["local-definitions"] = json!({"inventory-items": items});
    }
    json!({"assessment-results": {
        "uuid": uuid(&["document", &report.run]),
        "metadata": {
            "title": line(&title),
            "last-modified": rfc3339(report.until),
            "version": line(&report.run),
            "oscal-version": MODEL,
        },
        // A run follows its playbooks; no assessment plan in this form is behind it.
        "import-ap": {"href": "#", "remarks": text(&format!("Playbooks: {}", report.playbooks.join(", ")), 2000)},
        "results": [result],
    }})
}

fn description(report: &Report) -> String {
    let end = match &report.end {
        Some(end) if end.interrupted => "It was interrupted: this is what is known.".to_owned(),
        Some(end) => format!("It ended with exit code {}.", end.exit),
        None => "It has no end: it goes on or was broken off, and this is what is known.".to_owned(),
    };
    let who = if report.who.is_empty() { String::new() } else { format!(" Run by {}.", text(&report.who, 200)) };
    format!("{} hosts, {} steps. {end}{who}", report.hosts.len(), report.steps)
}

fn item(report: &Report, host: &str) -> Value {
    let mut props = vec![json!({"name": "fqdn", "value": line(host)})];
    if let Some(seen) = report.seen.get(host) {
        props.push(json!({"name": "os-name", "value": line(seen)}));
    }
    json!({"uuid": host_id(report, host), "description": code(host, 200), "props": props})
}

fn host_id(report: &Report, host: &str) -> String {
    uuid(&["host", &report.run, host])
}

fn observation(report: &Report, group: &Group) -> Value {
    let task = &group.task;
    let why = reason(task);
    let mut says = vec![format!("{}: {}", text(&task.title, 400), task.outcome.word())];
    says.extend((!why.is_empty()).then(|| code(&why, 1000)));
    says.extend(task.rows.iter().take(50).map(|row| code(&told(row, 200), 800)));
    says.extend((task.rows.len() > 50).then(|| format!("and {} more", task.rows.len() - 50)));
    let place = format!("{}:{}", task.place.file, task.place.line);
    let subject = |host: &String| json!({"subject-uuid": host_id(report, host), "type": "inventory-item", "title": code(host, 200)});
    json!({
        "uuid": observation_id(report, group),
        "title": line(&task.step),
        "description": says.join("\n\n"),
        "props": [
            {"name": "outcome", "ns": OURS, "value": task.outcome.word()},
            {"name": "step", "ns": OURS, "value": line(&task.step)},
            {"name": "place", "ns": OURS, "value": line(&place)},
        ],
        "methods": ["TEST"],
        "subjects": group.hosts.iter().map(subject).collect::<Vec<_>>(),
        "collected": rfc3339(report.until),
    })
}

fn observation_id(report: &Report, group: &Group) -> String {
    let first = group.hosts.first().map(String::as_str).unwrap_or_default();
    uuid(&["observation", &report.run, &group.task.step, group.task.outcome.word(), first])
}

/// Hosts of which nothing is known.
fn silence(report: &Report) -> Vec<Value> {
    let one = |host: &str| {
        let why = match (report.loss(host), report.not_started(host)) {
            (Some(loss), _) => loss,
            (None, Some(why)) => why.to_owned(),
            (None, None) => "the run was broken off before its end".into(),
        };
        json!({
            "uuid": uuid(&["silent", &report.run, host]),
            "title": "Not heard",
            "description": code(&why, 1000),
            "props": [{"name": "outcome", "ns": OURS, "value": "unreachable"}],
            "methods": ["TEST"],
            "subjects": [{"subject-uuid": host_id(report, host), "type": "inventory-item", "title": code(host, 200)}],
            "collected": rfc3339(report.until),
        })
    };
    report.silent().map(one).collect()
}

fn finding(report: &Report, control: &Control, groups: &[Group]) -> Value {
    let (state, why) = match control.class() {
        Class::Good => ("satisfied", "pass"),
        Class::Differs | Class::Broken => ("not-satisfied", "fail"),
        // The model has no third state: what nobody can say is not satisfied, for another reason than a failure.
        Class::Open | Class::Aside => ("not-satisfied", "other"),
    };
    let counts = format!(
        "Kept {}, not kept {}, unknown {}, not applicable {} (each step on each host is counted).",
        control.kept, control.not_kept, control.unknown, control.not_applicable
    );
    let related: Vec<Value> = groups
        .iter()
        .filter(|group| group.task.control.as_ref().is_some_and(|other| other.id == control.id))
        .map(|group| json!({"observation-uuid": observation_id(report, group)}))
        .collect();
    let mut props = vec![json!({"name": "control", "ns": OURS, "value": line(&control.id)})];
    props.extend(control.severity.iter().map(|word| json!({"name": "severity", "ns": OURS, "value": line(word)})));
    props.extend(control.refs.iter().map(|name| json!({"name": "reference", "ns": OURS, "value": line(name)})));
    let mut target = json!({
        "type": "objective-id",
        "target-id": token(&control.id),
        "status": {"state": state, "reason": why},
    });
    if control.class() == Class::Aside {
        target["implementation-status"] = json!({"state": "not-applicable"});
    }
    json!({
        "uuid": uuid(&["finding", &report.run, &control.id]),
        "title": line(&control.title),
        "description": counts,
        "props": props,
        "target": target,
        "related-observations": related,
    })
}

/// A name that begins with a letter and holds no sign that the model does not know.
fn token(id: &str) -> String {
    let one = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.') { c } else { '_' };
    let plain: String = id.chars().map(one).collect();
    if plain.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') { plain } else { format!("_{plain}") }
}

/// On one line, neither empty nor with blanks at its ends.
fn line(said: &str) -> String {
    match safe::line(said, 1000).trim() {
        "" => "(none)".into(),
        shown => shown.to_owned(),
    }
}
