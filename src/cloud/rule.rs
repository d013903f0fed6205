//! One rule of a security group or of a network ACL, as the cloud tells it, so that it can be put back whole.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::net::IpAddr;

/// What moves by itself, or is given by the cloud, and is no part of a rule.
const MOVES: [&str; 5] = ["PolicyIndex", "ModifyTime", "Priority", "NetworkAclIpv4EntryId", "NetworkAclIpv6EntryId"];

/// A rule with all that was told of it, but for what is empty.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Rule(Map<String, Value>);

impl Rule {
    /// As an answer holds it; `None`: it is no rule at all.
    pub fn of(told: &Value) -> Option<Self> {
        let mut whole = full(told)?.as_object()?.clone();
        MOVES.iter().for_each(|name| drop(whole.remove(*name)));
        Some(Self(whole))
    }

    /// A rule of ours: `accept` or `drop`, a protocol, a port or `8000-8010` (none is all), an address or a network.
    pub fn new(accept: bool, protocol: &str, port: Option<&str>, net: &str) -> Self {
        let mut whole = Map::new();
        let mut put = |name: &str, value: &str| drop(whole.insert(name.into(), value.into()));
        put("Action", if accept { "ACCEPT" } else { "DROP" });
        put("Protocol", protocol);
        match (port, protocol) {
            (Some(port), _) => put("Port", port),
            // They want it said, and only there.
            (None, "TCP" | "UDP" | "ALL") => put("Port", "ALL"),
            (None, _) => {}
        }
        put(if net.contains(':') { "Ipv6CidrBlock" } else { "CidrBlock" }, net);
        put("PolicyDescription", "steadfast");
        Self(whole)
    }

    /// The same as an entry of a network ACL, which says some of it in other words.
    #[must_use]
    pub fn entry(self) -> Self {
        let mut whole = self.0;
        if let Some(about) = whole.remove("PolicyDescription") {
            whole.insert("Description".into(), about);
        }
        match whole.get("Protocol").and_then(Value::as_str) {
            Some("ALL" | "ICMP") => drop(whole.remove("Port")),
            Some("ICMPv6") => drop(whole.insert("Protocol".into(), "ICMP".into())),
            _ => {}
        }
        Self(whole)
    }

    /// Whether it is about IPv6.
    pub fn is_six(&self) -> bool {
        self.text("Ipv6CidrBlock").is_some()
    }

    /// As it is sent.
    pub fn value(&self) -> Value {
        Value::Object(self.0.clone())
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).and_then(Value::as_str)
    }

    /// Whether it lets through.
    pub fn accepts(&self) -> bool {
        self.text("Action").is_some_and(|action| action.eq_ignore_ascii_case("accept"))
    }

    /// What it does, in one spelling: two rules of the same words are the same rule, whatever is written beside them.
    pub fn words(&self) -> String {
        let lower = |name: &str| self.text(name).map(str::to_lowercase);
        // An ACL has one word for both.
        let protocol =
            lower("Protocol").map(|word| if word == "icmp" && self.is_six() { "icmpv6".into() } else { word });
        let what = match (protocol, self.0.get("ServiceTemplate")) {
            (_, Some(template)) => format!("service {template}"),
            (Some(protocol), None) => match lower("Port").filter(|port| port != "all") {
                Some(port) => format!("{protocol} {port}"),
                None => protocol,
            },
            (None, None) => "all".into(),
        };
        let net = self.text("CidrBlock").or_else(|| self.text("Ipv6CidrBlock"));
        let whom = match (net, self.text("SecurityGroupId"), self.0.get("AddressTemplate")) {
            (Some(net), ..) => spelled(net),
            (None, Some(group), _) => format!("members of {group}"),
            (None, None, Some(template)) => format!("addresses {template}"),
            (None, None, None) => "everybody".into(),
        };
        format!("{} {what} {whom}", if self.accepts() { "accept" } else { "drop" })
    }
}

/// A network in one spelling.
fn spelled(net: &str) -> String {
    let (address, bits) = net.split_once('/').unwrap_or((net, ""));
    let Ok(address) = address.parse::<IpAddr>() else { return net.to_lowercase() };
    let whole = if address.is_ipv4() { "32" } else { "128" };
    if bits.is_empty() || bits == whole { address.to_string() } else { format!("{address}/{bits}") }
}

/// What is there without what is empty.
fn full(value: &Value) -> Option<Value> {
    match value {
        Value::Null => None,
        Value::String(text) if text.is_empty() => None,
        Value::Array(all) if all.is_empty() => None,
        Value::Object(all) => {
            let kept: Map<String, Value> =
                all.iter().filter_map(|(name, value)| Some((name.clone(), full(value)?))).collect();
            (!kept.is_empty()).then_some(Value::Object(kept))
        }
        other => Some(other.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn other_spellings_are_the_same_rule() {
        let told = json!({
            "PolicyIndex": 3, "Protocol": "tcp", "Port": "22", "CidrBlock": "10.0.0.1/32", "Ipv6CidrBlock": "",
            "SecurityGroupId": "", "AddressTemplate": {"AddressId": "", "AddressGroupId": ""}, "Action": "accept",
            "PolicyDescription": "by hand", "ModifyTime": "2026-11-27 02:00:00", "ServiceTemplate": {"ServiceId": ""},
        });
        let rule = Rule::of(&told).unwrap();
        assert_eq!(rule.words(), Rule::new(true, "TCP", Some("22"), "10.0.0.1").words());
        assert_eq!(rule.words(), "accept tcp 22 10.0.0.1");
        // What goes back is what was there.
        assert_eq!(rule.value()["PolicyDescription"], "by hand");
        assert!(rule.value().get("PolicyIndex").is_none() && rule.value().get("AddressTemplate").is_none());
        assert_eq!(Rule::new(false, "ALL", None, "::/0").words(), "drop all ::/0");
        assert_eq!(Rule::new(true, "ICMP", None, "0.0.0.0/0").value().get("Port"), None);
    }

    #[test]
    fn an_entry_of_an_acl_is_told_in_the_words_of_a_rule() {
        let told = json!({
            "Protocol": "tcp", "Port": "22", "CidrBlock": "10.0.0.0/8", "Action": "Accept", "Description": "by hand",
            "ModifyTime": "", "NetworkAclIpv4EntryId": "acli43-dd0lxs1c", "Priority": 1,
        });
        let entry = Rule::of(&told).unwrap();
        assert_eq!(entry.words(), Rule::new(true, "TCP", Some("22"), "10.0.0.0/8").entry().words());
        assert_eq!(entry.value().as_object().unwrap().len(), 5, "no word of theirs goes back: {}", entry.value());
        let all = Rule::new(true, "ALL", None, "::/0").entry();
        assert_eq!((all.value().get("Port"), &all.value()["Description"]), (None, &json!("steadfast")));
        let ping = Rule::new(true, "ICMPv6", None, "::/0");
        assert_eq!(ping.clone().entry().value()["Protocol"], "ICMP");
        assert_eq!(ping.clone().entry().words(), ping.words());
    }

    #[test]
    fn what_we_never_write_is_still_told() {
        let by = |more: Value| {
            let mut told = json!({"Protocol": "TCP", "Port": "ALL", "Action": "DROP"});
            told.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            Rule::of(&told).unwrap().words()
        };
        assert_eq!(by(json!({"SecurityGroupId": "sg-1"})), "drop tcp members of sg-1");
        assert_eq!(
            by(json!({"AddressTemplate": {"AddressId": "ipm-1"}})),
            "drop tcp addresses {\"AddressId\":\"ipm-1\"}"
        );
        assert_eq!(Rule::of(&json!({"PolicyIndex": null})), None);
    }
}
