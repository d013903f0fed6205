//! The rules of a cloud in front of hosts, as the kinds share them that own such rules: written as for the host's own `firewall`,
//! set from the controller, proven by new logins.

use super::firewall::words::{Block, Egress};
use super::firewall::{Allow, AllowOut};
use super::net::Sets;
use super::net::Sources;
use super::net::span::Span;
use super::words::place;
use super::{Claim, Disruption, Kind, Many, Object, Order, Row, Setting, Val, blocklist};
use crate::act::Act;
use crate::cloud::{Fence, Permit, Rule, Shape};
use crate::fact::{Facts, Gap, Query};
use crate::fault::Fault;
use crate::yaml::Node;
use serde::Deserialize;
use std::fmt::Debug;
use std::sync::OnceLock;

mod rules;

pub use rules::{lets_in, only, open};

/// Whose cloud it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Provider {
    Tencent,
}

/// Bad addresses.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Listed {
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

/// A kind with the fields that all of them have, behind its own.
macro_rules! wall {
    ($(#[$about:meta])* $Name:ident { $($(#[$doc:meta])* $own:ident: $Own:ty,)* }) => {
        $(#[$about])*
        #[derive(Debug, Clone, serde::Deserialize, schemars::JsonSchema)]
        #[serde(deny_unknown_fields)]
        pub struct $Name {
            /// The region, such as `ap-guangzhou`.
            region: String,
            $($(#[$doc])* $own: $Own,)*
            #[serde(default)]
            #[expect(dead_code, reason = "there is one so far; it is written for the reader")]
            policy: $crate::step::firewall::words::Policy,
            /// Names for addresses: `from: "@NAME"`.
            #[serde(default)]
            sets: $crate::step::net::Sets,
            /// What may come in.
            #[serde(default)]
            allow: Vec<$crate::step::firewall::Allow>,
            /// What neither comes in nor goes out.
            #[serde(default)]
            block: $crate::step::firewall::words::Block,
            /// Whom nothing comes from and nothing goes to.
            blocklist: Option<$crate::step::wall::Listed>,
            /// `deny`: only what `allow_out` names may go out.
            #[serde(default)]
            egress: $crate::step::firewall::words::Egress,
            /// What may go out.
            #[serde(default)]
            allow_out: Vec<$crate::step::firewall::AllowOut>,
            /// Whether echo requests come in.
            #[serde(default = "crate::step::wall::yes")]
            ping: bool,
            /// The host's alone.
            #[expect(dead_code, reason = "one declaration serves the host as well")]
            limit: Option<$crate::step::firewall::words::Limit>,
            /// The host's alone.
            #[serde(default)]
            #[expect(dead_code, reason = "one declaration serves the host as well")]
            forward: $crate::step::firewall::words::Forward,
            /// The host's alone.
            #[expect(dead_code, reason = "one declaration serves the host as well")]
            log: Option<$crate::step::firewall::words::Rate>,
            /// Where the key comes from.
            #[serde(default)]
            access: $crate::cloud::tencent::Access,
            /// Whom `blocklist` comes to; known once it was checked.
            #[serde(skip)]
            bad: std::sync::OnceLock<Vec<$crate::step::net::span::Span>>,
        }

        impl $Name {
            fn declared(&self) -> $crate::step::wall::Declared<'_> {
                $crate::step::wall::Declared {
                    region: &self.region,
                    sets: &self.sets,
                    allow: &self.allow,
                    block: &self.block,
                    blocklist: self.blocklist.as_ref(),
                    egress: self.egress,
                    allow_out: &self.allow_out,
                    ping: self.ping,
                    bad: &self.bad,
                }
            }
        }
    };
}
pub(super) use wall;

pub fn yes() -> bool {
    true
}

/// Whether a cloud may call something so.
pub fn plain(text: &str) -> bool {
    !text.is_empty() && text.len() <= 64 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// What was written, whatever it is for.
#[derive(Debug, Clone, Copy)]
pub struct Declared<'a> {
    pub region: &'a str,
    pub sets: &'a Sets,
    pub allow: &'a [Allow],
    pub block: &'a Block,
    pub blocklist: Option<&'a Listed>,
    pub egress: Egress,
    pub allow_out: &'a [AllowOut],
    pub ping: bool,
    pub bad: &'a OnceLock<Vec<Span>>,
}

impl Declared<'_> {
    /// What is wrong with it; `id` is the field that names the thing, what stands there, and what it looks like. Learns whom
    /// `blocklist` comes to.
    pub fn faults(&self, body: &Node, id: (&str, &str, &str)) -> Vec<Fault> {
        let mut faults = Vec::new();
        for (field, text, hint) in [("region", self.region, "ap-guangzhou"), id] {
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
        faults
    }

    /// Whom `blocklist` comes to.
    fn listed(&self, body: &Node, faults: &mut Vec<Fault>) -> Vec<Span> {
        let Some(list) = self.blocklist else { return vec![] };
        let mut all = list.addresses.spans(&Sets::default());
        for path in list.feed.iter() {
            match blocklist::feed::read(&blocklist::beside(path, body)) {
                Ok(spans) => all.extend(spans),
                Err(why) => faults.push(Fault::new(why).at(place(body, "blocklist"))),
            }
        }
        if all.is_empty() && faults.is_empty() {
            faults.push(Fault::new("this names nobody").at(place(body, "blocklist")));
        }
        blocklist::feed::without(&all, &list.except.spans(&Sets::default()))
    }

    /// What comes in and what goes out, where answers to what may come may go and the other way round.
    pub fn rules(&self) -> (Vec<Rule>, Vec<Rule>) {
        let bad = self.bad.get().map(Vec::as_slice).unwrap_or_default();
        let egress = (self.egress == Egress::Deny).then_some(self.allow_out);
        rules::rules(bad, self.block, self.allow, egress, self.ping, self.sets)
    }
}

/// A kind that owns the rules of something in a cloud.
pub trait Wall: Debug + Send + Sync {
    fn fence(&self) -> Fence;

    /// What it is called among all that steps own.
    fn object(&self) -> Object;

    /// What of it comes in from where.
    fn allowed(&self) -> &[Allow];

    /// The rules in and out.
    fn wanted(&self) -> (Vec<Rule>, Vec<Rule>);

    /// What is not so.
    fn differs(&self, facts: &Facts) -> Result<Vec<Row>, Gap> {
        let (fence, (ingress, egress)) = (self.fence(), self.wanted());
        let Shape::Rules { ingress: found_in, egress: found_out } = &facts.fence(&fence)?.shape else {
            return Err(Gap::Unknown(format!("{} was answered as something else", fence.name())));
        };
        let mut rows = Vec::new();
        differing(&fence.name(), "in", found_in, &ingress, &mut rows);
        differing(&fence.name(), "out", found_out, &egress, &mut rows);
        Ok(rows)
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

impl<W: Wall> Kind for W {
    fn facts(&self) -> Vec<Query> {
        vec![Query::Fence(self.fence()), Query::Login]
    }

    fn plan(&self, facts: &Facts) -> Result<Vec<Row>, Gap> {
        let rows = self.differs(facts)?;
        let (ingress, _) = self.wanted();
        if let Some(login) = facts.login()?
            && !lets_in(&ingress, login.from, login.port)
        {
            let why = format!(
                "it would not let in {} to port {}, by which this run comes: add {{port: {}, from: {}}} to `allow`",
                login.from, login.port, login.port, login.from
            );
            return Err(Gap::Impossible(why));
        }
        Ok(rows)
    }

    fn outside(&self, facts: &Facts) -> Option<Result<Vec<Row>, Gap>> {
        Some(self.differs(facts))
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
        let spans =
            self.allowed().iter().filter(|one| one.protocol.words().contains(&"tcp")).flat_map(|one| &one.port.0);
        let port = |number: u128| u16::try_from(number).unwrap_or(u16::MAX);
        let but = spans.map(|span| (port(span.from), port(span.to))).collect();
        vec![Claim::owns(self.object(), "rules", wish), Claim::Shuts { but }]
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
