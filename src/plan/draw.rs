//! The graph as text: dot, mermaid, json.

use super::{Plan, Why};
use serde_json::json;
use std::fmt::Write;

/// How a graph is written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    Dot,
    Mermaid,
    Json,
}

/// All tasks and edges of a plan, in the order in which they run.
pub fn draw(plan: &Plan, format: Format) -> String {
    match format {
        Format::Dot => dot(plan),
        Format::Mermaid => mermaid(plan),
        Format::Json => as_json(plan),
    }
}

fn word(why: &Why) -> String {
    match why {
        Why::Needs => "needs".into(),
        Why::OnChange => "on change".into(),
        Why::Gate => "gate".into(),
        Why::Disk => "disk".into(),
        Why::Object(object) => object.clone(),
        Why::Condition(object) => format!("if {object}"),
    }
}

fn dot(plan: &Plan) -> String {
    let quote = |text: &str| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
    let mut out = String::from("digraph steadfast {\n  rankdir=LR;\n  node [shape=box];\n");
    for task in &plan.order {
        let _ = writeln!(out, "  {};", quote(&plan.name(*task)));
    }
    for (first, then, why) in plan.graph.edges() {
        let (a, b) = (quote(&plan.name(first)), quote(&plan.name(then)));
        let _ = writeln!(out, "  {a} -> {b} [label={}];", quote(&word(why)));
    }
    out.push_str("}\n");
    out
}

fn mermaid(plan: &Plan) -> String {
    let quote = |text: &str| text.replace('"', "#quot;");
    let mut out = String::from("flowchart LR\n");
    for task in &plan.order {
        let _ = writeln!(out, "  t{task}[\"{}\"]", quote(&plan.name(*task)));
    }
    for (first, then, why) in plan.graph.edges() {
        let _ = writeln!(out, "  t{first} -->|\"{}\"| t{then}", quote(&word(why)));
    }
    out
}

fn as_json(plan: &Plan) -> String {
    let tasks: Vec<_> = plan
        .order
        .iter()
        .map(|n| {
            let task = &plan.tasks[*n];
            json!({
                "id": plan.name(*n),
                "host": plan.hosts[task.host].name,
                "step": task.step.id,
                "kind": task.step.kind,
                "title": task.step.title,
                "place": task.step.place.to_string(),
                "filled_in": !task.is_late(),
            })
        })
        .collect();
    let edges: Vec<_> = plan
        .graph
        .edges()
        .into_iter()
        .map(|(a, b, why)| json!({"first": plan.name(a), "then": plan.name(b), "why": word(why)}))
        .collect();
    let mut text = serde_json::to_string_pretty(&json!({"tasks": tasks, "edges": edges})).unwrap_or_default();
    text.push('\n');
    text
}
