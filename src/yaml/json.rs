//! Variables: from tree to JSON values, by the rules of our own files or by those that Ansible's reader has.

use super::{Node, Value};
use serde::de::{Deserialize, Deserializer, Visitor};
use serde_json::{Number, Value as Any};

/// A value of any type inside of a typed one, as [`to_json`] gives it.
#[derive(Debug, Clone, PartialEq, Default, serde::Serialize, schemars::JsonSchema)]
#[serde(transparent)]
pub struct Json(pub serde_json::Value);

/// The name by which [`Json`] asks for what it is.
pub(super) const JSON: &str = "steadfast::Json";

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Take;
        impl<'de> Visitor<'de> for Take {
            type Value = Json;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("any value")
            }
            fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Json, D::Error> {
                serde_json::Value::deserialize(deserializer).map(Json)
            }
        }
        deserializer.deserialize_newtype_struct(JSON, Take)
    }
}

/// A value as our own files mean it: YAML 1.2, and nothing that would not read the same when written again. `0644`,
/// `1.10`, `0x1f`, `1_000`, `yes` and `12:30` stay text.
pub fn to_json(node: &Node) -> Any {
    convert(node, core)
}

/// A value as PyYAML, and so Ansible, reads it (YAML 1.1): `yes`, `on` are true, `0644` is octal, `1_000` is a thousand,
/// `12:30` is 750. Dates, infinities and what is beyond 64 bits stay text.
pub fn to_json_yaml11(node: &Node) -> Any {
    convert(node, yaml11)
}

fn convert(node: &Node, plain_text: fn(&str) -> Option<Any>) -> Any {
    match &node.value {
        Value::Null => Any::Null,
        Value::Scalar { text, plain: true } => plain_text(text).unwrap_or_else(|| Any::String(text.clone())),
        Value::Scalar { text, .. } => Any::String(text.clone()),
        Value::List(items) => items.iter().map(|item| convert(item, plain_text)).collect(),
        Value::Map(entries) => {
            let fields = entries.iter().map(|(key, value)| (key.text.clone(), convert(value, plain_text)));
            let mut map = Any::Object(fields.collect());
            crate::secret::anchor(&mut map, &node.place.source.name);
            map
        }
    }
}

fn core(text: &str) -> Option<Any> {
    match text {
        "true" | "True" | "TRUE" => return Some(Any::Bool(true)),
        "false" | "False" | "FALSE" => return Some(Any::Bool(false)),
        _ => {}
    }
    let digits = text.strip_prefix('-').unwrap_or(text);
    if !digits.starts_with(|c: char| c.is_ascii_digit()) || !digits.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
        return None;
    }
    let number = match text.parse::<i64>() {
        Ok(int) => Number::from(int),
        Err(_) => match text.parse::<u64>() {
            Ok(int) => Number::from(int),
            Err(_) if digits.contains('.') => Number::from_f64(text.parse().ok()?)?,
            Err(_) => return None,
        },
    };
    (number.to_string() == text).then_some(Any::Number(number))
}

fn yaml11(text: &str) -> Option<Any> {
    match text {
        "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => return Some(Any::Bool(true)),
        "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => return Some(Any::Bool(false)),
        _ => {}
    }
    let (negative, rest) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    if let Some(int) = int11(rest) {
        let signed = if negative { -int } else { int };
        let number = i64::try_from(signed).map(Number::from).or_else(|_| u64::try_from(signed).map(Number::from));
        return number.ok().map(Any::Number);
    }
    let float = float11(rest)?;
    // PyYAML takes no sign before a dot.
    let signed = text.len() != rest.len();
    if signed && rest.starts_with('.') {
        return None;
    }
    Number::from_f64(if negative { -float } else { float }).map(Any::Number)
}

/// An integer without its sign, by PyYAML's pattern.
fn int11(text: &str) -> Option<i128> {
    let radix = |digits: &str, radix: u32| -> Option<i128> {
        let clean: String = digits.chars().filter(|c| *c != '_').collect();
        let fits = !clean.is_empty() && clean.chars().all(|c| c.is_digit(radix));
        fits.then(|| i128::from_str_radix(&clean, radix).ok()).flatten()
    };
    match text.as_bytes() {
        [b'0', b'b', ..] => radix(&text[2..], 2),
        [b'0', b'x', ..] => radix(&text[2..], 16),
        [b'0', rest @ ..] if rest.iter().all(|b| *b == b'_') => Some(0),
        [b'0', ..] => radix(&text[1..], 8),
        [b'1'..=b'9', ..] if text.contains(':') => {
            let (first, rest) = text.split_once(':')?;
            sixties(radix(first, 10)?, rest)
        }
        [b'1'..=b'9', ..] => radix(text, 10),
        _ => None,
    }
}

fn sixties(first: i128, rest: &str) -> Option<i128> {
    rest.split(':').try_fold(first, |sum, part| {
        let fits = matches!(part.len(), 1 | 2) && part.bytes().all(|b| b.is_ascii_digit());
        let value: i128 = fits.then(|| part.parse().ok()).flatten().filter(|n| *n < 60)?;
        sum.checked_mul(60)?.checked_add(value)
    })
}

/// A float without its sign, by PyYAML's pattern: it needs a dot, and its exponent needs a sign.
fn float11(text: &str) -> Option<f64> {
    let (whole, fraction) = text.split_once('.')?;
    if let Some((first, rest)) = whole.split_once(':') {
        let digits = |t: &str| t.bytes().all(|b| b.is_ascii_digit() || b == b'_');
        if !first.starts_with(|c: char| c.is_ascii_digit()) || !digits(first) || !digits(fraction) {
            return None;
        }
        let whole = sixties(first.replace('_', "").parse().ok()?, rest)?;
        return format!("{whole}.{}", fraction.replace('_', "")).parse().ok();
    }
    let (fraction, exponent) = match fraction.find(['e', 'E']) {
        Some(at) => (&fraction[..at], Some(&fraction[at + 1..])),
        None => (fraction, None),
    };
    let digits = |t: &str| t.bytes().all(|b| b.is_ascii_digit() || b == b'_');
    let starts = |t: &str| t.starts_with(|c: char| c.is_ascii_digit());
    let signed = |e: &str| e.starts_with(['+', '-']) && e.len() > 1 && e[1..].bytes().all(|b| b.is_ascii_digit());
    let fits = digits(whole)
        && digits(fraction)
        && (starts(whole) || (whole.is_empty() && starts(fraction)))
        && exponent.is_none_or(signed);
    let text = format!("{}.{}", whole.replace('_', ""), fraction.replace('_', ""));
    let text = format!("0{text}0e{}", exponent.unwrap_or("+0"));
    fits.then(|| text.parse().ok()).flatten()
}
