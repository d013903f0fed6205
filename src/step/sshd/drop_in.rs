//! Our drop-in and the main configuration as lines of text.

use super::keyword::{self, Keyword};
use super::{DROP_IN, INCLUDE};
use crate::step::{Row, Val};

const HEAD: &str = "# kept by steadfast, line by line";

/// The keyword of a line, where it has one.
fn word(line: &str) -> Option<&str> {
    let line = line.trim_start();
    let word = line.split(|c: char| c.is_whitespace() || c == '=' || c == '"').next()?;
    (!word.is_empty() && !word.starts_with('#')).then_some(word)
}

fn is_of(line: &str, keyword: &Keyword) -> bool {
    word(line).and_then(keyword::find).is_some_and(|found| found.name == keyword.name)
}

fn is_match(line: &str) -> bool {
    word(line).is_some_and(|word| word.eq_ignore_ascii_case("match"))
}

/// The lines of a keyword outside of `Match` blocks.
pub fn lines(text: &str, keyword: &Keyword) -> Vec<String> {
    let global = text.lines().take_while(|line| !is_match(line));
    global.filter(|line| is_of(line, keyword)).map(|line| line.trim().to_owned()).collect()
}

/// Several lines as one value.
pub fn val(lines: &[String]) -> Val {
    if lines.is_empty() { Val::Absent } else { Val::Text(lines.join("\n")) }
}

/// The text with exactly these lines for a keyword, in the place where it had some.
pub fn with(text: &str, keyword: &Keyword, to: &Val) -> String {
    let head = if text.trim().is_empty() { format!("{HEAD}\n") } else { String::new() };
    let text = format!("{head}{text}");
    let end = text.split_inclusive('\n').take_while(|line| !is_match(line)).map(str::len).sum();
    let (global, blocks) = text.split_at(end);
    let old = |line: &&str| is_of(line, keyword);
    let at = global.split_inclusive('\n').take_while(|line| !old(line)).map(str::len).sum();
    let (before, after) = global.split_at(at);
    let after: String = after.split_inclusive('\n').filter(|line| !old(line)).collect();
    let new: String = to.as_text().into_iter().flat_map(str::lines).map(|line| format!("{line}\n")).collect();
    let gap = if before.ends_with('\n') || before.is_empty() { "" } else { "\n" };
    format!("{before}{gap}{new}{after}{blocks}")
}

/// Whether nothing but our own head is left.
pub fn is_empty(text: &str) -> bool {
    text.lines().all(|line| line.trim().is_empty() || line == HEAD)
}

/// Where the main configuration includes our drop-in.
#[derive(Debug, PartialEq, Eq)]
pub enum Included {
    /// Before any keyword that we set.
    First,
    Never,
    /// After this one, which therefore wins.
    After(&'static str),
}

/// Looks for an `Include` of our drop-in, as far as it matters to the keywords of these rows.
pub fn included(main: &str, rows: &[Row]) -> Included {
    let mut above = None;
    for line in main.lines().take_while(|line| !is_match(line)) {
        let Some(word) = word(line) else { continue };
        if word.eq_ignore_ascii_case("include") {
            let names = line.split_whitespace().skip(1).map(|name| name.trim_matches('"'));
            let ours = |name: &str| {
                let whole = if name.starts_with('/') { name.to_owned() } else { format!("/etc/ssh/{name}") };
                whole == DROP_IN || globset::Glob::new(&whole).is_ok_and(|glob| glob.compile_matcher().is_match(DROP_IN))
            };
            if line.trim() == INCLUDE || names.into_iter().any(ours) {
                return above.map_or(Included::First, Included::After);
            }
        } else if let Some(keyword) = keyword::find(word) {
            let set = rows.iter().any(|row| row.object == DROP_IN && row.field == keyword.name);
            // What adds up does not care who comes first.
            if set && !keyword.adds_up() {
                above.get_or_insert(keyword.name);
            }
        }
    }
    Included::Never
}
