//! Files of options, where the last line that sets a key counts: `key value` or `key = value`.
//!
//! Only that last line is ever touched, and of it only the value; so a former value brings back the very line.

use super::{Claim, Object, Row, Setting, Val};
use crate::act::Act;
use crate::fact::{Facts, Gap, Query, Unit};

/// How a file spells its options.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spelling {
    /// `key value`
    Words,
    /// `key = value`; `-` and `_` are the same.
    Equals,
}

impl Spelling {
    fn same(self, word: &str, key: &str) -> bool {
        let fold = |text: &str| match self {
            Self::Words => text.to_ascii_lowercase(),
            Self::Equals => text.to_ascii_lowercase().replace('-', "_"),
        };
        fold(word) == fold(key)
    }

    /// Where the value begins in a line that sets this key, which may be several words.
    fn begins(self, line: &str, key: &str) -> Option<usize> {
        let mut rest = line;
        for part in key.split(' ') {
            rest = rest.trim_start();
            let end = rest.find(|sign: char| sign.is_whitespace() || (self == Self::Equals && sign == '='));
            let (word, after) = rest.split_at(end.unwrap_or(rest.len()));
            if !self.same(word, part) {
                return None;
            }
            rest = after;
        }
        let mut value = rest.trim_start();
        if self == Self::Equals {
            value = value.strip_prefix('=').unwrap_or(value).trim_start();
        }
        Some(line.len() - value.len())
    }

    /// The value of a key, as it is written; nothing where no line sets it.
    pub fn value<'t>(self, text: &'t str, key: &str) -> Option<&'t str> {
        let found = |line: &'t str| self.begins(line, key).map(|at| line[at..].trim_end());
        text.lines().rev().find_map(found)
    }

    /// The text with this value, or without any line of the key where it is to have none.
    pub fn with(self, text: &str, key: &str, to: &Val) -> String {
        let lines: Vec<&str> = text.split_inclusive('\n').collect();
        let last = lines.iter().rposition(|line| self.begins(line, key).is_some());
        let Some(value) = to.as_text() else {
            return lines.into_iter().enumerate().filter(|(n, _)| Some(*n) != last).map(|(_, line)| line).collect();
        };
        let mark = if self == Self::Words { " " } else { " = " };
        let Some(last) = last else {
            let gap = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
            return format!("{text}{gap}{key}{mark}{value}\n");
        };
        let edit = |(n, line): (usize, &str)| match self.begins(line, key) {
            Some(at) if n == last => {
                let head = line[..at].trim_end_matches('\n');
                let mark = if head.ends_with([' ', '\t', '=']) { "" } else { mark };
                format!("{head}{mark}{value}\n")
            }
            _ => line.to_owned(),
        };
        lines.into_iter().enumerate().map(edit).collect()
    }
}

/// What stands first in a file that is ours.
pub const HEAD: &str = "# kept by steadfast, line by line\n";

/// The acts for a file that is ours alone and holds nothing but a head and our lines: it goes away with the last of them.
pub fn own_file(path: &str, before: &str, head: &str, to: &[&Setting]) -> Vec<Act> {
    let start = if before.is_empty() { head.to_owned() } else { before.to_owned() };
    let after = to.iter().fold(start, |text, setting| Spelling::Equals.with(&text, &setting.field, &setting.to));
    let empty = after == head;
    match (empty, before.is_empty()) {
        _ if after == before => vec![],
        (true, true) => vec![],
        (true, false) => vec![Act::Remove { path: path.to_owned() }],
        (false, new) => vec![Act::Write {
            path: path.to_owned(),
            content: after.into_bytes(),
            mode: new.then_some(0o644),
            owner: None,
            group: None,
            check: None,
        }],
    }
}

/// A value that a line or a server gives, or that there is none.
pub fn val(value: Option<&str>) -> Val {
    value.map_or(Val::Absent, Val::text)
}

/// The first of these units that runs.
pub fn running<'f>(found: &'f Facts, names: &[&str]) -> Result<Option<&'f Unit>, Gap> {
    for name in names {
        let unit = found.unit(name)?;
        if matches!(unit.active.as_str(), "active" | "reloading" | "refreshing") {
            return Ok(Some(unit));
        }
    }
    Ok(None)
}

/// What becomes of a server that other hosts may come to, and that asks each of them who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Remote {
    /// It listens where the step says.
    #[default]
    Close,
    /// It goes on listening where it does, as long as the step itself names no address but the host's own.
    Keep,
}

impl Remote {
    /// Whether what others come by is left, for a step that names these addresses.
    pub fn keeps(self, named: &super::Many) -> bool {
        self == Self::Keep && named.iter().all(is_loopback)
    }

    /// That it is left, and for whom.
    pub fn row(object: &str, who: String) -> Row {
        Row::new(object, "other hosts", who, "kept")
    }
}

/// Whether an address is the host's own alone.
pub fn is_loopback(address: &str) -> bool {
    let address = address.trim().trim_start_matches('-');
    address.eq_ignore_ascii_case("localhost")
        || address.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Whether a text can stand as an address to listen on.
pub fn is_address(text: &str) -> bool {
    let name = text.strip_prefix('-').unwrap_or(text);
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b".:*-".contains(&b))
}

/// What the step of a server reads besides its own files: what others bring.
pub fn reads(packages: &[&str]) -> Vec<Claim> {
    packages.iter().map(|package| Claim::Reads(Object::Package((*package).into()))).collect()
}

/// Rows for a file that only its owner and the server may read or write: further bits of its mode.
pub fn kept(found: &Facts, path: &str, most: u32, rows: &mut Vec<Row>) -> Result<(), Gap> {
    for entry in found.stat(path)?.iter().filter(|entry| entry.doubt.is_none()) {
        if entry.kind != crate::fact::EntryKind::Symlink && entry.mode & !most != 0 {
            let mode = |bits: u32| super::Mode(bits).to_string();
            rows.push(Row::new(&entry.path, "mode", mode(entry.mode), mode(entry.mode & most)));
        }
    }
    Ok(())
}

/// Questions about the mark of a follow-up and these units.
pub fn asked(due: &str, units: &[&str]) -> Vec<Query> {
    units.iter().map(|unit| Query::Unit((*unit).into())).chain([Query::Due(due.into())]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_counts_and_comes_back() {
        let text = "# bind 1\nbind  0.0.0.0\nport 1\nBIND 10.0.0.1 \n";
        let words = Spelling::Words;
        assert_eq!(words.value(text, "bind"), Some("10.0.0.1"));
        let new = words.with(text, "bind", &Val::text("127.0.0.1"));
        assert_eq!(new, "# bind 1\nbind  0.0.0.0\nport 1\nBIND 127.0.0.1\n");
        assert_eq!(words.value("rename-command  CONFIG \"\"\n", "rename-command config"), Some("\"\""));
        assert_eq!(words.value("rename-command CONFIGX \"\"\n", "rename-command config"), None);
        let added = words.with("a 1\n", "bind", &Val::text("::1"));
        assert_eq!(added, "a 1\nbind ::1\n");
        assert_eq!(words.with(&added, "bind", &Val::Absent), "a 1\n");
        assert_eq!(words.with("bind\n", "bind", &Val::text("x")), "bind x\n");
    }

    #[test]
    fn spellings_of_a_key_are_one() {
        let equals = Spelling::Equals;
        assert_eq!(equals.value("[mysqld]\nbind_address=0.0.0.0\n", "bind-address"), Some("0.0.0.0"));
        assert_eq!(equals.with("ssl=off\n", "ssl", &Val::text("on")), "ssl=on\n");
        assert_eq!(equals.with("", "ssl", &Val::text("on")), "ssl = on\n");
        assert_eq!(equals.value("sslx = 1\n", "ssl"), None);
    }

    #[test]
    fn own_addresses_are_known() {
        for own in ["127.0.0.1", "-::1", "127.0.5.1", "localhost", "::1"] {
            assert!(is_loopback(own), "{own}");
        }
        for other in ["0.0.0.0", "*", "::", "10.0.0.1", "", "localhost.example"] {
            assert!(!is_loopback(other), "{other}");
        }
    }
}
