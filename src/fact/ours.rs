//! What runs of this controller made on a host: a file that is as they wrote it is nobody's trace.

use serde::{Deserialize, Serialize};

/// One task that made something where nothing was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The files that were not there before.
    pub paths: Vec<String>,
    /// When it began to act, in milliseconds since 1970 by the controller's clock.
    pub from: u64,
    /// When it was over.
    pub to: u64,
    pub run: String,
    pub step: String,
}

/// All of them that are remembered.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Ours {
    /// The controller's clock when that was looked up, in milliseconds since 1970.
    pub now: u64,
    pub changes: Vec<Change>,
}

/// How exactly the two clocks are compared, in milliseconds: what the host says of its own was read some seconds before or after.
const APART: u64 = 10_000;

impl Ours {
    /// The task that made this file, if all its times `at` say so: they are in seconds since 1970 by the host's clock, which says
    /// `clock` now. Whoever changes it after us gives it another time.
    pub fn of(&self, path: &str, at: [i64; 2], clock: i64) -> Option<&Change> {
        let ms = |seconds: i64| i128::from(seconds) * 1000;
        let at = at.map(|at| ms(at) + i128::from(self.now) - ms(clock));
        let (from, to) =
            (|one: &Change| i128::from(one.from.saturating_sub(APART)), |one: &Change| i128::from(one.to + APART));
        let within = |one: &&Change| at.iter().all(|at| from(one) <= *at && *at <= to(one));
        self.changes
            .iter()
            .filter(|one| one.paths.iter().any(|own| own == path))
            .filter(within)
            .max_by_key(|one| one.to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_ours_by_its_name_and_its_time_alone() {
        let change =
            Change { paths: vec!["/etc/a".into()], from: 1_000_000, to: 1_003_000, run: "r".into(), step: "s".into() };
        let ours = Ours { now: 2_000_000, changes: vec![change] };
        // The host's clock is 50 s ahead.
        let clock = 2050;
        assert!(ours.of("/etc/a", [1051; 2], clock).is_some());
        assert!(ours.of("/etc/a", [1020, 1051], clock).is_none(), "its content is older");
        assert!(ours.of("/etc/b", [1051; 2], clock).is_none(), "another file");
        assert!(ours.of("/etc/a", [1064; 2], clock).is_none(), "changed since");
        assert!(ours.of("/etc/a", [1039; 2], clock).is_none(), "changed before");
        assert!(ours.of("/etc/a", [1001; 2], clock).is_none(), "its clock counts");
    }
}
