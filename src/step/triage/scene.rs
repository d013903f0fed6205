//! What all signs are judged by: what was seen, what is known, what is recent.

use super::Triage;
use crate::fact::signs::Signs;
use crate::fact::{Change, Ours, Past};
use globset::GlobSet;

/// What the judges share.
pub struct Scene<'a> {
    pub wish: &'a Triage,
    pub signs: &'a Signs,
    pub known: GlobSet,
    /// Files that other steps of the run hold.
    pub held: &'a [String],
    /// What runs of this controller changed.
    pub ours: Option<&'a Ours>,
}

impl Scene<'_> {
    /// Whether a time is within the days that are looked at, and after the host's first start.
    pub fn recent(&self, at: i64) -> bool {
        let since = self.signs.now - i64::from(self.wish.days) * 86_400;
        at > since.max(self.signs.born.unwrap_or(i64::MIN))
    }

    /// The first moment at which a file was changed, of those that are looked at: either time may be made up, or be of
    /// something harmless, and the earlier one is the safer.
    pub fn first(&self, modified: i64, changed: i64) -> Option<i64> {
        [modified, changed].into_iter().filter(|at| self.recent(*at)).min()
    }

    /// The same of a file with accounts or keys.
    pub fn changed(&self, path: &str) -> Option<i64> {
        let (_, modified, changed) = self.signs.changed.iter().find(|(known, ..)| known == path)?;
        self.first(*modified, *changed)
    }

    pub fn is_known(&self, path: &str) -> bool {
        self.known.is_match(path)
    }

    /// Whose file it is; `None` where that is not known at all.
    pub fn owned(&self, path: &str) -> Option<bool> {
        self.signs.packages.known.then(|| self.signs.packages.owner(path).is_some())
    }

    /// The task of ours that left a file with these times (mtime and ctime), where it was no sign before.
    pub fn by_ours(&self, path: &str, at: [i64; 2]) -> Option<&Change> {
        let recent = |at| self.recent(at);
        let past = Past { clock: self.signs.now, earlier: &self.signs.earlier, recent: &recent };
        self.ours?.of(path, at, &past)
    }
}
