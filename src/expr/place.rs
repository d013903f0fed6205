//! From a position in a condition or template back to the place in the user's file.

use super::Scope;
use crate::fault::{Fault, Place};

/// A text and the place of the scalar it was read from.
pub(super) struct Pin<'a> {
    pub text: &'a str,
    pub place: &'a Place,
}

impl Pin<'_> {
    /// The place of a range of the text, in bytes. A scalar with escapes or with folded lines is not the same in the
    /// file: then the line is searched, and if it is not there either, the whole scalar is the place.
    pub fn at(&self, start: usize, length: usize) -> Place {
        let raw = self.place.source.text.get(self.place.start..self.place.end).unwrap_or("");
        let start = floor(self.text, start);
        let found = match raw.find(self.text) {
            Some(at) if !self.text.is_empty() => Some(at + start),
            _ => self.by_line(raw, start),
        };
        let Some(found) = found else { return self.place.clone() };
        let start = floor(&self.place.source.text, self.place.start + found);
        let end = floor(&self.place.source.text, (start + length).min(self.place.end)).max(start);
        Place { source: self.place.source.clone(), start, end }
    }

    fn by_line(&self, raw: &str, start: usize) -> Option<usize> {
        let line_start = self.text[..start].rfind('\n').map_or(0, |n| n + 1);
        let line = self.text[line_start..].lines().next()?.trim_end();
        // The same line may stand there more than once: take as many of them as came before.
        let earlier = self.text[..line_start].lines().filter(|other| other.trim_end() == line).count();
        let (at, _) = raw.match_indices(line).nth(earlier)?;
        (!line.is_empty()).then_some(at + start - line_start)
    }

    /// The place of a position in characters.
    pub fn characters(&self, start: usize, length: usize) -> Place {
        let start = self.text.char_indices().nth(start).map_or(self.text.len(), |(at, _)| at);
        self.at(start, length)
    }

    /// The place of one character by line and column, both from 1.
    pub fn line_column(&self, line: usize, column: usize) -> Place {
        let starts = std::iter::once(0).chain(self.text.match_indices('\n').map(|(at, _)| at + 1));
        let start = starts.take(line.max(1)).last().unwrap_or(0);
        let rest = self.text[start..].lines().next().unwrap_or("");
        let column = rest.char_indices().nth(column.saturating_sub(1)).map_or(rest.len(), |(at, _)| at);
        self.at(start + column, 1)
    }
}

fn floor(text: &str, offset: usize) -> usize {
    let mut at = offset.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// Where a name stands as a whole word, at or after an offset.
pub(super) fn word(text: &str, from: usize, name: &str) -> Option<usize> {
    let part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '$');
    let mut found = text.get(from..)?.match_indices(name).map(|(at, _)| from + at);
    found.find(|at| !text[..*at].ends_with(part) && !text[at + name.len()..].starts_with(part))
}

/// The fault of a name that is not among the variables.
pub(super) fn unknown_name(name: &str, place: &Place, scope: &Scope) -> Fault {
    Fault::new(format!("unknown name `{name}`")).at(place).nearest(name, scope.keys().map(String::as_str))
}
