//! The cloud's half of a quarantine: the instance leaves all its security groups for one that lets in the administrators alone.

use super::Quarantine;
use crate::cloud::tencent::Access;
use crate::cloud::{Fence, Permit, Shape};
use crate::fact::{Facts, Gap, Query};
use crate::fault::Fault;
use crate::step::net::span::Span;
use crate::step::wall::{Provider, lets_in, only, plain};
use crate::step::words::place;
use crate::step::{Claim, Many, Object, Order, Row};
use crate::yaml::Node;
use serde::Deserialize;

/// The cloud that the host is in.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cloud {
    #[expect(dead_code, reason = "there is one so far; it is written for the reader")]
    provider: Provider,
    /// The region, such as `ap-guangzhou`.
    region: String,
    /// The instance (`ins-…`).
    instance: String,
    /// The group that takes the place of all others (`sg-…`).
    group: String,
    /// Which groups the instance gets back; unless told, those that this controller found.
    #[serde(default)]
    groups: Many,
    /// Where the key comes from.
    #[serde(default)]
    access: Access,
}

impl Cloud {
    pub fn check(&self, body: &Node, contains: bool, faults: &mut Vec<Fault>) {
        let named = [&self.region, &self.instance, &self.group];
        if !named.into_iter().map(String::as_str).chain(self.groups.iter()).all(plain) {
            let fault = Fault::new("this names nothing of Tencent Cloud").at(place(body, "cloud"));
            faults.push(fault.hint("write region: ap-guangzhou, instance: ins-1a2b3c4d, group: sg-1a2b3c4d"));
        }
        if contains && !self.groups.0.is_empty() {
            let fault = Fault::new("`groups` are what a host gets back that is released").at(place(body, "cloud"));
            faults.push(fault.hint("the groups that are found are kept by the controller"));
        }
        // Never where a key may stand that somebody pasted: its line would be shown.
        faults.extend(self.access.check().err().map(|fault| fault.at(&body.place)));
    }

    fn membership(&self) -> Fence {
        Fence::Instance { region: self.region.clone(), id: self.instance.clone(), access: self.access.clone() }
    }

    fn rules(&self) -> Fence {
        Fence::SecurityGroup { region: self.region.clone(), id: self.group.clone(), access: self.access.clone() }
    }

    /// What rows about it are called.
    pub fn name(&self) -> String {
        self.membership().name()
    }

    pub fn facts(&self, contains: bool) -> Vec<Query> {
        let rules = contains.then(|| Query::Fence(self.rules()));
        std::iter::once(Query::Fence(self.membership())).chain(rules).collect()
    }

    /// The groups that the instance is to be in.
    fn wanted(&self, contains: bool, found: &Facts) -> Result<Vec<String>, Gap> {
        let quarantine = vec![self.group.clone()];
        let fenced = found.fence(&self.membership())?;
        if contains {
            return Ok(quarantine);
        }
        match (&fenced.shape, &fenced.before) {
            // It is not this kind's doing that it is where it is.
            (Shape::Groups(now), _) if *now != quarantine => Ok(now.clone()),
            _ if !self.groups.0.is_empty() => Ok(self.groups.0.clone()),
            (_, Some(Shape::Groups(before))) => Ok(before.clone()),
            _ => {
                let why = format!("this controller does not know in which groups {} was before", self.instance);
                Err(Gap::Impossible(format!("{why}: say `groups:`")))
            }
        }
    }

    /// Whether the group is one for a host that is cut off.
    fn fits(&self, admins: &[Span], ports: &[Span], found: &Facts) -> Result<(), Gap> {
        let Shape::Rules { ingress, egress } = &found.fence(&self.rules())?.shape else { return Ok(()) };
        let (group, hint) = (&self.group, "set its rules by `security_group` first");
        if let Some(rule) = only(ingress, admins, ports) {
            return Err(Gap::Impossible(format!("{group} lets in others than `admins`: {rule}; {hint}")));
        }
        if let Some(rule) = egress.iter().find(|rule| rule.accepts()) {
            return Err(Gap::Impossible(format!("{group} lets out: {}; {hint}", rule.words())));
        }
        let Ok(Some(login)) = found.login() else { return Ok(()) };
        if lets_in(ingress, login.from, login.port) {
            return Ok(());
        }
        let why = format!("{group} does not let in {} to port {}, by which this run comes", login.from, login.port);
        Err(Gap::Impossible(format!("{why}; {hint}")))
    }

    /// What differs. `ports` are those of sshd, where the host is to be cut off.
    pub fn plan(&self, admins: &[Span], ports: Option<&[Span]>, found: &Facts) -> Result<Option<Row>, Gap> {
        let wanted = self.wanted(ports.is_some(), found)?;
        if let Some(ports) = ports {
            self.fits(admins, ports, found)?;
        }
        let Shape::Groups(now) = &found.fence(&self.membership())?.shape else {
            return Err(Gap::Unknown(format!("{} were answered as something else", self.name())));
        };
        Ok((*now != wanted).then(|| Row::new(self.name(), "member of", now.join(", "), wanted.join(", "))))
    }

    pub fn order(&self, contains: bool, found: &Facts) -> Option<Order> {
        let fence = self.membership();
        let to = Shape::Groups(self.wanted(contains, found).ok()?);
        Some(Order { found: found.fence(&fence).ok()?.clone(), fence, to })
    }

    pub fn claims(&self, contains: bool) -> Vec<Claim> {
        let own = |family, id: &String| Object::Other(family, format!("{} {id}", self.region));
        let instance = || own("instance", &self.instance);
        if contains {
            let rules = Claim::Reads(own("security group", &self.group));
            return vec![Claim::owns(instance(), "contained", self.group.clone()), rules];
        }
        vec![Claim::owns(instance(), "released", "yes"), Claim::Reads(instance())]
    }

    pub fn permits(&self) -> Vec<Permit> {
        self.membership().permits(true).into_iter().chain(self.rules().permits(false)).collect()
    }
}

impl Quarantine {
    /// The rows of the host's own half come first, and are proven before the cloud's.
    pub(super) fn on_host(&self, rows: &[Row]) -> usize {
        let outside = self.cloud.as_ref().map(Cloud::name);
        let own = rows.iter().filter(|row| Some(&row.object) != outside.as_ref()).count();
        if own == 0 { rows.len() } else { own }
    }
}
