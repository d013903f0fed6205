//! The content of a file.
//!
//! `stat` (see [`super::stat`]) tells what each path is and how long; then one `head` reads all regular files,
//! each up to the limit, and writes a line with the name before each content. The contents are walked by the
//! lengths that `stat` told: if a name is not exactly where it must be, a file changed in between, and no content of
//! this reading counts.
//!
//! Where others than root can change a name on the way, the file could be swapped for a link before it is opened. So it
//! is opened first, and read only if the kernel says that it is the very file, with no second name elsewhere.

use super::lines::Lines;
use super::read::{Asking, Sections};
use super::stat::{Entry, EntryKind, Found, literal};
use super::{Answer, Facts, Query};
use crate::host::quote;
use std::collections::BTreeMap;

/// What a path holds.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Content {
    Absent,
    /// The bytes of a regular file, up to 1 MiB; a larger file is unknown.
    Regular(Vec<u8>),
    /// A directory, a symbolic link, a device …, by its name.
    Other(String),
}

impl Content {
    /// The text of a regular file, where it is UTF-8.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Regular(bytes) => std::str::from_utf8(bytes).ok(),
            _ => None,
        }
    }
}

/// Goes where a path leads, and nowhere else.
const PIN: &str = include_str!("pin.sh");
const WORD: &str = "files";
/// Bytes of one file.
const MOST: u64 = 1 << 20;

/// What the kernel makes up while it is read has no length before.
pub fn pseudo(path: &str) -> bool {
    literal(path).is_some_and(|path| path.starts_with("/proc/") || path.starts_with("/sys/"))
}

/// The paths whose content is wanted, in the order they are read.
fn paths(queries: &[Query]) -> Vec<String> {
    let asked = queries.iter().filter_map(|query| if let Query::File(path) = query { Some(path) } else { None });
    let mut paths: Vec<String> = asked.filter(|path| !pseudo(path)).filter_map(|path| literal(path)).collect();
    paths.sort();
    paths.dedup();
    paths
}

pub fn ask(queries: &[Query]) -> Vec<Asking> {
    let list: Vec<String> = paths(queries).iter().map(|path| quote(path)).collect();
    if list.is_empty() {
        return vec![];
    }
    let most = MOST + 1;
    let script = format!(
        r#"{PIN}
swappable() {{ [ "$u" = 0 ] || return 1; d=${{1%/*}}; while [ -n "$d" ]; do [ -O "$d" ] && [ ! -k "$d" ] && [ ! -g "$d" ] || return 0; d=${{d%/*}}; done; return 1; }}
held() {{ exec 3<"$1" && [ -f /proc/self/fd/3 ] && {{ [ "$(readlink /proc/self/fd/3; echo .)" = "$1
." ] || {{ pin "$1" && exec 3<"./$f" && [ "$(readlink /proc/self/fd/3; echo .)" = "$r/$f
." ]; }}; }} \
&& set -- "$1" $(stat -L -c '%h %s %F' /proc/self/fd/3) && [ "$3" -lt {most} ] && [ "$4" = regular ] && {{ [ "$2" = 1 ] || {{ pin "$1" && ours; }}; }} && printf '\n==> %s <==\n' "$1" && exec head -c {most} <&3; }}
set --
for f in {}; do
[ -f "$f" ] && [ ! -L "$f" ] || continue
if swappable "$f"; then (held "$f"); else set -- "$@" "$f"; fi; done
[ $# = 0 ] || head -v -c {most} -- "$@"
[ "$u" = 0 ]; c $?"#,
        list.join(" "),
    );
    vec![Asking::new(WORD, script)]
}

pub fn answer(sections: &Sections<'_>, queries: &[Query], facts: &mut Facts) {
    if !queries.iter().any(|query| matches!(query, Query::File(_))) {
        return;
    }
    let found = Found::parse(sections, queries);
    let paths = paths(queries);
    let contents = found.as_ref().map_err(Clone::clone).and_then(|found| contents(sections, &paths, found));
    for query in queries {
        let Query::File(asked) = query else { continue };
        let answer = match (literal(asked), &found) {
            (None, _) => Err(format!("`{asked}` is not an absolute path")),
            (_, Err(reason)) => Err(reason.clone()),
            (Some(path), Ok(found)) => match found.at(&path) {
                Err(reason) => Err(reason),
                Ok(None) => Ok(Content::Absent),
                Ok(Some(entry)) if entry.kind != EntryKind::File => Ok(Content::Other(kind(entry.kind).into())),
                Ok(Some(_)) if pseudo(&path) => made_up(sections, queries, &path),
                Ok(Some(entry)) if entry.size > MOST => Err(format!("{path} is larger than 1 MiB")),
                Ok(Some(entry)) => {
                    contents.as_ref().map_err(Clone::clone).and_then(|contents| regular(contents, entry))
                }
            },
        };
        facts.put(query.clone(), answer.map(Answer::File));
    }
}

fn kind(kind: EntryKind) -> &'static str {
    match kind {
        EntryKind::File => "a file",
        EntryKind::Directory => "a directory",
        EntryKind::Symlink => "a symbolic link",
        EntryKind::Other => "a device, pipe or socket",
    }
}

/// A file of /proc or /sys, line by line.
fn made_up(sections: &Sections<'_>, queries: &[Query], path: &str) -> Result<Content, String> {
    if path.contains('\n') {
        return Err(format!("{path:?} cannot be read line by line"));
    }
    let lines = Lines::parse(sections, queries)?;
    let found = lines.get(path)?.ok_or_else(|| format!("{path} vanished while it was read"))?;
    Ok(Content::Regular(found.iter().flat_map(|line| line.iter().copied().chain([b'\n'])).collect()))
}

/// What was read of each path.
struct Contents<'a> {
    of: BTreeMap<&'a str, &'a [u8]>,
    /// Why the others have none.
    lack: String,
}

fn regular(contents: &Contents<'_>, entry: &Entry) -> Result<Content, String> {
    match contents.of.get(entry.path.as_str()) {
        Some(bytes) => Ok(Content::Regular(bytes.to_vec())),
        None => Err(contents.lack.replace("{}", &entry.path)),
    }
}

fn contents<'a>(sections: &Sections<'a>, paths: &'a [String], found: &Found<'_>) -> Result<Contents<'a>, String> {
    let section = sections.part(WORD)?;
    let body = section.out;
    let mut of = BTreeMap::new();
    let mut at = 0;
    // The content that ends at `at`: it counts once something that must follow it does.
    let mut last: Option<(&str, &[u8])> = None;
    // Those that were held come first.
    for path in paths.iter().chain(paths) {
        let Ok(Some(entry)) = found.at(path) else { continue };
        let had = of.contains_key(path.as_str()) || last.is_some_and(|(last, _)| last == path);
        if entry.kind != EntryKind::File || had {
            continue;
        }
        let header = format!("==> {path} <==\n");
        let rest = &body[at..];
        // What was held and what was not come by two processes, and the second begins without an empty line.
        let Some(rest) =
            rest.strip_prefix(header.as_bytes()).or_else(|| rest.strip_prefix(b"\n")?.strip_prefix(header.as_bytes()))
        else {
            continue;
        };
        of.extend(last.take());
        let size = usize::try_from(entry.size.min(MOST + 1)).map_err(|_| "a file is too long".to_owned())?;
        let start = body.len() - rest.len();
        let Some(content) = rest.get(..size) else {
            // It is shorter than it was, or the answer was cut here.
            at = usize::MAX;
            break;
        };
        last = Some((path.as_str(), content));
        at = start + size;
    }
    match section.code {
        None => Ok(Contents { of, lack: sections.lack() }),
        Some(code) if at == body.len() => {
            of.extend(last);
            // The code tells whether it was root who read.
            let lack = if code == 0 { "{} vanished or could not be read" } else { "needs root to read {}" };
            Ok(Contents { of, lack: lack.into() })
        }
        Some(_) => Err("a file changed while the files were read".into()),
    }
}
