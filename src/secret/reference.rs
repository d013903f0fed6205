//! Where a secret comes from, as a variable's value says it: `{secret: env:NAME}` and its like.

use crate::fault::{Fault, Result};
use serde_json::Value as Json;
use std::path::{Path, PathBuf};

/// The sources, as people write them.
const SOURCES: &str = "env:NAME, file:PATH, age:PATH, sops:PATH#key.path or command:[program, arguments]";

/// A source of one secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reference {
    /// A variable of the environment.
    Env(String),
    File(PathBuf),
    /// A file encrypted by age.
    Age(PathBuf),
    /// A file encrypted by sops, and the way to a value in it.
    Sops(PathBuf, Vec<String>),
    /// What a program on this machine prints.
    Command(Vec<String>),
}

impl Reference {
    /// The source that a value names; `None` for every other value.
    pub fn of(value: &Json) -> Option<Result<Self>> {
        match inside(value)? {
            Json::String(text) => Some(match text.split_once(':') {
                Some((word, rest)) => Self::from_word(word, rest.trim()),
                None => Err(unknown(text)),
            }),
            Json::Object(map) => match map.iter().collect::<Vec<_>>().as_slice() {
                [(word, Json::String(rest))] => Some(Self::from_word(word, rest)),
                [(word, Json::Array(words))] if *word == "command" => Some(Self::command(
                    words.iter().filter_map(Json::as_str).map(ToOwned::to_owned).collect(),
                    words.len(),
                )),
                _ => Some(Err(unknown(&value.to_string()))),
            },
            _ => None,
        }
    }

    fn from_word(word: &str, rest: &str) -> Result<Self> {
        let missing =
            || Err(Fault::new(format!("`{word}:` names nothing")).hint(format!("a secret comes from {SOURCES}")));
        match word {
            "env" | "file" | "age" | "sops" | "command" if rest.is_empty() => missing(),
            "env" if rest.contains(['=', '\0']) => Err(Fault::new(format!("`{rest}` is no name of a variable"))),
            "env" => Ok(Self::Env(rest.to_owned())),
            "file" => Ok(Self::File(home(rest))),
            "age" => Ok(Self::Age(home(rest))),
            "sops" => {
                let (path, key) = rest.split_once('#').unwrap_or((rest, ""));
                Ok(Self::Sops(home(path), key.split('.').filter(|part| !part.is_empty()).map(Into::into).collect()))
            }
            "command" => {
                let words = words(rest);
                let count = words.len();
                Self::command(words, count)
            }
            _ => Err(unknown(word)),
        }
    }

    fn command(words: Vec<String>, count: usize) -> Result<Self> {
        if words.is_empty() || words.len() != count || words[0].is_empty() {
            return Err(Fault::new("`command` needs a list of texts: the program, then its arguments"));
        }
        Ok(Self::Command(words))
    }
}

/// For people: never the arguments of a program, which its author may have thought hidden.
impl std::fmt::Display for Reference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Env(name) => write!(f, "env:{name}"),
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::Age(path) => write!(f, "age:{}", path.display()),
            Self::Sops(path, key) => write!(f, "sops:{}#{}", path.display(), key.join(".")),
            Self::Command(words) => write!(f, "command:{}", words.first().map_or("", String::as_str)),
        }
    }
}

/// Whether a source of secrets is named anywhere in a value.
pub fn refers(value: &Json) -> bool {
    match value {
        Json::Array(items) => items.iter().any(refers),
        Json::Object(map) => Reference::of(value).is_some() || map.values().any(refers),
        _ => false,
    }
}

/// Puts a placeholder where a source is named.
pub fn stand_in(value: &mut Json) {
    if Reference::of(value).is_some() {
        *value = super::HIDDEN.into();
        return;
    }
    match value {
        Json::Array(items) => items.iter_mut().for_each(stand_in),
        Json::Object(map) => map.values_mut().for_each(stand_in),
        _ => {}
    }
}

/// Keeps the variables of the environment that a value names from the programs that we start.
pub fn withhold_in(value: &Json) {
    match (Reference::of(value), value) {
        (Some(Ok(Reference::Env(name))), _) => super::withhold(&name),
        (_, Json::Array(items)) => items.iter().for_each(withhold_in),
        (_, Json::Object(map)) => map.values().for_each(withhold_in),
        _ => {}
    }
}

/// Makes the path of a source start at the directory of the file that names it, so that it means the same from
/// everywhere. Templates are left alone until they are filled in.
pub fn anchor(value: &mut Json, file: &str) {
    let Json::Object(map) = value else { return };
    if map.len() != 1 {
        return;
    }
    let Some(inside) = map.get_mut("secret") else { return };
    let base = Path::new(file).parent().unwrap_or(Path::new(""));
    let whole = |path: &str| {
        let free = path.is_empty() || path.starts_with(['/', '~']) || path.contains("{{");
        let path = base.join(path.trim());
        if free { None } else { Some(std::path::absolute(&path).unwrap_or(path).display().to_string()) }
    };
    match inside {
        Json::String(text) => {
            let Some((word @ ("file" | "age" | "sops"), path)) = text.split_once(':') else { return };
            if let Some(path) = whole(path.trim_start()) {
                *text = format!("{word}:{path}");
            }
        }
        Json::Object(inner) => {
            for word in ["file", "age", "sops"] {
                if let Some(Json::String(path)) = inner.get_mut(word)
                    && let Some(absolute) = whole(path)
                {
                    *path = absolute;
                }
            }
        }
        _ => {}
    }
}

/// What stands under `secret` when that is all there is.
fn inside(value: &Json) -> Option<&Json> {
    let map = value.as_object().filter(|map| map.len() == 1)?;
    map.get("secret")
}

fn unknown(what: &str) -> Fault {
    let word = what.split(':').next().unwrap_or(what);
    let fault = Fault::new(format!("`{word}` is no source of a secret"));
    fault.hint(format!("a secret comes from {SOURCES}"))
}

fn home(path: &str) -> PathBuf {
    match (path.strip_prefix("~/"), std::env::var_os("HOME")) {
        (Some(rest), Some(home)) => Path::new(&home).join(rest),
        _ => path.into(),
    }
}

/// `[program, "an argument"]` as words.
fn words(text: &str) -> Vec<String> {
    if let Ok(words) = serde_json::from_str(text) {
        return words;
    }
    let inner = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    inner.split(',').map(|word| word.trim().trim_matches(['"', '\'']).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn all_sources_and_what_is_none() {
        let of = |value: Json| Reference::of(&value).map(|read| read.map_err(|fault| fault.to_string()));
        assert_eq!(of(json!({"secret": "env:X"})), Some(Ok(Reference::Env("X".into()))));
        assert_eq!(of(json!({"secret": {"age": "/a"}})), Some(Ok(Reference::Age("/a".into()))));
        let sops = Reference::Sops("/a.yml".into(), vec!["db".into(), "0".into()]);
        assert_eq!(of(json!({"secret": "sops:/a.yml#db.0"})), Some(Ok(sops)));
        let command = Some(Ok(Reference::Command(vec!["pass".into(), "show".into(), "a b".into()])));
        assert_eq!(of(json!({"secret": "command:[pass, show, 'a b']"})), command);
        assert_eq!(of(json!({"secret": {"command": ["pass", "show", "a b"]}})), command);
        assert!(of(json!({"secret": "envi:X"})).unwrap().is_err());
        assert!(of(json!({"secret": "env:"})).unwrap().is_err());
        assert!(of(json!({"secret": {"command": []}})).unwrap().is_err());
        assert_eq!(of(json!({"secret": "env:X", "more": 1})), None);
        assert_eq!(of(json!({"secret": ["h1"]})), None);
        assert!(refers(&json!({"db": [{"password": {"secret": "env:X"}}]})));
    }

    #[test]
    fn paths_start_where_they_are_written() {
        let anchored = |value: Json, file: &str| {
            let mut value = value;
            anchor(&mut value, file);
            value
        };
        assert_eq!(anchored(json!({"secret": "file:pw"}), "/p/vars.yml"), json!({"secret": "file:/p/pw"}));
        assert_eq!(anchored(json!({"secret": {"age": "pw"}}), "/p/v.yml"), json!({"secret": {"age": "/p/pw"}}));
        for free in ["file:/pw", "file:~/pw", "file:{{ x }}", "env:pw"] {
            assert_eq!(anchored(json!({"secret": free}), "/p/v.yml"), json!({"secret": free}));
        }
    }
}
