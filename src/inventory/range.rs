//! The names of hosts: `web[01:20:2].example.com`, `host:port`, `[2001:db8::1]:22`.

use regex::Regex;
use std::sync::LazyLock;

/// More hosts than this from one pattern are a slip of the fingers.
const MOST: usize = 100_000;

/// What is wrong with a host's name: what, and a hint.
pub(super) type Wrong = (String, Option<String>);

/// The names that a host entry stands for, with the port that it gives.
///
/// # Errors
/// A range that cannot be counted, a port that is none, an empty name.
pub(super) fn expand(entry: &str) -> Result<(Vec<String>, Option<u16>), Wrong> {
    let (name, port) = match parse_address(entry) {
        Some((name, port)) => (name, port),
        None => (entry, None),
    };
    let port = match port {
        None => None,
        Some(digits) => Some(digits.parse::<u16>().ok().filter(|port| *port > 0).ok_or_else(|| {
            (format!("`{digits}` is not a port"), Some("a port is a number from 1 to 65535".to_owned()))
        })?),
    };
    if name.is_empty() {
        return Err(("the name of the host is empty".to_owned(), None));
    }
    if port.is_none() && name.ends_with(':') {
        return Err((format!("`{name}` ends with a colon, but no port follows"), None));
    }
    let mut names = Vec::new();
    ranges(name, &mut names)?;
    Ok((names, port))
}

/// An address without its port, as Ansible cuts it; `None` for what is neither an address nor a host's name.
pub(super) fn parse_address(text: &str) -> Option<(&str, Option<&str>)> {
    let mut address = text;
    let mut port = None;
    for pattern in [&*BRACKETED, &*WITH_PORT] {
        if let Some(found) = pattern.captures(address) {
            port = found.get(2).map(|m| m.as_str());
            address = found.get(1).map_or("", |m| m.as_str());
        }
    }
    ADDRESS.is_match(address).then_some((address, port))
}

/// Whether a text is an IP address, so that nothing may be cut off at a dot.
pub(super) fn is_ip(text: &str) -> bool {
    text.parse::<std::net::IpAddr>().is_ok()
}

#[expect(clippy::expect_used, reason = "a constant pattern is right or wrong for ever, and a test uses each")]
fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("a constant pattern")
}

static BRACKETED: LazyLock<Regex> = LazyLock::new(|| pattern(r"^\[(.+)\]:([0-9]+)$"));
static WITH_PORT: LazyLock<Regex> = LazyLock::new(|| pattern(r"^((?:[^:\[\]]|\[[^\]]*\])*):([0-9]+)$"));
static ADDRESS: LazyLock<Regex> = LazyLock::new(|| {
    let step = "(?::[0-9]+)?";
    let six = format!(r"(?:[0-9a-f]{{1,4}}|\[[0-9a-f]+:[0-9a-f]+{step}\])");
    let four = format!(r"(?:[01]?[0-9]{{1,2}}|2[0-4][0-9]|25[0-5]|\[[0-9]+:[0-9]+{step}\])");
    let range = format!(r"\[(?:[a-z]:[a-z]|[0-9]+:[0-9]+){step}\]");
    // A label neither starts nor ends with a hyphen, and does not end with an underscore.
    let label = format!(r"(?:(?:[^\W_]|{range})|(?:\w|{range})(?:[\w-]|{range})*(?:[^\W_]|{range}))");
    pattern(&format!(
        r"(?i)^(?:(?:{four}\.){{3}}{four}|(?:{six}:){{7}}{six}|(?:{six}:){{1,6}}:|(?:{six}:)(?::{six}){{1,6}}|(?:{six}:){{2}}(?::{six}){{1,5}}|(?:{six}:){{3}}(?::{six}){{1,4}}|(?:{six}:){{4}}(?::{six}){{1,3}}|(?:{six}:){{5}}(?::{six}){{1,2}}|(?:{six}:){{6}}(?::{six})|:(?::{six}){{1,6}}|{six}?::|(?:0:){{6}}(?:{six}\.){{3}}{six}|::(?:ffff:)?(?:{six}\.){{3}}{six}|(?:0:){{5}}ffff:(?:{six}\.){{3}}{six}|{label}(?:\.{label})*)$"
    ))
});

fn ranges(name: &str, names: &mut Vec<String>) -> Result<(), Wrong> {
    let Some((head, rest)) = name.split_once('[') else {
        if names.len() >= MOST {
            return Err((format!("more than {MOST} hosts from one entry"), None));
        }
        names.push(name.to_owned());
        return Ok(());
    };
    let Some((range, tail)) = rest.split_once(']') else {
        return Err((format!("`[` is not closed in `{name}`"), None));
    };
    for one in members(range).map_err(|what| {
        let hint = "an IPv6 address stands in brackets only when a port follows: [2001:db8::1]:22";
        (format!("`[{range}]`: {what}"), is_ip(range).then(|| hint.to_owned()))
    })? {
        ranges(&format!("{head}{one}{tail}"), names)?;
    }
    Ok(())
}

/// The members of `begin:end:step`.
fn members(range: &str) -> Result<Vec<String>, String> {
    let parts: Vec<&str> = range.split(':').collect();
    let (begin, end, step) = match parts.as_slice() {
        [begin, end] => (*begin, *end, "1"),
        [begin, end, step] => (*begin, *end, *step),
        _ => return Err("a range is begin:end or begin:end:step".to_owned()),
    };
    let begin = if begin.is_empty() { "0" } else { begin };
    if end.is_empty() {
        return Err("the range has no end".to_owned());
    }
    let step = step.parse::<usize>().ok().filter(|step| *step > 0).ok_or("the step is not a number above 0")?;
    if let (Some(first), Some(last)) = (letter(begin), letter(end)) {
        if first > last {
            return Err("the range ends before it begins".to_owned());
        }
        let letters = ('a'..='z').chain('A'..='Z').skip(first).take(last - first + 1);
        return Ok(letters.step_by(step).map(String::from).collect());
    }
    let number = |text: &str| -> Result<usize, String> {
        let digits = text.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| text.parse().ok()).flatten().ok_or(format!("`{text}` is neither a number nor one letter"))
    };
    let width = if begin.starts_with('0') && begin.len() > 1 { begin.len() } else { 0 };
    if width > 0 && width != end.len() {
        return Err("with leading zeros, both ends need the same number of digits".to_owned());
    }
    let (first, last) = (number(begin)?, number(end)?);
    if first > last {
        return Err("the range ends before it begins".to_owned());
    }
    if (last - first) / step >= MOST {
        return Err(format!("more than {MOST} hosts from one entry"));
    }
    Ok((first..=last).step_by(step).map(|n| format!("{n:0width$}")).collect())
}

/// The place of a single letter in a…zA…Z.
fn letter(text: &str) -> Option<usize> {
    let mut chars = text.chars();
    let only = chars.next().filter(|_| chars.next().is_none())?;
    ('a'..='z').chain('A'..='Z').position(|c| c == only)
}

#[cfg(test)]
mod tests {
    use super::{expand, parse_address};

    fn names(entry: &str) -> Vec<String> {
        expand(entry).map(|(names, _)| names).unwrap_or_default()
    }

    #[test]
    fn addresses() {
        assert_eq!(parse_address("web:2222"), Some(("web", Some("2222"))));
        assert_eq!(parse_address("[::1]:22"), Some(("::1", Some("22"))));
        assert_eq!(parse_address("2001:db8::1"), Some(("2001:db8::1", None)));
        assert_eq!(parse_address("web:db"), None);
        assert_eq!(parse_address("a_b-c.d"), Some(("a_b-c.d", None)));
        assert_eq!(parse_address("_a"), Some(("_a", None)));
        assert_eq!(parse_address("a_:22"), None);
        assert_eq!(parse_address("-a"), None);
        assert_eq!(parse_address("web[1:3].x"), Some(("web[1:3].x", None)));
    }

    #[test]
    fn ranges() {
        assert_eq!(names("w[08:10]"), ["w08", "w09", "w10"]);
        assert_eq!(names("w[1:7:3]-[a:b]"), ["w1-a", "w1-b", "w4-a", "w4-b", "w7-a", "w7-b"]);
        assert_eq!(names("[y:B]"), ["y", "z", "A", "B"]);
        assert_eq!(names("w[:2]"), ["w0", "w1", "w2"]);
        for wrong in
            ["w[3:1]", "w[1:2:0]", "w[01:100]", "w[1]", "w[1:2", "w[a:9]", "w:0", "w:70000", "[::1]", "w[0:999999]"]
        {
            assert!(expand(wrong).is_err(), "{wrong}");
        }
    }
}
