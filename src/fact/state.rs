//! The state of a thing in one word that can be compared and gone back to: what the journal keeps.

use super::journal::BASE;
use super::read::{Asking, Sections, lossy};
use super::{Answer, Facts, Query};
use crate::host::quote;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::sync::OnceLock;

/// The shell functions `states`, `packages`, `entry` and `moves`, for whoever writes or reads a journal.
pub const FUNCTIONS: &str = include_str!("state.sh");

/// What sort of thing has a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Family {
    /// What stands at a path: content, mode, owner.
    Path,
    /// Mode and owner of what stands at a path, whatever it holds.
    Meta,
    /// A live kernel parameter.
    Live,
    /// Whether a unit runs.
    Runs,
    /// Whether a unit is enabled, disabled or masked.
    Boot,
    /// The flags of a mount.
    Mount,
    /// A kernel module.
    Module,
    /// A table of the packet filter, by its name in the family `inet`.
    Table,
    /// The set of installed packages.
    Packages,
    /// A script of the playbook's author, by its place in the journal: whether it was taken back.
    Script,
    /// What a cloud lets through to the host. It stands in the controller's memory alone: no journal of a host can name it.
    Fence,
}

impl Family {
    /// Those that a host's journal may name.
    const ALL: [Self; 10] = [
        Self::Path,
        Self::Meta,
        Self::Live,
        Self::Runs,
        Self::Boot,
        Self::Mount,
        Self::Module,
        Self::Table,
        Self::Packages,
        Self::Script,
    ];

    /// The word for it in journals and scripts.
    pub fn word(self) -> &'static str {
        match self {
            Self::Path => "path",
            Self::Meta => "meta",
            Self::Live => "live",
            Self::Runs => "runs",
            Self::Boot => "boot",
            Self::Mount => "mount",
            Self::Module => "module",
            Self::Table => "table",
            Self::Packages => "packages",
            Self::Script => "script",
            Self::Fence => "fence",
        }
    }

    /// The family of this word.
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|family| family.word() == word)
    }
}

/// One thing that has a state.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Thing {
    pub family: Family,
    pub name: String,
}

impl Thing {
    pub fn new(family: Family, name: impl Into<String>) -> Self {
        Self { family, name: name.into() }
    }
}

impl fmt::Display for Thing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.family {
            Family::Path => write!(f, "{}", self.name),
            Family::Meta => write!(f, "{} (mode and owner)", self.name),
            Family::Live => write!(f, "kernel parameter {}", self.name),
            Family::Runs => write!(f, "unit {}", self.name),
            Family::Boot => write!(f, "unit {} at boot", self.name),
            Family::Mount => write!(f, "mount {}", self.name),
            Family::Module => write!(f, "kernel module {}", self.name),
            Family::Table => write!(f, "packet filter table inet {}", self.name),
            Family::Packages => write!(f, "installed packages"),
            Family::Script => write!(f, "the step's script"),
            Family::Fence => match serde_json::from_str::<crate::cloud::Fence>(&self.name) {
                Ok(fence) => write!(f, "{}", fence.name()),
                Err(_) => write!(f, "something of a cloud"),
            },
        }
    }
}

/// By what people tell one content from another in what this process says: whoever reads it learns nothing that guesses could be
/// held against, as a digest itself would be where a file holds a short secret.
fn mark(digest: &str) -> String {
    static KEY: OnceLock<String> = OnceLock::new();
    let key = KEY.get_or_init(crate::host::random_word);
    let marked = Sha256::new().chain_update(key).chain_update(digest).finalize();
    marked[..4].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A state in words for people.
pub fn told(thing: &Thing, state: &str) -> String {
    use base64::Engine;
    let decoded = |text: &str| {
        let bytes = base64::engine::general_purpose::STANDARD.decode(text).unwrap_or_default();
        lossy(&bytes).trim_end().replace('\t', " ")
    };
    if thing.family == Family::Fence {
        let shape = serde_json::from_str::<crate::cloud::Shape>(state);
        return shape.map_or_else(|_| "unknown".into(), |shape| shape.words());
    }
    match state.split(':').collect::<Vec<_>>().as_slice() {
        ["file", mode, user, group, digest] => {
            format!("file {mode} {user}:{group} {}…", mark(digest))
        }
        ["dir", mode, user, group] => format!("directory {mode} {user}:{group}"),
        ["link", _, _, to] => format!("link to {}", decoded(to)),
        [mode, user, group] => format!("{mode} {user}:{group}"),
        ["table", digest] => format!("present {}…", mark(digest)),
        ["on"] => "running".into(),
        ["off"] => "not running".into(),
        _ => match (thing.family, state.strip_prefix('=')) {
            (Family::Boot, Some("")) => "absent".into(),
            (Family::Boot, Some(enabled)) => enabled.to_owned(),
            (_, Some(value)) => decoded(value),
            _ => state.to_owned(),
        },
    }
}

/// A name as one word of letters, digits and `\0NNN`, which the shell's `printf %b` turns back.
pub fn encode(name: &str) -> String {
    let mut word = String::new();
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"/._@:+,=-".contains(&byte) {
            word.push(char::from(byte));
        } else {
            let _ = write!(word, "\\0{byte:03o}");
        }
    }
    // Nothing at all would be no word.
    if word.is_empty() { "\\0040".into() } else { word }
}

/// The name that was encoded; what is no encoding is taken as it is.
pub fn decode(word: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = word.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let octal = after.strip_prefix(b"0").and_then(|digits| digits.get(..3));
        let number = octal.and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok());
        match number {
            Some(byte) if *first == b'\\' => {
                bytes.push(byte);
                rest = &after[4..];
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    lossy(&bytes)
}

fn asked(queries: &[Query]) -> BTreeMap<Family, Vec<&String>> {
    let mut all: BTreeMap<Family, Vec<&String>> = BTreeMap::new();
    for query in queries {
        if let Query::State(thing) = query {
            all.entry(thing.family).or_default().push(&thing.name);
        }
    }
    all
}

pub fn ask(queries: &[Query]) -> Vec<Asking> {
    let asked = asked(queries);
    if asked.is_empty() {
        return vec![];
    }
    let mut script = format!("{FUNCTIONS}{BASE}");
    for (family, names) in asked {
        let names: Vec<String> = names.into_iter().map(|name| quote(name)).collect();
        let _ = writeln!(script, "states {} {}", family.word(), names.join(" "));
    }
    script.push_str("c 0");
    vec![Asking::new("state", script)]
}

pub fn answer(sections: &Sections<'_>, queries: &[Query], facts: &mut Facts) {
    let asked = asked(queries);
    if asked.is_empty() {
        return;
    }
    let section = sections.whole("state");
    let mut lines = section.as_ref().ok().map(|section| section.lines());
    for (family, names) in asked {
        for name in names {
            let answer = match (&section, lines.as_mut().and_then(Iterator::next)) {
                (Err(reason), _) => Err(reason.clone()),
                (_, Some(b"unreadable")) => Err(format!("{name} cannot be read")),
                (_, Some(state)) if !state.is_empty() => Ok(Answer::State(lossy(state))),
                _ => Err("the host's answer is not understood".to_owned()),
            };
            facts.put(Query::State(Thing::new(family, name)), answer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Family, Thing, decode, encode};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn names_come_back(name in ".{1,40}") {
            let word = encode(&name);
            prop_assert!(word.bytes().all(|byte| byte.is_ascii_graphic()));
            prop_assert_eq!(decode(&word), name);
        }
    }

    #[test]
    fn states_are_told_in_words() {
        fn told(family: Family, state: &str) -> String {
            super::told(&Thing::new(family, "x"), state)
        }
        assert_eq!(told(Family::Runs, "on"), "running");
        assert_eq!(told(Family::Boot, "=masked"), "masked");
        assert_eq!(told(Family::Boot, "="), "absent");
        assert_eq!(told(Family::Meta, "644:0:0"), "644 0:0");
        assert_eq!(told(Family::Live, "=MQo="), "1");
        assert_eq!(told(Family::Path, "absent"), "absent");
        // The same content has the same mark, which is no part of its digest.
        let file = |digest: &str| told(Family::Path, &format!("file:644:0:0:{digest}"));
        assert!(file("0123456789abcdef").starts_with("file 644 0:0 ") && file("0123456789abcdef").ends_with('…'));
        assert_eq!(file("0123456789abcdef"), file("0123456789abcdef"));
        assert_ne!(file("0123456789abcdef"), file("0123456789abcdee"));
        assert!(!file("0123456789abcdef").contains("01234567"));
    }
}
