//! What a run came to, in one line and in numbers.

use super::fold::{End, Report};
use crate::event::{Mode, Summary};

impl Report {
    /// The last line: what came of it, and what follows from that.
    pub fn verdict(&self, end: &End) -> (String, String) {
        let apply = matches!(self.mode, Some(Mode::Apply | Mode::Rollback));
        if !end.interrupted {
            return ended(self.mode, &end.summary, end.exit, apply);
        }
        let next = match self.running() {
            _ if !apply => ": the rest was not looked at".to_owned(),
            0 => ": running steps were finished, no further ones were started".to_owned(),
            1 => ": 1 step was left running and ends on its host by itself".to_owned(),
            n => format!(": {n} steps were left running and end on their hosts by themselves"),
        };
        ("interrupted".into(), next)
    }
}

fn ended(mode: Option<Mode>, summary: &Summary, exit: u8, apply: bool) -> (String, String) {
    let drift = summary.drift + summary.manual + summary.pending;
    match exit {
        0 if apply && summary.changed > 0 => {
            (format!("{} changed", summary.changed), ", each read again as wanted".into())
        }
        0 if drift > 0 => (format!("{drift} of {} differ", total(summary)), " (report only)".into()),
        0 if summary.skipped == total(summary) => ("nothing was looked at".into(), ": every step was skipped".into()),
        0 => ("in sync".into(), String::new()),
        2 => {
            let by_hand = match summary.manual {
                0 => String::new(),
                n if n == drift => "; a person must mend them".into(),
                n => format!(", {n} of them for a person to mend"),
            };
            let set = match (mode, drift - summary.manual) {
                (_, 0) => "",
                (Some(Mode::Plan), _) => ", to be set",
                (_, n) if n == drift => "; `steadfast apply` sets them",
                _ => "; `steadfast apply` sets the others",
            };
            (format!("{drift} of {} differ", total(summary)), format!("{by_hand}{set} (exit 2)"))
        }
        3 => {
            let bad = also(summary, apply);
            let waits = format!("{} not begun", summary.blocked);
            let told = if bad.is_empty() { &waits } else { bad.trim_start_matches(", ") };
            (told.to_owned(), " (exit 3)".into())
        }
        4 => (also(summary, apply).trim_start_matches(", ").to_owned(), " (exit 4)".into()),
        5 => {
            let (n, rest) = (summary.reverted, also(summary, apply));
            let each = if n == 1 { ", as it was found" } else { ", each as it was found" };
            let rest = rest.strip_prefix(", ").map(|rest| format!("; {rest}")).unwrap_or_default();
            (format!("{n} reverted"), format!("{each}{rest} (exit 5)"))
        }
        6 => (format!("{} stale{}", summary.stale, also(summary, apply)), ": plan again (exit 6)".into()),
        other => (format!("exit {other}"), String::new()),
    }
}

/// The numbers of all that is not well, the worst first. An apply leaves what is manual to a person, which is told apart.
fn also(summary: &Summary, apply: bool) -> String {
    let left = if apply { summary.manual } else { 0 };
    let all = [
        (summary.failed, "failed"),
        (left, "left to a person"),
        (summary.unreachable, "unreachable"),
        (summary.unknown, "unknown"),
        (summary.drift + summary.pending + summary.manual - left, "differ"),
        (summary.changed, "changed"),
    ];
    all.iter().filter(|(n, _)| *n > 0).map(|(n, word)| format!(", {n} {word}")).collect()
}

fn total(summary: &Summary) -> usize {
    let s = summary;
    s.unchanged + s.changed + s.drift + s.manual + s.pending + s.unknown + s.failed + s.reverted + s.stale + s.skipped
}

/// The numbers of a host, those that are none left out.
pub fn counts(summary: &Summary) -> Vec<String> {
    let s = summary;
    [
        ("ok", s.unchanged),
        ("changed", s.changed),
        ("drift", s.drift),
        ("manual", s.manual),
        ("pending", s.pending),
        ("unknown", s.unknown),
        ("failed", s.failed),
        ("reverted", s.reverted),
        ("stale", s.stale),
        ("skipped", s.skipped),
    ]
    .iter()
    .filter(|(word, n)| *n > 0 || *word == "ok")
    .map(|(word, n)| format!("{word}={n}"))
    .collect()
}
