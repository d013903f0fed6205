//! The stand-in's network ACLs: no versions, a side that is not sent stays, and nothing remembers a connection.

use super::fake::{State, error};
use super::groups::line;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// A network ACL as they keep it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Acl {
    /// Of five parts instead of three.
    pub five: bool,
    pub ingress: Vec<Value>,
    pub egress: Vec<Value>,
}

/// An entry as it is kept.
pub fn entry(action: &str, protocol: &str, port: &str, net: &str, about: &str) -> Value {
    let family = if net.contains(':') { "Ipv6CidrBlock" } else { "CidrBlock" };
    let mut entry = json!({"Protocol": protocol, family: net, "Action": action, "Description": about});
    if !port.is_empty() {
        entry["Port"] = port.into();
    }
    entry
}

/// With what moves by itself: each family is counted for itself, and ends with an entry of theirs.
fn told(entries: &[Value]) -> Vec<Value> {
    let last = ["0.0.0.0/0", "::/0"].map(|net| entry("Drop", "all", "", net, ""));
    let mut counts = [0, 0];
    let one = |kept: &Value| {
        let six = kept.get("Ipv6CidrBlock").is_some();
        counts[usize::from(six)] += 1;
        let (id, count) =
            (if six { "NetworkAclIpv6EntryId" } else { "NetworkAclIpv4EntryId" }, counts[usize::from(six)]);
        let mut told = kept.clone();
        (told["Priority"], told[id], told["ModifyTime"]) = (count.into(), format!("acli-{count}").into(), "".into());
        told
    };
    let mut all: Vec<Value> = entries.iter().chain(&last).map(one).collect();
    // Not in their order: whoever reads must sort.
    all.reverse();
    all
}

impl State {
    pub fn told_acls(&self, body: &Value) -> Value {
        let ids = body["NetworkAclIds"].as_array().unwrap().iter().filter_map(Value::as_str);
        let one = |id: &str| {
            let acl = self.acls.get(id)?;
            let entries = |side: &[Value]| if acl.five { vec![] } else { told(side) };
            Some(json!({
                "NetworkAclId": id, "VpcId": "vpc-1", "NetworkAclName": "demo", "SubnetSet": [],
                "NetworkAclType": if acl.five { "QUINTUPLE" } else { "TRIPLE" },
                "IngressEntries": entries(&acl.ingress), "EgressEntries": entries(&acl.egress),
            }))
        };
        let found: Vec<Value> = ids.filter_map(one).collect();
        json!({"TotalCount": found.len(), "NetworkAclSet": found, "RequestId": "r"})
    }

    pub fn modify_acl(&mut self, body: &Value) -> Value {
        let id = body["NetworkAclId"].as_str().unwrap().to_owned();
        let set = body["NetworkAclEntrySet"].as_object().unwrap();
        let known = |map: &serde_json::Map<String, Value>, names: &[&str]| {
            map.keys().find(|key| !names.contains(&key.as_str())).cloned()
        };
        if let Some(unknown) = known(set, &["Ingress", "Egress"]) {
            return error("UnknownParameter", &unknown);
        }
        let Some(acl) = self.acls.get_mut(&id) else { return error("ResourceNotFound", "no such ACL") };
        for (side, kept) in [("Ingress", &mut acl.ingress), ("Egress", &mut acl.egress)] {
            // As documented: only a side that is passed is reset.
            let Some(sent) = set.get(side).and_then(Value::as_array).filter(|sent| !sent.is_empty()) else { continue };
            for entry in sent {
                let names = ["Protocol", "Port", "CidrBlock", "Ipv6CidrBlock", "Action", "Description"];
                if let Some(unknown) = known(entry.as_object().unwrap(), &names) {
                    return error("UnknownParameter", &unknown);
                }
                if let Err(why) = fits(entry) {
                    return error("InvalidParameterValue", &why);
                }
            }
            kept.clone_from(sent);
        }
        self.enforce();
        json!({"RequestId": "r"})
    }
}

fn fits(entry: &Value) -> Result<(), String> {
    let text = |name: &str| entry[name].as_str().unwrap_or_default();
    let protocol = text("Protocol").to_lowercase();
    if text("CidrBlock").is_empty() == text("Ipv6CidrBlock").is_empty() {
        return Err("one of CidrBlock and Ipv6CidrBlock".into());
    }
    if !["accept", "drop"].contains(&text("Action").to_lowercase().as_str()) {
        return Err("Action".into());
    }
    let is_port = |port: &str| port.parse::<u16>().is_ok();
    let port = text("Port");
    let ports = is_port(port) || port.split_once('-').is_some_and(|(a, b)| is_port(a) && is_port(b));
    match protocol.as_str() {
        "tcp" | "udp" if ports || port.eq_ignore_ascii_case("all") => Ok(()),
        "all" | "icmp" if port.is_empty() => Ok(()),
        _ => Err(format!("Port {port} of {protocol}")),
    }
}

/// The ACLs for nft, or that there are none.
pub fn table(acls: &BTreeMap<String, Acl>, seen_as_another: bool) -> String {
    let gone = "table inet acl {}\ndelete table inet acl\n".to_owned();
    let Some(acl) = acls.values().next() else { return gone };
    let lines = |entries: &[Value], side: &str| -> String {
        let one = |entry: &Value| {
            let mut rule = entry.clone();
            for (field, text) in [("Protocol", "all"), ("Port", "ALL"), ("CidrBlock", ""), ("Ipv6CidrBlock", "")] {
                if rule[field].is_null() {
                    rule[field] = text.into();
                }
            }
            rule["Protocol"] = rule["Protocol"].as_str().unwrap().to_lowercase().into();
            rule["Action"] = rule["Action"].as_str().unwrap().to_uppercase().into();
            line(&rule, side, seen_as_another)
        };
        entries.iter().map(one).collect()
    };
    let chain = |name: &str, hook: &str, interface: &str, lines: String| {
        format!(
            "chain {name} {{\ntype filter hook {hook} priority -395; policy drop;\n{interface} \"lo\" accept\n\
             icmpv6 type {{ nd-neighbor-solicit, nd-neighbor-advert }} accept\n{lines}}}\n"
        )
    };
    let inward = chain("in", "input", "iifname", lines(&acl.ingress, "saddr"));
    let outward = chain("out", "output", "oifname", lines(&acl.egress, "daddr"));
    format!("{gone}table inet acl {{\n{inward}{outward}}}\n")
}
