//! A host that may be compromised is cut off: nobody gets in but the administrators, and nothing gets out.
//!
//! ```yaml
//! - id: contain
//!   quarantine:
//!     admins: [192.0.2.0/28, "2001:db8::/64"]
//!     owner: alice, incident 4711
//!     until: "2027-01-31"
//! - id: let-go
//!   quarantine: {state: released}
//! - id: contain-from-outside-too
//!   quarantine:
//!     admins: [192.0.2.0/28]
//!     owner: alice, incident 4711
//!     cloud: {provider: tencent, region: ap-guangzhou, instance: ins-1a2b3c4d, group: sg-5e6f7a8b}
//! ```
//!
//! | field | is |
//! |---|---|
//! | `admins` | the addresses and networks that may come in, to sshd alone |
//! | `port` | the port of sshd; unless told what `sshd -T` says and what this run comes in by |
//! | `owner` | who answers for it and whom to ask |
//! | `until` | the day by which somebody must have decided |
//! | `reason` | for those who find it |
//! | `cloud` | the instance that the host is, and the security group for hosts that are cut off |
//! | `state` | `contained`, or `released`: all that this kind put there is gone again |
//!
//! What is allowed is: sshd from `admins`, and its answers to them; the loopback interface; finding neighbours and routers
//! (IPv6); renewing the address by DHCP within the own network. All else is dropped in, refused out, and not handed on for
//! containers. There is no rule for connections that stand: those of others are cut at once, and a program that sends on one is told
//! that it is closed. With the change they are told, by port, address and program. Whoever works on the host by ssh from one of `admins` stays in, this run first of all: it is refused
//! where the address that it comes from is not among them, and guarded: no new login, and all goes back by itself. Hosts that are reached through it are
//! cut off with it.
//!
//! The rules are one table of their own, `inet steadfast_quarantine`, before all others, so no rule of anybody else's can let
//! in what it drops. They stand in `/etc/nftables-steadfast-quarantine.conf` and are loaded at each start by
//! `steadfast-quarantine.service`, before the network is there and after `nftables.service`; the unit is wanted by a drop-in of
//! `sysinit.target`. `/etc/nftables.conf` is neither read nor changed.
//!
//! With `cloud` the instance leaves all its security groups for `group`, which must let in nobody but `admins` to sshd, and let out
//! nothing: `security_group: {group: …, allow: [{port: 22, from: …}], ping: false, egress: deny}` makes it so, and comes first. That half
//! cannot be taken away from the host. It comes after the host's own, is proven by new logins, and is put back where none gets in. `released`
//! with the same `cloud` puts the instance back into the groups that this controller found (or into `groups`).
//!
//! A host that does not answer by ssh is cut off from outside all the same (`apply -y`): the instance changes its groups, and the step ends as
//! unknown, which says so, for nobody knows what the host itself lets through; sshd is then taken to listen on `port`, or 22. `released` puts
//! it back the same way. Nothing that must come first may be left undone: rules of `group` that stand already count as done. No login can
//! prove it, and none was possible before. `--rescue tat` reaches the host's own half by the cloud's agent (docs/tencent.md).
//!
//! It never ends by itself, for a host that opens while nobody looks is worse than one that is closed for a day too long: once
//! `until` is over, the step fails and names the `owner`, until somebody releases the host or says a later day.
//!
//! A run may contain a host and release it: what comes in between is done while it is cut off. A second run contains it anew.
//!
//! Way back: exact. Disruption: the host serves nobody any more.
//!
//! Traps:
//! - Whoever is root on the host can take the host's half away, and can send what no packet filter sees. Cut the host off from
//!   outside as well (`cloud`, a switch), and look from outside whether it is silent.
//! - Name servers, package mirrors, time servers and log hosts are out of reach too: take evidence before, install before or after.
//! - `nft flush ruleset`, a restart or a reload of `nftables.service` flush it. The next check tells it.
//! - Behind a jump host or address translation, `admins` are the addresses that the host sees.
//! - Needs nftables, systemd and root. A host without nftables cannot get it once it is cut off.

use super::file::{own_file, set_files};
use super::net::span::{Of, Span, address, merged};
use super::net::{Ports, Sources, live};
use super::user::fields::days;
use super::words::place;
use super::{Check, Claim, Disruption, Kind, Mode, Object, Order, Row, Setting, Val};
use crate::act::Act;
use crate::cloud::Permit;
use crate::fact::{Connection, Facts, Gap, Milestone, Query};
use crate::fault::{Fault, Faults};
use crate::yaml::Node;
use serde::Deserialize;
use cloud::Cloud;
use std::collections::BTreeSet;
use text::{UNIT_TEXT, WANTS_TEXT, spelled};

mod cloud;
mod text;

/// A host that is cut off, or is so no longer.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Quarantine {
    /// Who may come in, and nobody else.
    #[serde(default)]
    admins: Sources,
    /// The ports of sshd.
    port: Option<Ports>,
    /// Who answers for it.
    owner: Option<String>,
    /// The day by which somebody must have decided (`2027-01-31`).
    until: Option<String>,
    /// Why it is so.
    reason: Option<String>,
    /// The cloud's half.
    cloud: Option<Cloud>,
    #[serde(default)]
    state: State,
}

/// Whether the host is cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
enum State {
    #[default]
    Contained,
    Released,
}

pub(super) const TABLE: &str = "steadfast_quarantine";
const SHOWN: &str = "table inet steadfast_quarantine";
const RULES: &str = "/etc/nftables-steadfast-quarantine.conf";
const UNIT: &str = "/etc/systemd/system/steadfast-quarantine.service";
const DIR: &str = "/etc/systemd/system/sysinit.target.d";
const WANTS: &str = "/etc/systemd/system/sysinit.target.d/steadfast-quarantine.conf";
const NFT: &str = "/usr/sbin/nft";
const TRY: &str = "nft -c -f \"${1:-/etc/nftables-steadfast-quarantine.conf}\"";
const DAY: i64 = 86_400;
/// Where sshd is taken to listen on a host that does not tell.
const SSH: Span = Span { of: Of::Port, from: 22, to: 22 };

impl Check for Quarantine {
    fn check(&self, body: &Node) -> Result<(), Faults> {
        let mut faults = Vec::new();
        if let Some(cloud) = &self.cloud {
            cloud.check(body, self.contains(), &mut faults);
        }
        if self.state == State::Released {
            let said = [
                ("admins", !self.admins.is_everybody()),
                ("port", self.port.is_some()),
                ("until", self.until.is_some()),
            ];
            for (field, _) in said.into_iter().filter(|(_, is)| *is) {
                let what = format!("a host that is released needs no `{field}`");
                faults.push(Fault::new(what).at(place(body, field)));
            }
            return Faults::some(faults).map_or(Ok(()), Err);
        }
        if self.admins.is_everybody() {
            let fault = Fault::new("`admins` is missing: whoever may still come in").at(place(body, "admins"));
            faults.push(fault.hint("the address that you come from must be among them"));
        }
        if !self.admins.names.is_empty() {
            faults.push(Fault::new("there are no sets here: write the addresses").at(place(body, "admins")));
        }
        if self.owner.as_deref().is_none_or(|owner| owner.trim().is_empty()) {
            faults.push(Fault::new("`owner` is missing: who answers for it").at(place(body, "owner")));
        }
        for (field, text) in [("owner", &self.owner), ("reason", &self.reason)] {
            if text.as_ref().is_some_and(|text| text.contains(char::is_control)) {
                faults.push(Fault::new(format!("`{field}` is one line of text")).at(place(body, field)));
            }
        }
        if self.until.as_deref().is_some_and(|day| day == "never" || days(day).is_none()) {
            faults.push(Fault::new("`until` is a day, as in 2027-01-31").at(place(body, "until")));
        }
        Faults::some(faults).map_or(Ok(()), Err)
    }
}

impl Quarantine {
    fn contains(&self) -> bool {
        self.state == State::Contained
    }

    /// The ports by which the administrators come in.
    fn ports(&self, found: &Facts) -> Result<Vec<Span>, Gap> {
        if let Some(ports) = &self.port {
            return Ok(merged(ports.0.clone()));
        }
        let mut all: BTreeSet<u16> = BTreeSet::new();
        if let Ok(sshd) = found.sshd(None) {
            all.extend(super::firewall::listening(sshd));
        }
        if let Ok(Some(login)) = found.login() {
            all.insert(login.port);
        }
        if all.is_empty() {
            return Err(Gap::Unknown("on which port sshd listens is not known; say `port:`".into()));
        }
        let span = |port: u16| Span { of: Of::Port, from: port.into(), to: port.into() };
        Ok(merged(all.into_iter().map(span).collect()))
    }

    /// Whether this run itself would be shut out.
    fn lockout(&self, ports: &[Span], found: &Facts) -> Result<(), Gap> {
        let Ok(Some(login)) = found.login() else { return Ok(()) };
        let (of, number) = address(login.from);
        if !self.admins.spans(&Default::default()).iter().any(|span| span.has(of, number)) {
            let why = format!("this run comes from {}, which is not among `admins`", login.from);
            return Err(Gap::Impossible(why));
        }
        if !ports.iter().any(|span| span.has(Of::Port, login.port.into())) {
            let why = format!("this run comes by port {}, which is not `port`", login.port);
            return Err(Gap::Impossible(why));
        }
        Ok(())
    }

    /// Whether its time is over.
    fn over(&self, found: &Facts) -> Result<(), Gap> {
        let Some(day) = self.until.as_deref() else { return Ok(()) };
        let now = *found.clock()?;
        if days(day).is_some_and(|last| now < (last + 1) * DAY) {
            return Ok(());
        }
        let owner = self.owner.as_deref().unwrap_or_default();
        Err(Gap::Impossible(format!("it was to be decided by {day}, and {owner} answers for it: release the host, or say a later day")))
    }
}

impl Kind for Quarantine {
    fn facts(&self) -> Vec<Query> {
        let paths = [RULES, UNIT, WANTS];
        let stats = paths.iter().chain(&[DIR, NFT]).map(|path| Query::Stat((*path).into()));
        let files = paths.iter().map(|path| Query::File((*path).into()));
        let own = [Query::Nft(TABLE.into()), Query::Os, Query::Clock, Query::Stat(format!("{DIR}/*"))];
        let way_in = [Query::Login, Query::Sshd { user: None }, live::fact()];
        let cloud = self.cloud.iter().flat_map(|cloud| cloud.facts(self.contains()));
        let here = stats.chain(files).chain(own).chain(way_in.into_iter().filter(|_| self.contains()));
        here.chain(cloud).collect()
    }

    fn plan(&self, found: &Facts) -> Result<Vec<Row>, Gap> {
        let live = found.nft(TABLE)?.as_deref();
        let data = |text: &str| Val::Data(text.as_bytes().into());
        let mut rows = Vec::new();
        let dir = !found.stat(DIR)?.is_empty();
        let (mut content, mut unit, mut wants) = (None, None, None);
        if self.contains() {
            if found.os()?.init != "systemd" {
                return Err(Gap::Impossible("nothing would keep it over a restart: it needs systemd".into()));
            }
            if found.stat(NFT)?.is_empty() {
                return Err(Gap::Missing(format!("{NFT} is not there: nftables is not installed")));
            }
            let ports = self.ports(found)?;
            self.lockout(&ports, found)?;
            self.over(found)?;
            let text = self.text(&ports);
            if live.map(spelled) != Some(spelled(&text)) {
                rows.push(Row::new(SHOWN, "rules", live.map_or(Val::Absent, data), data(&text)));
            }
            if !dir {
                rows.push(Row::new(DIR, "state", Val::Absent, "directory"));
            }
            content = Some((self.content(&text), Mode(0o600)));
            unit = Some((UNIT_TEXT.to_owned(), Mode(0o644)));
            wants = Some((WANTS_TEXT.to_owned(), Mode(0o644)));
        } else if let Some(live) = live {
            rows.push(Row::new(SHOWN, "rules", data(live), Val::Absent));
        }
        for (path, wanted) in [(RULES, content), (UNIT, unit), (WANTS, wants)] {
            rows.extend(own_file(path, found, wanted)?);
        }
        let inside = found.stat(&format!("{DIR}/*"))?;
        if !self.contains() && inside.len() == 1 && inside[0].path == WANTS {
            rows.push(Row::new(DIR, "state", "directory", Val::Absent));
        }
        if let Some(cloud) = &self.cloud {
            let ports = if self.contains() { Some(self.ports(found)?) } else { None };
            rows.extend(cloud.plan(&self.admins.spans(&Default::default()), ports.as_deref(), found)?);
        }
        Ok(rows)
    }

    fn first(&self, rows: &[Row]) -> usize {
        self.on_host(rows)
    }

    fn orders(&self, to: &[Setting], found: &Facts) -> Vec<Order> {
        let outside = |cloud: &&Cloud| to.iter().any(|setting| setting.object == cloud.name());
        let cloud = self.cloud.as_ref().filter(outside);
        cloud.and_then(|cloud| cloud.order(self.contains(), found)).into_iter().collect()
    }

    fn outside(&self, found: &Facts) -> Option<Result<Vec<Row>, Gap>> {
        let cloud = self.cloud.as_ref()?;
        let ports = self.port.as_ref().map_or(vec![SSH], |ports| merged(ports.0.clone()));
        let ports = self.contains().then_some(ports.as_slice());
        Some(cloud.plan(&self.admins.spans(&Default::default()), ports, found).map(Vec::from_iter))
    }

    fn permits(&self) -> Vec<Permit> {
        self.cloud.iter().flat_map(Cloud::permits).collect()
    }

    fn set(&self, to: &[Setting], _: &Facts) -> Vec<Act> {
        let outside = self.cloud.as_ref().map(Cloud::name);
        let to: Vec<Setting> = to.iter().filter(|one| Some(&one.object) != outside.as_ref()).cloned().collect();
        let dir = to.iter().find(|setting| setting.object == DIR);
        let mut acts = Vec::new();
        if dir.is_some_and(|dir| dir.to != Val::Absent) {
            let (owner, group) = (Some("root".into()), Some("root".into()));
            acts.push(Act::MakeDir { path: DIR.into(), mode: 0o755, owner, group });
        }
        for path in [RULES, UNIT, WANTS] {
            let own: Vec<Setting> = to.iter().filter(|setting| setting.object == path).cloned().collect();
            acts.extend(set_files(&own, (path == RULES).then_some(TRY)));
        }
        if dir.is_some_and(|dir| dir.to == Val::Absent) {
            acts.push(Act::RemoveDir { path: DIR.into() });
        }
        if to.iter().any(|setting| setting.object != SHOWN) {
            acts.push(Act::ReloadUnits);
        }
        for setting in to.iter().filter(|setting| setting.object == SHOWN) {
            let text = match &setting.to {
                Val::Data(text) => Some(String::from_utf8_lossy(text).into_owned()),
                _ => None,
            };
            acts.push(Act::Table { name: TABLE.into(), text });
        }
        acts
    }

    fn claims(&self) -> Vec<Claim> {
        let table = || Object::Other("packet filter", SHOWN.into());
        if !self.contains() {
            let own = [Claim::owns(table(), "released", "yes"), Claim::Reads(table())];
            return own.into_iter().chain(self.cloud.iter().flat_map(|cloud| cloud.claims(false))).collect();
        }
        let wish = format!("{:?} {:?} {:?} {:?}", self.admins, self.port, self.owner, self.until);
        let mut claims = vec![Claim::owns(table(), "contained", wish), Claim::Reads(Object::Package("nftables".into()))];
        claims.extend(self.cloud.iter().flat_map(|cloud| cloud.claims(true)));
        let kept = [(UNIT, UNIT_TEXT), (WANTS, WANTS_TEXT)];
        claims.extend(kept.map(|(path, text)| Claim::owns(Object::Path(path.into()), "content", text)));
        if let Some(ports) = &self.port {
            let port = |number: u128| u16::try_from(number).unwrap_or(u16::MAX);
            claims.push(Claim::Shuts { but: ports.0.iter().map(|span| (port(span.from), port(span.to))).collect() });
        }
        claims
    }

    fn tells(&self, found: &Facts) -> Vec<Row> {
        let begins = self.plan(found).is_ok_and(|rows| rows.iter().any(|row| row.object == SHOWN));
        let Some(ports) = self.ports(found).ok().filter(|_| begins && self.contains()) else { return vec![] };
        let admins = self.admins.spans(&Default::default());
        let stays = |one: &Connection| {
            let (of, number) = address(one.peer);
            !one.udp && ports.iter().any(|span| span.has(Of::Port, one.port.into())) && admins.iter().any(|span| span.has(of, number))
        };
        live::rows(found, |one| (!stays(one) && !live::is_dhcp(one)).then(|| live::CUT.to_owned()))
    }

    fn access(&self) -> bool {
        true
    }

    fn disruption(&self) -> Disruption {
        Disruption::Access
    }

    fn opaque(&self) -> bool {
        // Whether there is something to release is known once the steps before it have acted.
        !self.contains()
    }

    fn milestone(&self) -> Option<Milestone> {
        Some(if self.contains() { Milestone::Contained } else { Milestone::Released })
    }

    fn shuts_out(&self) -> bool {
        self.contains()
    }

    fn passing(&self) -> bool {
        self.contains()
    }
}
