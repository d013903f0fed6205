//! What differs between two runs, step by step.

use std::collections::{BTreeMap, HashMap};

/// What became of a step on a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    NewlyFailing,
    /// It fails as before, or in another way.
    Still,
    Unknown,
    Fixed,
    /// The later run did not look at it.
    Gone,
}

impl Change {
    /// All of them with their words, in the order in which they are told.
    pub const ALL: &[(Self, &'static str)] = &[
        (Self::NewlyFailing, "newly failing"),
        (Self::Still, "still failing"),
        (Self::Unknown, "unknown"),
        (Self::Fixed, "fixed"),
        (Self::Gone, "failed before, not looked at any more"),
    ];
}

/// One step on the hosts where the same became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    pub change: Change,
    pub step: String,
    pub before: String,
    pub after: String,
    /// In the order of their names.
    pub hosts: Vec<String>,
}

/// What the words of two runs for the steps of their hosts come to; what is well in both is left out.
pub fn changes(before: &HashMap<(String, String), String>, after: &HashMap<(String, String), String>) -> Vec<Changed> {
    let mut all: BTreeMap<(Change, String, String, String), Vec<String>> = BTreeMap::new();
    let keys = before.keys().chain(after.keys().filter(|key| !before.contains_key(*key)));
    for key in keys {
        let (was, is) = (before.get(key).map(String::as_str), after.get(key).map(String::as_str));
        let change = match (was.map(state), is.map(state)) {
            (_, Some(State::Open)) => Change::Unknown,
            (Some(State::Bad), Some(State::Bad)) => Change::Still,
            (_, Some(State::Bad)) => Change::NewlyFailing,
            (Some(State::Bad), Some(State::Fine)) => Change::Fixed,
            (Some(State::Bad), None) => Change::Gone,
            _ => continue,
        };
        let word = |word: Option<&str>| word.unwrap_or("not looked at").to_owned();
        let (host, step) = key.clone();
        all.entry((change, step, word(was), word(is))).or_default().push(host);
    }
    let changed = |((change, step, before, after), mut hosts): (_, Vec<String>)| {
        hosts.sort();
        Changed { change, step, before, after, hosts }
    };
    all.into_iter().map(changed).collect()
}

enum State {
    Fine,
    Open,
    Bad,
}

fn state(word: &str) -> State {
    match word {
        "unchanged" | "changed" | "skipped" => State::Fine,
        "drift" | "manual" | "failed" | "reverted" => State::Bad,
        _ => State::Open,
    }
}

#[cfg(test)]
mod tests {
    use super::{Change, changes};
    use std::collections::HashMap;

    #[test]
    fn every_change_has_its_word() {
        let run = |words: &[(&str, &str)]| -> HashMap<(String, String), String> {
            words.iter().map(|(step, word)| (("h1".into(), (*step).into()), (*word).into())).collect()
        };
        let before = run(&[
            ("a", "unchanged"),
            ("b", "drift"),
            ("c", "drift"),
            ("d", "unchanged"),
            ("e", "failed"),
            ("f", "unchanged"),
        ]);
        let after = run(&[
            ("a", "drift"),
            ("b", "unchanged"),
            ("c", "failed"),
            ("d", "unknown"),
            ("f", "unchanged"),
            ("g", "manual"),
        ]);
        let all: Vec<_> = changes(&before, &after).into_iter().map(|one| (one.change, one.step)).collect();
        let expected = [
            (Change::NewlyFailing, "a"),
            (Change::NewlyFailing, "g"),
            (Change::Still, "c"),
            (Change::Unknown, "d"),
            (Change::Fixed, "b"),
            (Change::Gone, "e"),
        ];
        assert_eq!(all, expected.map(|(change, step)| (change, step.to_owned())));
    }
}
