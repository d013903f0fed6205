//! What may come in: everything that no rule allows is dropped, for IPv4 and IPv6 alike (nftables).
//!
//! ```yaml
//! - id: firewall
//!   firewall:
//!     policy: deny
//!     allow:
//!       - {port: 22, from: [10.0.0.0/8, "2001:db8::/32"], rate: 10/minute}
//!       - {port: [80, 443]}
//!       - {port: 60000-61000, protocol: udp}
//! ```
//!
//! `port` is a number, a range or a list of them; `protocol` is `tcp` (the default), `udp` or `both`; without `from` everybody
//! may come. `rate` is how many new connections one address may begin in a second, minute, hour or day (5 more at once);
//! what is over is dropped. Always allowed are: the loopback interface, answers to what the host itself began, echo
//! requests, what IPv6 needs to work (neighbours, routers, errors, multicast listeners), and answers of DHCP servers.
//!
//! The rules are one table of our own, `inet steadfast`; other people's tables are neither read nor changed. It is replaced
//! in one go (`nft -f`), after `nft -c` took it. For the next start the same table stands in
//! `/etc/nftables-steadfast.conf`, which `/etc/nftables.conf` includes at its end, and `nftables.service` is enabled: so a
//! `systemctl reload nftables` brings it back as well. `state: absent` takes the table, the file and the line away; the
//! service stays as it is.
//!
//! Drift is told for the `rules` in the kernel and for the `content` of the file (with `--diff` line by line), for the
//! `include` and for the service at `boot`. Counters, handles and the order of ports and addresses mean nothing.
//!
//! A step that would close the port that sshd listens on, or the one that this very run comes in by, is refused: in the
//! same playbook with the place of the `sshd` step, else as impossible on that host. `allow_lockout: true` lets it try;
//! the guard takes it back when no new login gets in.
//!
//! Way back: exact, but for elements that others put into sets of this table. It touches the way in; connections that
//! stand are not cut.
//!
//! Traps:
//! - A packet must pass all tables: what Docker, ufw or firewalld drop stays dropped. What is forwarded (to containers) is
//!   not looked at here.
//! - Who stops `nftables.service` flushes all tables. The next check tells it.
//! - Enabling the service loads the rest of `/etc/nftables.conf` at the next start. Where that drops or rejects something
//!   and is not enabled yet, the step says so and does nothing.
//! - Needs root to be read; else it is unknown. The main file is Debian's and Ubuntu's; others are missing it.

use super::file::set_files;
use super::words::place;
use super::{Check, Claim, Disruption, Kind, Object, Presence, Row, Setting, Val};
use crate::act::Act;
use crate::fact::{Content, Effective, Facts, Gap, Query};
use crate::fault::{Fault, Faults};
use crate::yaml::Node;
use serde::Deserialize;
use span::{Of, address};
use std::net::IpAddr;
use words::{Policy, Ports, Protocol, Rate, Sources};

mod boot;
mod span;
mod table;
mod words;

/// The rules of this host.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Firewall {
    /// `deny`: what no rule allows is dropped.
    #[serde(default)]
    #[expect(dead_code, reason = "there is one so far; it is written for the reader")]
    policy: Policy,
    /// What may come in.
    #[serde(default)]
    allow: Vec<Allow>,
    /// `present`, or `absent`: no rule of ours is there.
    #[serde(default)]
    state: Presence,
    /// The way in may be closed; the guard takes it back when no new login gets in.
    #[serde(default)]
    allow_lockout: bool,
}

/// One thing that may come in.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Allow {
    /// Ports, ranges of ports.
    port: Ports,
    #[serde(default)]
    protocol: Protocol,
    /// Addresses, networks, ranges of addresses; everybody unless told.
    #[serde(default)]
    from: Sources,
    /// How many new connections one address may begin.
    #[serde(default)]
    rate: Option<Rate>,
}

const TABLE: &str = "steadfast";
const SHOWN: &str = "table inet steadfast";
const MAIN: &str = "/etc/nftables.conf";
const FILE: &str = "/etc/nftables-steadfast.conf";
const INCLUDE: &str = "include \"/etc/nftables-steadfast.conf\"";
const UNIT: &str = "nftables.service";
/// `$1` is the new file before it is in place.
const TRY_FILE: &str = "nft -c -f \"${1:-/etc/nftables-steadfast.conf}\"";
const TRY_MAIN: &str = "nft -c -f \"${1:-/etc/nftables.conf}\"";

/// What tells our table.
pub(super) fn facts_of_table() -> Query {
    Query::Nft(TABLE.into())
}

/// Our table as it is in the kernel.
pub(super) fn ours(found: &Facts) -> Result<Option<&str>, Gap> {
    Ok(found.nft(TABLE)?.as_deref())
}

/// Whether a table of ours has a rule that lets somebody in to this port (tcp).
pub(super) fn table_opens(table: &str, port: u16) -> bool {
    table.lines().filter(|line| line.trim_end().ends_with("accept")).any(|line| {
        let Some((_, ports)) = line.split_once("tcp dport ") else { return false };
        let ports = ports.trim_end().trim_end_matches("accept").replace(['{', '}'], "");
        let has = |span: &str| {
            let (from, to) = span.split_once('-').unwrap_or((span, span));
            let number = |text: &str| text.trim().parse::<u16>().ok();
            number(from).zip(number(to)).is_some_and(|(from, to)| (from..=to).contains(&port))
        };
        ports.split(',').any(has)
    })
}

impl Check for Firewall {
    fn check(&self, body: &Node) -> Result<(), Faults> {
        if self.state == Presence::Absent && !self.allow.is_empty() {
            return Err(Fault::new("rules that are absent allow nothing").at(place(body, "allow")).into());
        }
        Ok(())
    }
}

impl Firewall {
    fn text(&self) -> String {
        table::text(TABLE, &self.allow)
    }

    fn content(&self) -> String {
        let about = "# Kept by steadfast: the next run writes it anew.";
        format!("#!/usr/sbin/nft -f\n{about}\ntable inet {TABLE}\ndelete table inet {TABLE}\n{}", self.text())
    }

    /// Whether a new connection to this port gets in: from there, or from anywhere at all.
    fn opens(&self, port: u16, from: Option<IpAddr>) -> bool {
        self.allow.iter().any(|allow| {
            let to = allow.port.0.iter().any(|span| span.has(Of::Port, port.into()));
            let whom = |from: IpAddr| {
                let (of, number) = address(from);
                allow.from.0.is_empty() || allow.from.0.iter().any(|span| span.has(of, number))
            };
            to && allow.protocol != Protocol::Udp && from.is_none_or(whom)
        })
    }

    /// Whether it closes the way in that this host has.
    fn lockout(&self, found: &Facts) -> Result<(), Gap> {
        const HINT: &str = "allow it, or say `allow_lockout: true`";
        if self.allow_lockout || self.state == Presence::Absent {
            return Ok(());
        }
        if let Ok(sshd) = found.sshd(None)
            && let Some(port) = listening(sshd).find(|port| !self.opens(*port, None))
        {
            return Err(Gap::Impossible(format!("port {port}, on which sshd listens, would be closed; {HINT}")));
        }
        if let Ok(Some(login)) = found.login()
            && !self.opens(login.port, Some(login.from))
        {
            let why =
                format!("port {} would be closed to {}, from where this run comes; {HINT}", login.port, login.from);
            return Err(Gap::Impossible(why));
        }
        Ok(())
    }
}

/// The ports that sshd listens on: of its addresses, where it names them, but not of those that only the host itself reaches.
fn listening(sshd: &Effective) -> impl Iterator<Item = u16> {
    let values = |keyword: &str| sshd.0.get(keyword).map(Vec::as_slice).unwrap_or_default();
    let outside = |address: &&String| !address.starts_with("127.") && !address.starts_with("[::1]");
    let port = |address: &String| address.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
    let mut ports: Vec<u16> = values("listenaddress").iter().filter(outside).filter_map(port).collect();
    if values("listenaddress").is_empty() {
        ports = values("port").iter().filter_map(|port| port.parse().ok()).collect();
    }
    ports.into_iter()
}

impl Kind for Firewall {
    fn facts(&self) -> Vec<Query> {
        let files = [Query::File(MAIN.into()), Query::File(FILE.into()), Query::Stat(FILE.into())];
        let rest = [Query::Nft(TABLE.into()), Query::Unit(UNIT.into()), Query::Sshd { user: None }, Query::Login];
        files.into_iter().chain(rest).collect()
    }

    fn plan(&self, found: &Facts) -> Result<Vec<Row>, Gap> {
        let live = found.nft(TABLE)?;
        self.lockout(found)?;
        let mut rows = Vec::new();
        let data = |text: &str| Val::Data(text.as_bytes().into());
        let now = live.as_deref().map_or(Val::Absent, data);
        if self.state == Presence::Absent {
            rows.extend(live.as_ref().map(|_| Row::new(SHOWN, "rules", now, Val::Absent)));
        } else if live.as_deref().map(table::canonical) != Some(table::canonical(&self.text())) {
            rows.push(Row::new(SHOWN, "rules", now, data(&self.text())));
        }
        self.boot(found, &mut rows)?;
        Ok(rows)
    }

    fn set(&self, to: &[Setting], found: &Facts) -> Vec<Act> {
        let of = |object: &'static str| to.iter().filter(move |setting| setting.object == object);
        let files: Vec<Setting> = of(FILE).cloned().collect();
        let mut acts = set_files(&files, Some(TRY_FILE));
        if let (Some(include), Ok(Some(main))) = (of(MAIN).next(), found.file(MAIN).map(Content::text)) {
            let goes = include.to == Val::Absent;
            let mut text: String = main.split_inclusive('\n').filter(|line| !goes || line.trim() != INCLUDE).collect();
            if !goes {
                text.push_str(if text.is_empty() || text.ends_with('\n') { "" } else { "\n" });
                text.push_str(&format!("{INCLUDE}\n"));
            }
            let (path, content, check) = (MAIN.into(), text.into_bytes(), Some(TRY_MAIN.into()));
            let write = Act::Write { path, content, mode: None, owner: None, group: None, check };
            // What is included is there as long as it is.
            if goes { acts.insert(0, write) } else { acts.push(write) }
        }
        for setting in of(SHOWN) {
            let text = match &setting.to {
                Val::Data(text) => Some(String::from_utf8_lossy(text).into_owned()),
                _ => None,
            };
            acts.push(Act::Table { name: TABLE.into(), text });
        }
        acts.extend(of(UNIT).map(|setting| {
            let verb = if setting.to.as_text() == Some("enabled") { "enable" } else { "disable" };
            Act::Unit { verb, name: UNIT.into() }
        }));
        acts
    }

    fn claims(&self) -> Vec<Claim> {
        let present = self.state == Presence::Present;
        let value = if present { self.text() } else { "absent".into() };
        let mut claims = vec![
            Claim::owns(Object::Other("packet filter", SHOWN.into()), "rules", value.clone()),
            Claim::owns(Object::Path(FILE.into()), "content", value),
            Claim::Reads(Object::Path(MAIN.into())),
            Claim::Reads(Object::Package("nftables".into())),
            Claim::Reads(Object::Other("sshd", "Port".into())),
        ];
        if present {
            claims.push(Claim::owns(Object::Unit(UNIT.into()), "boot", "enabled"));
        }
        if present && !self.allow_lockout {
            let ports =
                self.allow.iter().filter(|allow| allow.protocol != Protocol::Udp).flat_map(|allow| &allow.port.0);
            let port = |number: u128| u16::try_from(number).unwrap_or(u16::MAX);
            claims.push(Claim::Shuts { but: ports.map(|span| (port(span.from), port(span.to))).collect() });
        }
        claims
    }

    fn access(&self) -> bool {
        true
    }

    fn disruption(&self) -> Disruption {
        Disruption::Access
    }
}
