//! Ports, addresses and protocols as a playbook writes them.

use super::Many;
use serde::Deserialize;
use span::{Of, Span};
use std::collections::BTreeMap;

pub mod boot;
pub mod live;
pub mod span;

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

/// Addresses and networks, and sets of these by `@NAME`; none is everybody.
#[derive(Debug, Clone, Default, Deserialize, schemars::JsonSchema)]
#[serde(try_from = "Many")]
#[schemars(with = "Many")]
pub struct Sources {
    spans: Vec<Span>,
    /// Names of sets, without the sign.
    pub names: Vec<String>,
}

/// Sets of addresses by their names.
pub type Sets = BTreeMap<String, Sources>;

impl Sources {
    pub fn is_everybody(&self) -> bool {
        self.spans.is_empty() && self.names.is_empty()
    }

    /// All of them, sets written out.
    pub fn spans(&self, sets: &Sets) -> Vec<Span> {
        let named = self.names.iter().filter_map(|name| sets.get(name)).flat_map(|set| &set.spans);
        self.spans.iter().chain(named).copied().collect()
    }
}

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
        if many.0.is_empty() {
            return Err(
                "this names nobody: write who is meant, by address or network, here or in the variable that fills it (a rule of a firewall that is for everybody goes without)"
                    .into(),
            );
        }
        let (names, addresses): (Vec<&str>, Vec<&str>) = many.iter().partition(|word| word.starts_with('@'));
        let spans = addresses.into_iter().map(one).collect::<Result<Vec<_>, _>>()?;
        Ok(Self { spans, names: names.into_iter().map(|name| name[1..].to_owned()).collect() })
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
