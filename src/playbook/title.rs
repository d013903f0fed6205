//! Titles and ids for steps that have none.

use crate::yaml::{Node, Value};

/// The field by which a kind's object is known, by likeliness.
const OBJECTS: &[&str] = &["name", "path", "key", "unit", "file", "user", "package", "module", "mount", "port", "url"];

/// A readable title: the kind and its object.
pub(super) fn title(kind: &str, body: &Node) -> String {
    let kind = kind.replace('_', " ");
    match object(body) {
        Some(object) => format!("{kind} {object}"),
        None => kind,
    }
}

fn object(body: &Node) -> Option<String> {
    match &body.value {
        Value::Scalar { text, .. } => Some(short(text)),
        Value::List(items) => one_of(items),
        Value::Map(_) => OBJECTS.iter().find_map(|name| match &body.get(name)?.value {
            Value::Scalar { text, .. } => Some(short(text)),
            Value::List(items) => one_of(items),
            _ => None,
        }),
        Value::Null => None,
    }
}

fn one_of(items: &[Node]) -> Option<String> {
    let first = short(items.first()?.text()?);
    Some(if items.len() > 1 { format!("{first} and {} more", items.len() - 1) } else { first })
}

fn short(text: &str) -> String {
    let line = text.lines().next().unwrap_or("");
    if line.chars().count() <= 60 { line.into() } else { format!("{}…", line.chars().take(59).collect::<String>()) }
}

/// A text as an id: small letters, digits and `-`.
pub(super) fn slug(text: &str) -> String {
    let mut id = String::new();
    for c in text.chars().flat_map(char::to_lowercase) {
        if c.is_ascii_alphanumeric() {
            id.push(c);
        } else if !id.is_empty() && !id.ends_with('-') {
            id.push('-');
        }
        if id.len() >= 48 {
            break;
        }
    }
    let id = id.trim_end_matches('-');
    if id.is_empty() { "step".into() } else { id.into() }
}
