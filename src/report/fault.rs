//! A fault as a person reads it: what, where with the line and a caret, why, and what to do next.

use crate::fault::{Fault, Place, Source};
use annotate_snippets::{Annotation, AnnotationKind, Element, Group, Level, Renderer, Snippet};
use std::ops::Range;
use std::sync::Arc;

/// The fault with its source lines, without a line break at its end. What it says may come from a host or a file, so
/// whatever could steer a terminal is written out.
pub fn render(fault: &Fault, color: bool) -> String {
    told(Level::ERROR, fault, color)
}

/// The same of something that is no mistake, but should be known.
pub fn warning(fault: &Fault) -> String {
    told(Level::WARNING, fault, false)
}

fn told(level: Level<'_>, fault: &Fault, color: bool) -> String {
    let title = level.primary_title(visible(fault.what()));
    let mut group = Group::with_title(match fault.code() {
        Some(code) => title.id(code),
        None => title,
    });
    let mut marks: Vec<(&Place, Mark)> = Vec::new();
    marks.extend(fault.place().map(|place| (place, (AnnotationKind::Primary, None))));
    marks.extend(
        fault.places_also().iter().map(|(place, says)| (place, (AnnotationKind::Context, Some(visible(says))))),
    );
    while let Some((first, _)) = marks.first() {
        let source = Arc::clone(&first.source);
        let (here, others) = marks.into_iter().partition(|(place, _)| place.source == source);
        group = group.element(snippet(&source, here));
        marks = others;
    }
    let cause = fault.cause().map(|cause| Element::from(Level::NOTE.message(visible(cause))));
    let hints = fault.hints().iter().map(|hint| Element::from(Level::HELP.message(visible(hint))));
    let renderer = if color { Renderer::styled() } else { Renderer::plain() };
    renderer.render(&[group.elements(cause).elements(hints)]).trim_end().to_owned()
}

type Mark = (AnnotationKind, Option<String>);

/// The lines of one source from the first mark to the last; lines between far ones are folded.
fn snippet<'a>(source: &Arc<Source>, marks: Vec<(&Place, Mark)>) -> Snippet<'a, Annotation<'a>> {
    let text = source.text.as_str();
    let spans: Vec<(Range<usize>, Mark)> = marks.into_iter().map(|(place, mark)| (first_line(place), mark)).collect();
    let start = spans.iter().map(|(span, _)| span.start).min().unwrap_or(0);
    let end = spans.iter().map(|(span, _)| span.end).max().unwrap_or(0);
    let start = text[..start].rfind('\n').map_or(0, |n| n + 1);
    let end = text[end..].find('\n').map_or(text.len(), |n| end + n);
    let line = text[..start].matches('\n').count() + 1;
    let marks = spans.into_iter().map(|(span, (kind, says))| {
        let mark = kind.span(span.start - start..span.end - start);
        match says {
            Some(says) => mark.label(says),
            None => mark,
        }
    });
    Snippet::source(text[start..end].to_owned()).line_start(line).path(visible(&source.name)).annotations(marks)
}

/// A place that runs over several lines is shown by its first.
fn first_line(place: &Place) -> Range<usize> {
    let text = place.source.text.as_str();
    let start = place.start.min(text.len());
    let covered = text.get(start..place.end.min(text.len())).unwrap_or("");
    let length = covered.lines().next().map_or(0, |line| line.trim_end().len());
    start..start + length
}

fn visible(text: &str) -> String {
    super::safe::lines(text, usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(source: &Arc<Source>, word: &str) -> Place {
        let start = source.text.find(word).unwrap_or(0);
        Place { source: source.clone(), start, end: start + word.len() }
    }

    #[test]
    fn all_parts_in_their_order() {
        let source = Source::new("a.yml", "one: 1\ntwo: 2\nthree: ü x\n");
        let other = Source::new("b.yml", "\n\nfour: 4\n");
        let fault = Fault::new("what is wrong").at(&place(&source, "x")).also(&place(&source, "one"), "first here");
        let fault = fault.also(&place(&other, "four"), "and there").why("the cause").hint("do this").hint("or that");
        insta::assert_snapshot!(render(&fault, false), @r"
        error: what is wrong
         --> a.yml:3:10
          |
        1 | one: 1
          | --- first here
        2 | two: 2
        3 | three: ü x
          |          ^
          |
         ::: b.yml:3:1
          |
        3 | four: 4
          | ---- and there
          |
          = note: the cause
          = help: do this
          = help: or that
        ");
        assert!(render(&fault, true).contains('\u{1b}'));
    }

    #[test]
    fn without_a_place_and_without_tricks() {
        let fault = Fault::new("host said \u{1b}[2J\u{7}\u{202e}x");
        insta::assert_snapshot!(render(&fault, false), @r"error: host said \u{1b}[2J\u{7}\u{202e}x");
        let source = Source::new("x\u{1b}[2J", "k: \u{1b}[31mred\nlong: |\n  a\n  b\n");
        let whole = Place { source: source.clone(), start: 0, end: source.text.len() };
        assert!(!render(&Fault::new("a\rb").at(&whole), false).contains(['\u{1b}', '\r']));
        let end = Place { source: source.clone(), start: source.text.len(), end: source.text.len() };
        assert!(render(&Fault::new("at the end").at(&end), false).contains("at the end"));
    }
}
