//! What stands at a path.
//!
//! All paths and patterns go to one `stat`. The shell expands the patterns, so everything in them that is not `*`, `?`
//! or `[…]` is quoted; between two patterns stands `/.`, which always exists and divides the answers. A record ends
//! with `//` and a line's end, which is in no path: a name may hold anything.

use super::pattern::{word, words};
use super::read::{Asking, Sections, Whole, lossy};
use super::{Answer, Facts, Query, file};
use crate::host::quote;
use std::collections::{BTreeMap, BTreeSet};

/// The kind of a directory entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EntryKind {
    File,
    Directory,
    Symlink,
    Other,
}

/// One directory entry, the link itself where it is a symbolic link.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Entry {
    pub path: String,
    pub kind: EntryKind,
    /// Permission bits with setuid, setgid and sticky: at most 0o7777.
    pub mode: u32,
    /// Name, or the number where there is no name.
    pub owner: String,
    pub group: String,
    /// Bytes.
    pub size: u64,
    /// Seconds since 1970.
    pub mtime: i64,
    /// Number of hard links.
    pub links: u64,
    /// Why it must not be acted on, nor believed to be what its name says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub doubt: Option<String>,
}

/// A link on the way that is followed: root's or ours, in a directory where nobody else can change names.
const TRUSTED: &str =
    r#"0:*" 0:"*[0145][0145]" "|0:*" $u:"*[0145][0145]" "|"$u:"*" 0:"*[0145][0145]" "|"$u:"*" $u:"*[0145][0145]" ""#;
const WORD: &str = "stat";
/// More entries than this are no answer to a question.
const MOST: usize = 100_000;
const TOO_MANY: i32 = 200;

/// A path that is asked for: absolute, without doubled slashes, `.` and a slash at its end.
fn normal(path: &str) -> Option<String> {
    if !path.starts_with('/') || path.contains('\0') || path.len() > 4000 {
        return None;
    }
    let parts: Vec<&str> = path.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    Some(format!("/{}", parts.join("/")))
}

/// The path that a [`Query::File`] means; nothing in it is a pattern.
pub fn literal(path: &str) -> Option<String> {
    normal(path)
}

/// What is sent for these queries, in an order that the parser finds again.
struct Asked {
    /// Paths that mean themselves.
    literal: BTreeSet<String>,
    /// Patterns: as normal text, with the shell's words.
    wild: BTreeMap<String, String>,
    /// Directories on the way, as shell words, with whether their names are matched against a pattern.
    ways: BTreeSet<(String, bool)>,
}

impl Asked {
    fn of(queries: &[Query]) -> Self {
        let mut asked = Self { literal: BTreeSet::new(), wild: BTreeMap::new(), ways: BTreeSet::new() };
        for query in queries {
            match query {
                Query::Stat(path) => asked.add(normal(path), true),
                Query::File(path) => asked.add(literal(path), false),
                _ => {}
            }
        }
        asked
    }

    fn add(&mut self, path: Option<String>, pattern: bool) {
        let Some(path) = path else { return };
        self.ways.extend(ways(&path, pattern));
        let (words, wild) = if pattern { words(&path) } else { (String::new(), false) };
        if wild {
            self.wild.insert(path, words);
        } else {
            self.literal.insert(path);
        }
    }
}

/// The directories above a path, as shell words.
fn ways(path: &str, pattern: bool) -> Vec<(String, bool)> {
    let mut ways = Vec::new();
    let mut above = String::new();
    for part in path.split('/').skip(1) {
        let (word, wild) = if pattern { word(part) } else { (quote(part), false) };
        ways.push((if above.is_empty() { "/".to_owned() } else { above.clone() }, wild));
        above.push('/');
        above.push_str(&word);
    }
    ways
}

pub fn ask(queries: &[Query]) -> Vec<Asking> {
    let asked = Asked::of(queries);
    if asked.literal.is_empty() && asked.wild.is_empty() {
        return vec![];
    }
    let mut list: Vec<String> = asked.literal.iter().map(|path| quote(path)).collect();
    for words in asked.wild.values() {
        list.extend(["/.".to_owned(), words.clone()]);
    }
    // A directory that may not be searched hides what is in it; only root always may.
    let (mut closed, mut itself) = (String::new(), String::new());
    for (n, (words, names)) in asked.ways.iter().enumerate() {
        closed.push_str(&format!("k {n} {} {words}\n", u8::from(*names)));
    }
    for (n, pattern) in asked.wild.keys().enumerate() {
        for (part, (words, wild)) in pattern.split('/').map(|part| (part, word(part))) {
            if wild && part.contains('[') {
                itself.push_str(&format!("case {} in {words}) ;; *) printf 'n %s//\\n' {n};; esac\n", quote(part)));
            }
        }
    }
    let script = format!(
        r#"k() {{ i=$1 r=$2; shift 2; for d; do [ ! -L "$d" ] || l "$d"; [ "$u" != 0 ] && [ -d "$d" ] || continue; [ -x "$d" ] && {{ [ $r = 0 ] || [ -r "$d" ]; }} || printf 'b %s %s//\n' "$i" "$d"; done; }}
l() {{ case $(stat -c %u:00%a -- "$1" "${{1%/*}}/." | tr '\n' ' ') in {TRUSTED}) printf 't %s//\n%s//\n' "$1" "$(readlink -f -- "$1")";; *) printf 'l %s//\n' "$1";; esac; }}
{closed}{itself}set -- {}
if [ $# -gt {MOST} ]; then r={TOO_MANY}; elif [ $# -gt 400 ]; then printf '%s\0' "$@" | xargs -0 stat -c '{FORMAT}' --; r=$?
else stat -c '{FORMAT}' -- "$@"; r=$?; fi
c $r"#,
        list.join(" ")
    );
    let mut asking = vec![Asking::new(WORD, script)];
    asking.extend(file::ask(queries));
    asking
}

/// Raw mode, links, size, time, numbers and names of the owner and group, path. Names of people hold no slash.
pub const FORMAT: &str = "%f %h %s %Y %u %g %U/%G%n//";

/// What one `stat` told.
pub struct Found<'a> {
    literal: BTreeMap<&'a [u8], Entry>,
    wild: BTreeMap<String, Vec<(&'a [u8], Entry)>>,
    /// A directory of this way (see [`Asked::ways`]) that may not be searched.
    closed: BTreeMap<(String, bool), String>,
    /// Patterns that do not match their own text.
    unlike: BTreeSet<String>,
    /// Symbolic links on the way that others than root can change.
    links: BTreeSet<&'a [u8]>,
    /// The others, with where they lead.
    trusted: BTreeMap<&'a [u8], String>,
}

impl<'a> Found<'a> {
    /// # Errors
    /// Why nothing of it can be used.
    pub fn parse(sections: &Sections<'a>, queries: &[Query]) -> Result<Self, String> {
        let asked = Asked::of(queries);
        let section: Whole<'a> = sections.whole(WORD)?;
        match section.code {
            // 1 and 123: some of the paths are not there.
            0 | 1 | 123 => {}
            TOO_MANY => return Err(format!("more than {MOST} entries match")),
            126 | 127 => return Err("stat is not installed, or the list of paths is too long for it".into()),
            code => return Err(format!("stat ended with {code}")),
        }
        let ways: Vec<&(String, bool)> = asked.ways.iter().collect();
        let mut found = Self {
            literal: BTreeMap::new(),
            wild: BTreeMap::new(),
            closed: BTreeMap::new(),
            unlike: BTreeSet::new(),
            links: BTreeSet::new(),
            trusted: BTreeMap::new(),
        };
        let mut link: Option<&[u8]> = None;
        let mut patterns = asked.wild.keys();
        let mut current: Option<&String> = None;
        let mut rest = section.out;
        while !rest.is_empty() {
            let end = super::read::find(rest, b"//\n").ok_or_else(malformed)?;
            let record = &rest[..end];
            rest = &rest[end + 3..];
            if let Some(link) = link.take() {
                found.trusted.insert(link, lossy(record));
                continue;
            }
            if let Some(from) = record.strip_prefix(b"t ") {
                link = Some(from);
                continue;
            }
            if let Some(closed) = record.strip_prefix(b"b ") {
                let at = closed.iter().position(|b| *b == b' ').ok_or_else(malformed)?;
                let way = std::str::from_utf8(&closed[..at]).ok().and_then(|n| n.parse::<usize>().ok());
                let way = way.and_then(|n| ways.get(n)).ok_or_else(malformed)?;
                found.closed.entry((*way).clone()).or_insert_with(|| lossy(&closed[at + 1..]));
                continue;
            }
            if let Some(number) = record.strip_prefix(b"n ") {
                let number = std::str::from_utf8(number).ok().and_then(|n| n.parse().ok());
                let pattern = number.and_then(|n| asked.wild.keys().nth(n)).ok_or_else(malformed)?;
                found.unlike.insert(pattern.clone());
                continue;
            }
            if let Some(link) = record.strip_prefix(b"l ") {
                found.links.insert(link);
                continue;
            }
            let (path, entry) = entry(record).ok_or_else(malformed)?;
            if path == b"/." {
                let pattern = patterns.next().ok_or_else(malformed)?;
                found.wild.insert(pattern.clone(), vec![]);
                current = Some(pattern);
            } else if let Some(list) = current.and_then(|pattern| found.wild.get_mut(pattern)) {
                list.push((path, entry));
            } else {
                found.literal.insert(path, entry);
            }
        }
        if patterns.next().is_some() { Err(malformed()) } else { Ok(found) }
    }

    /// The directory above `path` that may not be searched, if there is one.
    fn hidden(&self, path: &str, pattern: bool) -> Result<(), String> {
        match ways(path, pattern).iter().find_map(|way| self.closed.get(way)) {
            Some(directory) => Err(format!("needs root to look into {directory}")),
            None => Ok(()),
        }
    }

    /// What stands at a path that means itself.
    ///
    /// # Errors
    /// Why it cannot be told.
    pub fn at(&self, path: &str) -> Result<Option<&Entry>, String> {
        self.led_astray(path.as_bytes()).map_or(Ok(()), Err)?;
        match self.literal.get(path.as_bytes()) {
            Some(entry) => Ok(Some(entry)),
            None => self.hidden(path, false).map(|()| None),
        }
    }

    /// Why what is found at this path may be anything: a link on the way that others than root can change.
    fn led_astray(&self, path: &[u8]) -> Option<String> {
        let above = path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| &path[..at]);
        let link = above.into_iter().find(|above| self.links.contains(above))?;
        Some(format!("{} is a symbolic link that others than root can change, which is not followed", escaped(link)))
    }

    /// Where a path or pattern really is, where links on the way that are followed lead elsewhere.
    fn leads(&self, asked: &str) -> Vec<String> {
        let real = |path: &[u8]| {
            let above = path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at);
            let (at, to) = above.filter_map(|at| Some((at, self.trusted.get(&path[..at])?))).next_back()?;
            to.starts_with('/').then(|| format!("{}{}", to.trim_end_matches('/'), lossy(&path[at..])))
        };
        if self.trusted.is_empty() {
            return vec![];
        }
        match self.wild.get(asked) {
            Some(list) => list.iter().filter_map(|(path, _)| real(path)).collect(),
            None => real(asked.as_bytes()).into_iter().collect(),
        }
    }

    fn matching(&self, pattern: &str) -> Result<Vec<Entry>, String> {
        self.hidden(pattern, true)?;
        if !words(pattern).1 {
            self.led_astray(pattern.as_bytes()).map_or(Ok(()), Err)?;
            return Ok(self.literal.get(pattern.as_bytes()).cloned().into_iter().collect());
        }
        let list = self.wild.get(pattern).ok_or_else(malformed)?;
        // A pattern without a match stands for itself in the shell, and a file may have that very name.
        if let [(path, _)] = list.as_slice()
            && *path == pattern.as_bytes()
            && self.unlike.contains(pattern)
        {
            return Ok(vec![]);
        }
        let doubted = |(path, entry): &(&[u8], Entry)| {
            let name = || std::str::from_utf8(path).is_err().then(|| "its name is not UTF-8".to_owned());
            Entry { doubt: self.led_astray(path).or_else(name), ..entry.clone() }
        };
        let mut all: Vec<Entry> = list.iter().map(doubted).collect();
        all.sort_by(|a, b| a.path.cmp(&b.path));
        all.dedup_by(|a, b| a.path == b.path);
        Ok(all)
    }
}

fn malformed() -> String {
    "stat said what is not understood".to_owned()
}

pub fn entry(record: &[u8]) -> Option<(&[u8], Entry)> {
    let mut fields = record.splitn(7, |b| *b == b' ');
    let mut next = || std::str::from_utf8(fields.next()?).ok();
    let mode = u32::from_str_radix(next()?, 16).ok()?;
    let (links, size, mtime) = (next()?.parse().ok()?, next()?.parse().ok()?, next()?.parse().ok()?);
    let (uid, gid) = (next()?.parse::<u32>().ok()?, next()?.parse::<u32>().ok()?);
    let tail = fields.next()?;
    let one = tail.iter().position(|b| *b == b'/')?;
    let two = one + 1 + tail[one + 1..].iter().position(|b| *b == b'/')?;
    let path = &tail[two..];
    let name = |text: &[u8], number: u32| match text {
        b"UNKNOWN" | b"" => number.to_string(),
        text => lossy(text),
    };
    let kind = match mode & 0o170_000 {
        0o100_000 => EntryKind::File,
        0o040_000 => EntryKind::Directory,
        0o120_000 => EntryKind::Symlink,
        _ => EntryKind::Other,
    };
    let (owner, group) = (name(&tail[..one], uid), name(&tail[one + 1..two], gid));
    let entry = Entry { path: escaped(path), kind, mode: mode & 0o7777, owner, group, size, mtime, links, doubt: None };
    Some((path, entry))
}

/// A path as text; what is not UTF-8 in it as `\xff`, so that two paths stay two.
fn escaped(path: &[u8]) -> String {
    let chunks = path.utf8_chunks();
    chunks.fold(String::new(), |text, chunk| format!("{text}{}{}", chunk.valid(), chunk.invalid().escape_ascii()))
}

pub fn answer(sections: &Sections<'_>, queries: &[Query], facts: &mut Facts) {
    let mut found = None;
    for query in queries {
        let Query::Stat(path) = query else { continue };
        let found = found.get_or_insert_with(|| Found::parse(sections, queries));
        let answer = match (normal(path), found) {
            (None, _) => Err(format!("`{path}` is not an absolute path")),
            (_, Err(reason)) => Err(reason.clone()),
            (Some(path), Ok(found)) => found.matching(&path).map(Answer::Stat),
        };
        facts.put(query.clone(), answer);
    }
    // Of what files are asked for as well.
    for query in queries {
        let (Query::Stat(path) | Query::File(path)) = query else { continue };
        let found = found.get_or_insert_with(|| Found::parse(sections, queries));
        if let (Some(normal), Ok(found)) = (normal(path), found) {
            let leads = found.leads(&normal);
            if !leads.is_empty() {
                facts.lead(path, leads);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_brought_to_one_form() {
        assert_eq!(normal("//etc/./ssh//").as_deref(), Some("/etc/ssh"));
        assert_eq!(normal("/").as_deref(), Some("/"));
        assert_eq!(normal("etc"), None);
    }
}
