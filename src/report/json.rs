//! NDJSON: each event a line, for programs. The first line is the versioned `version`.

use crate::event::Event;

/// One event as one line, without the line's end.
pub fn line(event: &Event) -> String {
    serde_json::to_string(event).unwrap_or_else(|error| format!(r#"{{"type":"error","why":"{error}"}}"#))
}
