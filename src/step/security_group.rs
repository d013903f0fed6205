//! What a cloud lets through to its instances, before any packet filter of theirs: the rules of a security group (Tencent Cloud).
//!
//! ```yaml
//! - id: security-group
//!   security_group:
//!     region: ap-guangzhou
//!     group: sg-1a2b3c4d
//!     sets: {admins: [192.0.2.0/28, "2001:db8::/64"]}
//!     allow:
//!       - {port: 22, from: "@admins"}
//!       - {port: [80, 443]}
//!       - {port: 3306, from: 10.0.0.0/16}
//!     block: [tftp]
//!     blocklist: {addresses: [198.51.100.0/24]}
//!     access: {secret_id: "env:TENCENTCLOUD_SECRET_ID", secret_key: "env:TENCENTCLOUD_SECRET_KEY"}
//! - id: nothing-goes-out-but
//!   security_group:
//!     region: ap-guangzhou
//!     group: sg-5e6f7a8b
//!     allow: [{port: 22, from: 192.0.2.0/28}]
//!     egress: deny
//!     allow_out: [{port: 53, protocol: both}, {port: [80, 443]}]
//! ```
//!
//! The rules are written as for `firewall`, and one declaration serves both layers: an anchor takes it over whole.
//!
//! ```text
//! - id: host-layer
//!   firewall: &rules
//!     sets: {admins: [192.0.2.0/28]}
//!     allow: [{port: 22, from: "@admins", rate: 10/minute}, {port: [80, 443], connections: 100}]
//!     block: [tftp]
//! - id: cloud-layer
//!   security_group: {<<: *rules, region: "{{ tencent_region }}", group: "{{ item }}"}
//!   loop: "{{ tencent_security_groups }}"
//! ```
//!
//! A cloud counts nothing: `rate`, `total`, `connections`, `limit`, `forward` and `log` are the host's alone and mean nothing here.
//! `blocklist` takes what the kind of that name takes as `feed`, `addresses` and `except`; a list that is too long for a group
//! belongs on the host. With `egress: allow` (the default) everything else may go out. Echo requests come in, as on the host,
//! unless `ping: false` says otherwise.
//!
//! The whole group is these rules and no others: what was added by hand goes. It holds for all instances in the group. Descriptions
//! are not compared. `access` says where the key comes from, as for inventories (docs/tencent.md); `steadfast cloud policy
//! PLAYBOOK` prints what that key must be allowed.
//!
//! The controller acts, never the host. The rules that were found are written down by the controller first; they are replaced only
//! while they still are of the version that was read, so nobody's change is lost: who was faster is told. Then they are
//! read again, and a new login must get in, twice with some seconds between, on every host of the run with that group that was
//! within reach before. Where one does not, the old rules are put back, and that is read again and proven too. A run that was killed in
//! between leaves that written down: the next one that comes to the host puts the old rules back before it connects.
//!
//! A group that would not let in the address and port by which this very run comes is refused.
//!
//! Way back: exact (`steadfast rollback`), while nobody else changed the group since. It touches the way in.
//!
//! Traps:
//! - Nothing in the cloud goes back by itself when the controller dies at the wrong moment: run anything again from it.
//! - An instance in several groups gets what any of them lets through; this owns one of them.
//! - Connections that stand may outlive a rule; only new ones are proven.
//! - Behind a load balancer of the cloud other rules may apply. Rules of a group of version 0 cannot be replaced: add one by hand.
//! - At most 100 rules a direction; each port or range with each network is one.

use super::firewall::words::{Block, Egress, Forward, Limit, Policy, Rate};
use super::firewall::{Allow, AllowOut};
use super::net::span::Span;
use super::net::{Sets, Sources};
use super::words::place;
use super::{Check, Claim, Disruption, Kind, Many, Object, Order, Row, Setting, Val};
use crate::act::Act;
use crate::cloud::tencent::Access;
use crate::cloud::{Fence, Permit, Rule, Shape};
use crate::fact::{Facts, Gap, Query};
use crate::fault::{Fault, Faults};
use crate::yaml::Node;
use serde::Deserialize;
use std::sync::OnceLock;

mod rules;

pub(super) use rules::{lets_in, only};

/// The rules of a security group.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SecurityGroup {
    /// The region, such as `ap-guangzhou`.
    region: String,
    /// The group (`sg-…`).
    group: String,
    #[serde(default)]
    #[expect(dead_code, reason = "there is one so far; it is written for the reader")]
    policy: Policy,
    /// Names for addresses: `from: "@NAME"`.
    #[serde(default)]
    sets: Sets,
    /// What may come in.
    #[serde(default)]
    allow: Vec<Allow>,
    /// What neither comes in nor goes out.
    #[serde(default)]
    block: Block,
    /// Whom nothing comes from and nothing goes to.
    blocklist: Option<Listed>,
    /// `deny`: only what `allow_out` names may go out.
    #[serde(default)]
    egress: Egress,
    /// What may go out.
    #[serde(default)]
    allow_out: Vec<AllowOut>,
    /// Whether echo requests come in.
    #[serde(default = "yes")]
    ping: bool,
    /// The host's alone.
    #[expect(dead_code, reason = "one declaration serves the host as well")]
    limit: Option<Limit>,
    /// The host's alone.
    #[serde(default)]
    #[expect(dead_code, reason = "one declaration serves the host as well")]
    forward: Forward,
    /// The host's alone.
    #[expect(dead_code, reason = "one declaration serves the host as well")]
    log: Option<Rate>,
    /// Where the key comes from.
    #[serde(default)]
    access: Access,
    /// Whom `blocklist` comes to; known once it was checked.
    #[serde(skip)]
    bad: OnceLock<Vec<Span>>,
}

/// Bad addresses.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
struct Listed {
    /// Files on the controller.
    #[serde(default)]
    feed: Many,
    /// Addresses, networks and ranges.
    #[serde(default)]
    addresses: Sources,
    /// Addresses that are never blocked.
    #[serde(default)]
    except: Sources,
}

/// As many rules as a group takes in a direction.
const MOST: usize = 100;

fn yes() -> bool {
    true
}

/// Whether a cloud may call something so.
pub(super) fn plain(text: &str) -> bool {
    !text.is_empty() && text.len() <= 64 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

impl Check for SecurityGroup {
    fn check(&self, body: &Node) -> Result<(), Faults> {
        let mut faults = Vec::new();
        for (field, text, hint) in
            [("region", &self.region, "ap-guangzhou"), ("group", &self.group, "sg-1a2b3c4d")]
        {
            if !plain(text) {
                let fault = Fault::new(format!("this is no {field} of Tencent Cloud")).at(place(body, field));
                faults.push(fault.hint(format!("write it as in {hint}")));
            }
        }
        if self.egress == Egress::Allow && !self.allow_out.is_empty() {
            let fault = Fault::new("everything may go out already").at(place(body, "allow_out"));
            faults.push(fault.hint("say `egress: deny`, or take `allow_out` away"));
        }
        let sources = self.allow.iter().map(|one| ("allow", &one.from));
        for (field, source) in sources.chain(self.allow_out.iter().map(|one| ("allow_out", &one.to))) {
            for name in source.names.iter().filter(|name| !self.sets.contains_key(*name)) {
                let fault = Fault::new(format!("there is no set `{name}`")).at(place(body, field));
                faults.push(fault.hint("name its addresses under `sets`"));
            }
        }
        let _ = self.bad.set(self.listed(body, &mut faults));
        let (ingress, egress) = self.wanted();
        for (side, rules) in [("in", &ingress), ("out", &egress)] {
            if rules.len() > MOST {
                let what = format!("these are {} rules {side}; a group takes at most {MOST}", rules.len());
                let fault = Fault::new(what).at(&body.place);
                faults.push(fault.hint("a long list of bad addresses belongs on the host: the kind `blocklist`"));
            }
        }
        // Never where a key may stand that somebody pasted: its line would be shown.
        faults.extend(self.access.check().err().map(|fault| fault.at(place(body, "group"))));
        Faults::some(faults).map_or(Ok(()), Err)
    }
}

impl SecurityGroup {
    /// Whom `blocklist` comes to.
    fn listed(&self, body: &Node, faults: &mut Vec<Fault>) -> Vec<Span> {
        let Some(list) = &self.blocklist else { return vec![] };
        let mut all = list.addresses.spans(&Sets::default());
        for path in list.feed.iter() {
            match super::blocklist::feed::read(&super::blocklist::beside(path, body)) {
                Ok(spans) => all.extend(spans),
                Err(why) => faults.push(Fault::new(why).at(place(body, "blocklist"))),
            }
        }
        if all.is_empty() && faults.is_empty() {
            faults.push(Fault::new("this names nobody").at(place(body, "blocklist")));
        }
        super::blocklist::feed::without(&all, &list.except.spans(&Sets::default()))
    }

    fn fence(&self) -> Fence {
        Fence::SecurityGroup { region: self.region.clone(), id: self.group.clone(), access: self.access.clone() }
    }

    /// What comes in, and what goes out.
    fn wanted(&self) -> (Vec<Rule>, Vec<Rule>) {
        let bad = self.bad.get().map(Vec::as_slice).unwrap_or_default();
        let egress = (self.egress == Egress::Deny).then_some(self.allow_out.as_slice());
        rules::rules(bad, &self.block, &self.allow, egress, self.ping, &self.sets)
    }
}

/// What differs between rules that were found and those that are wanted, a row a rule.
fn differing(object: &str, side: &str, found: &[Rule], wanted: &[Rule], rows: &mut Vec<Row>) {
    let words = |rules: &[Rule]| rules.iter().map(Rule::words).collect::<Vec<_>>();
    let (found, wanted) = (words(found), words(wanted));
    if found == wanted {
        return;
    }
    let before = rows.len();
    let field = |rule: &String| format!("{side} {rule}");
    for rule in found.iter().filter(|rule| !wanted.contains(rule)) {
        rows.push(Row::new(object, field(rule), "there", Val::Absent));
    }
    for rule in wanted.iter().filter(|rule| !found.contains(rule)) {
        rows.push(Row::new(object, field(rule), Val::Absent, "there"));
    }
    if rows.len() == before {
        rows.push(Row::new(object, format!("{side} order"), found.join(", "), wanted.join(", ")));
    }
}

impl Kind for SecurityGroup {
    fn facts(&self) -> Vec<Query> {
        vec![Query::Fence(self.fence()), Query::Login]
    }

    fn plan(&self, facts: &Facts) -> Result<Vec<Row>, Gap> {
        let (fence, (ingress, egress)) = (self.fence(), self.wanted());
        let Shape::Rules { ingress: found_in, egress: found_out } = &facts.fence(&fence)?.shape else {
            return Err(Gap::Unknown(format!("{} was answered as something else", fence.name())));
        };
        if let Some(login) = facts.login()?
            && !lets_in(&ingress, login.from, login.port)
        {
            let why = format!(
                "it would not let in {} to port {}, by which this run comes: add {{port: {}, from: {}}} to `allow`",
                login.from, login.port, login.port, login.from
            );
            return Err(Gap::Impossible(why));
        }
        let mut rows = Vec::new();
        differing(&fence.name(), "in", found_in, &ingress, &mut rows);
        differing(&fence.name(), "out", found_out, &egress, &mut rows);
        Ok(rows)
    }

    fn set(&self, _: &[Setting], _: &Facts) -> Vec<Act> {
        vec![]
    }

    fn orders(&self, to: &[Setting], facts: &Facts) -> Vec<Order> {
        let fence = self.fence();
        let found = facts.fence(&fence).ok().filter(|_| !to.is_empty()).cloned();
        let (ingress, egress) = self.wanted();
        found.map(|found| Order { fence, found, to: Shape::Rules { ingress, egress } }).into_iter().collect()
    }

    fn claims(&self) -> Vec<Claim> {
        let words = |rules: &[Rule]| rules.iter().map(Rule::words).collect::<Vec<_>>().join(", ");
        let (ingress, egress) = self.wanted();
        let wish = format!("in {}; out {}", words(&ingress), words(&egress));
        let group = Object::Other("security group", format!("{} {}", self.region, self.group));
        let spans = self.allow.iter().filter(|one| one.protocol.words().contains(&"tcp")).flat_map(|one| &one.port.0);
        let port = |number: u128| u16::try_from(number).unwrap_or(u16::MAX);
        let but = spans.map(|span| (port(span.from), port(span.to))).collect();
        vec![Claim::owns(group, "rules", wish), Claim::Shuts { but }]
    }

    fn access(&self) -> bool {
        true
    }

    fn disruption(&self) -> Disruption {
        Disruption::Access
    }

    fn permits(&self) -> Vec<Permit> {
        self.fence().permits(true)
    }
}
