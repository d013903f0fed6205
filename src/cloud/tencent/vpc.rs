//! Virtual Private Cloud: the rules of security groups.

use super::answer::{Trouble, strange};
use super::client::{Client, Product};
use crate::cloud::{Fenced, Rule, Shape};
use crate::fault::Fault;
use serde_json::{Value, json};

const VPC: Product = ("vpc", "2017-03-12");

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
