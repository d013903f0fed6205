//! A YAML text as a tree that knows where each of its parts stands.
//!
//! Scalars keep the very text the author wrote, so `mode: 0644`, `no` and `1.10` stay what they look like; whoever
//! wants a number or a boolean asks for one ([`Node`] is a serde `Deserializer` whose errors carry places). Duplicate
//! keys, unknown tags, bombs (aliases, depth, size) and several documents in a file are faults.

use crate::fault::Place;

mod blank;
mod de;
mod hints;
mod json;
mod key;
mod parse;
#[cfg(test)]
mod tests;
mod wrong;

pub use de::{from_field, from_node, open_faults, unknown_fields};
pub use json::{Json, to_json, to_json_yaml11};
pub use parse::{parse, parse_ansible};

/// A value with its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    pub value: Value,
    pub place: Place,
}

/// What stands at a place.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// `~`, `null` or nothing at all, unquoted.
    Null,
    /// The text as written; `plain` says that it had no quotes, so it may be meant as a number or a boolean.
    Scalar {
        text: String,
        plain: bool,
    },
    List(Vec<Node>),
    /// In the order written; keys are unique.
    Map(Vec<(Key, Node)>),
}

/// The key of a map's entry with its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Key {
    pub text: String,
    pub place: Place,
}

impl Node {
    /// The entry of a map by its key.
    pub fn get(&self, key: &str) -> Option<&Node> {
        match &self.value {
            Value::Map(entries) => entries.iter().find(|(k, _)| k.text == key).map(|(_, node)| node),
            _ => None,
        }
    }

    /// The scalar's text.
    pub fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar { text, .. } => Some(text),
            _ => None,
        }
    }

    /// What it is, for messages: `a map`, `a list`, `text`, `nothing`.
    pub fn what(&self) -> &'static str {
        match &self.value {
            Value::Null => "nothing",
            Value::Scalar { .. } => "text",
            Value::List(_) => "a list",
            Value::Map(_) => "a map",
        }
    }
}

/// Which values are open: templates that are filled in for each host.
pub type Open = fn(&Node) -> bool;
