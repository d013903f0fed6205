//! What somebody must be allowed to do in an account, as a policy of CAM.

use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// One action on one resource.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Permit {
    /// `vpc:DescribeSecurityGroupPolicies`
    pub action: String,
    /// `qcs::cvm:ap-guangzhou::sg/sg-1a2b3c4d`, or `*`.
    pub resource: String,
}

impl Permit {
    /// On everything: who only lists cannot be held to one resource.
    pub fn anywhere(action: &str) -> Self {
        Self { action: action.into(), resource: "*".into() }
    }

    /// On one resource of a region: `instance/ins-1`, `sg/sg-1`, `volume/disk-1`.
    pub fn on(action: &str, region: &str, resource: &str) -> Self {
        Self { action: action.into(), resource: format!("qcs::cvm:{region}::{resource}") }
    }

    /// On one resource of the networks of a region: `acl/acl-1`.
    pub fn on_network(action: &str, region: &str, resource: &str) -> Self {
        Self { action: action.into(), resource: format!("qcs::vpc:{region}::{resource}") }
    }
}

/// The policy that allows these and nothing else.
pub fn policy(permits: &BTreeSet<Permit>) -> Value {
    let anywhere: BTreeSet<&str> =
        permits.iter().filter(|one| one.resource == "*").map(|one| one.action.as_str()).collect();
    let mut by: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for Permit { action, resource } in permits {
        // What is allowed everywhere is so here too.
        if resource == "*" || !anywhere.contains(action.as_str()) {
            by.entry(resource).or_default().insert(action);
        }
    }
    // Resources with the same actions are one statement.
    let mut statements: BTreeMap<BTreeSet<&str>, Vec<&str>> = BTreeMap::new();
    by.into_iter().for_each(|(resource, actions)| statements.entry(actions).or_default().push(resource));
    let statement = |(actions, resources): (BTreeSet<&str>, Vec<&str>)| json!({"effect": "allow", "action": actions, "resource": resources});
    json!({"version": "2.0", "statement": statements.into_iter().map(statement).collect::<Vec<_>>()})
}
