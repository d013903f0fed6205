//! Two contents of a file as a unified diff.

use similar::{ChangeTag, TextDiff};
use std::time::Duration;

/// A diff of two large texts is found in good time, if not the shortest one.
const PATIENCE: Duration = Duration::from_secs(2);

/// The lines of a unified diff, without line ends; one line that says so where a side is no text.
pub fn unified(found: Option<&[u8]>, wanted: Option<&[u8]>) -> Vec<String> {
    let text = |side: Option<&[u8]>| std::str::from_utf8(side.unwrap_or_default()).ok().map(ToOwned::to_owned);
    let (Some(before), Some(after)) = (text(found), text(wanted)) else {
        let size =
            |side: Option<&[u8]>| side.map_or_else(|| "absent".to_owned(), |data| format!("{} bytes", data.len()));
        return vec![format!("binary: {} → {}", size(found), size(wanted))];
    };
    let diff = TextDiff::configure().timeout(PATIENCE).diff_lines(before.as_str(), after.as_str());
    let text = diff.unified_diff().context_radius(3).header("found", "wanted").to_string();
    text.split_terminator('\n').map(ToOwned::to_owned).collect()
}

/// How many lines come and how many go; `None` where a side is no text.
pub fn lines_between(found: &[u8], wanted: &[u8]) -> Option<(usize, usize)> {
    let (before, after) = (std::str::from_utf8(found).ok()?, std::str::from_utf8(wanted).ok()?);
    let diff = TextDiff::configure().timeout(PATIENCE).diff_lines(before, after);
    let count = |tag| diff.iter_all_changes().filter(|change| change.tag() == tag).count();
    Some((count(ChangeTag::Insert), count(ChangeTag::Delete)))
}
