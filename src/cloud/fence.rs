//! What a cloud lets through to a host and from it, before the host's own packet filter sees anything of it.
//!
//! A [`Fence`] is data; it can be looked at, and put into another shape. Putting it names the version that was looked at, so
//! that nobody overwrites what somebody else did meanwhile.

use super::Permit;
use super::rule::Rule;
use super::tencent::{
    Access, Client, MOVED, Trouble, entries, instance_groups, policies, set_entries, set_instance_groups, set_policies,
};
use crate::fault::{Fault, Result};
use crate::host::Later;
use serde::{Deserialize, Serialize};

/// Something of a cloud that decides what reaches a host.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fence {
    /// The rules of a security group: they hold for all instances in it.
    SecurityGroup { region: String, id: String, access: Access },
    /// The security groups in which an instance is.
    Instance { region: String, id: String, access: Access },
    /// The rules of a network ACL: they hold for all subnets that it is for, and nothing remembers connections.
    NetworkAcl { region: String, id: String, access: Access },
}

/// What a fence is like.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    /// From the first to the last; the first that fits decides, and what fits none is dropped.
    Rules { ingress: Vec<Rule>, egress: Vec<Rule> },
    /// Ids of security groups, from the first to the last.
    Groups(Vec<String>),
}

/// A fence as it was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fenced {
    /// Which version of it that was; empty where the cloud counts none.
    pub version: String,
    pub shape: Shape,
    /// What this controller found before it made it what it is now; that is not the cloud's to tell.
    #[serde(default)]
    pub before: Option<Shape>,
}

/// Why a fence was not put into another shape.
#[derive(Debug)]
pub enum Miss {
    /// Somebody else changed it since it was looked at: nothing was done.
    Moved(Fault),
    /// Nothing was done.
    Refused(Fault),
    /// Nobody knows whether it was done.
    Lost(Fault),
}

impl Shape {
    /// Whether both let the same through.
    pub fn is(&self, other: &Self) -> bool {
        let words = |rules: &[Rule]| rules.iter().map(Rule::words).collect::<Vec<_>>();
        match (self, other) {
            (Self::Rules { ingress, egress }, Self::Rules { ingress: other_in, egress: other_out }) => {
                words(ingress) == words(other_in) && words(egress) == words(other_out)
            }
            (Self::Groups(own), Self::Groups(other)) => own == other,
            _ => false,
        }
    }

    /// For one line of a report.
    pub fn words(&self) -> String {
        let all = |rules: &[Rule]| match rules.len() {
            0 => "none".to_owned(),
            1..=6 => rules.iter().map(Rule::words).collect::<Vec<_>>().join(", "),
            many => format!("{many} rules"),
        };
        match self {
            Self::Rules { ingress, egress } => format!("in: {}; out: {}", all(ingress), all(egress)),
            Self::Groups(groups) if groups.is_empty() => "in no group".into(),
            Self::Groups(groups) => format!("in {}", groups.join(", ")),
        }
    }
}

impl Fence {
    /// What it is called in plans, reports and the memory of the controller.
    pub fn name(&self) -> String {
        match self {
            Self::SecurityGroup { id, .. } => format!("security group {id}"),
            Self::Instance { id, .. } => format!("security groups of {id}"),
            Self::NetworkAcl { id, .. } => format!("network ACL {id}"),
        }
    }

    /// What must be allowed to whoever looks at it, and with `set` to whoever changes it.
    pub fn permits(&self, set: bool) -> Vec<Permit> {
        let (look, change) = match self {
            Self::SecurityGroup { region, id, .. } => (
                Permit::anywhere("vpc:DescribeSecurityGroupPolicies"),
                Permit::on("vpc:ModifySecurityGroupPolicies", region, &format!("sg/{id}")),
            ),
            Self::Instance { region, id, .. } => (
                Permit::anywhere("cvm:DescribeInstances"),
                Permit::on("cvm:ModifyInstancesAttribute", region, &format!("instance/{id}")),
            ),
            Self::NetworkAcl { region, id, .. } => (
                Permit::anywhere("vpc:DescribeNetworkAcls"),
                Permit::on_network("vpc:ModifyNetworkAclEntries", region, &format!("acl/{id}")),
            ),
        };
        if set { vec![look, change] } else { vec![look] }
    }

    fn access(&self) -> &Access {
        match self {
            Self::SecurityGroup { access, .. } | Self::Instance { access, .. } | Self::NetworkAcl { access, .. } => {
                access
            }
        }
    }

    /// How it is now.
    pub fn look(&self) -> Later<'_, Result<Fenced>> {
        Box::pin(async move {
            let own = self.clone();
            let client = Client::of(self.access())?;
            let asked = tokio::task::spawn_blocking(move || match &own {
                Self::SecurityGroup { region, id, .. } => policies(&client, region, id),
                Self::NetworkAcl { region, id, .. } => entries(&client, region, id),
                Self::Instance { region, id, .. } => {
                    let shape = Shape::Groups(instance_groups(&client, region, id)?);
                    Ok(Fenced { version: String::new(), shape, before: None })
                }
            });
            let broke = |error: tokio::task::JoinError| Fault::new("the question broke").why(error.to_string());
            asked.await.map_err(broke)?.map_err(Fault::from)
        })
    }

    /// Puts it into this shape, if it still is of the version that was looked at.
    pub fn put<'a>(&'a self, version: &'a str, shape: &'a Shape) -> Later<'a, std::result::Result<(), Miss>> {
        Box::pin(async move {
            let (own, version, shape) = (self.clone(), version.to_owned(), shape.clone());
            let client = Client::of(self.access()).map_err(Miss::Refused)?;
            let sent = tokio::task::spawn_blocking(move || match (&own, &shape) {
                (Self::SecurityGroup { region, id, .. }, Shape::Rules { ingress, egress }) => {
                    set_policies(&client, region, id, &version, ingress, egress)
                }
                (Self::NetworkAcl { region, id, .. }, Shape::Rules { ingress, egress }) => {
                    set_entries(&client, region, id, &version, ingress, egress)
                }
                (Self::Instance { region, id, .. }, Shape::Groups(groups)) => {
                    set_instance_groups(&client, region, id, groups)
                }
                _ => Err(Trouble::Refused {
                    code: String::new(),
                    fault: Fault::new(format!("{} cannot be like this", own.name())),
                }),
            });
            let sent =
                sent.await.map_err(|error| Miss::Lost(Fault::new("the request broke").why(error.to_string())))?;
            sent.map_err(|trouble| match trouble {
                Trouble::Refused { code, fault } if code == MOVED => Miss::Moved(fault),
                Trouble::Refused { fault, .. } => Miss::Refused(fault),
                Trouble::Lost(fault) => Miss::Lost(fault),
            })
        })
    }
}
