//! The stand-in's security groups: versions, whole replacement, and a hook that makes the rules real somewhere.

use super::acls;
use super::fake::{State, error};
use serde_json::{Value, json};
use std::process::Command;

/// A security group as they keep it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Group {
    pub version: u64,
    pub ingress: Vec<Value>,
    pub egress: Vec<Value>,
}

/// Actions of the product of networks.
pub const OF_NETWORKS: [&str; 4] =
    ["DescribeSecurityGroupPolicies", "ModifySecurityGroupPolicies", "DescribeNetworkAcls", "ModifyNetworkAclEntries"];

/// A rule as it is kept; with empty fields and numbers, as theirs are told.
pub fn rule(action: &str, protocol: &str, port: &str, net: &str, about: &str) -> Value {
    let six = net.contains(':');
    json!({
        "PolicyIndex": 0, "Protocol": protocol, "Port": port, "ServiceTemplate": {"ServiceId": "", "ServiceGroupId": ""},
        "CidrBlock": if six { "" } else { net }, "Ipv6CidrBlock": if six { net } else { "" }, "SecurityGroupId": "",
        "AddressTemplate": {"AddressId": "", "AddressGroupId": ""}, "Action": action, "PolicyDescription": about,
        "ModifyTime": "2026-11-01 08:00:00",
    })
}

impl State {
    /// What is asked of networks and of membership; `None`: it is another's to answer.
    pub fn networks(&mut self, action: &str, body: &Value) -> Option<Value> {
        match action {
            "ModifyInstancesAttribute" => Some(self.join(body)),
            "DescribeSecurityGroupPolicies" => {
                let Some(group) = self.group(body) else { return Some(error("ResourceNotFound", "no such group")) };
                let told = |rules: &[Value]| {
                    let one = |(n, rule): (usize, &Value)| {
                        let mut rule = rule.clone();
                        rule["PolicyIndex"] = n.into();
                        rule
                    };
                    rules.iter().enumerate().map(one).collect::<Vec<_>>()
                };
                // Not in their order: whoever reads must sort.
                let mut ingress = told(&group.ingress);
                ingress.reverse();
                let set =
                    json!({"Version": group.version.to_string(), "Ingress": ingress, "Egress": told(&group.egress)});
                Some(json!({"SecurityGroupPolicySet": set, "RequestId": "r"}))
            }
            "ModifySecurityGroupPolicies" => Some(self.modify(body)),
            "DescribeNetworkAcls" => Some(self.told_acls(body)),
            "ModifyNetworkAclEntries" => Some(self.modify_acl(body)),
            _ => None,
        }
    }

    fn group(&mut self, body: &Value) -> Option<&mut Group> {
        self.groups.get_mut(body["SecurityGroupId"].as_str()?)
    }

    fn modify(&mut self, body: &Value) -> Value {
        let set = &body["SecurityGroupPolicySet"];
        let unknown =
            set.as_object().unwrap().keys().find(|key| !["Version", "Ingress", "Egress"].contains(&key.as_str()));
        if let Some(unknown) = unknown {
            return error("UnknownParameter", unknown);
        }
        if self.sneak > 0 {
            self.sneak -= 1;
            let about = self.sneaks_rules.then(|| rule("DROP", "udp", "53", "192.0.2.99/32", "in a hurry"));
            let group = self.group(body).unwrap();
            group.version += 1;
            group.ingress.extend(about);
        }
        let Some(group) = self.group(body) else { return error("ResourceNotFound", "no such group") };
        match set["Version"].as_str() {
            None if !set["Version"].is_null() => return error("InvalidParameterValue", "Version is a string"),
            // As documented: everything goes, and nothing else is looked at.
            Some("0") => {
                *group = Group { version: group.version + 1, ..Group::default() };
                self.enforce();
                return json!({"RequestId": "r"});
            }
            Some(version) if version != group.version.to_string() => {
                return error("UnsupportedOperation.VersionMismatch", "the version is not the latest");
            }
            _ => {}
        }
        let side = |name: &str| set[name].as_array().into_iter().flatten().map(kept).collect::<Result<Vec<_>, _>>();
        let (ingress, egress) = match (side("Ingress"), side("Egress")) {
            (Ok(ingress), Ok(egress)) => (ingress, egress),
            (Err(why), _) | (_, Err(why)) => return error("InvalidParameterValue", &why),
        };
        if ingress.len() > 100 || egress.len() > 100 {
            return error("LimitExceeded", "too many rules");
        }
        *group = Group { version: group.version + 1, ingress, egress };
        self.enforce();
        json!({"RequestId": "r"})
    }

    fn join(&mut self, body: &Value) -> Value {
        let groups: Vec<String> =
            body["SecurityGroups"].as_array().unwrap().iter().map(|id| id.as_str().unwrap().to_owned()).collect();
        if let Some(none) = groups.iter().find(|id| !self.groups.contains_key(*id)) {
            return error("InvalidSecurityGroupId.NotFound", none);
        }
        for id in body["InstanceIds"].as_array().unwrap() {
            self.members.insert(id.as_str().unwrap().to_owned(), groups.clone());
        }
        self.enforce();
        json!({"RequestId": "r"})
    }

    /// Makes what the groups say true where it is to be.
    pub fn enforce(&mut self) {
        let Some((space, instance, seen_as)) = self.wall.clone() else { return };
        let groups = self.members.get(&instance).cloned().unwrap_or_default();
        let rules = groups.iter().filter_map(|id| self.groups.get(id)).flat_map(|group| &group.ingress);
        let lines: String = rules.map(|rule| line(rule, "saddr", seen_as)).collect();
        let acls = acls::table(&self.acls, seen_as);
        let text = format!(
            "{acls}table inet cloud {{}}\ndelete table inet cloud\ntable inet cloud {{\nchain in {{\n\
             type filter hook input priority -390; policy drop;\niifname \"lo\" accept\n\
             ct state established,related accept\n{lines}}}\n}}\n"
        );
        let path = std::env::temp_dir().join(format!("{space}.nft"));
        std::fs::write(&path, text).unwrap();
        let done = Command::new("ip").args(["netns", "exec", &space, "nft", "-f"]).arg(&path).output().unwrap();
        let _ = std::fs::remove_file(&path);
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }
}

/// A rule as they keep it, or why they refuse it.
fn kept(sent: &Value) -> Result<Value, String> {
    let text = |name: &str| sent[name].as_str().unwrap_or_default();
    let (protocol, action) = (text("Protocol").to_lowercase(), text("Action").to_uppercase());
    let nets: Vec<&str> =
        ["CidrBlock", "Ipv6CidrBlock", "SecurityGroupId"].into_iter().map(text).filter(|net| !net.is_empty()).collect();
    if nets.len() != 1 {
        return Err("one of CidrBlock, Ipv6CidrBlock and SecurityGroupId".into());
    }
    if !["ACCEPT", "DROP"].contains(&action.as_str()) {
        return Err("Action".into());
    }
    let is_port = |port: &str| port.parse::<u16>().is_ok();
    let port = text("Port");
    let fits = match protocol.as_str() {
        "tcp" | "udp" => {
            port.eq_ignore_ascii_case("all")
                || is_port(port)
                || port.split_once('-').is_some_and(|(from, to)| is_port(from) && is_port(to))
        }
        "all" => port.eq_ignore_ascii_case("all"),
        "icmp" | "icmpv6" | "gre" => port.is_empty() || port.eq_ignore_ascii_case("all"),
        _ => false,
    };
    if !fits {
        return Err(format!("Port {port} of {protocol}"));
    }
    let port = if port.is_empty() { "ALL" } else { port };
    let mut whole = rule(&action, &protocol, port, text("CidrBlock"), text("PolicyDescription"));
    whole["Ipv6CidrBlock"] = text("Ipv6CidrBlock").into();
    whole["SecurityGroupId"] = text("SecurityGroupId").into();
    if text("CidrBlock").is_empty() {
        whole["CidrBlock"] = "".into();
    }
    Ok(whole)
}

/// A rule for nft. With `seen_as`, addresses behind a translation: nobody comes from where a rule says.
pub fn line(rule: &Value, side: &str, seen_as_another: bool) -> String {
    let text = |name: &str| rule[name].as_str().unwrap_or_default();
    let verdict = if text("Action") == "ACCEPT" { "accept" } else { "drop" };
    let (four, six) = (text("CidrBlock"), text("Ipv6CidrBlock"));
    let whom = match (four, six) {
        ("0.0.0.0/0", _) => "meta nfproto ipv4".to_owned(),
        (_, "::/0") => "meta nfproto ipv6".to_owned(),
        _ if seen_as_another => return String::new(),
        ("", "") => return String::new(),
        ("", net) => format!("ip6 {side} {net}"),
        (net, _) => format!("ip {side} {net}"),
    };
    let what = match (text("Protocol"), text("Port")) {
        (protocol @ ("tcp" | "udp"), port) if !port.eq_ignore_ascii_case("all") => format!("{protocol} dport {port}"),
        ("all", _) => String::new(),
        ("icmpv6", _) => "meta l4proto ipv6-icmp".into(),
        (protocol, _) => format!("meta l4proto {protocol}"),
    };
    format!("{whom} {what} {verdict}\n")
}
