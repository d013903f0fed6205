//! The words of a rule as a playbook writes them.

use crate::step::Many;
use crate::step::net::span::{Of, Span};
use serde::Deserialize;
use std::fmt;

/// `10/minute`, or `1.5 x 400/second`: new connections, of one address or of all together.
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

/// More than this is no limit.
const MOST: f64 = 1_000_000.0;

impl Rate {
    /// How long an address is remembered.
    pub fn memory(&self) -> &'static str {
        match self.unit {
            Unit::Second | Unit::Minute => "1m",
            Unit::Hour => "1h",
            Unit::Day => "1d",
        }
    }

    pub fn count(&self) -> u32 {
        self.count
    }

    /// Whether it lets so many in within a minute.
    pub fn lets_in(&self, a_minute: u32) -> bool {
        let in_a_day = match self.unit {
            Unit::Second => 86_400,
            Unit::Minute => 1_440,
            Unit::Hour => 24,
            Unit::Day => 1,
        };
        u64::from(self.count) * in_a_day >= u64::from(a_minute) * 1_440
    }
}

impl TryFrom<String> for Rate {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let (times, rate) = text.split_once(" x ").unwrap_or(("1", &text));
        let rate = rate.trim().split_once('/').and_then(|(count, unit)| {
            let (_, unit) = *UNITS.iter().find(|(known, _)| *known == unit)?;
            let (times, count) = (times.trim().parse::<f64>().ok()?, f64::from(count.parse::<u32>().ok()?));
            let count = Some((times * count).ceil()).filter(|count| (1.0..=MOST).contains(count))?;
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is between 1 and a million")]
            Some(Self { count: count as u32, unit })
        });
        rate.ok_or_else(|| {
            format!("`{text}` is no rate: write 10/minute (second, minute, hour, day), or 1.5 x 400/second")
        })
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = UNITS.iter().find(|(_, unit)| *unit == self.unit).map_or("day", |(word, _)| *word);
        write!(f, "{}/{unit}", self.count)
    }
}

/// `100`, or `3 x usual`: connections that one address may have at a time.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, schemars::JsonSchema)]
#[serde(try_from = "String")]
#[schemars(with = "CountSchema")]
pub enum Count {
    Number(u32),
    /// So many times what the busiest address had.
    Usual(f64),
}

#[derive(schemars::JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "only its schema is used")]
enum CountSchema {
    Number(u32),
    Usual(String),
}

/// What is usual on a quiet day must not shut out a browser.
pub const FEWEST: u32 = 32;

impl Count {
    /// The number, where the busiest address had so many.
    pub fn of(self, busiest: u32) -> u32 {
        let times = |times: f64| (times * f64::from(busiest)).ceil().clamp(f64::from(FEWEST), MOST);
        match self {
            Self::Number(number) => number,
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is between 32 and a million")]
            Self::Usual(factor) => times(factor) as u32,
        }
    }
}

impl TryFrom<String> for Count {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let usual = text.strip_suffix(" x usual").and_then(|times| times.trim().parse::<f64>().ok());
        let usual = usual.filter(|times| (1.0..=1000.0).contains(times)).map(Self::Usual);
        let number = || text.parse().ok().map(Self::Number);
        usual.or_else(number).ok_or_else(|| format!("`{text}` is no number of connections: write 100, or 3 x usual"))
    }
}

/// What happens to all that no rule allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Policy {
    #[default]
    Deny,
}

/// What happens to what the host itself begins, where no rule allows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Egress {
    #[default]
    Allow,
    Deny,
}

/// What happens to packets for others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Forward {
    /// It is not ours to say.
    #[default]
    Leave,
    /// Dropped, unless the host routes.
    Deny,
}

/// How much the whole host takes, from all addresses together.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// New connections.
    pub new: Option<Rate>,
    /// Connections that stand.
    pub connections: Option<u32>,
}

/// What neither comes in nor goes out: names of protocols, or `PORT/tcp`, `PORT/udp`.
#[derive(Debug, Clone, Default, Deserialize, schemars::JsonSchema)]
#[serde(try_from = "Many")]
#[schemars(with = "Many")]
pub struct Block(pub Vec<(&'static str, Span)>);

/// Protocols that servers have no use for, with their ports.
const NAMED: [(&str, &[&str]); 20] = [
    ("tftp", &["69/udp"]),
    ("telnet", &["23/tcp"]),
    ("ftp", &["20-21/tcp"]),
    ("rexec", &["512/tcp"]),
    ("rlogin", &["513/tcp"]),
    ("rsh", &["514/tcp"]),
    ("finger", &["79/tcp"]),
    ("echo", &["7/tcp", "7/udp"]),
    ("discard", &["9/tcp", "9/udp"]),
    ("chargen", &["19/tcp", "19/udp"]),
    ("qotd", &["17/tcp", "17/udp"]),
    ("rpcbind", &["111/tcp", "111/udp"]),
    ("netbios", &["137-139/tcp", "137-139/udp"]),
    ("smb", &["445/tcp", "445/udp"]),
    ("snmp", &["161-162/tcp", "161-162/udp"]),
    ("ssdp", &["1900/udp"]),
    ("mdns", &["5353/udp"]),
    ("llmnr", &["5355/tcp", "5355/udp"]),
    ("memcached", &["11211/tcp", "11211/udp"]),
    ("irc", &["194/tcp", "6660-6669/tcp", "6697/tcp"]),
];

impl TryFrom<Many> for Block {
    type Error = String;
    fn try_from(many: Many) -> Result<Self, String> {
        let one = |word: &str| {
            let (port, protocol) = word.split_once('/')?;
            let protocol = ["tcp", "udp"].into_iter().find(|known| *known == protocol)?;
            Some((protocol, Span::parse(port).filter(|span| span.of == Of::Port && span.from > 0)?))
        };
        let mut all = Vec::new();
        for word in many.iter() {
            match NAMED.iter().find(|(name, _)| *name == word) {
                Some((_, ports)) => all.extend(ports.iter().filter_map(|port| one(port))),
                None => all.push(one(word).ok_or_else(|| {
                    let names: Vec<&str> = NAMED.iter().map(|(name, _)| *name).collect();
                    format!("`{word}` cannot be blocked: write 69/udp, or one of {}", names.join(", "))
                })?),
            }
        }
        Ok(Self(all))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_may_be_a_multiple_of_what_is_usual() {
        let of = |text: &str| Count::try_from(text.to_owned()).map(|count| count.of(41));
        assert_eq!((of("100"), of("1.5 x usual"), of("1 x usual")), (Ok(100), Ok(62), Ok(41)));
        assert_eq!(Count::Usual(2.0).of(3), FEWEST);
        for bad in ["", "x usual", "0.5 x usual", "2xusual", "-1", "1.5", "9999 x usual", "NaN x usual"] {
            assert!(of(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_rate_may_be_a_multiple_of_what_is_usual() {
        let told = |text: &str| Rate::try_from(text.to_owned()).map(|rate| rate.to_string());
        assert_eq!(told("1.5 x 401/second").as_deref(), Ok("602/second"));
        assert_eq!(told("10/minute").as_deref(), Ok("10/minute"));
        let lets_in = |text: &str, a_minute| Rate::try_from(text.to_owned()).is_ok_and(|rate| rate.lets_in(a_minute));
        for enough in ["1/second", "5/minute", "300/hour", "7200/day"] {
            assert!(lets_in(enough, 5), "{enough}");
        }
        for few in ["4/minute", "299/hour", "7199/day"] {
            assert!(!lets_in(few, 5), "{few}");
        }
        for bad in ["0/second", "1.5x4/second", "-1 x 4/second", "9 x 999999/day", "NaN x 1/day", "5/week", "x"] {
            assert!(told(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn every_name_stands_for_ports() {
        let all = NAMED.iter().map(|(name, _)| (*name).to_owned()).collect();
        let ports = NAMED.iter().map(|(_, ports)| ports.len()).sum::<usize>();
        assert_eq!(Block::try_from(Many(all)).map(|block| block.0.len()), Ok(ports));
        assert!(Block::try_from(Many(vec!["69".into()])).is_err());
    }
}
