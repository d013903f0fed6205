//! Coverage: how much of each standard is kept, and how each control stands over all hosts.

use super::super::super::coverage::{Control, clauses, controls as ruled, standard_of};
use super::super::super::fold::Report;
use super::{class_word, stacked, text};
use crate::event::Class;
use std::collections::BTreeMap;
use std::fmt::Write;

/// Names of standards as people write them, by the words of references.
const NAMES: [(&str, &str); 6] = [
    ("ANSSI", "ANSSI BP-028"),
    ("CIS", "CIS Benchmark"),
    ("DEVSEC", "dev-sec"),
    ("ISO27001", "ISO/IEC 27001"),
    ("LYNIS", "Lynis"),
    ("STIG", "DISA STIG"),
];
/// In this order are they told.
const CLASSES: [(Class, &str); 4] =
    [(Class::Differs, "not kept"), (Class::Open, "unknown"), (Class::Good, "kept"), (Class::Aside, "not applicable")];

/// A line for each standard, with its clauses behind it.
pub fn standards(report: &Report) -> String {
    let mut all: BTreeMap<String, Vec<(String, Class)>> = BTreeMap::new();
    for (clause, class) in clauses(&ruled(report)) {
        all.entry(standard_of(&clause).to_owned()).or_default().push((clause, class));
    }
    if all.is_empty() {
        return String::new();
    }
    let mut out = format!("<section id=\"standards\" class=\"part\">\n<h2>Standards <span>{}</span></h2>\n", all.len());
    out.push_str("<p class=\"note\">A clause is kept where no host breaks it and none is unknown.</p>\n");
    for (name, clauses) in &all {
        let shown = NAMES.iter().find(|(word, _)| word == name).map_or(name.as_str(), |(_, shown)| *shown);
        let of = |class: Class| clauses.iter().filter(move |(_, one)| *one == class);
        let parts: Vec<(&str, usize)> = [Class::Good, Class::Differs, Class::Open, Class::Aside]
            .map(|class| (class_word(class), of(class).count()))
            .into();
        let _ = writeln!(
            out,
            "<details class=\"standard\"><summary><b>{}</b>{}<span class=\"on\">{} of {} kept</span></summary><div class=\"body\">",
            text(shown),
            stacked(&parts),
            of(Class::Good).count(),
            clauses.len()
        );
        for (class, word) in CLASSES {
            let names: Vec<String> = of(class).map(|(clause, _)| format!("<code>{}</code>", text(clause))).collect();
            if !names.is_empty() {
                let _ = writeln!(out, "<p><i class=\"{}\"></i>{word}: {}</p>", class_word(class), names.join(" "));
            }
        }
        out.push_str("</div></details>\n");
    }
    out + "</section>\n"
}

/// A line for each control, those that are kept least first.
pub fn controls(report: &Report) -> String {
    let mut all = ruled(report);
    if all.is_empty() {
        return String::new();
    }
    all.sort_by_key(|control| (std::cmp::Reverse((control.not_kept, control.unknown)), control.id.clone()));
    let mut out = format!(
        "<section id=\"controls\" class=\"part\">\n<h2>Controls <span>{}</span></h2>\n<div class=\"wide\"><table>\n<thead><tr><th>control</th>\
         <th>title</th><th>severity</th><th></th><th>kept</th><th>not kept</th><th>unknown</th><th>n/a</th></tr></thead>\n<tbody>\n",
        all.len()
    );
    all.iter().for_each(|control| out.push_str(&line(control)));
    out + "</tbody>\n</table></div>\n</section>\n"
}

fn line(control: &Control) -> String {
    let severity = control.severity.as_deref().unwrap_or_default();
    let parts = [
        ("good", control.kept),
        ("differs", control.not_kept),
        ("open", control.unknown),
        ("aside", control.not_applicable),
    ];
    let tag =
        if severity.is_empty() { String::new() } else { format!("<span class=\"tag {0}\">{0}</span>", text(severity)) };
    let numbers: String = parts
        .iter()
        .map(|(_, n)| {
            if *n == 0 {
                "<td class=\"number none\">·</td>".to_owned()
            } else {
                format!("<td class=\"number\">{n}</td>")
            }
        })
        .collect();
    format!(
        "<tr><td class=\"id\">{}</td><td>{}</td><td>{tag}</td><td class=\"bar\">{}</td>{numbers}</tr>\n",
        text(&control.id),
        text(&control.title),
        stacked(&parts)
    )
}
