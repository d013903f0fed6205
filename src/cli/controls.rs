//! The controls of playbooks as a page: what is looked after, why, what it may break, and what tunes it.

use crate::playbook::{Control, Playbook, Step};
use std::fmt::Write;

/// Variables that choose among controls rather than tune one.
const GENERAL: &[&str] = &["profile", "install_packages", "ansible_user", "os"];

/// The page, in Markdown: a table for each file in the order in which the files are included.
pub(super) fn page(playbooks: &[Playbook]) -> String {
    let controlled = |step: &'_ std::sync::Arc<Step>| step.control.is_some();
    let steps: Vec<&Step> =
        playbooks.iter().flat_map(|book| &book.steps).filter(|step| controlled(step)).map(AsRef::as_ref).collect();
    let mut out = format!(
        "# Controls\n\n{} controls. `strict` marks what the profile `strict` adds; a variable in the last column tunes the control, and\n\
         a control is left out by its id: `waive: [ID]`. Made by `steadfast explain --controls`.\n",
        steps.len()
    );
    let mut file = String::new();
    for step in steps {
        let name = stem(step);
        if name != file {
            let _ = write!(
                out,
                "\n## {name}\n\n| id | severity | control | why | may break | references | variables |\n|---|---|---|---|---|---|---|\n"
            );
            file = name;
        }
        if let Some(control) = &step.control {
            out.push_str(&row(step, control));
        }
    }
    out
}

/// The name of the file that a step stands in.
fn stem(step: &Step) -> String {
    let path = std::path::Path::new(&step.place.source.name);
    path.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned())
}

fn row(step: &Step, control: &Control) -> String {
    let strict = step.when.iter().any(|when| when.text().starts_with("profile == \"strict\""));
    let id = if strict { format!("{} · strict", control.id) } else { control.id.clone() };
    let mut variables: Vec<&str> = step.uses.iter().map(String::as_str).collect();
    variables.retain(|name| step.defaults.contains_key(*name) && !GENERAL.contains(name));
    variables.sort_unstable();
    let variables: Vec<String> = variables.into_iter().map(|name| format!("`{name}`")).collect();
    let cells = [
        id,
        control.severity.clone().unwrap_or_default(),
        step.title.clone(),
        control.why.clone().unwrap_or_default(),
        control.breaks.clone().unwrap_or_default(),
        control.refs.join(", "),
        variables.join(", "),
    ];
    format!("| {} |\n", cells.map(|cell| cell.replace('|', "\\|")).join(" | "))
}
