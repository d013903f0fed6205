//! Conditions of Ansible as ours, where they mean exactly the same: what a host is, and variables whose values are written in
//! the same files, so that their types are known. What a task registered or set is none of these.

use super::values::{boolean, yaml};
use super::write::Yaml;
use crate::yaml::{Node, Value};
use std::collections::BTreeMap;

/// What a variable holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holds {
    Truth,
    Number,
    Text,
    List,
}

/// Variables whose types are known.
pub type Known = BTreeMap<String, Holds>;

/// Adds what a map of variables says; a value that is filled in later is not known.
pub fn learn(known: &mut Known, map: Option<&Node>) {
    let Some(Value::Map(entries)) = map.map(|map| &map.value) else { return };
    for (key, value) in entries {
        // By what it is written as, so that the two never differ.
        let holds = match yaml(value) {
            Yaml::List(_) => Some(Holds::List),
            Yaml::Word(word) if boolean(&word).is_some() => Some(Holds::Truth),
            Yaml::Word(word) if word.parse::<u64>().is_ok() => Some(Holds::Number),
            Yaml::Text(text) if !text.contains("{{") && !text.contains("{%") => Some(Holds::Text),
            _ => None,
        };
        match holds {
            Some(holds) => known.insert(key.text.clone(), holds),
            None => known.remove(&key.text),
        };
    }
}

/// Takes away what tasks set themselves, at any depth: `register`, `set_fact`, variables of blocks and loops.
pub fn forget(known: &mut Known, tasks: &[Node]) {
    for task in tasks {
        let Value::Map(entries) = &task.value else { continue };
        for (key, value) in entries {
            match (key.text.rsplit('.').next().unwrap_or_default(), &value.value) {
                ("register", Value::Scalar { text, .. }) => {
                    known.remove(text);
                }
                ("set_fact" | "vars", Value::Map(all)) => {
                    known.retain(|name, _| all.iter().all(|(set, _)| set.text != *name))
                }
                ("block" | "rescue" | "always", Value::List(inner)) => forget(known, inner),
                _ => {}
            }
        }
    }
}

/// A condition that means the same here.
pub fn condition_of(text: &str, known: &Known) -> Result<String, String> {
    let cannot = || format!("the condition `{text}` has no exact counterpart");
    let words = words(text).ok_or_else(cannot)?;
    let mut reader = Reader { words: &words, known };
    let said = reader.any().filter(|_| reader.words.is_empty());
    said.ok_or_else(cannot)
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Word {
    Name(String),
    Text(String),
    Number(u32),
    Sign(&'static str),
}

const SIGNS: [&str; 14] = ["==", "!=", "<=", ">=", "<", ">", "(", ")", "[", "]", ",", "|", "+", "-"];

fn words(text: &str) -> Option<Vec<Word>> {
    let mut words = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let taken = if first == '"' || first == '\'' {
            let inner = rest[1..].split(first).next()?;
            // A text with an escape, or without an end, is not read.
            if inner.contains('\\') || rest.len() < inner.len() + 2 {
                return None;
            }
            words.push(Word::Text(inner.to_owned()));
            inner.len() + 2
        } else if first.is_ascii_digit() {
            let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
            words.push(Word::Number(rest[..end].parse().ok()?));
            end
        } else if first.is_ascii_alphabetic() || first == '_' {
            let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '.')).unwrap_or(rest.len());
            words.push(Word::Name(rest[..end].to_owned()));
            end
        } else {
            let sign = SIGNS.into_iter().find(|sign| rest.starts_with(sign))?;
            words.push(Word::Sign(sign));
            sign.len()
        };
        rest = rest[taken..].trim_start();
    }
    Some(words)
}

/// One side of a comparison.
enum Side {
    /// A field of `os`, with the name that Ansible has for it.
    Fact(&'static str),
    Variable(String, Holds),
    Text(String),
    Number(u32),
    Length(String),
}

struct Reader<'a> {
    words: &'a [Word],
    known: &'a Known,
}

impl Reader<'_> {
    fn name(&mut self, wanted: &str) -> bool {
        let is = matches!(self.words.first(), Some(Word::Name(name)) if name == wanted);
        self.words = if is { &self.words[1..] } else { self.words };
        is
    }

    fn sign(&mut self, wanted: &str) -> bool {
        let is = matches!(self.words.first(), Some(Word::Sign(sign)) if *sign == wanted);
        self.words = if is { &self.words[1..] } else { self.words };
        is
    }

    fn any(&mut self) -> Option<String> {
        let mut said = self.all()?;
        while self.name("or") {
            said = format!("{said} || {}", self.all()?);
        }
        Some(said)
    }

    fn all(&mut self) -> Option<String> {
        let mut said = self.not()?;
        while self.name("and") {
            said = format!("{said} && {}", self.not()?);
        }
        Some(said)
    }

    fn not(&mut self) -> Option<String> {
        if self.name("not") {
            return Some(format!("!({})", self.not()?));
        }
        if self.sign("(") {
            let inner = self.any()?;
            return self.sign(")").then(|| format!("({inner})"));
        }
        self.comparison()
    }

    fn comparison(&mut self) -> Option<String> {
        let left = self.side()?;
        let denied = self.name("not");
        if self.name("in") {
            let said = self.within(&left)?;
            return Some(if denied { format!("!({said})") } else { said });
        }
        if denied {
            return None;
        }
        for sign in ["==", "!=", "<=", ">=", "<", ">"] {
            if self.sign(sign) {
                let right = self.side()?;
                return compared(&left, sign, &right);
            }
        }
        match left {
            Side::Variable(name, Holds::Truth) => Some(name),
            _ => None,
        }
    }

    /// `x in [a, b]`, or `x in list`.
    fn within(&mut self, left: &Side) -> Option<String> {
        if !self.sign("[") {
            return match (left, self.side()?) {
                (Side::Text(text), Side::Variable(list, Holds::List)) => Some(format!("{} in {list}", quoted(text)?)),
                _ => None,
            };
        }
        let mut all = Vec::new();
        while !self.sign("]") {
            all.push(compared(left, "==", &self.side()?)?);
            if !self.sign(",") && !matches!(self.words.first(), Some(Word::Sign("]"))) {
                return None;
            }
        }
        (!all.is_empty()).then(|| format!("({})", all.join(" || ")))
    }

    fn side(&mut self) -> Option<Side> {
        let (first, rest) = self.words.split_first()?;
        self.words = rest;
        let side = match first {
            Word::Text(text) => Side::Text(text.clone()),
            Word::Number(number) => Side::Number(*number),
            Word::Name(name) if name == "ansible_facts" && self.sign("[") => {
                let Some((Word::Text(fact), rest)) = self.words.split_first() else { return None };
                self.words = rest;
                if !self.sign("]") {
                    return None;
                }
                fact_of(fact)?
            }
            Word::Name(name) => match name.strip_prefix("ansible_facts.").or_else(|| name.strip_prefix("ansible_")) {
                Some(fact) => fact_of(fact)?,
                None => Side::Variable(name.clone(), *self.known.get(name)?),
            },
            Word::Sign(_) => return None,
        };
        self.filters(side)
    }

    /// `| bool` of what is true or false, `| int` of a number, `| length` of what has one.
    fn filters(&mut self, mut side: Side) -> Option<Side> {
        while self.sign("|") {
            let (Word::Name(filter), rest) = self.words.split_first()? else { return None };
            self.words = rest;
            side = match (filter.as_str(), side) {
                ("bool", side @ Side::Variable(_, Holds::Truth)) | ("int", side @ Side::Variable(_, Holds::Number)) => {
                    side
                }
                ("length" | "count", Side::Variable(name, Holds::List | Holds::Text)) => Side::Length(name),
                _ => return None,
            };
        }
        Some(side)
    }
}

/// What a host is, where it is called the same.
fn fact_of(name: &str) -> Option<Side> {
    ["os_family", "distribution", "distribution_release"].into_iter().find(|known| *known == name).map(Side::Fact)
}

fn compared(left: &Side, sign: &str, right: &Side) -> Option<String> {
    let equal = matches!(sign, "==" | "!=");
    match (left, right) {
        (Side::Fact(fact), Side::Text(value)) if equal => {
            let (field, value) = os(fact, value)?;
            Some(format!("os.{field} {sign} {}", quoted(&value)?))
        }
        (Side::Variable(name, Holds::Text), Side::Text(text)) if equal => {
            Some(format!("{name} {sign} {}", quoted(text)?))
        }
        (Side::Variable(name, Holds::Number), Side::Number(number)) => Some(format!("{name} {sign} {number}")),
        (Side::Length(name), Side::Number(number)) => Some(format!("size({name}) {sign} {number}")),
        _ => None,
    }
}

/// Families and distributions that are the same there and here, by their names here.
fn os(fact: &str, value: &str) -> Option<(&'static str, String)> {
    let lower = value.to_ascii_lowercase();
    let is = |known: &[&str]| known.contains(&lower.as_str());
    match fact {
        "os_family" if is(&["debian", "redhat", "alpine"]) => Some(("family", lower)),
        "distribution" if is(&["debian", "ubuntu", "fedora", "alpine"]) => Some(("id", lower)),
        "distribution_release" if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_lowercase()) => {
            Some(("codename", value.to_owned()))
        }
        _ => None,
    }
}

fn quoted(text: &str) -> Option<String> {
    (!text.contains(['"', '\\']) && !text.chars().any(char::is_control)).then(|| format!("\"{text}\""))
}

#[cfg(test)]
mod tests {
    use super::{Holds, Known, condition_of};

    #[test]
    fn conditions_that_mean_the_same() {
        let known: Known =
            [("on", Holds::Truth), ("tries", Holds::Number), ("mode", Holds::Text), ("users", Holds::List)]
                .map(|(name, holds)| (name.to_owned(), holds))
                .into();
        for (theirs, ours) in [
            ("ansible_os_family == 'Debian'", "os.family == \"debian\""),
            (
                "ansible_facts['distribution'] != \"Ubuntu\" and ansible_facts.os_family == 'Debian'",
                "os.id != \"ubuntu\" && os.family == \"debian\"",
            ),
            ("on | bool and not on", "on && !(on)"),
            ("on or tries >= 3 and mode == 'x'", "on || tries >= 3 && mode == \"x\""),
            ("(on or on) and tries | int > 1", "(on || on) && tries > 1"),
            ("users | length > 0", "size(users) > 0"),
            ("\"change_user\" not in users", "!(\"change_user\" in users)"),
            ("ansible_distribution in ['Debian', 'Ubuntu']", "(os.id == \"debian\" || os.id == \"ubuntu\")"),
            ("ansible_distribution_release == 'bookworm'", "os.codename == \"bookworm\""),
        ] {
            assert_eq!(condition_of(theirs, &known).as_deref(), Ok(ours));
        }
        for other in [
            "x",
            "mode",
            "users",
            "mode | bool",
            "on is defined",
            "on == 'true'",
            "tries == '3'",
            "item.stat.exists",
            "'a' in mode",
            "ansible_distribution_version == '12'",
            "ansible_virtualization_type not in ['docker']",
            "a or b == 'c'",
            "mode == 'a\\'b'",
            "mode == 'a",
            "on and",
            "(on",
            "on on",
            "users | length > tries",
            "ansible_distribution in []",
            "1 == 1",
        ] {
            assert!(condition_of(other, &known).is_err(), "{other}");
        }
    }
}
