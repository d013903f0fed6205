//! Lists of addresses as those who know bad ones publish them, and how long they hold.

use crate::step::net::span::{Of, Span, merged};
use serde::Deserialize;
use std::fmt;
use std::path::Path;

/// More spans than this are more than a rule set should hold.
pub const MOST: usize = 65_536;
/// A feed is a text of addresses; more bytes than this are something else.
const LONGEST: u64 = 16 << 20;

/// The addresses in a file on this machine.
///
/// # Errors
/// It cannot be read, or a line is none. What stands in the line is not told: it may be any file.
pub fn read(path: &Path) -> Result<Vec<Span>, String> {
    let shown = path.display();
    let about = std::fs::metadata(path).map_err(|error| format!("{shown}: {error}"))?;
    if !about.is_file() || about.len() > LONGEST {
        return Err(format!("{shown} is no file of addresses, or has more than {} MiB", LONGEST >> 20));
    }
    let text = std::fs::read_to_string(path).map_err(|error| format!("{shown}: {error}"))?;
    let mut all = Vec::new();
    for (n, line) in text.lines().enumerate() {
        let line = line.split(['#', ';']).next().unwrap_or_default();
        let Some(word) = line.split([',', ' ', '\t', '\r']).map(|word| word.trim_matches('"')).find(|word| !word.is_empty())
        else {
            continue;
        };
        all.push(span(word).ok_or_else(|| format!("line {} of {shown} does not begin with an address or a network", n + 1))?);
    }
    if all.is_empty() { Err(format!("{shown} names nobody")) } else { Ok(all) }
}

/// An address, a range, or a network, whatever stands in its last bits.
pub fn span(word: &str) -> Option<Span> {
    if let Some((address, bits)) = word.split_once('/') {
        let one = Span::parse(address).filter(|span| span.of != Of::Port && span.from == span.to)?;
        let width: u32 = if one.of == Of::V4 { 32 } else { 128 };
        let bits = bits.parse::<u32>().ok().filter(|bits| (1..=width).contains(bits))?;
        let host = u128::MAX.checked_shr(128 - (width - bits)).unwrap_or(0);
        return Some(Span { of: one.of, from: one.from & !host, to: one.from | host });
    }
    Span::parse(word).filter(|span| span.of != Of::Port)
}

/// What is left of them without these; both sorted and merged.
pub fn without(spans: &[Span], but: &[Span]) -> Vec<Span> {
    let (but, mut left) = (merged(but.to_vec()), Vec::new());
    for span in merged(spans.to_vec()) {
        let mut rest = Some(span);
        for hole in but.iter().filter(|hole| hole.of == span.of) {
            let Some(now) = rest.filter(|now| hole.from <= now.to && now.from <= hole.to) else { continue };
            if hole.from > now.from {
                left.push(Span { to: hole.from - 1, ..now });
            }
            rest = (hole.to < now.to).then(|| Span { from: hole.to + 1, ..now });
        }
        left.extend(rest);
    }
    left
}

/// `7d`, `12h`, `90m`: how long an address is blocked that the feed does not name any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(try_from = "String")]
#[schemars(with = "String")]
pub struct Timeout(pub u64);

impl TryFrom<String> for Timeout {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let unit = [("d", 86_400), ("h", 3600), ("m", 60)].into_iter().find_map(|(unit, times)| {
            let count = text.strip_suffix(unit)?.parse::<u64>().ok()?;
            Some(count.checked_mul(times)?).filter(|seconds| (600..=31_536_000).contains(seconds))
        });
        unit.map(Self).ok_or_else(|| format!("`{text}` is no time: write 7d, 12h or 90m (10 minutes to a year)"))
    }
}

/// As nft prints it.
impl fmt::Display for Timeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [(self.0 / 86_400, "d"), (self.0 / 3600 % 24, "h"), (self.0 / 60 % 60, "m"), (self.0 % 60, "s")];
        parts.iter().filter(|(count, _)| *count > 0).try_for_each(|(count, unit)| write!(f, "{count}{unit}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spans(words: &[&str]) -> Vec<Span> {
        words.iter().filter_map(|word| span(word)).collect()
    }

    #[test]
    fn feeds_are_written_in_many_ways() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("feed");
        let text = "# list\n192.0.2.1\n198.51.100.7/24 ; SBL1\n\"203.0.113.9\",\"scanner\"\n2001:db8::1/32\tx\n10.0.0.1-10.0.0.9\n\n";
        std::fs::write(&path, text).unwrap();
        let told: Vec<String> = read(&path).unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(told, ["192.0.2.1", "198.51.100.0/24", "203.0.113.9", "2001:db8::/32", "10.0.0.1-10.0.0.9"]);
        std::fs::write(&path, "192.0.2.1\nroot:x:0:0\n").unwrap();
        let why = read(&path).unwrap_err();
        assert!(why.contains("line 2") && !why.contains("root"), "{why}");
        std::fs::write(&path, "# nothing\n").unwrap();
        assert!(read(&path).is_err() && span("0.0.0.0/0").is_none() && span("22").is_none());
    }

    #[test]
    fn what_is_never_blocked_is_cut_out() {
        let left = |all: &[&str], but: &[&str]| -> Vec<String> {
            without(&spans(all), &spans(but)).iter().map(ToString::to_string).collect()
        };
        assert_eq!(left(&["10.0.0.0/30"], &["10.0.0.1"]), ["10.0.0.0", "10.0.0.2/31"]);
        assert_eq!(left(&["10.0.0.0/8", "192.0.2.1"], &["10.0.0.0/7"]), ["192.0.2.1"]);
        assert_eq!(left(&["10.0.0.0/29"], &["10.0.0.0", "10.0.0.7", "10.0.0.3"]), ["10.0.0.1-10.0.0.2", "10.0.0.4-10.0.0.6"]);
        assert_eq!(left(&["2001:db8::/126"], &["10.0.0.0/8"]), ["2001:db8::/126"]);
    }

    #[test]
    fn times_are_spelt_as_nft_does() {
        let told = |text: &str| Timeout::try_from(text.to_owned()).map(|time| time.to_string());
        assert_eq!(told("36h").as_deref(), Ok("1d12h"));
        assert_eq!(told("7d").as_deref(), Ok("7d"));
        assert!(told("5m").is_err() && told("7").is_err() && told("400d").is_err());
    }
}
