//! Two contents of a file as a unified diff.

use crate::event::{Differs, Event, What};
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

/// Contents beyond this size, in bytes, are not compared for every host.
const LARGE: usize = 256 << 10;
/// Lines of a diff that an event takes along.
const LINES: usize = 400;

/// The event with its contents as diffs, for everybody who hears it after this.
pub fn with_diffs(mut event: Event) -> Event {
    if let What::TaskDone(done) = &mut event.what
        && done.rows.iter().any(|row| row.found.data().is_some() || row.wanted.data().is_some())
    {
        done.rows = done.rows.iter().map(|row| Differs { diff: diff(row), ..row.clone() }).collect();
    }
    event
}

fn diff(row: &Differs) -> Option<Vec<String>> {
    let (found, wanted) = (row.found.data(), row.wanted.data());
    found.or(wanted)?;
    if [found, wanted].into_iter().flatten().any(|side| side.len() > LARGE) {
        return Some(vec!["too large to be shown".into()]);
    }
    let mut lines = unified(found, wanted);
    if lines.len() > LINES {
        let more = lines.len() - LINES;
        lines.truncate(LINES);
        lines.push(format!("and {more} more lines"));
    }
    Some(lines)
}
