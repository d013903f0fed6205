//! NDJSON: each event a line, for programs. The first line is the versioned `version`.

use crate::event::Event;
use crate::secret::redact;
use serde_json::Value;
use std::borrow::Cow;

/// One event as one line, without the line's end.
pub fn line(event: &Event) -> String {
    match serde_json::to_value(event) {
        Ok(mut value) => {
            clean(&mut value);
            value.to_string()
        }
        Err(error) => format!(r#"{{"type":"error","why":"{error}"}}"#),
    }
}

/// Takes secrets out of texts, one by one: in the line as a whole a secret could be a part of the form.
fn clean(value: &mut Value) {
    match value {
        Value::String(text) => {
            if let Cow::Owned(hidden) = redact(text) {
                *text = hidden;
            }
        }
        Value::Array(items) => items.iter_mut().for_each(clean),
        Value::Object(map) => map.values_mut().for_each(clean),
        _ => {}
    }
}
