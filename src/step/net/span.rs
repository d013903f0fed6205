//! Ports and addresses as spans of numbers, so that other spellings of the same are the same.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What the numbers of a span stand for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Of {
    Port,
    V4,
    V6,
}

/// From and to, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    pub of: Of,
    pub from: u128,
    pub to: u128,
}

impl Span {
    /// `22`, `8000-8010`, `10.0.0.0/8`, `2001:db8::1`, `10.0.0.1-10.0.0.9`.
    pub fn parse(text: &str) -> Option<Self> {
        if let Some((net, bits)) = text.split_once('/') {
            let (of, from) = number(net)?;
            let (width, bits) = (of.width(), bits.parse::<u32>().ok()?);
            let host = u128::MAX.checked_shr(128 - width.checked_sub(bits)?).unwrap_or(0);
            return (of != Of::Port && bits > 0 && from & host == 0).then_some(Self { of, from, to: from | host });
        }
        let (a, b) = text.split_once('-').unwrap_or((text, text));
        let ((of, from), (other, to)) = (number(a)?, number(b)?);
        (of == other && from <= to).then_some(Self { of, from, to })
    }

    pub fn has(&self, of: Of, number: u128) -> bool {
        self.of == of && (self.from..=self.to).contains(&number)
    }
}

impl Of {
    fn width(self) -> u32 {
        match self {
            Self::Port => 16,
            Self::V4 => 32,
            Self::V6 => 128,
        }
    }

    fn spell(self, number: u128) -> String {
        match self {
            Self::Port => number.to_string(),
            Self::V4 => Ipv4Addr::from(u32::try_from(number).unwrap_or(u32::MAX)).to_string(),
            Self::V6 => Ipv6Addr::from(number).to_string(),
        }
    }
}

/// An address as a number of its family.
pub fn address(address: IpAddr) -> (Of, u128) {
    match address {
        IpAddr::V4(address) => (Of::V4, u32::from(address).into()),
        IpAddr::V6(address) => (Of::V6, address.into()),
    }
}

fn number(text: &str) -> Option<(Of, u128)> {
    let port = text.parse::<u16>().ok().filter(|_| !text.starts_with('+'));
    port.map(|port| (Of::Port, port.into())).or_else(|| Some(address(text.parse().ok()?)))
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (from, size) = (self.of.spell(self.from), (self.to - self.from).wrapping_add(1));
        if self.from == self.to {
            return f.write_str(&from);
        }
        let is_net = self.of != Of::Port && size.is_power_of_two() && self.from.is_multiple_of(size);
        if is_net {
            return write!(f, "{from}/{}", self.of.width() - size.trailing_zeros());
        }
        write!(f, "{from}-{}", self.of.spell(self.to))
    }
}

/// Sorted, and what touches or overlaps as one.
pub fn merged(mut spans: Vec<Span>) -> Vec<Span> {
    spans.sort();
    let mut all: Vec<Span> = Vec::new();
    for span in spans {
        match all.last_mut() {
            Some(last) if last.of == span.of && span.from <= last.to.saturating_add(1) => {
                last.to = last.to.max(span.to)
            }
            _ => all.push(span),
        }
    }
    all
}

/// One as it is, several in braces.
pub fn set(spans: &[Span]) -> String {
    let words: Vec<String> = spans.iter().map(Span::to_string).collect();
    if let [one] = words.as_slice() { one.clone() } else { format!("{{ {} }}", words.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::{Span, merged, set};

    fn told(words: &[&str]) -> String {
        set(&merged(words.iter().filter_map(|word| Span::parse(word)).collect()))
    }

    #[test]
    fn other_spellings_are_the_same() {
        assert_eq!(told(&["81", "22", "80", "8000-8010"]), "{ 22, 80-81, 8000-8010 }");
        assert_eq!(told(&["10.1.0.0/16", "10.0.0.0/8"]), "10.0.0.0/8");
        assert_eq!(told(&["10.0.0.0-10.255.255.255"]), "10.0.0.0/8");
        assert_eq!(told(&["192.0.2.1", "192.0.2.2-192.0.2.4"]), "192.0.2.1-192.0.2.4");
        assert_eq!(told(&["2001:DB8::/32", "2001:db8:0:0::1"]), "2001:db8::/32");
    }

    #[test]
    fn what_is_no_span_is_none() {
        for bad in
            ["", "x", "65536", "-1", "+22", "9-8", "10.0.0.1/8", "10.0.0.0/33", "0.0.0.0/0", "22/8", "1-10.0.0.1"]
        {
            assert_eq!(Span::parse(bad), None, "{bad}");
        }
    }
}
