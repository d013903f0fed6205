//! A value with templates in it, parsed once and filled in for each host.

use crate::expr::{Scope, Template};
use crate::fault::{Fault, Faults, Place};
use crate::yaml::{Key, Node, Value, to_json};
use serde_json::Value as Json;

/// A value that may have templates in it, with its places.
#[derive(Debug, Clone)]
pub(super) enum Pattern {
    /// Nothing to fill in.
    Fixed(Node),
    Text(Template, Place),
    List(Vec<Pattern>, Place),
    Map(Vec<(Key, Pattern)>, Place),
}

/// Whether a value is a template itself.
pub(super) fn is_open(node: &Node) -> bool {
    node.text().is_some_and(Template::is_one)
}

/// The faults of templates in fields where none may be.
pub(super) fn closed_faults(body: &Node, closed: &[&str]) -> Vec<Fault> {
    if is_open(body) {
        let whole = Fault::new("this kind cannot be a template as a whole").at(&body.place);
        return if closed.is_empty() { vec![] } else { vec![whole] };
    }
    // `shell.run` is `run` inside of `shell`, which then is no template either.
    let inside = |field: &str| {
        field.split('.').try_fold(body, |node, part| if is_open(node) { Some(node) } else { node.get(part) })
    };
    let fields = closed.iter().filter_map(|field| Some((field, inside(field)?)));
    fields
        .filter_map(|(field, value)| {
            Some(Fault::new(format!("a template in `{field}`, which is shell text")).at(first_open(value)?))
        })
        .map(|fault| {
            fault.hint("hand the value over by `env:` and write \"$NAME\": text is never filled into a shell's")
        })
        .collect()
}

fn first_open(node: &Node) -> Option<&Place> {
    match &node.value {
        Value::Scalar { .. } => is_open(node).then_some(&node.place),
        Value::List(items) => items.iter().find_map(first_open),
        Value::Map(entries) => entries.iter().find_map(|(_, value)| first_open(value)),
        Value::Null => None,
    }
}

impl Pattern {
    /// Parses the templates in a value; what is wrong in them goes to `faults`.
    pub fn parse(node: &Node, faults: &mut Vec<Fault>) -> Self {
        let place = node.place.clone();
        match &node.value {
            Value::Scalar { text, .. } if Template::is_one(text) => match Template::parse(text, &place) {
                Ok(template) => return Self::Text(template, place),
                Err(fault) => faults.push(fault),
            },
            Value::List(items) => {
                let items: Vec<Self> = items.iter().map(|item| Self::parse(item, faults)).collect();
                if !items.iter().all(Self::is_fixed) {
                    return Self::List(items, place);
                }
            }
            Value::Map(entries) => {
                let mut parsed = Vec::with_capacity(entries.len());
                for (key, value) in entries {
                    if Template::is_one(&key.text) {
                        let fault = Fault::new("a key cannot be a template").at(&key.place);
                        faults.push(fault.hint("only values are filled in"));
                    }
                    parsed.push((key.clone(), Self::parse(value, faults)));
                }
                if !parsed.iter().all(|(_, value)| value.is_fixed()) {
                    return Self::Map(parsed, place);
                }
            }
            _ => {}
        }
        Self::Fixed(node.clone())
    }

    pub fn is_fixed(&self) -> bool {
        matches!(self, Self::Fixed(_))
    }

    /// The outermost names its templates use, with their places.
    pub fn names(&self) -> Vec<(String, Place)> {
        self.gather(Template::looks_at)
    }

    /// What is asked of each template, all together.
    pub fn gather(&self, ask: fn(&Template) -> Vec<(String, Place)>) -> Vec<(String, Place)> {
        match self {
            Self::Fixed(_) => vec![],
            Self::Text(template, _) => ask(template),
            Self::List(items, _) => items.iter().flat_map(|item| item.gather(ask)).collect(),
            Self::Map(entries, _) => entries.iter().flat_map(|(_, value)| value.gather(ask)).collect(),
        }
    }

    /// The value as a tree whose places are those of the templates.
    ///
    /// # Errors
    /// Every template that cannot be filled in.
    pub fn node(&self, scope: &Scope) -> Result<Node, Faults> {
        let mut faults = Vec::new();
        let node = self.fill(scope, &mut faults);
        Faults::some(faults).map_or(Ok(node), Err)
    }

    /// The value for variables.
    ///
    /// # Errors
    /// Every template that cannot be filled in.
    pub fn json(&self, scope: &Scope) -> Result<Json, Faults> {
        match self {
            // Straight, so that no number takes the way through text.
            Self::Text(template, _) => template.value(scope).map_err(Faults::from),
            _ => self.node(scope).map(|node| to_json(&node)),
        }
    }

    fn fill(&self, scope: &Scope, faults: &mut Vec<Fault>) -> Node {
        match self {
            Self::Fixed(node) => node.clone(),
            Self::Text(template, place) => match template.value(scope) {
                Ok(value) => as_node(&value, place),
                Err(fault) => {
                    faults.push(fault);
                    Node { value: Value::Null, place: place.clone() }
                }
            },
            Self::List(items, place) => {
                let items = items.iter().map(|item| item.fill(scope, faults)).collect();
                Node { value: Value::List(items), place: place.clone() }
            }
            Self::Map(entries, place) => {
                let entries = entries.iter().map(|(key, value)| (key.clone(), value.fill(scope, faults))).collect();
                Node { value: Value::Map(entries), place: place.clone() }
            }
        }
    }
}

/// A variable's value at the place of the template that names it.
pub(super) fn as_node(value: &Json, place: &Place) -> Node {
    let value = match value {
        Json::Null => Value::Null,
        Json::String(text) => Value::Scalar { text: text.clone(), plain: false },
        Json::Bool(_) | Json::Number(_) => Value::Scalar { text: value.to_string(), plain: true },
        Json::Array(items) => Value::List(items.iter().map(|item| as_node(item, place)).collect()),
        Json::Object(entries) => {
            let key = |text: &String| Key { text: text.clone(), place: place.clone() };
            Value::Map(entries.iter().map(|(text, value)| (key(text), as_node(value, place))).collect())
        }
    };
    Node { value, place: place.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::Source;

    #[test]
    fn shell_text_is_never_filled_in() {
        let body = |text: &str| crate::yaml::parse(&Source::new("t", text)).unwrap();
        let told = closed_faults(&body("{run: 'rm {{ x }}', env: {X: '{{ x }}'}}"), &["run", "check"]);
        assert_eq!(told.len(), 1);
        assert!(told[0].to_string().starts_with("t:1:7: a template in `run`"), "{told:?}");
        assert_eq!(closed_faults(&body("{run: [a, {b: '{{ x }}'}]}"), &["run"]).len(), 1);
        assert_eq!(closed_faults(&body("'{{ x }}'"), &["run"]).len(), 1);
        assert!(closed_faults(&body("'{{ x }}'"), &[]).is_empty());
    }
}
