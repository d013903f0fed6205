//! The forms in which a secret can turn up: raw, quoted for a shell, in JSON, in an address, in base64.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use std::fmt::Write;

/// Lines of a secret that are shorter are no secret of their own.
const LINE: usize = 6;
/// What is shorter would hide half of every report.
const LEAST: usize = 4;

/// All forms of a secret, the longest first.
pub fn forms(secret: &str) -> Vec<String> {
    let mut all = Vec::new();
    of_piece(secret, &mut all);
    if secret.trim_end().contains('\n') {
        let lines = secret.lines().map(str::trim).filter(|line| line.len() >= LINE);
        lines.for_each(|line| of_piece(line, &mut all));
    }
    // Programs break base64 into lines of these lengths.
    for width in [64, 76] {
        let whole = STANDARD.encode(secret);
        if whole.len() > width {
            let pieces = whole.as_bytes().chunks(width).map(|piece| String::from_utf8_lossy(piece).into_owned());
            all.extend(pieces.filter(|piece| piece.len() >= 12));
        }
    }
    all.retain(|form| form.len() >= LEAST);
    all.sort_by_key(|form| (std::cmp::Reverse(form.len()), form.clone()));
    all.dedup();
    all
}

fn of_piece(piece: &str, all: &mut Vec<String>) {
    let shell = |text: &str| text.replace('\'', r"'\''");
    let json = serde_json::Value::from(piece).to_string();
    let json = json[1..json.len() - 1].to_owned();
    let upper = address(piece, |byte| format!("%{byte:02X}"));
    // A script in a script is quoted twice.
    all.extend([piece.to_owned(), shell(piece), shell(&shell(piece)), json.replace('/', r"\/"), json]);
    all.extend([upper.replace("%20", "+"), upper, address(piece, |byte| format!("%{byte:02x}"))]);
    all.push(piece.bytes().fold(String::new(), |mut octal, byte| {
        let _ = write!(octal, "\\{byte:03o}");
        octal
    }));
    all.extend([STANDARD.encode(piece), URL_SAFE.encode(piece)]);
    all.extend((0..3).flat_map(|before| [core(piece, before, true), core(piece, before, false)]));
}

/// A text in an address: all but letters, digits and `-._~` is escaped.
fn address(text: &str, escape: impl Fn(u8) -> String) -> String {
    let one = |byte: u8| {
        let free = byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        if free { char::from(byte).to_string() } else { escape(byte) }
    };
    text.bytes().map(one).collect()
}

/// The digits of base64 that are the same whatever stands around the text, `before` bytes behind a group's beginning.
fn core(text: &str, before: usize, url: bool) -> String {
    let bytes = [&[0].repeat(before), text.as_bytes()].concat();
    let digits = if url { URL_SAFE_NO_PAD.encode(&bytes) } else { STANDARD_NO_PAD.encode(&bytes) };
    let first = [0, 2, 3][before % 3];
    digits.get(first..bytes.len() * 8 / 6).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_found_wherever_it_begins() {
        let all = forms("hunter2-canary");
        for around in ["", "a", "ab", "abc", "password="] {
            for after in ["", "\n", "xy"] {
                let said = STANDARD.encode(format!("{around}hunter2-canary{after}"));
                assert!(all.iter().any(|form| form.len() > 12 && said.contains(form.as_str())), "{said}");
            }
        }
    }

    #[test]
    fn every_form() {
        let all = forms("it's \"a\" b/c\nsecond line");
        for form in [
            r"it'\''s",
            r#"it's \"a\" b/c"#,
            r#"it's \"a\" b\/c\nsecond"#,
            "it%27s%20%22a%22%20b%2Fc",
            "it%27s+%22a",
            "b%2fc",
            "second line",
            "second+line",
            r"\163\145\143",
        ] {
            assert!(all.iter().any(|known| known.contains(form)), "{form}");
        }
        assert!(all.is_sorted_by_key(|form| std::cmp::Reverse(form.len())));
    }
}
