//! What is known of an intrusion on one host: the controller's words of it, and what triage sees of it now. It is no reading
//! of the host: the run puts it beside what the host answers.

use serde::{Deserialize, Serialize};

/// A turn of an incident. Their order is that of a night in which all goes well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Milestone {
    /// The earliest moment that any sign has.
    FirstEvidence,
    /// Somebody looked and found signs.
    Detected,
    /// What the host knew is on the controller, with its digests.
    Sealed,
    /// Nobody gets in but the administrators, and nothing gets out.
    Contained,
    /// It runs on a disk from before the first evidence.
    RolledBack,
    /// All that is written behind that holds.
    Hardened,
    /// A new key is shown, and those it is to replace are still trusted beside it.
    Offered,
    /// A key that was not there in the intrusion lets in, and no older one does.
    Rotated,
    /// It is let go, and the incident is over.
    Released,
}

impl Milestone {
    pub const ALL: [Self; 9] = [
        Self::FirstEvidence,
        Self::Detected,
        Self::Sealed,
        Self::Contained,
        Self::RolledBack,
        Self::Hardened,
        Self::Offered,
        Self::Rotated,
        Self::Released,
    ];

    /// As it is written down.
    pub fn word(self) -> &'static str {
        match self {
            Self::FirstEvidence => "first_evidence",
            Self::Detected => "detected",
            Self::Sealed => "sealed",
            Self::Contained => "contained",
            Self::RolledBack => "rolled_back",
            Self::Hardened => "hardened",
            Self::Offered => "offered",
            Self::Rotated => "rotated",
            Self::Released => "released",
        }
    }

    /// As people read it.
    pub fn title(self) -> &'static str {
        match self {
            Self::FirstEvidence => "first evidence",
            Self::Detected => "detected",
            Self::Sealed => "evidence sealed",
            Self::Contained => "contained",
            Self::RolledBack => "rolled back",
            Self::Hardened => "hardened",
            Self::Offered => "new key beside the old one",
            Self::Rotated => "keys rotated",
            Self::Released => "released",
        }
    }
}

/// One word of an incident.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Turn {
    pub milestone: Milestone,
    /// When that was, in milliseconds since 1970: of the first evidence its own moment.
    pub at: u64,
    /// What happened, in a line.
    pub told: String,
    /// By which run.
    pub run: String,
}

/// The earliest sign that has a moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sign {
    /// In seconds since 1970, by the host's clock.
    pub at: i64,
    /// The sign, the thing, and the evidence.
    pub told: String,
}

/// What triage sees on the host now.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Seen {
    /// How many signs.
    pub signs: usize,
    pub first: Option<Sign>,
    /// The host's clock, in seconds since 1970.
    pub clock: i64,
    /// Why a moment cannot be relied upon.
    pub lacks: Vec<String>,
}

/// An incident on one host.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Incident {
    /// The controller's clock, in milliseconds since 1970.
    pub now: u64,
    /// The words of the incident that is not over, the oldest first; empty where there is none.
    pub turns: Vec<Turn>,
    /// What the last triage of this run saw; `None` where none looked.
    pub seen: Option<Seen>,
    /// Files whose content other steps of this run hold: these steps tell when one of them is not as it should be.
    pub held: Vec<String>,
}

/// How far the host's clock may be from ours, in milliseconds, before its moments say nothing about snapshots.
pub const CLOCKS: u64 = 300_000;

impl Incident {
    /// The incident that is not over, of all words on a host.
    pub fn open(now: u64, words: Vec<Turn>) -> Self {
        let over = words.iter().rposition(|turn| turn.milestone == Milestone::Released).map_or(0, |at| at + 1);
        Self { now, turns: words.into_iter().skip(over).collect(), ..Self::default() }
    }

    /// Whether something of this sort is written down.
    pub fn has(&self, milestone: Milestone) -> bool {
        self.turns.iter().any(|turn| turn.milestone == milestone)
    }

    /// When the disk was put back in this incident, at the latest.
    pub fn put_back(&self) -> Option<u64> {
        self.turns.iter().filter(|turn| turn.milestone == Milestone::RolledBack).map(|turn| turn.at).max()
    }

    /// From when on nothing of the host is to be trusted: keys of before that are no good. `None` where nothing is going on.
    pub fn keys_since(&self) -> Option<u64> {
        self.put_back().or_else(|| self.began())
    }

    /// When the first of it was written down.
    pub fn began(&self) -> Option<u64> {
        let told = self.turns.iter().filter(|turn| turn.milestone != Milestone::FirstEvidence);
        told.map(|turn| turn.at).min()
    }

    /// The earliest evidence of compromise: of what was written down and of what is seen now.
    ///
    /// # Errors
    /// Why nobody can tell.
    pub fn first(&self) -> Result<(u64, String), String> {
        let known = self.turns.iter().filter(|turn| turn.milestone == Milestone::FirstEvidence);
        let known = known.map(|turn| (turn.at, turn.told.clone())).min();
        let Some(seen) = &self.seen else {
            return known.ok_or_else(|| "no triage looked for signs before it".into());
        };
        if !seen.lacks.is_empty() {
            // What could not be read may be older than all that could.
            return Err(format!("triage could not read everything: {}", seen.lacks.join(", ")));
        }
        let Some(first) = &seen.first else {
            return known.ok_or_else(|| match seen.signs {
                0 => "triage found no sign".into(),
                signs => format!("none of the {signs} signs that triage found has a moment"),
            });
        };
        let ours = i64::try_from(self.now / 1000).unwrap_or(i64::MAX);
        let apart = ours.abs_diff(seen.clock);
        if apart > CLOCKS / 1000 {
            return Err(format!("the host's clock is {apart} s away from this one, so its moments say nothing"));
        }
        let seen = (u64::try_from(first.at).unwrap_or(0).saturating_mul(1000), first.told.clone());
        Ok(known.into_iter().chain([seen]).min().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turn(milestone: Milestone, at: u64) -> Turn {
        Turn { milestone, at, told: milestone.word().into(), run: "r".into() }
    }

    fn seen(at: Option<i64>, signs: usize) -> Option<Seen> {
        let first = at.map(|at| Sign { at, told: "a sign".into() });
        Some(Seen { signs, first, clock: 1000, lacks: vec![] })
    }

    #[test]
    fn an_incident_that_is_over_says_nothing_of_the_next_one() {
        use Milestone::{Contained, FirstEvidence, Released};
        let words = [turn(FirstEvidence, 1), turn(Contained, 5), turn(Released, 9), turn(Contained, 20)];
        let open = Incident::open(30, words.to_vec());
        assert_eq!((open.turns.len(), open.put_back(), open.keys_since()), (1, None, Some(20)));
        assert!(open.first().is_err());
        assert_eq!(Incident::open(30, words[..3].to_vec()).keys_since(), None);
    }

    #[test]
    fn the_earliest_evidence_counts_and_none_is_never_guessed() {
        let mut one = Incident::open(1_000_000, vec![turn(Milestone::FirstEvidence, 700_000)]);
        assert_eq!(one.first().unwrap().0, 700_000);
        one.seen = seen(Some(600), 1);
        assert_eq!(one.first().unwrap(), (600_000, "a sign".into()));
        one.seen = seen(None, 3);
        assert_eq!(one.first().unwrap().0, 700_000);
        one.turns.clear();
        assert!(one.first().unwrap_err().contains("none of the 3 signs"));
        one.seen = seen(None, 0);
        assert!(one.first().unwrap_err().contains("found no sign"));
        one.seen = seen(Some(600), 1);
        one.now = 2_000_000;
        assert!(one.first().unwrap_err().contains("clock is 1000 s away"));
        one.now = 1_000_000;
        one.seen.as_mut().unwrap().lacks.push("logs".into());
        assert!(one.first().unwrap_err().contains("logs"));
    }
}
