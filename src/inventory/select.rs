//! Patterns that choose hosts: `web:db`, `web,db`, `web:&prod`, `web:!web3`, `web*`, `~web[0-9]+`, `web[0:3]`, `@file`.

use super::{Host, Inventory, merge, range};
use crate::fault::{Fault, Place, Result, Source, read_text};
use regex::Regex;
use std::collections::HashSet;
use std::sync::Arc;

/// The numbers of the hosts that a pattern chooses, each once, in the order in which its parts name them.
pub(super) fn select(inventory: &Inventory, pattern: &str) -> Result<Vec<usize>> {
    if inventory.hosts.is_empty() {
        return Err(Fault::new("the inventory has no hosts").hint("give one that has some with -i"));
    }
    let mut parts = Vec::new();
    let source = Source::new("<pattern>", pattern);
    for (start, part) in split(pattern) {
        let place = Place { source: source.clone(), start, end: start + part.len() };
        match part.strip_prefix('@') {
            Some(path) => parts.extend(from_file(path).map_err(|fault| fault.or_at(&place))?),
            None => parts.push(Part { text: part.to_owned(), place }),
        }
    }
    if parts.is_empty() {
        let fault = Fault::new(format!("the pattern `{pattern}` names no host"));
        return Err(fault.hint("`all` means all; a file behind `@` holds a pattern on each line"));
    }
    let sign = |part: &&Part| part.text.chars().next().filter(|c| matches!(c, '&' | '!'));
    let all = Part { text: "all".to_owned(), place: Place { source, start: 0, end: pattern.len() } };
    let mut plain: Vec<&Part> = parts.iter().filter(|part| sign(part).is_none()).collect();
    if plain.is_empty() {
        plain.push(&all);
    }
    let mut once = HashSet::new();
    let mut chosen = Vec::new();
    for part in plain {
        chosen.extend(one(inventory, part, &part.text)?.into_iter().filter(|host| once.insert(*host)));
    }
    for wanted in ['&', '!'] {
        for part in parts.iter().filter(|part| sign(part) == Some(wanted)) {
            let these: HashSet<usize> = one(inventory, part, &part.text[1..])?.into_iter().collect();
            chosen.retain(|host| these.contains(host) == (wanted == '&'));
        }
    }
    if chosen.is_empty() {
        let fault = Fault::new(format!("the pattern `{pattern}` chooses no host")).at(&all.place);
        return Err(fault.hint("its parts are known, but together leave nothing; see `steadfast inventory --graph`"));
    }
    Ok(chosen)
}

/// One part of a pattern.
struct Part {
    text: String,
    place: Place,
}

/// The parts with their first bytes. Commas part; without one, colons do, outside of brackets.
fn split(pattern: &str) -> Vec<(usize, &str)> {
    let mut parts = Vec::new();
    let mut depth = 0_u32;
    let commas = pattern.contains(',');
    let whole = !commas && range::parse_address(pattern).is_some();
    let mut start = 0;
    for (at, c) in pattern.char_indices().chain([(pattern.len(), '\0')]) {
        match c {
            '[' => depth += 1,
            ']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        let cut = match c {
            ',' => commas,
            ':' => !commas && !whole && depth == 0,
            _ => at == pattern.len() || (!commas && depth == 0 && c.is_whitespace()),
        };
        if cut {
            let part = &pattern[start..at];
            let text = part.trim();
            if !text.is_empty() {
                parts.push((start + part.len() - part.trim_start().len(), text));
            }
            start = at + c.len_utf8();
        }
    }
    parts
}

/// The parts in a file, one a line.
fn from_file(path: &str) -> Result<Vec<Part>> {
    let text = read_text(std::path::Path::new(path), 16 << 20)
        .map_err(|why| Fault::new(format!("the file of hosts `{path}` cannot be read")).why(why))?;
    let source: Arc<Source> = Source::new(path, text);
    let mut parts = Vec::new();
    let mut start = 0;
    for piece in source.text.split_inclusive('\n') {
        let line = piece.trim();
        if !line.is_empty() && !line.starts_with('#') {
            let at = start + piece.len() - piece.trim_start().len();
            let place = Place { source: source.clone(), start: at, end: at + line.len() };
            parts.push(Part { text: line.to_owned(), place });
        }
        start += piece.len();
    }
    Ok(parts)
}

/// What one part without its sign chooses; a host in two of its groups comes twice, and counts so in `[0:3]`.
fn one(inventory: &Inventory, part: &Part, text: &str) -> Result<Vec<usize>> {
    if let Some(host) = inventory.at.get(text) {
        return Ok(vec![*host]);
    }
    let (name, subscript) = subscript(text);
    let matcher =
        matcher(name).map_err(|why| Fault::new(format!("`{text}` is not a pattern")).why(why).at(&part.place))?;
    let groups: Vec<&String> = inventory.order.iter().filter(|group| matcher.is_match(group)).collect();
    let mut found: Vec<usize> = groups.iter().flat_map(|group| inventory.under(group)).collect();
    let mut known = !groups.is_empty();
    if groups.is_empty() || name.starts_with('~') || name.contains(['.', '?', '*', '[']) {
        let before = found.len();
        found.extend((0..inventory.hosts.len()).filter(|host| matcher.is_match(&inventory.hosts[*host].name)));
        known |= found.len() > before;
    }
    if !known {
        return Err(unknown(inventory, part, name));
    }
    let Some((first, last)) = subscript.filter(|_| !found.is_empty()) else { return Ok(found) };
    let count = found.len();
    let wrap = |at: i64| if at < 0 { at + i64::try_from(count).unwrap_or(i64::MAX) } else { at };
    let inside = |at: i64| usize::try_from(wrap(at)).ok();
    let (Some(first), Some(last)) = (inside(first), inside(last)) else {
        return Err(outside(part, name, count));
    };
    let chosen: Vec<usize> = found.into_iter().skip(first).take((last + 1).saturating_sub(first)).collect();
    if chosen.is_empty() { Err(outside(part, name, count)) } else { Ok(chosen) }
}

fn outside(part: &Part, name: &str, count: usize) -> Fault {
    Fault::new(format!("`{}` chooses no host: `{name}` has {count}", part.text))
        .at(&part.place)
        .hint(format!("count from 0 to {}, or from -1 backwards", count.saturating_sub(1)))
}

fn unknown(inventory: &Inventory, part: &Part, name: &str) -> Fault {
    let fault = Fault::new(format!("no host and no group matches `{name}`")).at(&part.place);
    if matches!(name, "localhost" | "127.0.0.1" | "::1") {
        return fault
            .hint("this machine is in an inventory only where it is written, with `ansible_connection: local`");
    }
    let known = inventory.order.iter().chain(inventory.hosts.iter().map(|host| &host.name));
    fault.nearest(name, known.map(String::as_str))
}

/// Takes `[n]`, `[n:m]` or `[n:]` from the end; the first and the last that it means, both included.
fn subscript(text: &str) -> (&str, Option<(i64, i64)>) {
    let split = || {
        let (name, inside) = text.strip_suffix(']')?.rsplit_once('[')?;
        if name.is_empty() || name.starts_with('~') {
            return None;
        }
        let number = |text: &str| text.parse::<u32>().ok().filter(|_| !text.starts_with('+')).map(i64::from);
        let bounds = match inside.split_once([':', '-']) {
            Some(("", last)) if inside.starts_with('-') => (-number(last)?, -number(last)?),
            Some((first, "")) => (number(first)?, -1),
            Some((first, last)) => (number(first)?, number(last)?),
            None => (number(inside)?, number(inside)?),
        };
        Some((name, Some(bounds)))
    };
    split().unwrap_or((text, None))
}

/// `~re` from the start of a name; else `*`, `?`, `[abc]`, `[!abc]` over the whole of it.
fn matcher(text: &str) -> Result<Regex, String> {
    let regex = match text.strip_prefix('~') {
        Some(regex) => format!("^(?:{regex})"),
        None => glob(text),
    };
    // The crate draws the whole pattern with a caret; its last line says what is wrong.
    Regex::new(&regex).map_err(|error| {
        let drawn = error.to_string();
        let last = drawn.lines().last().unwrap_or(&drawn);
        last.strip_prefix("error: ").unwrap_or(last).to_owned()
    })
}

/// A glob as a regular expression, as Python's `fnmatch` has it.
fn glob(text: &str) -> String {
    let mut out = String::from("(?s)^");
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        match c {
            '*' => out.push_str(".*"),
            '?' => out.push('.'),
            '[' => {
                let negated = rest.starts_with('!');
                let from = usize::from(negated);
                // A `]` that comes first is a member.
                let skip = from + usize::from(rest[from..].starts_with(']'));
                match rest[skip..].find(']') {
                    Some(end) => {
                        let members =
                            rest[from..skip + end].replace('\\', r"\\").replace('[', r"\[").replace(']', r"\]");
                        let members = members.replace("&&", r"&\&").replace("~~", r"~\~").replace('^', r"\^");
                        out.push_str(&format!("[{}{members}]", if negated { "^" } else { "" }));
                        rest = &rest[skip + end + 1..];
                    }
                    None => out.push_str(r"\["),
                }
            }
            c => out.push_str(&regex::escape(c.encode_utf8(&mut [0; 4]))),
        }
    }
    out + "$"
}

impl Inventory {
    /// The hosts that a pattern chooses, in the order in which its parts name them, as in Ansible.
    ///
    /// # Errors
    /// A part of the pattern that matches nothing (with the nearest name), or that cannot be read.
    pub fn select(&self, pattern: &str) -> Result<Vec<&Host>> {
        Ok(select(self, pattern)?.into_iter().map(|host| &self.hosts[host]).collect())
    }

    /// Those of a pattern's hosts that a second pattern, the `--limit`, chooses too.
    ///
    /// # Errors
    /// As `select`, for both patterns; and when nothing is left.
    pub fn select_within(&self, pattern: &str, limit: &str) -> Result<Vec<&Host>> {
        let limited: HashSet<usize> = select(self, limit)?.into_iter().collect();
        let chosen = select(self, pattern)?;
        let both: Vec<&Host> =
            chosen.into_iter().filter(|host| limited.contains(host)).map(|host| &self.hosts[host]).collect();
        if both.is_empty() {
            return Err(Fault::new(format!("`{pattern}` and the limit `{limit}` have no host in common"))
                .hint("see which hosts a pattern chooses with `steadfast inventory --graph`"));
        }
        Ok(both)
    }

    /// The numbers of all hosts under a group.
    fn under(&self, group: &str) -> Vec<usize> {
        let hosts = |name: &str| self.groups.get(name).map_or(&[][..], |group| &group.hosts);
        let children = |name: &str| self.groups.get(name).map_or(&[][..], |group| &group.children);
        merge::under(
            group,
            |name| hosts(name).iter().filter_map(|host| self.at.get(host).copied()).collect(),
            |name| children(name).iter().map(String::as_str).collect(),
        )
    }
}
