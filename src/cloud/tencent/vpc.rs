//! Virtual Private Cloud: the rules of security groups and of network ACLs.

use super::answer::{Trouble, strange};
use super::client::{Client, Product};
use crate::cloud::{Fenced, Rule, Shape};
use crate::fault::Fault;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

const VPC: Product = ("vpc", "2017-03-12");
/// How they say that somebody was faster.
pub const MOVED: &str = "UnsupportedOperation.VersionMismatch";

/// The rules of a security group, in their order.
///
/// # Errors
/// What was said; an answer that is not whole.
pub fn policies(client: &Client, region: &str, group: &str) -> Result<Fenced, Trouble> {
    const ACTION: &str = "DescribeSecurityGroupPolicies";
    let answer = client.ask(VPC, region, ACTION, &json!({"SecurityGroupId": group}))?;
    let strange = |why: &str| strange(region, ACTION, why);
    let set = answer.get("SecurityGroupPolicySet").ok_or_else(|| strange("no `SecurityGroupPolicySet`"))?;
    let version = set.get("Version").and_then(Value::as_str).ok_or_else(|| strange("no `Version`"))?.to_owned();
    let side = |name: &str| {
        let mut all: Vec<&Value> = set.get(name).and_then(Value::as_array).into_iter().flatten().collect();
        all.sort_by_key(|rule| rule.get("PolicyIndex").and_then(Value::as_i64));
        let rules: Option<Vec<Rule>> = all.into_iter().map(Rule::of).collect();
        rules.ok_or_else(|| strange("a rule is none"))
    };
    Ok(Fenced { version, shape: Shape::Rules { ingress: side("Ingress")?, egress: side("Egress")? }, before: None })
}

/// Replaces all rules of a security group, if it is still of this version.
///
/// # Errors
/// `UnsupportedOperation.VersionMismatch`: somebody changed it since.
pub fn set_policies(
    client: &Client,
    region: &str,
    group: &str,
    version: &str,
    ingress: &[Rule],
    egress: &[Rule],
) -> Result<(), Trouble> {
    // To them `0` means: take all rules away, and look at nothing else.
    if version.is_empty() || version.bytes().all(|byte| byte == b'0') {
        let fault =
            Fault::new(format!("the rules of {group} are of version `{version}`, with which they cannot be replaced"));
        let fault = fault.hint("add one rule by hand: that gives it a version");
        return Err(Trouble::Refused { code: String::new(), fault });
    }
    let values = |rules: &[Rule]| rules.iter().map(Rule::value).collect::<Vec<_>>();
    let set = json!({"Version": version, "Ingress": values(ingress), "Egress": values(egress)});
    let body = json!({"SecurityGroupId": group, "SecurityGroupPolicySet": set});
    client.act(VPC, region, "ModifySecurityGroupPolicies", &body).map(drop)
}

/// The entries of a network ACL: those of IPv4 in their order, then those of IPv6, for each has an order of its own. That all else is
/// dropped is the end of every ACL, and is left out.
///
/// # Errors
/// What was said; an answer that is not whole; an ACL of another type.
pub fn entries(client: &Client, region: &str, acl: &str) -> Result<Fenced, Trouble> {
    const ACTION: &str = "DescribeNetworkAcls";
    let answer = client.ask(VPC, region, ACTION, &json!({"NetworkAclIds": [acl]}))?;
    let strange = |why: &str| strange(region, ACTION, why);
    let set = answer.get("NetworkAclSet").and_then(Value::as_array).into_iter().flatten();
    let mut ours = set.filter(|one| one.get("NetworkAclId").and_then(Value::as_str) == Some(acl));
    let found = ours.next().ok_or_else(|| strange("the ACL is not there"))?;
    if found.get("NetworkAclType").and_then(Value::as_str) == Some("QUINTUPLE") {
        // Of these they change single entries, by their numbers, and never all in one go.
        let fault = Fault::new(format!("{acl} is an ACL of five parts (QUINTUPLE), which is not managed here"));
        let fault = fault.why(
            "Tencent replaces its entries one by one, so hosts could be cut off half-way: put an ACL of three parts (TRIPLE) before these subnets, or use `security_group`",
        );
        return Err(Trouble::Refused { code: String::new(), fault });
    }
    let side = |name: &str| {
        // Silence is not an empty list: that would say that nothing gets through.
        let all = found.get(name).and_then(Value::as_array).ok_or_else(|| strange(&format!("no `{name}`")))?;
        let mut all: Vec<&Value> = all.iter().collect();
        all.sort_by_key(|rule| rule.get("Priority").and_then(Value::as_i64));
        let rules: Option<Vec<Rule>> = all.into_iter().map(Rule::of).collect();
        rules.map(in_order).ok_or_else(|| strange("an entry is none"))
    };
    let (ingress, egress) = (side("IngressEntries")?, side("EgressEntries")?);
    let version = made_of(&ingress, &egress);
    Ok(Fenced { version, shape: Shape::Rules { ingress, egress }, before: None })
}

/// Entries as an ACL knows them: IPv4 first, and without what each ends with anyway.
pub fn in_order(rules: Vec<Rule>) -> Vec<Rule> {
    let (six, four): (Vec<Rule>, Vec<Rule>) = rules.into_iter().partition(Rule::is_six);
    let mut all = Vec::new();
    for (mut family, last) in [(four, "drop all 0.0.0.0/0"), (six, "drop all ::/0")] {
        while family.last().is_some_and(|rule| rule.words() == last) {
            family.pop();
        }
        all.extend(family);
    }
    all
}

/// An ACL has no version, so what was read of it is its version.
fn made_of(ingress: &[Rule], egress: &[Rule]) -> String {
    let text = json!([ingress, egress]).to_string();
    Sha256::digest(text).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// Replaces all entries of a network ACL, if it still reads as this version.
///
/// # Errors
/// [`MOVED`]: somebody changed it since.
pub fn set_entries(
    client: &Client,
    region: &str,
    acl: &str,
    version: &str,
    ingress: &[Rule],
    egress: &[Rule],
) -> Result<(), Trouble> {
    // They compare nothing, so it is read once more, just before.
    if entries(client, region, acl)?.version != version {
        let fault = Fault::new(format!("{acl} is not as it was read"));
        return Err(Trouble::Refused { code: MOVED.into(), fault });
    }
    // A side that is not there is left as it is: nothing is said by what says the same.
    let side = |rules: &[Rule]| match rules {
        [] => vec![Rule::new(false, "ALL", None, "0.0.0.0/0").entry().value()],
        rules => rules.iter().map(Rule::value).collect(),
    };
    let body = json!({"NetworkAclId": acl, "NetworkAclEntrySet": {"Ingress": side(ingress), "Egress": side(egress)}});
    client.act(VPC, region, "ModifyNetworkAclEntries", &body).map(drop)
}
