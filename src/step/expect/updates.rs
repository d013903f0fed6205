//! How new the host is, and whether bash still runs what stands in a variable.

use super::{Object, Row, Subject, yes};
use crate::fact::{Facts, Gap, Query};
use crate::step::auto_updates;
use serde::{Deserialize, Deserializer};

/// How new the host is.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Updates {
    /// The last upgrade is at most so old (`90d`, `2w`, `36h`), or nothing waits by lists that are no older.
    max_age: Option<Age>,
    /// At most so many packages wait for a security upgrade.
    security_pending: Option<usize>,
    /// At most so many packages wait for an upgrade.
    pending: Option<usize>,
    /// Whether the host must start anew to use what was upgraded.
    reboot_required: Option<bool>,
    /// The lists of packages are at most so old.
    lists_max_age: Option<Age>,
    /// Security upgrades come by themselves (apt).
    automatic: Option<bool>,
}

/// A time in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, schemars::JsonSchema)]
#[schemars(with = "String")]
struct Age(i64);

impl<'de> Deserialize<'de> for Age {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let units = [('w', 604_800), ('d', 86_400), ('h', 3_600)];
        let parsed = units.into_iter().find_map(|(unit, seconds)| {
            let number: u32 = text.strip_suffix(unit)?.parse().ok()?;
            Some(Self(i64::from(number) * seconds))
        });
        parsed.ok_or_else(|| serde::de::Error::custom(format!("`{text}` is no age: write 90d, 2w or 36h")))
    }
}

/// Whole days or, where there is none yet, hours.
fn age(seconds: i64) -> String {
    let (number, unit) = if seconds < 172_800 { (seconds / 3_600, "hour") } else { (seconds / 86_400, "day") };
    format!("{number} {unit}{}", if number == 1 { "" } else { "s" })
}

fn unknown<T: Clone>(part: &Result<T, String>) -> Result<T, Gap> {
    part.clone().map_err(Gap::Unknown)
}

impl Updates {
    /// The last upgrade: its age or, where it is too old, that nothing newer is to be had.
    fn last(&self, found: &crate::fact::Updates) -> Result<Option<Row>, Gap> {
        let Some(Age(max)) = self.max_age else { return Ok(None) };
        let old = |time: Option<i64>| time.is_none_or(|time| found.now - time > max);
        let nothing_waits = matches!(&found.pending, Ok(pending) if pending.is_empty());
        let upgraded = unknown(&found.upgraded)?;
        if !old(upgraded) || (nothing_waits && matches!(found.lists, Ok(lists) if !old(lists))) {
            return Ok(None);
        }
        let now = upgraded.map_or("never, as far as its log reaches".into(), |time| format!("{} ago", age(found.now - time)));
        Ok(Some(Row::new("packages", "last upgrade", now, format!("at most {} ago", age(max)))))
    }

    fn lists(&self, found: &crate::fact::Updates) -> Result<Option<Row>, Gap> {
        let Some(Age(max)) = self.lists_max_age else { return Ok(None) };
        let row = |now: String| Row::new("packages", "lists", now, format!("at most {} old", age(max)));
        Ok(match unknown(&found.lists)? {
            None => Some(row("none".into())),
            Some(time) if found.now - time > max => Some(row(format!("{} old", age(found.now - time)))),
            Some(_) => None,
        })
    }

    fn waiting(&self, found: &crate::fact::Updates) -> Result<Vec<Row>, Gap> {
        let mut rows = Vec::new();
        for (field, most, all) in [("security upgrades", self.security_pending, false), ("upgrades", self.pending, true)] {
            let Some(most) = most else { continue };
            let pending = unknown(&found.pending)?;
            let names: Vec<&str> =
                pending.iter().filter(|one| all || one.security).map(|one| one.package.as_str()).collect();
            if names.len() > most {
                let more = if names.len() > 5 { ", …" } else { "" };
                let now = format!("{}: {}{more}", names.len(), names[..names.len().min(5)].join(", "));
                rows.push(Row::new("packages", field, now, format!("at most {most}")));
            }
        }
        Ok(rows)
    }
}

impl Subject for Updates {
    fn facts(&self) -> Vec<Query> {
        let asks_more = self.max_age.is_some() || self.lists_max_age.is_some() || self.reboot_required.is_some();
        let mut queries = Vec::new();
        if asks_more || self.security_pending.is_some() || self.pending.is_some() {
            queries.push(Query::Updates);
        }
        if self.automatic.is_some() {
            queries.extend(auto_updates::schedule_facts());
        }
        queries
    }

    fn rows(&self, found: &Facts) -> Result<Vec<Row>, Gap> {
        let mut rows = Vec::new();
        if self.facts().contains(&Query::Updates) {
            let told = found.updates()?;
            rows.extend(self.last(told)?);
            rows.extend(self.lists(told)?);
            rows.extend(self.waiting(told)?);
            if let Some(wanted) = self.reboot_required {
                let why = unknown(&told.reboot)?;
                if why.is_some() != wanted {
                    let now = why.map_or("no".into(), |why| format!("yes: {why}"));
                    rows.push(Row::new("host", "must start anew", now, yes(wanted)));
                }
            }
        }
        if let Some(wanted) = self.automatic {
            let lacks = auto_updates::lacks(found)?;
            if lacks.is_empty() != wanted {
                let now = if wanted { lacks.join("; ") } else { "yes".into() };
                rows.push(Row::new("packages", "automatic", now, yes(wanted)));
            }
        }
        Ok(rows)
    }

    fn reads(&self) -> Vec<Object> {
        let package = || Object::Package("unattended-upgrades".into());
        self.automatic.map(|_| package()).into_iter().collect()
    }

    fn broken(&self) -> Vec<(&'static str, String)> {
        let none = self.facts().is_empty();
        let what = "say what is expected: `max_age`, `security_pending`, `pending`, `reboot_required`, `lists_max_age` or `automatic`";
        if none { vec![("", what.into())] } else { vec![] }
    }
}

/// bash takes no function from a plain variable (CVE-2014-6271 and those after it).
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Shellshock {}

/// Defines functions by variables and looks whether bash took them; does nothing else. A bash that is well takes them
/// only under names that no request and no client can set.
const SHELLSHOCK: &str = r#"b=$(command -v bash) || { echo none; exit 0; }
env 'steadfast_a=() { :; }; echo runs' "$b" -c : 2>/dev/null
env 'steadfast_b=() { echo takes; }' "$b" -c steadfast_b 2>/dev/null
echo tried"#;

impl Subject for Shellshock {
    fn facts(&self) -> Vec<Query> {
        vec![Query::Shell(SHELLSHOCK.into())]
    }

    fn rows(&self, found: &Facts) -> Result<Vec<Row>, Gap> {
        let said = found.shell(SHELLSHOCK)?;
        let words: Vec<&str> = said.out.split_whitespace().collect();
        let row = |now: &str| vec![Row::new("bash", "functions from variables", now, "no")];
        match words.as_slice() {
            ["none" | "tried"] => Ok(vec![]),
            ["runs", ..] => Ok(row("it runs what stands behind them (CVE-2014-6271)")),
            ["takes", "tried"] => Ok(row("it takes them under any name (CVE-2014-7169)")),
            _ => Err(Gap::Unknown(format!("bash could not be tried (code {})", said.code))),
        }
    }

    fn reads(&self) -> Vec<Object> {
        vec![Object::Package("bash".into())]
    }
}
