//! The codes of errors and what is to be said of each at length: one file (`codes.md`), in which every page begins with the
//! messages that have its code. So a message keeps the words it has where it is made, and nothing else is said twice.

use std::sync::OnceLock;

const PAGES: &str = include_str!("codes.md");

/// What is known of one code.
#[derive(Debug)]
pub struct Page {
    /// `E0012`.
    pub code: &'static str,
    pub title: &'static str,
    /// The messages that have this code, with `{}` for what differs.
    pub messages: Vec<&'static str>,
    /// The text with its examples, in Markdown.
    pub text: String,
}

/// All pages, by code.
pub fn pages() -> &'static [Page] {
    static ALL: OnceLock<Vec<Page>> = OnceLock::new();
    ALL.get_or_init(|| {
        let starts = PAGES.match_indices("# E").map(|(at, _)| at);
        let starts: Vec<usize> = starts.filter(|at| *at == 0 || PAGES[..*at].ends_with('\n')).collect();
        let ends = starts.iter().skip(1).copied().chain([PAGES.len()]);
        starts.iter().zip(ends).map(|(start, end)| page(&PAGES[*start..end])).collect()
    })
}

/// A page from its text: `# E0012 Title`, its messages behind `> `, and what is to be said.
fn page(text: &'static str) -> Page {
    let (head, body) = text.split_once('\n').unwrap_or((text, ""));
    let (code, title) = head.trim_start_matches("# ").split_once(' ').unwrap_or((head, ""));
    let messages = body.lines().filter_map(|line| line.strip_prefix("> ")).collect();
    let lines: Vec<&str> = body.lines().filter(|line| !line.starts_with("> ")).collect();
    Page { code, title, messages, text: lines.join("\n").trim().to_owned() + "\n" }
}

/// The page of a code, in any case of its letter.
pub fn explained(code: &str) -> Option<&'static Page> {
    let code = code.trim();
    pages().iter().find(|page| page.code.eq_ignore_ascii_case(code))
}

/// The code of a message: that of the pattern which says most of it.
pub(super) fn code(what: &str) -> Option<&'static str> {
    let all = pages().iter().flat_map(|page| page.messages.iter().map(move |message| (page.code, *message)));
    let fitting = all.filter(|(_, message)| fits(message, what));
    fitting.max_by_key(|(_, message)| message.replace("{}", "").len()).map(|(code, _)| code)
}

/// Whether a text is of a pattern in which each `{}` stands for anything.
fn fits(pattern: &str, text: &str) -> bool {
    let Some((start, rest)) = pattern.split_once("{}") else { return pattern == text };
    let Some(mut left) = text.strip_prefix(start) else { return false };
    let mut parts: Vec<&str> = rest.split("{}").collect();
    let last = parts.pop().unwrap_or_default();
    for part in parts {
        match left.find(part) {
            Some(at) => left = &left[at + part.len()..],
            None => return false,
        }
    }
    left.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::{code, explained, fits, pages};

    #[test]
    fn patterns_stand_for_anything() {
        assert!(fits("the id `{}` stands twice", "the id `a` stands twice"));
        assert!(fits("`{}` is open, `{}` is closed", "`if` is open, `each` is closed"));
        assert!(!fits("`{}` is open, `{}` is closed", "`if` is open"));
        assert!(!fits("a", "ab") && fits("a{}", "ab") && fits("{}b", "ab") && !fits("{}a", "ab"));
    }

    #[test]
    fn pages_are_read_whole() {
        let page = explained("e0012").unwrap();
        assert_eq!((page.code, page.title), ("E0012", "A reference to a step that is not there"));
        assert_eq!(code("`needs` names `x`, which is no step's id"), Some("E0012"));
        assert_eq!(code("what no page knows"), None);
        for page in pages() {
            assert!(page.code.len() == 5 && page.code.starts_with('E'), "{page:?}");
            assert!(page.text.len() > 80 && !page.text.contains("\n> "), "{page:?}");
        }
        assert!(pages().is_sorted_by_key(|page| page.code));
    }
}
