//! What may come in, and what may go out: everything that no rule allows is dropped, for IPv4 and IPv6 alike (nftables).
//!
//! ```yaml
//! - id: firewall
//!   firewall:
//!     policy: deny
//!     sets: {admins: [10.0.0.0/8, "2001:db8::/32"]}
//!     allow:
//!       - {port: 22, from: ["@admins", 192.0.2.7], rate: 10/minute}
//!       - {port: [80, 443], total: 1.5 x 400/second, connections: 100}
//!       - {port: 60000-61000, protocol: udp}
//!     limit: {new: 2000/second, connections: 50000}
//!     block: [tftp, 1900/udp]
//!     log: 5/minute
//! - id: nothing-goes-out-but
//!   firewall:
//!     allow: [{port: 22}]
//!     egress: deny
//!     allow_out:
//!       - {port: 53, protocol: both}
//!       - {port: [80, 443], to: 10.0.0.0/8}
//! ```
//!
//! `port` is a number, a range or a list of them; `protocol` is `tcp` (the default), `udp` or `both`; without `from` everybody
//! may come. Addresses that are needed more than once get a name under `sets`. Always allowed are: the loopback
//! interface, answers to what was begun, echo requests, what IPv6 needs to work (neighbours, routers, errors, multicast
//! listeners), and DHCP.
//!
//! | limit | is |
//! |---|---|
//! | `rate` | new connections that one address may begin (5 more at once) |
//! | `connections` | connections that one address may have at a time |
//! | `total` | new connections (of tcp: SYNs) to these ports, of all addresses together |
//! | `limit.new` | new connections to the whole host; those whom a rule names with `from` are not held up by it |
//! | `limit.connections` | connections to the whole host at a time |
//!
//! A rate is `10/second` (minute, hour, day), or a multiple of what is usual: `1.5 x 400/second`, where the number may be a
//! variable. What is over is dropped. How many begin is not measured here: take the peak from your monitoring. How many one address has
//! at a time is: `connections: 3 x usual` is so many times what the busiest address had at these ports in all the runs that kept the
//! host's baseline (`triage: {baseline: keep}`), and never fewer than 32. Behind a `triage: {baseline: keep}` of the same playbook it is measured at its turn; where nobody kept one
//! the step fails. A new peak that is kept is drift.
//!
//! `block` drops protocols both ways, before all else, connections that stand as well: `tftp`, `telnet`, `ftp`, `rsh`, `rlogin`,
//! `rexec`, `finger`, `echo`, `discard`, `chargen`, `qotd`, `rpcbind`, `netbios`, `smb`, `snmp`, `ssdp`, `mdns`, `llmnr`,
//! `memcached`, `irc`, or a port as `69/udp`. With `egress: deny` the host itself begins only what `allow_out` names (a rule without
//! `port` is every port). `forward: deny` drops what is handed on for others, but leaves a host alone that routes (a router, a
//! host of containers or virtual machines: `net.ipv4.ip_forward` or `net.ipv6.conf.all.forwarding` is 1); without it
//! forwarding is never touched. `log` writes what is dropped at the end to the kernel's log, at most at this rate.
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
//! the guard takes it back when no new login gets in. So is a limit (`rate`, `total`, `limit.new`) on the port of a login that
//! lets fewer than 10 in within a minute: the proof would pass by the few that are let in at once, and whoever comes next would not.
//!
//! Where new rules are to be loaded, the connections that stand and that they would not let begin are told with the
//! change, by port, with addresses and programs: of tcp all, of udp sockets with one peer and what the kernel's memory of connections
//! holds, where it may be read. `no new ones; these go on` is where the kernel already remembers connections (of udp while both keep talking); where
//! it begins to do so only with these rules, what the other end says first on an old connection is taken for something new and is
//! dropped. What `block` names is `cut`. Addresses with more connections than `connections` lets them have are told as well;
//! those that stand when the rules are loaded are not counted.
//!
//! Way back: exact, but for elements that others put into sets of this table. It touches the way in.
//!
//! Traps:
//! - A packet must pass all tables: what Docker, ufw or firewalld drop stays dropped. What is forwarded (to containers) passes
//!   by the rules for what comes in.
//! - `egress: deny` shuts out name servers, package mirrors, time servers and log hosts as well, until they are allowed.
//! - A host that begins to route (Docker is installed, say) is left alone by `forward: deny` only after the next apply.
//! - Through a bastion come the logins to all hosts behind it, from one address: a `rate` there needs room for `--forks` of them.
//! - Who stops `nftables.service` flushes all tables. The next check tells it.
//! - Enabling the service loads the rest of `/etc/nftables.conf` at the next start. Where that drops or rejects something
//!   and is not enabled yet, the step says so and does nothing.
//! - Needs root to be read; else it is unknown. The main file is Debian's and Ubuntu's; others are missing it.

use super::net::boot::Kept;
use super::net::span::{Of, address};
use super::net::{Ports, Protocol, Sets, Sources};
use super::words::place;
use super::{Check, Claim, Disruption, Kind, Object, Presence, Row, Setting, Val};
use crate::act::Act;
use crate::fact::{Effective, Facts, Gap, Query};
use crate::fault::{Fault, Faults};
use crate::yaml::Node;
use serde::Deserialize;
use std::net::IpAddr;
use words::{Block, Count, Egress, Forward, Limit, Policy, Rate};

mod live;
mod lockout;
mod table;
mod usual;
pub(super) mod words;

pub(super) use table::canonical;

/// The rules of this host.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Firewall {
    /// `deny`: what no rule allows is dropped.
    #[serde(default)]
    #[expect(dead_code, reason = "there is one so far; it is written for the reader")]
    policy: Policy,
    /// Names for addresses: `from: "@NAME"`.
    #[serde(default)]
    sets: Sets,
    /// What may come in.
    #[serde(default)]
    allow: Vec<Allow>,
    /// How much the whole host takes.
    limit: Option<Limit>,
    /// What neither comes in nor goes out.
    #[serde(default)]
    block: Block,
    /// `deny`: the host itself begins only what `allow_out` names.
    #[serde(default)]
    egress: Egress,
    /// What may go out.
    #[serde(default)]
    allow_out: Vec<AllowOut>,
    /// `deny`: nothing is handed on for others, unless the host routes.
    #[serde(default)]
    forward: Forward,
    /// How many dropped packets are logged.
    log: Option<Rate>,
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
    pub(super) port: Ports,
    #[serde(default)]
    pub(super) protocol: Protocol,
    /// Addresses, networks, ranges of addresses; everybody unless told.
    #[serde(default)]
    pub(super) from: Sources,
    /// How many new connections one address may begin.
    rate: Option<Rate>,
    /// How many new connections all addresses together may begin.
    total: Option<Rate>,
    /// How many connections one address may have at a time.
    connections: Option<Count>,
}

impl Allow {
    /// Whether it lets a connection of this protocol to this port in: from there, or from anywhere at all.
    fn admits(&self, sets: &Sets, protocol: &str, port: u16, from: Option<IpAddr>) -> bool {
        let to = self.port.0.iter().any(|span| span.has(Of::Port, port.into()));
        let whom = |from: IpAddr| {
            let (of, number) = address(from);
            self.from.is_everybody() || self.from.spans(sets).iter().any(|span| span.has(of, number))
        };
        to && self.protocol.words().contains(&protocol) && from.is_none_or(whom)
    }
}

/// One thing that may go out.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AllowOut {
    /// Ports, ranges of ports; every port unless told.
    pub(super) port: Option<Ports>,
    #[serde(default)]
    pub(super) protocol: Protocol,
    /// Addresses, networks, ranges of addresses; everywhere unless told.
    #[serde(default)]
    pub(super) to: Sources,
}

const TABLE: &str = "steadfast";
const SHOWN: &str = "table inet steadfast";
const FILE: &str = "/etc/nftables-steadfast.conf";
/// What says that the host hands on packets for others.
const ROUTES: [&str; 2] = ["net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding"];

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
        let mut faults = Vec::new();
        if self.state == Presence::Absent && !self.allow.is_empty() {
            faults.push(Fault::new("rules that are absent allow nothing").at(place(body, "allow")));
        }
        if self.egress == Egress::Allow && !self.allow_out.is_empty() {
            let fault = Fault::new("everything may go out already").at(place(body, "allow_out"));
            faults.push(fault.hint("say `egress: deny`, or take `allow_out` away"));
        }
        let said = [("allow", self.allow.iter().map(|one| &one.from).collect::<Vec<_>>())];
        let said = said.into_iter().chain([("allow_out", self.allow_out.iter().map(|one| &one.to).collect())]);
        for (field, name) in said.flat_map(|(field, all)| all.into_iter().flat_map(move |s| s.names.iter().map(move |n| (field, n)))) {
            if !self.sets.contains_key(name) {
                let fault = Fault::new(format!("there is no set `{name}`")).at(place(body, field));
                faults.push(fault.hint("name its addresses under `sets`"));
            }
        }
        if let Some((name, _)) = self.sets.iter().find(|(_, set)| !set.names.is_empty()) {
            let what = format!("the set `{name}` cannot be made of other sets");
            faults.push(Fault::new(what).at(place(body, "sets")));
        }
        let blocked = |allow: &Allow| {
            let both = self.block.0.iter().filter(|(protocol, _)| allow.protocol.words().contains(protocol));
            both.into_iter().any(|(_, shut)| allow.port.0.iter().any(|open| open.from <= shut.to && shut.from <= open.to))
        };
        if self.allow.iter().any(blocked) {
            faults.push(Fault::new("this blocks what `allow` lets in").at(place(body, "block")));
        }
        let none = |one: &Allow| one.connections == Some(Count::Number(0));
        if self.allow.iter().any(none) || self.limit.as_ref().is_some_and(|limit| limit.connections == Some(0)) {
            faults.push(Fault::new("no connection at all is no limit: leave the rule out").at(&body.place));
        }
        Faults::some(faults).map_or(Ok(()), Err)
    }
}

impl Firewall {
    fn kept() -> Kept {
        Kept { file: FILE.into(), check: format!("nft -c -f \"${{1:-{FILE}}}\"") }
    }

    /// The limit of the whole host; one that limits nothing is none.
    fn limit(&self) -> Option<&Limit> {
        self.limit.as_ref().filter(|limit| limit.new.is_some() || limit.connections.is_some())
    }

    fn denies_forwarding(&self) -> bool {
        self.forward == Forward::Deny
    }

    /// Whether the host hands on packets for others, where that matters.
    fn routes(&self, found: &Facts) -> Result<bool, Gap> {
        let mut routes = false;
        for key in ROUTES.iter().filter(|_| self.denies_forwarding() && self.state == Presence::Present) {
            routes |= found.sysctl(key)?.as_deref() == Some("1");
        }
        Ok(routes)
    }
}

/// The ports that sshd listens on: of its addresses, where it names them, but not of those that only the host itself reaches.
pub(super) fn listening(sshd: &Effective) -> impl Iterator<Item = u16> {
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
        let rest = [Query::Nft(TABLE.into()), Query::Sshd { user: None }, Query::Login, super::net::live::fact()];
        let routes = ROUTES.iter().filter(|_| self.denies_forwarding()).map(|key| Query::Sysctl((*key).into()));
        let usual = self.asks_what_is_usual().then_some(Query::Baseline);
        Self::kept().facts().into_iter().chain(rest).chain(routes).chain(usual).collect()
    }

    fn plan(&self, found: &Facts) -> Result<Vec<Row>, Gap> {
        let live = found.nft(TABLE)?;
        self.lockout(found)?;
        let mut rows = Vec::new();
        let data = |text: &str| Val::Data(text.as_bytes().into());
        let now = live.as_deref().map_or(Val::Absent, data);
        let text = self.text(self.routes(found)?, &self.usual(found)?);
        if self.state == Presence::Absent {
            rows.extend(live.as_ref().map(|_| Row::new(SHOWN, "rules", now, Val::Absent)));
        } else if live.as_deref().map(table::canonical) != Some(table::canonical(&text)) {
            rows.push(Row::new(SHOWN, "rules", now, data(&text)));
        }
        let about = "# Kept by steadfast: the next run writes it anew.";
        let content =
            format!("#!/usr/sbin/nft -f\n{about}\ntable inet {TABLE}\ndelete table inet {TABLE}\n{text}");
        let wanted = (self.state == Presence::Present).then_some(content.as_str());
        Self::kept().rows(wanted, found, &mut rows)?;
        Ok(rows)
    }

    fn set(&self, to: &[Setting], found: &Facts) -> Vec<Act> {
        let mut acts = Self::kept().files(to, found);
        for setting in to.iter().filter(|setting| setting.object == SHOWN) {
            let text = match &setting.to {
                Val::Data(text) => Some(String::from_utf8_lossy(text).into_owned()),
                _ => None,
            };
            acts.push(Act::Table { name: TABLE.into(), text });
        }
        acts.extend(Self::kept().unit(to));
        acts
    }

    fn claims(&self) -> Vec<Claim> {
        let present = self.state == Presence::Present;
        let value = if present { self.wish() } else { "absent".into() };
        let mut claims = vec![
            Claim::owns(Object::Other("packet filter", SHOWN.into()), "rules", value.clone()),
            Claim::owns(Object::Path(FILE.into()), "content", value),
            Claim::Reads(Object::Other("sshd", "Port".into())),
        ];
        claims.extend(Self::kept().claims(present));
        if present && !self.allow_lockout {
            let ports =
                self.allow.iter().filter(|allow| allow.protocol != Protocol::Udp).flat_map(|allow| &allow.port.0);
            let port = |number: u128| u16::try_from(number).unwrap_or(u16::MAX);
            let spans: Vec<(u16, u16)> = ports.map(|span| (port(span.from), port(span.to))).collect();
            // Of a rule for many ports the first one speaks.
            let slow = |span: &(u16, u16)| Some(Claim::Slows { ports: *span, by: self.slows(span.0, None)? });
            claims.extend(spans.iter().filter_map(slow));
            claims.push(Claim::Shuts { but: spans });
        }
        claims
    }

    fn tells(&self, found: &Facts) -> Vec<Row> {
        self.unmeasured(found).into_iter().chain(self.live(found)).collect()
    }

    fn access(&self) -> bool {
        true
    }

    fn disruption(&self) -> Disruption {
        Disruption::Access
    }
}
