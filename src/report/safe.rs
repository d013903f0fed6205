//! What was said elsewhere (by a host, a file, another program) on its way to a terminal: nothing in it moves the
//! cursor, hides, reorders, or looks like a line of the report's own.

use crate::host::show;

/// On one line, whatever it holds.
pub fn line(text: &str, most: usize) -> String {
    lines(text, most).replace('\n', "\\n").replace('\t', "\\t")
}

/// With its ends of lines: for who sets them off from what is around.
pub(super) fn lines(text: &str, most: usize) -> String {
    let shown = show(text.as_bytes(), most);
    if !shown.contains(is_hidden) {
        return shown;
    }
    let one = |c: char| if is_hidden(c) { c.escape_unicode().to_string() } else { c.to_string() };
    shown.chars().map(one).collect()
}

/// Whether a character hides, reorders or joins, or shows nothing; control characters are another matter.
pub(super) fn is_odd(c: char) -> bool {
    is_hidden(c)
        || matches!(c, '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{FEFF}'
            | '\u{FFF9}'..='\u{FFFB}' | '\u{E0000}'..='\u{E007F}')
}

/// Characters without a shape of their own that are no control characters.
fn is_hidden(c: char) -> bool {
    matches!(
        c,
        '\u{AD}'
            | '\u{34F}'
            | '\u{61C}'
            | '\u{115F}'
            | '\u{1160}'
            | '\u{17B4}'
            | '\u{17B5}'
            | '\u{180E}'
            | '\u{2028}'
            | '\u{2029}'
            | '\u{3164}'
            | '\u{FFA0}'
    )
}

#[cfg(test)]
mod tests {
    use super::{line, lines};

    #[test]
    fn nothing_is_raw() {
        let bad = "a\nb\tc\r\u{1b}[2J\u{9b}31m\u{202e}\u{61c}\u{2066}\u{ad}d";
        assert_eq!(line(bad, 200), r"a\nb\tc\r\u{1b}[2J\u{9b}31m\u{202e}\u{61c}\u{2066}\u{ad}d");
        assert_eq!(lines("ü\nb\u{ad}", 200), "ü\nb\\u{ad}");
        assert!(line(&"x".repeat(500), 100).ends_with("[cut]"));
    }
}
