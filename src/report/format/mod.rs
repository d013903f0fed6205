//! Reports for other programs and for people elsewhere: one file a format, each a fold over one [`Report`].
//!
//! What hosts say is data in every one of them: it is escaped as the format asks, and characters that hide, reorder or
//! steer are written out, so that it is harmless in a terminal, a table, a browser and a comment alike.

use super::fold::Report;
use crate::event::Event;
use crate::secret::redact;
use serde::Serialize;
use serde_json::Value;
use std::borrow::Cow;

mod csv;
mod html;
mod json;
mod junit;
mod md;
mod oscal;
mod sarif;

pub use json::schema;

/// The formats by the words of the command line.
pub const FORMATS: &[(&str, Format)] = &[
    ("json", Format::Json),
    ("ndjson", Format::Ndjson),
    ("junit", Format::Junit),
    ("sarif", Format::Sarif),
    ("md", Format::Md),
    ("html", Format::Html),
    ("csv", Format::Csv),
    ("oscal", Format::Oscal),
];

/// What a report is told in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Json,
    /// The events themselves, one a line.
    Ndjson,
    Junit,
    Sarif,
    Md,
    Html,
    Csv,
    /// Assessment results in JSON.
    Oscal,
}

impl Format {
    /// The format of this name.
    pub fn of(word: &str) -> Option<Self> {
        FORMATS.iter().find(|(name, _)| *name == word).map(|(_, format)| *format)
    }
}

/// The whole report in a format, with its end of line. The events are for the format that is made of them.
///
/// # Errors
/// Why it cannot be put in that form.
pub fn render(format: Format, report: &Report, events: &[Event]) -> Result<String, String> {
    let text = match format {
        Format::Json => return pretty(&json::document(report)),
        Format::Sarif => return pretty(&sarif::log(report)),
        Format::Oscal => return pretty(&oscal::results(report)),
        Format::Ndjson => return Ok(events.iter().map(|event| line(event) + "\n").collect()),
        Format::Junit => junit::xml(report)?,
        Format::Md => md::comment(report, md::MOST),
        // The page takes secrets out of what was said before its own style and script come in.
        Format::Html => return Ok(html::page(report, events)),
        Format::Csv => csv::table(report),
    };
    Ok(redact(&text).into_owned())
}

/// NDJSON: one event as one line, without the line's end.
pub fn line(event: &Event) -> String {
    match serde_json::to_value(event) {
        Ok(mut value) => {
            clean(&mut value);
            visible(&value.to_string())
        }
        Err(error) => format!(r#"{{"type":"error","why":"{error}"}}"#),
    }
}

fn pretty(document: &impl Serialize) -> Result<String, String> {
    let mut value = serde_json::to_value(document).map_err(|error| error.to_string())?;
    clean(&mut value);
    Ok(visible(&format!("{value:#}\n")))
}

/// Takes secrets out of texts, one by one: in the whole a secret could be a part of the form.
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

/// JSON in which every character that hides, reorders or steers is written as `\u…`: the same to every parser, and
/// harmless where somebody looks at the file itself. Outside of texts JSON has no such characters.
fn visible(json: &str) -> String {
    let odd = |c: char| (c.is_control() && c != '\n') || super::safe::is_odd(c);
    if !json.contains(odd) {
        return json.to_owned();
    }
    let mut units = [0u16; 2];
    json.chars().fold(String::with_capacity(json.len() + 64), |mut out, c| {
        if odd(c) {
            c.encode_utf16(&mut units).iter().for_each(|unit| out.push_str(&format!("\\u{unit:04x}")));
        } else {
            out.push(c);
        }
        out
    })
}

/// A name-based identifier in the form of a random UUID, which is the only form that OSCAL takes beside SHA-1's.
fn uuid(parts: &[&str]) -> String {
    use sha2::{Digest, Sha256};
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.len().to_be_bytes());
        hash.update(part.as_bytes());
    }
    let mut b = hash.finalize();
    b[6] = (b[6] & 0x0f) | 0x40;
    b[8] = (b[8] & 0x3f) | 0x80;
    let hex: String = b[..16].iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

/// `/etc/x mode: 0644 → 0600`, on one line.
fn told(row: &crate::event::Differs, most: usize) -> String {
    let safe = |text: &str| super::safe::line(text, most);
    let (found, wanted) = (row.found.to_string(), row.wanted.to_string());
    let wanted = if found == wanted { "other content".to_owned() } else { wanted };
    format!("{} {}: {} → {}", safe(&row.object), safe(&row.field), safe(&found), safe(&wanted))
}

#[cfg(test)]
mod tests {
    use super::{uuid, visible};

    #[test]
    fn json_is_the_same_and_visible() {
        let bad = "a\u{1b}[2J\u{9b}\u{202e}\u{e0041}ü\n";
        let shown = visible(&serde_json::json!({ "x": bad }).to_string());
        assert!(!shown.contains(['\u{9b}', '\u{202e}', '\u{e0041}']), "{shown}");
        let back: serde_json::Value = serde_json::from_str(&shown).unwrap();
        assert_eq!(back["x"], bad);
    }

    #[test]
    fn names_have_one_identifier_each() {
        assert_eq!(uuid(&["a", "b"]), uuid(&["a", "b"]));
        assert_ne!(uuid(&["a", "b"]), uuid(&["ab", ""]));
        assert_eq!(uuid(&["a"]).as_bytes()[14], b'4');
    }
}
