//! What a variable may be: `choices`, so that a value with a typo is a mistake and not quietly another meaning.

use crate::fault::{Fault, Place};
use crate::secret::refers;
use crate::yaml::{Node, Value, to_json};
use serde_json::Value as Json;
use std::sync::Arc;

/// A variable with the values that mean something.
#[derive(Debug)]
pub struct Choice {
    pub name: String,
    values: Vec<String>,
    place: Place,
}

/// A value as it is written.
fn plain(value: &Json) -> String {
    value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned)
}

impl Choice {
    /// Reads a map of variables, each with the list of its values.
    pub(super) fn read(node: Option<&Node>, faults: &mut Vec<Fault>) -> Vec<Arc<Self>> {
        let Some(node) = node else { return vec![] };
        let Value::Map(entries) = &node.value else {
            faults.push(Fault::new(format!("`choices` needs a map, found {}", node.what())).at(&node.place));
            return vec![];
        };
        let mut all = Vec::new();
        for (key, value) in entries {
            let one = |node: &Node| matches!(node.value, Value::Scalar { .. });
            match &value.value {
                Value::List(values) if !values.is_empty() && values.iter().all(one) => all.push(Arc::new(Self {
                    name: key.text.clone(),
                    values: values.iter().map(|value| plain(&to_json(value))).collect(),
                    place: key.place.clone(),
                })),
                _ => {
                    let fault = Fault::new(format!("`{}` needs a list of the values that it may have", key.text));
                    faults.push(fault.at(&value.place).hint(format!("write `{}: [a, b]`", key.text)));
                }
            }
        }
        all
    }

    /// Why a value is none of them. One that is filled in later, or a secret, is not judged.
    pub fn fault(&self, value: &Json) -> Option<Fault> {
        let said = plain(value);
        if self.values.contains(&said) || said.contains("{{") || refers(value) {
            return None;
        }
        let what = format!("`{}` is `{said}`, which is not one of `{}`", self.name, self.values.join("`, `"));
        Some(Fault::new(what).at(&self.place).nearest(&said, self.values.iter().map(String::as_str)))
    }
}
