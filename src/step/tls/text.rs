//! A text with changes at places: all else stays byte for byte, with comments, blanks and ends of lines.

use std::ops::Range;

/// A text that is being changed.
#[derive(Debug, Clone)]
pub struct Edits<'t> {
    text: &'t str,
    changes: Vec<(Range<usize>, String)>,
}

impl<'t> Edits<'t> {
    pub fn new(text: &'t str) -> Self {
        Self { text, changes: Vec::new() }
    }

    /// What stands here becomes something else. A place that was changed already, or a part of it, is left: a file that is
    /// included twice is corrected once.
    pub fn replace(&mut self, at: Range<usize>, with: impl Into<String>) -> bool {
        let meets = |(other, _): &(Range<usize>, String)| at.start < other.end && other.start < at.end || *other == at;
        let free = !self.changes.iter().any(meets);
        if free {
            self.changes.push((at, with.into()));
        }
        free
    }

    /// A new line after the one that this place is in, indented as told; several in the order they come.
    pub fn line_after(&mut self, at: usize, indent: &str, line: &str) {
        let end = self.text[at..].find('\n').map(|n| at + n);
        let (at, text) = match end {
            Some(end) => (end + 1, format!("{indent}{line}\n")),
            None => (self.text.len(), format!("\n{indent}{line}")),
        };
        self.put(at, text);
    }

    /// A new line before what begins here, indented as that; in the same line where something stands before it.
    pub fn before(&mut self, at: usize, line: &str) {
        let indent = indent(self.text, at);
        let begins = start_of_line(self.text, at) + indent.len() == at;
        self.put(at, if begins { format!("{line}\n{indent}") } else { format!("{line} ") });
    }

    /// A new line at the beginning of a block, deeper than the line that opens it; in the same line where that goes on.
    pub fn add_to_block(&mut self, opening: usize, line: &str) {
        let rest = self.text[opening..].lines().next().unwrap_or_default().trim();
        if rest.is_empty() || rest.starts_with('#') {
            self.line_after(opening, &format!("{}    ", indent(self.text, opening)), line);
        } else {
            self.put(opening, format!(" {line}"));
        }
    }

    fn put(&mut self, at: usize, text: String) {
        if !self.changes.iter().any(|(place, old)| *place == (at..at) && *old == text) {
            self.changes.push((at..at, text));
        }
    }

    /// New lines at the end.
    pub fn at_end(&mut self, lines: &[String]) {
        let end = self.text.len();
        let gap = if self.text.is_empty() || self.text.ends_with('\n') { "" } else { "\n" };
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        self.changes.push((end..end, format!("{gap}{text}")));
    }

    /// The text as it is then.
    pub fn result(&self) -> String {
        let mut changes: Vec<&(Range<usize>, String)> = self.changes.iter().collect();
        // Stable, so what was put at one place stays in its order.
        changes.sort_by_key(|(at, _)| at.start);
        let (mut out, mut from) = (String::with_capacity(self.text.len() + 200), 0);
        for (at, with) in changes {
            out.push_str(&self.text[from..at.start]);
            out.push_str(with);
            from = at.end;
        }
        out.push_str(&self.text[from..]);
        out
    }
}

/// The number of the line that a place is in, from 1.
pub fn line_number(text: &str, at: usize) -> usize {
    text[..at].bytes().filter(|byte| *byte == b'\n').count() + 1
}

fn start_of_line(text: &str, at: usize) -> usize {
    text[..at].rfind('\n').map_or(0, |n| n + 1)
}

/// The blanks that the line of a place begins with.
pub fn indent(text: &str, at: usize) -> &str {
    let line = &text[start_of_line(text, at)..];
    &line[..line.find(|c: char| c != ' ' && c != '\t').unwrap_or(line.len())]
}

/// A line of a configuration in lines, joined where it goes on in the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line<'t> {
    /// Without comment, blanks around it and the marks of going on.
    pub text: String,
    /// From its first letter to its last, as it is written.
    pub span: Range<usize>,
    pub source: &'t str,
}

/// How lines go on in the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Goes {
    /// They do not.
    Never,
    /// With a backslash at the end.
    Backslash,
    /// The next begins with a blank.
    Blank,
}

/// The lines that say something; those that begin with `#` (or `;` in addition) are comments.
pub fn lines(source: &str, goes: Goes) -> Vec<Line<'_>> {
    let mut all: Vec<Line<'_>> = Vec::new();
    let mut at = 0;
    let mut open = false;
    for raw in source.split_inclusive('\n') {
        let start = at;
        at += raw.len();
        let text = raw.trim_end();
        let inner = text.trim_start();
        let span = start + (text.len() - inner.len())..start + text.len();
        let begins_blank = text.len() != inner.len();
        let comment = inner.starts_with('#') && !(open && goes == Goes::Backslash);
        let more = goes == Goes::Backslash && inner.ends_with('\\');
        let said = if more { inner[..inner.len() - 1].trim_end() } else { inner };
        let joins = open || (goes == Goes::Blank && begins_blank && !inner.is_empty() && !comment);
        match all.last_mut() {
            Some(last) if joins => {
                last.text = format!("{} {}", last.text, said).trim_end().to_owned();
                last.span.end = span.end;
            }
            _ if inner.is_empty() || comment => {}
            _ => all.push(Line { text: said.to_owned(), span, source }),
        }
        // A comment goes on as well, but says nothing.
        open = more && (joins || !comment);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_else_stays() {
        let text = "a {\r\n\tb c; # d\r\n}\n";
        let mut edits = Edits::new(text);
        let at = text.find('c').unwrap();
        assert!(edits.replace(at..at + 1, "long words"));
        assert!(!edits.replace(at..at + 1, "other"));
        let b = text.find('b').unwrap();
        edits.before(b, "x;");
        edits.before(b, "x;");
        edits.line_after(0, "\t", "y;");
        edits.at_end(&["z".into()]);
        assert_eq!(edits.result(), "a {\r\n\ty;\n\tx;\n\tb long words; # d\r\n}\nz\n");
        assert_eq!(line_number(text, at), 2);
        let mut narrow = Edits::new("a { b; } # c");
        narrow.before(4, "x;");
        narrow.add_to_block(3, "y;");
        assert_eq!(narrow.result(), "a { y; x; b; } # c");
        let mut wide = Edits::new("  a { # c\n    b;\n  }");
        wide.add_to_block(5, "y;");
        assert_eq!(wide.result(), "  a { # c\n      y;\n    b;\n  }");
        let mut bare = Edits::new("k=v");
        bare.at_end(&["a=b".into()]);
        assert_eq!(bare.result(), "k=v\na=b\n");
        assert_eq!(Edits::new(text).result(), text);
    }

    #[test]
    fn lines_go_on() {
        let said = |text, goes| lines(text, goes).into_iter().map(|line| line.text).collect::<Vec<_>>();
        let text = "a b \\\n  c\n# no \\\nd\n";
        assert_eq!(said(text, Goes::Backslash), ["a b c", "d"]);
        assert_eq!(said("k =\n  v1,\n# in between\n  v2\n\nl = w\n", Goes::Blank), ["k = v1, v2", "l = w"]);
        let span = lines(text, Goes::Backslash)[0].span.clone();
        assert_eq!(&text[span], "a b \\\n  c");
        assert_eq!(said(" x\ny\n", Goes::Never), ["x", "y"]);
    }
}
