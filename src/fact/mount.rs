//! What is mounted where.

use super::lines::Lines;
use super::read::{Sections, lossy};
use super::{Answer, Facts, Query};

/// The kernel's table, as the reading process sees it.
pub const PATH: &str = "/proc/self/mounts";

/// One mount, as /proc/self/mounts tells it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Mount {
    pub device: String,
    pub path: String,
    pub fs: String,
    pub options: Vec<String>,
}

pub fn answer(sections: &Sections<'_>, queries: &[Query], facts: &mut Facts) {
    if !queries.contains(&Query::Mounts) {
        return;
    }
    let read = Lines::parse(sections, queries).and_then(|lines| {
        let table = lines.get(PATH)?.ok_or_else(|| format!("there is no {PATH}"))?;
        table.iter().map(|line| mount(line)).collect::<Option<Vec<_>>>().ok_or_else(|| format!("{PATH} is malformed"))
    });
    facts.put(Query::Mounts, read.map(Answer::Mounts));
}

fn mount(line: &[u8]) -> Option<Mount> {
    let fields: Vec<&[u8]> = line.split(|b| *b == b' ').collect();
    let [device, path, fs, options, ..] = fields.as_slice() else { return None };
    let options = options.split(|b| *b == b',').map(unescape).collect();
    Some(Mount { device: unescape(device), path: unescape(path), fs: unescape(fs), options })
}

/// `\040` and the like, three octal digits each.
fn unescape(field: &[u8]) -> String {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&first, after)) = rest.split_first() {
        let octal = (first == b'\\')
            .then(|| after.get(..3))
            .flatten()
            .filter(|digits| digits.iter().all(|d| (b'0'..=b'7').contains(d)))
            .and_then(|digits| digits.iter().try_fold(0u32, |n, d| Some(n * 8 + u32::from(d - b'0'))))
            .and_then(|value| u8::try_from(value).ok());
        match octal {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[3..];
            }
            None => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    lossy(&bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octal_escapes_are_undone() {
        assert_eq!(unescape(br"/mnt/a\040b\134c\011"), "/mnt/a b\\c\t");
        assert_eq!(unescape(br"a\04"), r"a\04");
        assert_eq!(unescape(br"\777"), r"\777");
    }
}
