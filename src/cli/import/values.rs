//! Values of Ansible as ours.

use super::write::Yaml;
use crate::yaml::{Node, Value};
use std::collections::BTreeMap;

/// The entries of a list; none where there is no list.
pub fn items(node: Option<&Node>) -> Vec<Node> {
    match node.map(|node| &node.value) {
        Some(Value::List(items)) => items.clone(),
        _ => vec![],
    }
}

/// The texts of a list, or the one text.
pub fn items_or_one(node: Option<&Node>) -> Vec<String> {
    match node.map(|node| &node.value) {
        Some(Value::List(items)) => items.iter().filter_map(Node::text).map(ToOwned::to_owned).collect(),
        Some(Value::Scalar { text, .. }) => vec![text.clone()],
        _ => vec![],
    }
}

/// A list of texts.
pub fn texts(all: &[String]) -> Yaml {
    Yaml::List(all.iter().map(Yaml::of).collect())
}

/// A module's arguments, also of its short form (`name=x state=present`).
pub fn arguments(body: &Node) -> BTreeMap<String, Yaml> {
    match &body.value {
        Value::Map(entries) => entries.iter().map(|(key, value)| (key.text.clone(), yaml(value))).collect(),
        Value::Scalar { text, .. } => {
            let pairs = text.split_whitespace().map(|word| word.split_once('=').unwrap_or(("free form", word)));
            pairs.map(|(name, value)| (name.to_owned(), Yaml::of(value.trim_matches(['"', '\''])))).collect()
        }
        _ => BTreeMap::new(),
    }
}

/// A value as it is written again. Booleans of Ansible are those of YAML 1.1.
pub fn yaml(node: &Node) -> Yaml {
    match &node.value {
        Value::Null => Yaml::Word("null".into()),
        Value::List(items) => Yaml::List(items.iter().map(yaml).collect()),
        Value::Map(entries) => Yaml::Map(entries.iter().map(|(key, value)| (key.text.clone(), yaml(value))).collect()),
        Value::Scalar { text, plain } => match (*plain, boolean(text)) {
            (true, Some(yes)) => Yaml::Word(yes.to_string()),
            (true, None) if text.parse::<u64>().is_ok_and(|_| !text.starts_with('0') || text == "0") => {
                Yaml::Word(text.clone())
            }
            _ => Yaml::of(text),
        },
    }
}

/// Whether a value is one of Ansible Vault, or holds one.
pub fn is_sealed(value: &Yaml) -> bool {
    match value {
        Yaml::Text(text) | Yaml::Word(text) => text.trim_start().starts_with("$ANSIBLE_VAULT"),
        Yaml::List(items) => items.iter().any(is_sealed),
        Yaml::Map(entries) => entries.iter().any(|(_, value)| is_sealed(value)),
    }
}

/// What Ansible takes as true and false.
pub fn boolean(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "yes" | "true" | "on" => Some(true),
        "no" | "false" | "off" => Some(false),
        _ => None,
    }
}

/// A text of Jinja that is one of handlebars as well: plain names between braces, and nothing else.
pub fn filled(text: &str) -> Result<String, String> {
    if text.contains("{%") || text.contains("{#") {
        return Err("a template with statements of Jinja".into());
    }
    for part in text.split("{{").skip(1) {
        let name = part.split("}}").next().unwrap_or_default().trim();
        let plain = |name: &str| {
            name.starts_with(|c: char| c.is_ascii_alphabetic())
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        };
        if !part.contains("}}") || !name.split('.').all(plain) || name.starts_with("ansible_") {
            return Err(format!("the template `{{{{ {name} }}}}` has no exact counterpart"));
        }
    }
    Ok(text.to_owned())
}

/// Why a value cannot be taken over, where a text in it is of Jinja's alone.
pub fn of_jinja(value: &Yaml) -> Option<String> {
    match value {
        Yaml::Text(text) | Yaml::Word(text) => filled(text).err(),
        Yaml::List(items) => items.iter().find_map(of_jinja),
        Yaml::Map(entries) => entries.iter().find_map(|(_, value)| of_jinja(value)),
    }
}
