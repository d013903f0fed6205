//! The words of a rule as a playbook writes them.

use super::span::{Of, Span};
use crate::step::Many;
use serde::Deserialize;
use std::fmt;

/// Ports: at least one.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(try_from = "Many")]
#[schemars(with = "PortsSchema")]
pub struct Ports(pub Vec<Span>);

#[derive(schemars::JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "only its schema is used")]
enum PortsSchema {
    Number(u16),
    Range(String),
    Many(Vec<PortSchema>),
}

#[derive(schemars::JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "only its schema is used")]
enum PortSchema {
    Number(u16),
    Range(String),
}

impl TryFrom<Many> for Ports {
    type Error = String;
    fn try_from(many: Many) -> Result<Self, String> {
        let one = |text: &str| {
            let port = Span::parse(text).filter(|span| span.of == Of::Port && span.from > 0);
            port.ok_or_else(|| format!("`{text}` is no port: write 22, or 8000-8010"))
        };
        let ports = many.iter().map(one).collect::<Result<Vec<_>, _>>()?;
        if ports.is_empty() { Err("this names no port".into()) } else { Ok(Self(ports)) }
    }
}

/// Addresses and networks; none is everybody.
#[derive(Debug, Clone, Default, Deserialize, schemars::JsonSchema)]
#[serde(try_from = "Many")]
#[schemars(with = "Many")]
pub struct Sources(pub Vec<Span>);

impl TryFrom<Many> for Sources {
    type Error = String;
    fn try_from(many: Many) -> Result<Self, String> {
        let one = |text: &str| match Span::parse(text).filter(|span| span.of != Of::Port) {
            Some(span) => Ok(span),
            None if text.ends_with("/0") => Err(format!("`{text}` is everybody: leave `from` out")),
            None => Err(format!(
                "`{text}` is no address, network or range: write 10.0.0.0/8 (nothing but zeros behind the 8 bits), 2001:db8::1 or 10.0.0.1-10.0.0.9"
            )),
        };
        let all = many.iter().map(one).collect::<Result<Vec<_>, _>>()?;
        if all.is_empty() { Err("this names nobody; leave `from` out for everybody".into()) } else { Ok(Self(all)) }
    }
}

/// `10/minute`: new connections of one address.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(try_from = "String")]
#[schemars(with = "String")]
pub struct Rate {
    count: u32,
    unit: Unit,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Second,
    Minute,
    Hour,
    Day,
}

const UNITS: [(&str, Unit); 4] =
    [("second", Unit::Second), ("minute", Unit::Minute), ("hour", Unit::Hour), ("day", Unit::Day)];

impl Rate {
    /// How long an address is remembered.
    pub fn memory(&self) -> &'static str {
        match self.unit {
            Unit::Second | Unit::Minute => "1m",
            Unit::Hour => "1h",
            Unit::Day => "1d",
        }
    }
}

impl TryFrom<String> for Rate {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let rate = text.split_once('/').and_then(|(count, unit)| {
            let (_, unit) = *UNITS.iter().find(|(known, _)| *known == unit)?;
            Some(Self { count: count.parse().ok().filter(|count| (1..=10_000).contains(count))?, unit })
        });
        rate.ok_or_else(|| format!("`{text}` is no rate: write 10/minute (second, minute, hour, day)"))
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = UNITS.iter().find(|(_, unit)| *unit == self.unit).map_or("day", |(word, _)| *word);
        write!(f, "{}/{unit}", self.count)
    }
}

/// How packets are carried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    #[default]
    Tcp,
    Udp,
    Both,
}

impl Protocol {
    pub fn words(self) -> &'static [&'static str] {
        match self {
            Self::Tcp => &["tcp"],
            Self::Udp => &["udp"],
            Self::Both => &["tcp", "udp"],
        }
    }
}

/// What happens to all that no rule allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Policy {
    #[default]
    Deny,
}
