//! The night of an intrusion as a picture: three numbers, a band from when it was found to when the host was let go, and each turn.

use super::super::super::fold::Report;
use super::super::super::timeline::{Timeline, clock, spell, timelines};
use super::{count, text};
use crate::fact::Milestone;
use std::fmt::Write;

/// Hosts whose time line is shown.
const MOST: usize = 40;

/// The style's word for what a host is in from a turn on.
fn class(milestone: Milestone) -> &'static str {
    match milestone {
        Milestone::FirstEvidence | Milestone::Detected => "broken",
        Milestone::Sealed => "open",
        Milestone::Contained | Milestone::Offered => "differs",
        Milestone::RolledBack | Milestone::Hardened | Milestone::Rotated => "changed",
        Milestone::Released => "good",
    }
}

/// The section; nothing where there was no incident.
pub fn incident(report: &Report) -> String {
    let all = timelines(report);
    if all.is_empty() {
        return String::new();
    }
    let mut out = format!(
        "<section id=\"incident\" class=\"part\">\n<h2>Incident <span>{}</span></h2>\n",
        count(all.len(), "host")
    );
    for one in all.iter().take(MOST) {
        out.push_str(&host(report, one));
    }
    if let Some(more) = all.len().checked_sub(MOST).filter(|more| *more > 0) {
        let _ = writeln!(out, "<p>and {more} more hosts; the JSON report holds them all</p>");
    }
    out + "</section>\n"
}

fn host(report: &Report, one: &Timeline<'_>) -> String {
    let mut out = format!("<article>\n<h3>{}</h3>\n<dl class=\"numbers\">", text(one.host));
    for (name, ms) in one.numbers() {
        let (class, told) = ms.map_or(("none", one.missing().to_owned()), |ms| ("", spell(ms)));
        let _ = write!(out, "<div><dt>{name}</dt><dd class=\"{class}\">{told}</dd></div>");
    }
    out.push_str("</dl>\n");
    out.push_str(&band(one));
    out.push_str("<ol>\n");
    for turn in &one.turns {
        let after = one.after(turn).map(|ms| format!("+{}", spell(ms))).unwrap_or_default();
        let by =
            if turn.run == report.run { String::new() } else { format!("<small> · run {}</small>", text(&turn.run)) };
        let _ = writeln!(
            out,
            "<li class=\"{}\"><time>{}</time><em>{after}</em><i></i><b>{}</b><span>{}{by}</span></li>",
            class(turn.milestone),
            clock(turn.at),
            turn.milestone.title(),
            text(&turn.told),
        );
    }
    out + "</ol>\n</article>\n"
}

/// Each stretch as wide as it is long, in the colour of what the host was in.
fn band(one: &Timeline<'_>) -> String {
    let phases = one.phases();
    let total = phases.iter().map(|phase| phase.ms).sum::<u64>().max(1);
    let (mut at, mut past, mut state) = (0, 0, "broken");
    let mut seen: Vec<&str> = vec![];
    let mut out = String::from(
        "<svg class=\"band\" viewBox=\"0 0 1000 10\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"From when it was found until now\">",
    );
    for phase in &phases {
        // Evidence is no other state, and a host that is cut off anew on its old disk is as far as it was.
        state = match (phase.from.milestone, state) {
            (Milestone::Contained, "broken") => "differs",
            (Milestone::RolledBack | Milestone::Hardened | Milestone::Rotated, _) => "changed",
            (Milestone::Released, _) => "good",
            (_, state) => state,
        };
        if !seen.contains(&state) {
            seen.push(state);
        }
        // What took no time at all is seen as well.
        past += phase.ms;
        let width = (past * 1000 / total).saturating_sub(at).max(2);
        let told = format!("{} to {}: {}", phase.from.milestone.title(), phase.to.milestone.title(), spell(phase.ms));
        let _ = write!(
            out,
            "<g><title>{}</title><path class=\"{}\" d=\"M{at} 0h{width}v10h-{width}z\"/></g>",
            text(&told),
            state
        );
        at += width;
    }
    out.push_str("</svg>\n<p class=\"keyline\">");
    let names = [("broken", "open"), ("differs", "cut off"), ("changed", "on a clean disk"), ("good", "let go")];
    for (state, name) in names.iter().filter(|(state, _)| seen.contains(state)) {
        let _ = write!(out, "<i class=\"{state}\"></i>{name} ");
    }
    out.push_str("</p>\n");
    if phases.is_empty() { String::new() } else { out }
}
