//! Addresses that neither get in nor are gone to: a list of bad ones, kept in step with its feed (nftables).
//!
//! ```yaml
//! - id: by-hand
//!   blocklist: {name: scanners, addresses: [192.0.2.0/24, "2001:db8:bad::/48"]}
//! ```
//!
//! With `feed: lists/drop.txt` the addresses come from a file on the controller (or several), beside the playbook unless it is a
//! whole path: a line each, an address, a network or a range at its beginning; what follows a blank, `,`, `;` or `#` is
//! not looked at. `addresses` are added to it. `except` names addresses that are never blocked, whatever a feed says.
//! With `timeout: 7d` the kernel itself lets go of an address after that time, unless a run has brought the list anew
//! meanwhile: so a feed that nobody fetches any more does not block for ever.
//!
//! Each list is a table of its own, `inet steadfast_NAME`, that drops before all other tables, in both directions, forwarded
//! packets as well, and cuts connections that stand, which are told with the change. For the next start it stands in `/etc/nftables-steadfast-NAME.conf`,
//! as with `firewall`; after a restart all times begin anew. `state: absent` takes all of it away.
//!
//! Drift is told for the `rules`, the `addresses` (with `--diff` line by line), the `content` of the file, and the `renewal` when
//! half of the time is over for any address.
//!
//! A list with the address that this run comes from is refused: put it under `except`, or say `allow_lockout: true`.
//!
//! Way back: partial. The guard puts the kernel's list back with its addresses. By `rollback` they come back with the file, at the
//! next start or with `nft -f`, unless the rules go back as well. It touches the way in.
//!
//! Traps:
//! - An empty feed is a mistake, not an order to let everybody in: the step is refused.
//! - A feed with private networks in it (bogons) cuts your own: `except: [10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16]`.
//! - At most 65536 networks. Fetching the feed is not done here.

use super::net::boot::Kept;
use super::net::{Sources, live};
use super::net::span::{Of, Span, address, merged};
use super::words::place;
use super::{Check, Claim, Disruption, Kind, Many, Object, Presence, Row, Setting, Undo, Val, quarantine};
use crate::act::Act;
use crate::fact::{Facts, Gap, Query};
use crate::fault::{Fault, Faults};
use crate::yaml::Node;
use feed::{MOST, Timeout, without};
use serde::Deserialize;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

pub(super) mod feed;

/// One list.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Blocklist {
    /// Letters, digits and `_`.
    name: String,
    /// Files on the controller.
    #[serde(default)]
    feed: Many,
    /// Addresses, networks and ranges.
    #[serde(default)]
    addresses: Sources,
    /// Addresses that are never blocked.
    #[serde(default)]
    except: Sources,
    /// How long an address stays that no run brings anew.
    timeout: Option<Timeout>,
    #[serde(default)]
    state: Presence,
    /// The way in may be closed; the guard takes it back when no new login gets in.
    #[serde(default)]
    allow_lockout: bool,
    /// What all of it comes to; known once it was checked.
    #[serde(skip)]
    spans: OnceLock<Vec<Span>>,
}

impl Check for Blocklist {
    fn check(&self, body: &Node) -> Result<(), Faults> {
        let mut faults = Vec::new();
        let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
        if self.name.is_empty() || self.name.len() > 40 || !self.name.bytes().all(good) {
            let fault = Fault::new(format!("`{}` cannot be the name of a list", self.name)).at(place(body, "name"));
            faults.push(fault.hint("lower letters, digits and `_`"));
        }
        if quarantine::TABLE == self.table() {
            let fault = Fault::new("this is the name of the quarantine's own table").at(place(body, "name"));
            faults.push(fault.hint("take another name"));
        }
        if [&self.addresses, &self.except].iter().any(|all| !all.names.is_empty()) {
            faults.push(Fault::new("there are no sets here: write the addresses out").at(place(body, "addresses")));
        }
        let named = !self.feed.0.is_empty() || !self.addresses.is_everybody();
        if named == (self.state == Presence::Absent) {
            let what = if named { "a list that is absent holds nobody" } else { "this names nobody" };
            faults.push(Fault::new(what).at(&body.place).hint("`feed` and `addresses` say whom it holds"));
        }
        let none = Sources::default();
        let mut all = self.addresses.spans(&Default::default());
        for path in self.feed.iter() {
            match feed::read(&beside(path, body)) {
                Ok(spans) => all.extend(spans),
                Err(why) => faults.push(Fault::new(why).at(place(body, "feed"))),
            }
        }
        let but = if self.except.is_everybody() { none } else { self.except.clone() };
        let all = without(&all, &but.spans(&Default::default()));
        if all.len() > MOST {
            let what = format!("the list has {} networks; at most {MOST}", all.len());
            faults.push(Fault::new(what).at(place(body, "feed")));
        }
        if all.is_empty() && named && faults.is_empty() {
            faults.push(Fault::new("`except` leaves nobody to block").at(place(body, "except")));
        }
        let _ = self.spans.set(all);
        Faults::some(faults).map_or(Ok(()), Err)
    }
}

/// A path as it is meant: beside the playbook that names it.
pub(super) fn beside(path: &str, body: &Node) -> PathBuf {
    let playbook = Path::new(&body.place.source.name);
    playbook.parent().unwrap_or(Path::new("")).join(path)
}

/// The sets by their families.
const SETS: [(Of, &str, &str, &str); 2] = [(Of::V4, "v4", "ipv4_addr", "ip"), (Of::V6, "v6", "ipv6_addr", "ip6")];

impl Blocklist {
    fn spans(&self) -> &[Span] {
        self.spans.get().map(Vec::as_slice).unwrap_or_default()
    }

    fn table(&self) -> String {
        format!("steadfast_{}", self.name)
    }

    fn shown(&self) -> String {
        format!("table inet {}", self.table())
    }

    fn kept(&self) -> Kept {
        let file = format!("/etc/nftables-steadfast-{}.conf", self.name);
        Kept { check: format!("nft -c -f \"${{1:-{file}}}\""), file }
    }

    /// The whole table with these in it.
    fn text(&self, spans: &[Span]) -> String {
        let mut text = format!("{} {{\n", self.shown());
        for (of, set, kind, _) in SETS {
            let own: Vec<String> = spans.iter().filter(|span| span.of == of).map(ToString::to_string).collect();
            let (flags, timeout) = match self.timeout {
                Some(timeout) => ("interval,timeout", format!("\t\ttimeout {timeout}\n")),
                None => ("interval", String::new()),
            };
            let held = if own.is_empty() { String::new() } else { format!("\t\telements = {{ {} }}\n", own.join(",\n\t\t\t")) };
            text.push_str(&format!("\tset {set} {{\n\t\ttype {kind}\n\t\tflags {flags}\n{timeout}{held}\t}}\n\n"));
        }
        let rules = |sides: &[&str]| -> String {
            let one = |side: &&str| SETS.map(|(_, set, _, word)| format!("\t\t{word} {side} @{set} drop\n")).concat();
            sides.iter().map(one).collect()
        };
        for (n, (hook, sides)) in [("prerouting", &["saddr", "daddr"][..]), ("output", &["daddr"])].into_iter().enumerate() {
            let gap = if n == 0 { "" } else { "\n" };
            text.push_str(&format!(
                "{gap}\tchain {hook} {{\n\t\ttype filter hook {hook} priority raw; policy accept;\n{}\t}}\n",
                rules(sides)
            ));
        }
        text + "}\n"
    }

    fn content(&self) -> String {
        let (table, about) = (self.shown(), "# Kept by steadfast: the next run writes it anew.");
        format!("#!/usr/sbin/nft -f\n{about}\n{table}\ndelete {table}\n{}", self.text(self.spans()))
    }
}

/// The rules without what the sets hold, and without what means nothing.
fn bare(text: &str) -> Vec<String> {
    let mut rest = text;
    let mut all = String::new();
    while let Some((before, after)) = rest.split_once("elements = {") {
        all.push_str(before);
        rest = after.split_once('}').map_or("", |(_, after)| after);
    }
    all.push_str(rest);
    let lines = all.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
    lines.filter(|line| !line.is_empty()).collect()
}

/// A list as text, a line each; and back.
fn listed(spans: &[Span]) -> Val {
    Val::Data(spans.iter().map(|span| format!("{span}\n")).collect::<String>().into_bytes().into())
}

fn unlisted(val: &Val) -> Vec<Span> {
    let Val::Data(data) = val else { return vec![] };
    String::from_utf8_lossy(data).lines().filter_map(feed::span).collect()
}

impl Kind for Blocklist {
    fn facts(&self) -> Vec<Query> {
        let own = [Query::Nft(self.table()), Query::Elements(self.table()), Query::Login, live::fact()];
        own.into_iter().chain(self.kept().facts()).collect()
    }

    fn plan(&self, found: &Facts) -> Result<Vec<Row>, Gap> {
        let (live, held) = (found.nft(&self.table())?, found.elements(&self.table())?);
        let present = self.state == Presence::Present;
        if let (Ok(Some(login)), false) = (found.login(), self.allow_lockout) {
            let (of, number) = address(login.from);
            if let Some(span) = self.spans().iter().find(|span| span.has(of, number)) {
                let why = format!("{span} is on the list, and this run comes from {}; put it under `except`", login.from);
                return Err(Gap::Impossible(why));
            }
        }
        let mut rows = Vec::new();
        let now = merged(held.iter().filter_map(|one| feed::span(&one.what)).collect());
        let data = |text: &str| Val::Data(text.as_bytes().into());
        match live {
            None if present => rows.push(Row::new(self.shown(), "rules", Val::Absent, data(&self.text(&[])))),
            Some(live) if !present => rows.push(Row::new(self.shown(), "rules", data(live), Val::Absent)),
            Some(live) if bare(live) != bare(&self.text(&[])) => {
                rows.push(Row::new(self.shown(), "rules", data(live), data(&self.text(&[]))));
            }
            _ => {}
        }
        if now != self.spans() {
            rows.push(Row::new(self.shown(), "addresses", listed(&now), listed(self.spans())));
        } else if let Some(timeout) = self.timeout.filter(|_| rows.is_empty() && present) {
            let least = held.iter().filter_map(|one| one.left).min().unwrap_or(timeout.0);
            if least < timeout.0 / 2 {
                let left = format!("the first goes in {}", Timeout(least - least % 60));
                rows.push(Row::new(self.shown(), "renewal", left, format!("all stay for {timeout}")));
            }
        }
        let content = present.then(|| self.content());
        self.kept().rows(content.as_deref(), found, &mut rows)?;
        Ok(rows)
    }

    fn set(&self, to: &[Setting], found: &Facts) -> Vec<Act> {
        let mut acts = self.kept().files(to, found);
        let own = |field: &str| to.iter().find(|setting| setting.object == self.shown() && setting.field == field);
        let goes = own("rules").is_some_and(|setting| setting.to == Val::Absent);
        let text = match (own("rules").map(|setting| &setting.to), own("addresses")) {
            _ if goes => None,
            // Somebody else's rules come back as they were, as far as they were told.
            (Some(Val::Data(rules)), Some(list)) if bare(&String::from_utf8_lossy(rules)) == bare(&self.text(&[])) => {
                Some(self.text(&merged(unlisted(&list.to))))
            }
            (Some(Val::Data(rules)), _) => Some(String::from_utf8_lossy(rules).into_owned()),
            (_, Some(list)) => Some(self.text(&merged(unlisted(&list.to)))),
            _ => Some(self.text(self.spans())),
        };
        if ["rules", "addresses", "renewal"].iter().any(|field| own(field).is_some()) {
            acts.push(Act::Table { name: self.table(), text });
        }
        acts.extend(self.kept().unit(to));
        acts
    }

    fn claims(&self) -> Vec<Claim> {
        let present = self.state == Presence::Present;
        let value = if present { self.content() } else { "absent".into() };
        let table = Object::Other("packet filter", self.shown());
        let own = [Claim::owns(table, "rules", value.clone()), Claim::owns(Object::Path(self.kept().file), "content", value)];
        own.into_iter().chain(self.kept().claims(present)).collect()
    }

    fn tells(&self, found: &Facts) -> Vec<Row> {
        let shown = self.shown();
        if self.plan(found).is_ok_and(|rows| rows.iter().any(|row| row.object == shown && row.wanted != Val::Absent)) {
            let bad = |peer: IpAddr| {
                let (of, number) = address(peer);
                // They are in order, and may be very many.
                let behind = self.spans().partition_point(|span| (span.of, span.from) <= (of, number));
                self.spans()[..behind].last().is_some_and(|span| span.has(of, number))
            };
            return live::rows(found, |one| bad(one.peer).then(|| live::CUT.to_owned()));
        }
        vec![]
    }

    fn access(&self) -> bool {
        true
    }

    fn disruption(&self) -> Disruption {
        Disruption::Access
    }

    fn undo(&self) -> Undo {
        Undo::Partial("the kernel's list goes back only as a whole; its file goes back exactly".into())
    }
}
