//! A parser's complaint in words that help: what was probably meant.

use crate::fault::{Fault, Place, Source};
use granit_parser::{ErrorKind, ScanError};
use std::sync::Arc;

/// Where things were opened that a syntax error may be about.
pub(super) struct Opened {
    /// The innermost bracket or brace.
    pub bracket: Option<usize>,
    /// The end of what was read without a mistake.
    pub reached: usize,
}

/// The syntax error at its place, with a hint for the most frequent slips.
pub(super) fn explain(source: &Arc<Source>, error: &ScanError, opened: &Opened) -> Fault {
    let text = source.text.as_str();
    let mut start = error.marker().byte_offset().unwrap_or(0).min(text.len());
    while !text.is_char_boundary(start) {
        start -= 1;
    }
    // An error at the end of the text is shown on the last line that says something.
    if text[start..].trim().is_empty() {
        start = text.trim_end().char_indices().last().map_or(0, |(at, _)| at);
    }
    if tab(error.kind()) {
        start = indenting_tab(text, start).unwrap_or(start);
    }
    let width = text[start..].chars().next().map_or(0, char::len_utf8);
    let place = Place { source: source.clone(), start, end: start + width };
    let line = line_around(text, start);
    let before = &text[..start];
    let above = before.rfind('\n').map_or("", |end| line_around(text, end));
    let one = |at: usize| Place { source: source.clone(), start: at, end: at + 1 };
    let fault = Fault::new(what(error));
    let fault = match opener(error.kind(), text, start, opened) {
        Some(at) if matches!(error.kind(), ErrorKind::UnclosedFlowCollection { .. }) => fault.at(&one(at)),
        // What was opened in a line above is where the mistake may be.
        // What was opened in a line above is where the mistake may be.
        Some(at) if text[at..start.max(at)].contains('\n') => {
            let sign = text[at..].chars().next().unwrap_or(' ');
            let fault = fault.at(&place).also(&one(at), format!("this `{sign}` was opened here"));
            if matches!(sign, '"' | '\'') {
                return fault.hint("close the quote where its text ends");
            }
            fault
        }
        _ => fault.at(&place),
    };
    match hint(error.kind(), line, above) {
        Some(hint) => fault.hint(hint),
        None => fault,
    }
}

fn tab(kind: &ErrorKind) -> bool {
    use ErrorKind as E;
    matches!(
        kind,
        E::TabNotAllowed
            | E::TabInBlockIndentation
            | E::TabInIndentation
            | E::TabAtBlockScalarStart
            | E::TabInPlainScalar
    )
}

/// The tab itself: the parser tells where the token began that it spoils.
fn indenting_tab(text: &str, start: usize) -> Option<usize> {
    let line = text[..start].rfind('\n').map_or(0, |n| n + 1);
    text[line..].match_indices('\t').map(|(at, _)| line + at).find(|at| {
        let before = text[..*at].rsplit('\n').next().unwrap_or("");
        before.trim().is_empty()
    })
}

fn what(error: &ScanError) -> String {
    use ErrorKind as E;
    match error.kind() {
        kind if tab(kind) => "a tab where YAML wants blanks".into(),
        E::UnexpectedCharacter { character } => format!("a text cannot start with `{}`", character.escape_debug()),
        E::InvalidColonPlacement | E::MappingValueNotAllowed => "a `: ` where no key can end".into(),
        E::InvalidTrailingSingleQuotedScalar | E::InvalidTrailingDoubleQuotedScalar => {
            "text after the closing quote".into()
        }
        E::UnclosedQuotedScalar => "a quote that is never closed".into(),
        E::UnclosedFlowCollection { open } => format!("a `{open}` that is never closed"),
        E::SimpleKeyExpected | E::ExpectedBlockMappingKey => "expected a key with `:` here".into(),
        E::InvalidIndentation => "indentation that fits no level above".into(),
        E::DirectiveDisallowed => "a `%` at the start of a line is a YAML directive, which is not supported".into(),
        E::RecursionLimitExceeded => "nested deeper than 64 levels".into(),
        E::UnknownQuotedScalarEscape => "an unknown escape in a text in double quotes".into(),
        _ => format!("not YAML: {}", error.info()),
    }
}

fn hint(kind: &ErrorKind, line: &str, above: &str) -> Option<String> {
    use ErrorKind as E;
    if braces(line) || braces(above) {
        return Some("quote a value that starts with `{{`: \"{{ … }}\"".into());
    }
    let hint = match kind {
        kind if tab(kind) => "indent with blanks",
        _ if indented_by_tab(line) || indented_by_tab(above) => "indent with blanks, not with tabs",
        E::UnexpectedCharacter { .. } | E::DirectiveDisallowed => "quote the whole value",
        E::InvalidColonPlacement | E::MappingValueNotAllowed if opened(above) => {
            "look for a missing closing bracket in the line above"
        }
        E::InvalidColonPlacement | E::MappingValueNotAllowed if line.matches(": ").count() > 1 => {
            "quote a value that has `: ` in it"
        }
        E::InvalidColonPlacement | E::MappingValueNotAllowed | E::InvalidIndentation => {
            "look at the indentation, or quote a value that has `: ` in it"
        }
        E::InvalidTrailingSingleQuotedScalar | E::InvalidTrailingDoubleQuotedScalar => {
            "put the other kind of quotes around the whole value"
        }
        // After a value that ended in quotes (`when: "a" == b`) the parser looks for the next key.
        E::ExpectedBlockMappingKey | E::SimpleKeyExpected if quoted_start(line) => {
            "put the other kind of quotes around the whole value"
        }
        E::ExpectedBlockMappingKey | E::SimpleKeyExpected | E::ExpectedBlockSequenceEntry => {
            "look at the indentation and for a missing `:`"
        }
        E::UnknownQuotedScalarEscape => "a backslash is kept as it is in single quotes",
        E::UnclosedFlowCollection { .. } | E::ExpectedFlowMappingSeparator | E::ExpectedFlowSequenceSeparator => {
            "look for a missing `,` or closing bracket; quote texts that have commas or brackets in them"
        }
        _ => return None,
    };
    Some(hint.into())
}

/// The quote, bracket or brace that the error may be about.
fn opener(kind: &ErrorKind, text: &str, error: usize, opened: &Opened) -> Option<usize> {
    use ErrorKind as E;
    match kind {
        E::InvalidTrailingSingleQuotedScalar | E::InvalidTrailingDoubleQuotedScalar => {
            let mut before = ' ';
            let mut comment = false;
            let rest = text.get(opened.reached..error)?;
            rest.char_indices().find_map(|(at, c)| {
                let starts = before.is_whitespace() || "[{,:".contains(before);
                comment = if c == '\n' { false } else { comment || (c == '#' && before.is_whitespace()) };
                before = c;
                (matches!(c, '"' | '\'') && starts && !comment).then_some(opened.reached + at)
            })
        }
        _ => opened.bracket.filter(|at| *at < error),
    }
}

fn line_around(text: &str, at: usize) -> &str {
    let start = text[..at].rfind('\n').map_or(0, |n| n + 1);
    let end = text[at..].find('\n').map_or(text.len(), |n| at + n);
    text.get(start..end).unwrap_or("")
}

/// The value of a line such as `  - key: value`.
fn value(line: &str) -> &str {
    let line = line.trim_start().trim_start_matches("- ").trim_start();
    line.split_once(": ").map_or(line, |(_, value)| value.trim_start())
}

fn braces(line: &str) -> bool {
    value(line).starts_with("{{")
}

fn quoted_start(line: &str) -> bool {
    value(line).starts_with(['"', '\''])
}

fn indented_by_tab(line: &str) -> bool {
    line.chars().take_while(|c| c.is_whitespace()).any(|c| c == '\t')
}

fn opened(line: &str) -> bool {
    line.matches(['[', '{']).count() > line.matches([']', '}']).count()
}
