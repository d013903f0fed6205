//! JSON: the whole report as one document, with a published schema (`steadfast schema report`).

use super::super::coverage::{Control, Standard, controls, standards};
use super::super::fold::{Baseline, Report};
use crate::event::{Class, Differs, Mode, Moved, Seen, Spot, Summary, TaskDone, rfc3339};
use crate::host::LossKind;
use crate::step::{Disruption, Undo};
use schemars::JsonSchema;
use serde::Serialize;

mod incident;

/// The version of this form. Fields may be added within a version; none is taken away or means something else.
const VERSION: u32 = 1;

/// The report of one run of steadfast.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "Report")]
pub struct Document {
    /// The version of this form; fields may be added within it.
    #[schemars(range(min = 1, max = 1))]
    report: u32,
    /// The version of the program.
    steadfast: String,
    run: String,
    mode: Mode,
    /// Who ran it, and where.
    who: String,
    /// A keyed digest of all that the plan meant, where something could be changed.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    plan: String,
    /// RFC 3339, in UTC.
    began: String,
    /// Of the last event.
    until: String,
    /// False where the run goes on or was broken off: this is what is known of it.
    finished: bool,
    interrupted: bool,
    /// The exit code; none of a run without an end.
    exit: Option<u8>,
    /// Milliseconds from beginning to end.
    ms: Option<u64>,
    playbooks: Vec<String>,
    summary: Summary,
    hosts: Vec<Host>,
    /// One for each step on each host.
    results: Vec<Result>,
    controls: Vec<Control>,
    /// The time line of each host that an incident is on; turns of earlier runs as well.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    incidents: Vec<incident::Incident>,
    /// How many references of each standard are kept.
    standards: Vec<Standard>,
    /// The run that `before` speaks of.
    #[serde(skip_serializing_if = "Option::is_none")]
    compared_with: Option<String>,
    /// Earlier runs over the same playbooks, the oldest first.
    trend: Vec<Point>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Host {
    name: String,
    /// What it is, in brief; empty where it was not read.
    is: String,
    /// Why it could not be reached.
    #[serde(skip_serializing_if = "Option::is_none")]
    unreachable: Option<Loss>,
    /// Why it was left as it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    not_started: Option<String>,
    ms: Option<u64>,
    notes: Vec<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Loss {
    kind: LossKind,
    why: String,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Result {
    host: String,
    step: String,
    title: String,
    kind: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    control: Option<Ruled>,
    place: Place,
    outcome: Word,
    /// What the outcome means for whoever asks whether the rule is kept.
    verdict: Verdict,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
    /// What differs, or was changed.
    rows: Vec<Row>,
    disruption: Disruption,
    way_back: WayBack,
    /// What the playbook's author says of a step that was left.
    #[serde(skip_serializing_if = "Option::is_none")]
    because: Option<String>,
    /// Somebody waived its control.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    waived: bool,
    /// A waiver of its control that is too old, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    expired_waiver: Option<String>,
    /// Whether it touches the way in.
    access: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<Since>,
    /// What an earlier run said of it, where one is remembered.
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<Before>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Ruled {
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    severity: Option<String>,
    refs: Vec<String>,
    /// What it is good for.
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
    /// What it may break.
    #[serde(skip_serializing_if = "Option::is_none")]
    breaks: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Place {
    file: String,
    line: usize,
    column: usize,
}

/// How a task ended.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Word {
    Unchanged,
    Drift,
    Manual,
    Pending,
    Unknown,
    Changed,
    Failed,
    Reverted,
    Stale,
    Skipped,
}

/// What an outcome means for a rule.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Verdict {
    Kept,
    NotKept,
    Unknown,
    NotApplicable,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Row {
    object: String,
    field: String,
    found: Value,
    wanted: Value,
    /// A unified diff, where it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    diff: Option<Vec<String>>,
}

/// A value: null where there is none, a text, or the size and digest of a file's content.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
enum Value {
    Absent,
    Text(String),
    Content { bytes: usize, sha256: String },
}

#[derive(Debug, Serialize, JsonSchema)]
struct WayBack {
    class: Back,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Back {
    Exact,
    Partial,
    None,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Since {
    /// Who moved: somebody on the host, or the playbook.
    moved: Who,
    /// The last run that found or made it true.
    run: String,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Who {
    Host,
    Playbook,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Before {
    /// It was well, or was not looked at.
    New,
    /// It was the same.
    Same,
    /// It was not well in another way.
    Other,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Point {
    run: String,
    began: String,
    mode: String,
    exit: Option<u8>,
    summary: Summary,
}

/// The report as a document.
pub fn document(report: &Report) -> Document {
    let end = report.end.as_ref();
    Document {
        report: VERSION,
        steadfast: report.version.clone(),
        run: report.run.clone(),
        mode: report.mode.unwrap_or(Mode::Check),
        who: report.who.clone(),
        plan: report.plan.clone(),
        began: rfc3339(report.began),
        until: rfc3339(report.until),
        finished: end.is_some(),
        interrupted: end.is_some_and(|end| end.interrupted),
        exit: end.map(|end| end.exit),
        ms: end.map(|end| end.ms),
        playbooks: report.playbooks.clone(),
        summary: report.summary(),
        hosts: report.hosts.iter().map(|name| host(report, name)).collect(),
        results: report.tasks().into_iter().map(|task| result(report, task)).collect(),
        controls: controls(report),
        incidents: incident::incidents(report),
        standards: standards(report),
        compared_with: report.past.run.clone(),
        trend: report.past.trend.iter().map(point).collect(),
    }
}

/// The JSON Schema of the document.
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(Document).to_value()
}

fn host(report: &Report, name: &str) -> Host {
    let lost = report.lost.iter().find(|(host, ..)| host == name);
    Host {
        name: name.to_owned(),
        is: report.seen.get(name).cloned().unwrap_or_default(),
        unreachable: lost.map(|(_, kind, why)| Loss { kind: *kind, why: why.clone() }),
        not_started: report.not_started(name).map(ToOwned::to_owned),
        ms: report.took.get(name).copied(),
        notes: report.notes.iter().filter(|(host, _)| host == name).map(|(_, text)| text.clone()).collect(),
    }
}

fn result(report: &Report, task: &TaskDone) -> Result {
    let class = task.outcome.class();
    let Spot { file, line, column } = task.place.clone();
    Result {
        host: task.host.clone(),
        step: task.step.clone(),
        title: task.title.clone(),
        kind: task.kind.to_string(),
        control: task.control.as_ref().map(|control| Ruled {
            id: control.id.clone(),
            severity: control.severity.clone(),
            refs: control.refs.clone(),
            why: control.why.clone(),
            breaks: control.breaks.clone(),
        }),
        place: Place { file, line, column },
        outcome: word(task),
        verdict: match class {
            Class::Good => Verdict::Kept,
            Class::Differs | Class::Broken => Verdict::NotKept,
            Class::Open => Verdict::Unknown,
            Class::Aside => Verdict::NotApplicable,
        },
        why: task.outcome.why().map(ToOwned::to_owned),
        because: task.outcome.because().map(ToOwned::to_owned),
        waived: task.outcome.is_waived(),
        expired_waiver: task.expired_waiver.clone(),
        rows: task.rows.iter().map(row).collect(),
        disruption: task.disruption,
        way_back: match &task.undo {
            Undo::Exact => WayBack { class: Back::Exact, why: None },
            Undo::Partial(why) => WayBack { class: Back::Partial, why: Some(why.clone()) },
            Undo::None(why) => WayBack { class: Back::None, why: Some(why.clone()) },
        },
        access: task.access,
        since: task.since.as_ref().map(|since| Since {
            moved: match since.moved {
                Moved::Host => Who::Host,
                Moved::Playbook => Who::Playbook,
            },
            run: since.run.clone(),
        }),
        before: report.baseline(task).filter(|_| class > Class::Good).map(|before| match before {
            Baseline::New => Before::New,
            Baseline::Same => Before::Same,
            Baseline::Other => Before::Other,
        }),
    }
}

fn word(task: &TaskDone) -> Word {
    use crate::event::Outcome;
    match task.outcome {
        Outcome::Unchanged => Word::Unchanged,
        Outcome::Drift => Word::Drift,
        Outcome::Manual => Word::Manual,
        Outcome::Pending { .. } => Word::Pending,
        Outcome::Unknown { .. } => Word::Unknown,
        Outcome::Changed => Word::Changed,
        Outcome::Failed { .. } => Word::Failed,
        Outcome::Reverted { .. } => Word::Reverted,
        Outcome::Stale { .. } => Word::Stale,
        Outcome::Skipped { .. } => Word::Skipped,
    }
}

fn row(row: &Differs) -> Row {
    Row {
        object: row.object.clone(),
        field: row.field.clone(),
        found: value(&row.found),
        wanted: value(&row.wanted),
        diff: row.diff.clone(),
    }
}

fn value(seen: &Seen) -> Value {
    match seen {
        Seen::Absent => Value::Absent,
        Seen::Text(text) => Value::Text(text.clone()),
        Seen::Data(_) | Seen::Digest(_) => {
            let digest = seen.digest().unwrap_or_default();
            Value::Content { bytes: digest.bytes, sha256: digest.sha256 }
        }
    }
}

fn point(point: &super::super::fold::Point) -> Point {
    Point {
        run: point.run.clone(),
        began: rfc3339(point.began),
        mode: point.mode.clone(),
        exit: point.exit,
        summary: point.summary.clone(),
    }
}
