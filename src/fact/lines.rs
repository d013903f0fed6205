//! Small text files whose every line is wanted: kernel parameters, os-release, the table of mounts. One `grep` prints
//! them all with their names before each line. (`read`, the builtin, takes one byte at a time in dash, and most kernel
//! parameters answer only the first read.)

use super::Query;
use super::read::{Asking, Sections, lossy};
use super::{file, mount, os, sysctl};
use crate::host::quote;
use std::collections::{BTreeMap, BTreeSet};

const WORD: &str = "lines";

/// The paths that these queries need.
fn paths(queries: &[Query]) -> BTreeSet<String> {
    let mut paths = BTreeSet::new();
    for query in queries {
        match query {
            Query::Os => paths.extend(os::PATHS.iter().map(|path| (*path).to_owned())),
            Query::Sysctl(key) => paths.extend(sysctl::path(key)),
            Query::Mounts => paths.extend([mount::PATH.to_owned()]),
            Query::File(path) if file::pseudo(path) => paths.extend(super::stat::literal(path)),
            _ => {}
        }
    }
    paths.retain(|path| !path.contains('\n'));
    paths
}

pub fn ask(queries: &[Query]) -> Vec<Asking> {
    let paths = paths(queries);
    if paths.is_empty() {
        return vec![];
    }
    let list: Vec<String> = paths.iter().map(|path| quote(path)).collect();
    let script = format!(
        r#"set --
for f in {}; do if [ -f "$f" ] && [ -r "$f" ]; then set -- "$@" "$f"
elif [ -f "$f" ]; then [ "$u" = 0 ] && printf 'n %s\n' "$f" || printf 'd %s\n' "$f"; else printf 'a %s\n' "$f"; fi; done
r=0; [ $# -eq 0 ] || {{ grep -aHs '' "$@"; r=$?; }}
c $r"#,
        list.join(" ")
    );
    vec![Asking::new(WORD, script)]
}

/// The lines of the files that were asked for.
pub struct Lines<'a> {
    of: BTreeMap<&'a [u8], Vec<&'a [u8]>>,
    absent: BTreeSet<&'a [u8]>,
    denied: BTreeSet<&'a [u8]>,
    /// Not even root may read these.
    never: BTreeSet<&'a [u8]>,
    code: i32,
}

impl<'a> Lines<'a> {
    /// # Errors
    /// Why there are none.
    pub fn parse(sections: &Sections<'a>, queries: &'a [Query]) -> Result<Self, String> {
        let section = sections.whole(WORD)?;
        let known = paths(queries);
        let mut lines = Self {
            of: BTreeMap::new(),
            absent: BTreeSet::new(),
            denied: BTreeSet::new(),
            never: BTreeSet::new(),
            code: section.code,
        };
        if ![0, 1, 2].contains(&section.code) {
            return Err(format!("grep ended with {}", section.code));
        }
        for line in section.lines() {
            if let Some(path) = line.strip_prefix(b"a ") {
                lines.absent.insert(path);
            } else if let Some(path) = line.strip_prefix(b"d ") {
                lines.denied.insert(path);
            } else if let Some(path) = line.strip_prefix(b"n ") {
                lines.never.insert(path);
            } else {
                let mut colons = line.iter().enumerate().filter(|(_, b)| **b == b':').map(|(at, _)| at);
                let at = colons.find(|at| std::str::from_utf8(&line[..*at]).is_ok_and(|path| known.contains(path)));
                let at =
                    at.ok_or_else(|| format!("a line is not understood: {}", lossy(&line[..line.len().min(80)])))?;
                lines.of.entry(&line[..at]).or_default().push(&line[at + 1..]);
            }
        }
        Ok(lines)
    }

    /// The lines of a file; `None`: there is no such file.
    ///
    /// # Errors
    /// Why it could not be read.
    pub fn get(&self, path: &str) -> Result<Option<&[&'a [u8]]>, String> {
        let path = path.as_bytes();
        if let Some(lines) = self.of.get(path) {
            Ok(Some(lines))
        } else if self.absent.contains(path) {
            Ok(None)
        } else if self.denied.contains(path) {
            Err(format!("needs root to read {}", lossy(path)))
        } else if self.code == 2 || self.never.contains(path) {
            Err(format!("{} could not be read", lossy(path)))
        } else {
            Ok(Some(&[]))
        }
    }

    /// The first line of a file as text, where there is one.
    pub fn first(&self, path: &str) -> Option<String> {
        self.get(path).ok().flatten().and_then(<[_]>::first).map(|line| lossy(line).trim().to_owned())
    }
}
