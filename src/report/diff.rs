//! Two contents of a file as a unified diff.

use similar::TextDiff;

/// The lines of a unified diff, without line ends; one line that says so where a side is no text.
pub fn unified(found: Option<&[u8]>, wanted: Option<&[u8]>) -> Vec<String> {
    let text = |side: Option<&[u8]>| std::str::from_utf8(side.unwrap_or_default()).ok().map(ToOwned::to_owned);
    let (Some(before), Some(after)) = (text(found), text(wanted)) else {
        let size =
            |side: Option<&[u8]>| side.map_or_else(|| "absent".to_owned(), |data| format!("{} bytes", data.len()));
        return vec![format!("binary: {} → {}", size(found), size(wanted))];
    };
    let diff = TextDiff::from_lines(&before, &after);
    let text = diff.unified_diff().context_radius(3).header("found", "wanted").to_string();
    text.lines().map(ToOwned::to_owned).collect()
}
