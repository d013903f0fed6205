//! Every few hours as objects, by addresses that were signed here.

use super::presign::{DAYS, Storage};
use super::{Act, Content, Facts, Gap, Piece, Query, Row, Setting, Val, day};
use crate::step::Many;
use serde::Deserialize;

pub const URLS: &str = "/etc/steadfast-ship-logs.urls";
const SCRIPT: &str = "/usr/local/lib/steadfast-ship-logs";
const SERVICE_FILE: &str = "/etc/systemd/system/steadfast-ship-logs.service";
const TIMER_FILE: &str = "/etc/systemd/system/steadfast-ship-logs.timer";
pub const SERVICE: &str = "steadfast-ship-logs.service";
pub const TIMER: &str = "steadfast-ship-logs.timer";
/// The time of the last day on which all arrived.
const SHIPPED: &str = "/var/lib/steadfast-logs/shipped";
pub const IN_TIME: &str = "within a day";
/// With fewer days left, addresses are signed anew.
const LEFT: i64 = 3;

/// A bucket, and what goes there.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Objects {
    /// `https://…`, without the bucket.
    endpoint: String,
    bucket: String,
    region: String,
    /// Whose access it is.
    key: String,
    secret: String,
    /// What stands before each object's name; of this host alone.
    prefix: String,
    #[serde(default = "auth")]
    logs: Many,
    #[serde(default)]
    style: Style,
}

fn auth() -> Many {
    Many(vec!["auth".into()])
}

/// Where the bucket stands in an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Style {
    /// Before the endpoint's name.
    #[default]
    Host,
    /// In its path.
    Path,
}

impl Objects {
    pub fn broken(&self) -> Vec<(&'static str, String)> {
        let mut broken = Vec::new();
        if let Err(why) = self.storage().put("x", 0) {
            broken.push(("endpoint", why));
        }
        let plain = |text: &str, more: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || more.contains(c));
        if !plain(&self.prefix, "/._=-") || self.prefix.starts_with('/') || self.prefix.ends_with('/') {
            broken.push(("prefix", format!("`{}` cannot begin the name of an object", self.prefix)));
        }
        for log in self.logs.iter() {
            let is = log == "auth" || log.starts_with('/') || log.ends_with(".service");
            if !is || !plain(log, "/._@-") {
                broken.push(("logs", format!("`{log}` is no log: write a path, NAME.service, or auth")));
            }
        }
        if self.logs.0.is_empty() {
            broken.push(("logs", "`logs` names nothing".into()));
        }
        broken
    }

    fn storage(&self) -> Storage<'_> {
        Storage {
            endpoint: &self.endpoint,
            bucket: &self.bucket,
            region: &self.region,
            key: &self.key,
            secret: &self.secret,
            in_path: self.style == Style::Path,
        }
    }

    /// What is wanted, without what is secret.
    pub fn meant(&self) -> String {
        format!("{} {} {} {}", self.endpoint, self.bucket, self.prefix, self.logs.0.join(" "))
    }

    /// The addresses as they are signed on a day: a line each, the day, the log and where it goes.
    fn text(&self, signed: i64) -> Result<String, String> {
        let mut text = format!("# Kept by steadfast. Signed on {}.\n", day::written(signed));
        for day in (signed..signed + DAYS).map(day::written) {
            for log in self.logs.iter() {
                let name = log.trim_matches('/').replace('/', "-");
                let object = format!("{}/{day}/{name}.gz", self.prefix);
                text.push_str(&format!("{day} {log} {}\n", self.storage().put(&object, signed)?));
            }
        }
        Ok(text)
    }

    /// The day on which the addresses that are there were signed, if they are ours and of today's wish.
    fn signed(&self, text: &str) -> Option<i64> {
        let today = day::today();
        let date = text.lines().next()?.strip_prefix("# Kept by steadfast. Signed on ")?.strip_suffix('.')?;
        let signed = (today - DAYS..=today).find(|signed| day::written(*signed) == date)?;
        (self.text(signed).ok()? == text).then_some(signed)
    }

    pub fn rows(&self, found: &Facts) -> Result<Vec<Row>, Gap> {
        let mut rows = Vec::new();
        let until = |signed: i64| day::written(signed + DAYS - 1);
        let (now, signed) = match found.file(URLS)? {
            Content::Absent => (Val::Absent, None),
            content => match content.text().and_then(|text| self.signed(text)) {
                Some(signed) => (Val::Text(until(signed)), Some(signed)),
                None => (Val::text("for something else, or run out"), None),
            },
        };
        // What is read is never shown, nor what is written: each address lets whoever has it write.
        if signed.is_none_or(|signed| signed + DAYS - day::today() < LEFT) {
            rows.push(Row::new(URLS, "until", now, until(day::today())));
        }
        let shipped = found.file(SHIPPED)?.text().and_then(|text| text.trim().parse::<i64>().ok());
        let now = match shipped {
            None => "never",
            Some(time) if found.clock()? - time > 86_400 => "more than a day ago",
            Some(_) => return Ok(rows),
        };
        rows.push(Row::new("logs", "shipped", now, IN_TIME));
        Ok(rows)
    }

    /// The acts for the file of addresses.
    pub fn urls(&self, to: &[Setting]) -> Vec<Act> {
        let path = || URLS.to_owned();
        let act = |setting: &Setting| match &setting.to {
            Val::Absent => Some(Act::Remove { path: path() }),
            Val::Text(until) if *until == day::written(day::today() + DAYS - 1) => {
                let content = self.text(day::today()).ok()?.into_bytes();
                let (owner, group) = (Some("root".to_owned()), Some("root".to_owned()));
                Some(Act::Write { path: path(), content, mode: Some(0o600), owner, group, check: None })
            }
            // Addresses that were there before are not kept anywhere but in the host's journal.
            _ => None,
        };
        to.iter().filter(|setting| setting.object == URLS).filter_map(act).collect()
    }
}

pub fn facts() -> Vec<Query> {
    [URLS, SHIPPED].map(|path| Query::File(path.into())).into_iter().chain([Query::Clock]).collect()
}

/// What stands on the host whatever is shipped.
pub fn pieces() -> [Piece; 3] {
    let piece = |path, content: &str, mode| Piece { path, content: content.into(), mode, check: None };
    [
        piece(SCRIPT, include_str!("ship-logs.sh"), 0o755),
        piece(SERVICE_FILE, include_str!("ship-logs.service"), 0o644),
        piece(TIMER_FILE, include_str!("ship-logs.timer"), 0o644),
    ]
}
