//! An incident as a time line: its turns in the order of time, how long nobody knew, and how long it took to contain and to
//! recover. Every report prints this, and none computes it.

use super::fold::Report;
use crate::fact::{Milestone, Turn};

/// The time line of one host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timeline<'a> {
    pub host: &'a str,
    /// In the order of time.
    pub turns: Vec<&'a Turn>,
    /// From the first evidence until it was found, in milliseconds.
    pub unnoticed: Option<u64>,
    /// From when it was found until nobody got in or out.
    pub contain: Option<u64>,
    /// From when it was found until the host was let go.
    pub recover: Option<u64>,
}

/// A stretch between two turns, for a picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Phase<'a> {
    pub from: &'a Turn,
    pub to: &'a Turn,
    pub ms: u64,
}

/// The time line of each host with more than one turn, in the order of the hosts.
pub fn timelines(report: &Report) -> Vec<Timeline<'_>> {
    report.hosts.iter().filter_map(|host| timeline(report, host)).collect()
}

fn timeline<'a>(report: &'a Report, host: &'a str) -> Option<Timeline<'a>> {
    let of_host = report.turns.iter().filter(|(name, _)| name == host).map(|(_, turn)| turn);
    let mut turns: Vec<&Turn> = of_host.collect();
    // As they were told where they are of one moment.
    turns.sort_by_key(|turn| turn.at);
    let evidence = turns.iter().position(|turn| turn.milestone == Milestone::FirstEvidence);
    let mut at = 0..;
    // Of evidence that was found to be ever older, the oldest is the first.
    turns.retain(|turn| {
        let here = at.next();
        turn.milestone != Milestone::FirstEvidence || here == evidence
    });
    if turns.len() < 2 {
        return None;
    }
    let first = |wanted: Milestone| turns.iter().find(|turn| turn.milestone == wanted).map(|turn| turn.at);
    let last = |wanted: Milestone| turns.iter().rfind(|turn| turn.milestone == wanted).map(|turn| turn.at);
    let found = first(Milestone::Detected);
    let since = |from: Option<u64>, to: Option<u64>| to?.checked_sub(from?);
    let unnoticed = since(first(Milestone::FirstEvidence), found);
    let contain = since(found, first(Milestone::Contained));
    let recover = since(found, last(Milestone::Released));
    Some(Timeline { host, turns, unnoticed, contain, recover })
}

impl<'a> Timeline<'a> {
    /// The three numbers with their names; `None` where it has not come to that.
    pub fn numbers(&self) -> [(&'static str, Option<u64>); 3] {
        [("unnoticed", self.unnoticed), ("time to contain", self.contain), ("time to recover", self.recover)]
    }

    /// What stands for a number that there is not.
    pub fn missing(&self) -> &'static str {
        let found = self.turns.iter().any(|turn| turn.milestone == Milestone::Detected);
        if found { "not yet" } else { "not known (no run wrote down when it was found)" }
    }

    /// How long after it was found a turn was; before that none.
    pub fn after(&self, turn: &Turn) -> Option<u64> {
        let found = self.turns.iter().find(|one| one.milestone == Milestone::Detected)?;
        turn.at.checked_sub(found.at)
    }

    /// From turn to turn, from when it was found on.
    pub fn phases(&self) -> Vec<Phase<'a>> {
        let from = self.turns.iter().position(|turn| turn.milestone != Milestone::FirstEvidence).unwrap_or(0);
        let pairs = self.turns[from..].windows(2);
        pairs.map(|pair| Phase { from: pair[0], to: pair[1], ms: pair[1].at.saturating_sub(pair[0].at) }).collect()
    }
}

/// A length of time to read: `12 s`, `4 min 5 s`, `26 h 3 min`, `3 days 4 h`.
pub fn spell(ms: u64) -> String {
    let seconds = ms / 1000;
    let two = |big: u64, name: &str, small: u64, other: &str| match small {
        0 => format!("{big} {name}"),
        small => format!("{big} {name} {small} {other}"),
    };
    match seconds {
        0..10 => format!("{}.{} s", seconds, ms / 100 % 10),
        10..60 => format!("{seconds} s"),
        60..3600 => two(seconds / 60, "min", seconds % 60, "s"),
        3600..172_800 => two(seconds / 3600, "h", seconds / 60 % 60, "min"),
        _ => two(seconds / 86_400, "days", seconds / 3600 % 24, "h"),
    }
}

/// `2026-11-27 02:00:00`, in UTC.
pub fn clock(ms: u64) -> String {
    crate::moment::written(ms).trim_end_matches('Z').replace('T', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(turns: &[(&str, Milestone, u64)]) -> Report {
        let turn = |(host, milestone, at): &(&str, Milestone, u64)| {
            ((*host).to_owned(), Turn { milestone: *milestone, at: *at, told: "t".into(), run: "r".into() })
        };
        let mut report = Report::default();
        report.hosts = vec!["b".into(), "a".into()];
        report.turns = turns.iter().map(turn).collect();
        report
    }

    #[test]
    fn the_numbers_are_told_from_the_turns() {
        use Milestone::{Contained, Detected, FirstEvidence, Released, Sealed};
        let all = report(&[
            ("a", FirstEvidence, 5_000),
            ("a", FirstEvidence, 2_000),
            ("a", Detected, 9_000),
            ("a", Sealed, 9_500),
            ("a", Contained, 11_000),
            ("b", Contained, 3),
            ("a", Contained, 20_000),
            ("a", Released, 69_000),
        ]);
        let told = timelines(&all);
        // One turn alone is no story.
        assert_eq!(told.len(), 1);
        let one = &told[0];
        assert_eq!((one.host, one.unnoticed, one.contain, one.recover), ("a", Some(7_000), Some(2_000), Some(60_000)));
        let words: Vec<u64> = one.turns.iter().map(|turn| turn.at).collect();
        assert_eq!(words, [2_000, 9_000, 9_500, 11_000, 20_000, 69_000]);
        assert_eq!((one.after(one.turns[0]), one.after(one.turns[3])), (None, Some(2_000)));
        let lengths: Vec<u64> = one.phases().iter().map(|phase| phase.ms).collect();
        assert_eq!(lengths, [500, 1_500, 9_000, 49_000]);
    }

    #[test]
    fn what_has_not_come_is_no_number() {
        use Milestone::{Contained, Detected, Sealed};
        let all = report(&[("a", Sealed, 1), ("a", Contained, 5)]);
        assert_eq!(timelines(&all)[0].numbers().map(|(_, ms)| ms), [None, None, None]);
        let all = report(&[("a", Detected, 1), ("a", Contained, 5)]);
        assert_eq!(timelines(&all)[0].numbers().map(|(_, ms)| ms), [None, Some(4), None]);
    }

    #[test]
    fn lengths_are_read() {
        let told = [0, 9_990, 59_000, 60_000, 245_000, 3_600_000, 93_780_000, 273_600_000].map(spell);
        assert_eq!(told, ["0.0 s", "9.9 s", "59 s", "1 min", "4 min 5 s", "1 h", "26 h 3 min", "3 days 4 h"]);
        assert_eq!(clock(0), "1970-01-01 00:00:00");
    }
}
