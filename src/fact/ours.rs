//! What runs of this controller changed on a host: a file that is as they left it is nobody's trace, where it was none before.

use super::signs::Earlier;
use serde::{Deserialize, Serialize};

/// One task that changed something.
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

/// A host's clock and what its journal tells.
pub struct Past<'a> {
    /// In seconds since 1970, as all times of files are.
    pub clock: i64,
    /// In order.
    pub earlier: &'a [Earlier],
    /// Whether a change at this time would be looked at.
    pub recent: &'a dyn Fn(i64) -> bool,
}

impl Ours {
    /// The task that made this file, or changed it when it was no sign, if its mtime and ctime `at` say that nobody changed it
    /// since: whoever does moves the ctime.
    pub fn of(&self, path: &str, mut at: [i64; 2], past: &Past<'_>) -> Option<&Change> {
        let mut last = None;
        // From the last change to the first that is told: one step back each, for a host may tell of any number.
        for was in past.earlier.iter().rev().filter(|was| was.path == path) {
            let (before, written) = ([was.modified, was.changed], was.written);
            // It touched another thing, or found this as it should be.
            if before == at {
                continue;
            }
            let known = self.changes.iter().find(|one| one.run == was.run && one.step == was.step);
            // Whoever writes in the journal later moves the ctime of that.
            let fits =
                |by: &&Change| at[1] <= written && self.within(by, at[1], past) && self.within(by, written, past);
            let Some(by) = known.filter(fits) else { break };
            last = last.or(Some(by));
            if !before.iter().any(|at| (past.recent)(*at)) {
                return last;
            }
            at = before;
        }
        let maker = self.maker(path, at, past)?;
        last.or(Some(maker))
    }

    /// The task that made it where nothing was.
    fn maker(&self, path: &str, at: [i64; 2], past: &Past<'_>) -> Option<&Change> {
        // The journal is ended after the act: what is younger was changed by somebody else.
        let ended = |one: &Change| {
            let of =
                past.earlier.iter().filter(|was| was.run == one.run && was.step == one.step).map(|was| was.written);
            of.filter(|written| self.within(one, *written, past)).any(|written| at.iter().all(|at| *at <= written))
        };
        let made = |one: &&Change| {
            let own = one.paths.iter().any(|own| own == path);
            own && at.iter().all(|at| self.within(one, *at, past)) && ended(one)
        };
        self.changes.iter().filter(made).max_by_key(|one| one.to)
    }

    /// Whether a time of the host lies within that of a task.
    fn within(&self, one: &Change, at: i64, past: &Past<'_>) -> bool {
        let ms = |seconds: i64| i128::from(seconds) * 1000;
        let at = ms(at) + i128::from(self.now) - ms(past.clock);
        i128::from(one.from.saturating_sub(APART)) <= at && at <= i128::from(one.to + APART)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A controller that made `/etc/a` at 1000 s, and changed something at 1100 s. The host's clock is 50 s ahead.
    fn ours() -> Ours {
        let change = |paths: &[&str], at: u64, step: &str| Change {
            paths: paths.iter().map(|path| (*path).to_owned()).collect(),
            from: at,
            to: at + 3000,
            run: "r".into(),
            step: step.into(),
        };
        Ours { now: 2_000_000, changes: vec![change(&["/etc/a"], 1_000_000, "s"), change(&[], 1_100_000, "t")] }
    }

    fn earlier(step: &str, path: &str, modified: i64, changed: i64) -> Earlier {
        let written = if step == "s" { 1051 } else { 1151 };
        Earlier { run: "r".into(), step: step.into(), written, path: path.into(), modified, changed }
    }

    fn told(path: &str, at: [i64; 2], earlier: &[Earlier]) -> Option<String> {
        let past = Past { clock: 2050, earlier, recent: &|at| at > 500 };
        ours().of(path, at, &past).map(|one| one.step.clone())
    }

    #[test]
    fn a_new_file_is_ours_by_its_name_and_its_time_alone() {
        let journal = [earlier("s", "", 0, 0)];
        assert!(told("/etc/a", [1051; 2], &journal).is_some());
        assert!(told("/etc/a", [1051; 2], &[]).is_none(), "the journal is gone");
        assert!(told("/etc/a", [1052; 2], &journal).is_none(), "changed right after");
        assert!(told("/etc/a", [1020, 1051], &journal).is_none(), "its content is older");
        assert!(told("/etc/b", [1051; 2], &journal).is_none(), "another file");
        assert!(told("/etc/a", [1064; 2], &journal).is_none(), "changed since");
        assert!(told("/etc/a", [1039; 2], &journal).is_none(), "changed before");
        assert!(told("/etc/a", [1001; 2], &journal).is_none(), "its clock counts");
    }

    #[test]
    fn a_file_that_was_there_is_ours_where_it_was_no_sign_before() {
        let old = [earlier("t", "/etc/b", 400, 450)];
        assert_eq!(told("/etc/b", [1151; 2], &old).as_deref(), Some("t"));
        assert_eq!(told("/etc/b", [400, 1151], &old).as_deref(), Some("t"), "its mode alone was changed");
        assert!(told("/etc/b", [1151, 1300], &old).is_none(), "changed since");
        assert!(told("/etc/c", [1151; 2], &old).is_none(), "another file");
        let mended = [Earlier { written: 1300, ..earlier("t", "/etc/b", 400, 450) }];
        assert!(told("/etc/b", [1151; 2], &mended).is_none(), "somebody wrote in the journal");
        for (modified, changed) in [(900, 900), (400, 900), (1140, 1140)] {
            let fresh = [earlier("t", "/etc/b", modified, changed)];
            assert!(told("/etc/b", [1151; 2], &fresh).is_none(), "somebody was there first: {modified} {changed}");
        }
        let foreign = [Earlier { run: "q".into(), ..earlier("t", "/etc/b", 400, 450) }];
        assert!(told("/etc/b", [1151; 2], &foreign).is_none(), "no run of this controller");
    }

    #[test]
    fn what_was_ours_before_stays_ours() {
        let chain = [earlier("s", "", 0, 0), earlier("t", "/etc/a", 1051, 1051)];
        assert_eq!(told("/etc/a", [1051, 1151], &chain).as_deref(), Some("t"));
        let chain = [earlier("s", "/etc/b", 400, 450), earlier("t", "/etc/b", 1051, 1051)];
        assert_eq!(told("/etc/b", [1151; 2], &chain).as_deref(), Some("t"));
        let idle = [earlier("s", "/etc/b", 400, 450), earlier("t", "/etc/b", 1051, 1051)];
        assert_eq!(told("/etc/b", [1051; 2], &idle).as_deref(), Some("s"), "the later step left it");
        let many: Vec<Earlier> = (0..100_000).map(|_| earlier("t", "/etc/b", 1151, 1150)).collect();
        assert!(told("/etc/b", [1151; 2], &many).is_none(), "a host that tells much is not believed, nor waited for");
        let broken = [earlier("s", "/etc/b", 400, 450), earlier("t", "/etc/b", 1051, 1090)];
        assert!(told("/etc/b", [1151; 2], &broken).is_none(), "somebody came between");
    }
}
