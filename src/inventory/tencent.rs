//! Inventories that Tencent Cloud keeps: `plugin: tencent`. Its instances become hosts, their tags groups.
//!
//! What the API tells is data that many people may write (whoever may tag, whoever may name): names become groups and
//! hosts only in a form that means nothing anywhere else, and two that would become one are a mistake that is told.

use super::build::Builder;
use super::script;
use crate::cloud::Permit;
use crate::cloud::tencent::{Access, Client, Filter, Instance, instances};
use crate::expr::Scope;
use crate::fault::{Fault, Faults, Place, Result};
use crate::step::Many;
use crate::yaml::{Node, from_node};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::Path;
use std::thread;

/// Such a file.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Wish {
    #[expect(dead_code, reason = "it says what the file is")]
    plugin: Plugin,
    /// Regions such as `ap-guangzhou`.
    region: Many,
    /// What instances must be like, by the names of `DescribeInstances` (`zone`, `vpc-id`, `tag:KEY` …); without
    /// `instance-state` only running ones count.
    #[serde(default)]
    filters: BTreeMap<String, Many>,
    /// By which address hosts are reached: the first of these that an instance has.
    #[serde(default = "private")]
    address: Vec<Address>,
    /// What hosts are called.
    #[serde(default)]
    name: Naming,
    /// What makes groups: `tags` (all of them), `tag:KEY`, `region`, `zone`, `vpc`, `security_group`, `state`.
    #[serde(default = "usual_groups")]
    groups: Many,
    /// Where the key comes from.
    #[serde(default)]
    access: Access,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Plugin {
    Tencent,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Address {
    Private,
    Public,
    Ipv6,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Naming {
    /// The instance's name, where it can be a host's; else its id.
    #[default]
    Name,
    Id,
}

fn private() -> Vec<Address> {
    vec![Address::Private]
}

fn usual_groups() -> Many {
    Many(["tags", "region", "zone"].map(str::to_owned).to_vec())
}

/// What may make groups.
const GROUPS: [&str; 6] = ["tags", "region", "zone", "vpc", "security_group", "state"];
/// As many filters, and values of one, as they take.
const MOST: (usize, usize) = (10, 5);

/// Whether a document is such a file.
pub(super) fn is_meant(node: &Node) -> bool {
    node.get("plugin").and_then(Node::text) == Some("tencent")
}

/// Whether reading this file would ask a cloud; a look at its text alone.
pub fn asks_a_cloud(path: &Path) -> bool {
    let yaml = path.extension().is_some_and(|end| matches!(end.to_str(), Some("yml" | "yaml" | "json")));
    let text = yaml.then(|| crate::fault::read_text(path, 1 << 20).ok()).flatten();
    text.is_some_and(|text| text.contains("plugin") && text.contains("tencent"))
}

/// What reading these inventories must be allowed to do in the account of a cloud.
pub fn permits(sources: &[String]) -> BTreeSet<Permit> {
    let within = |source: &String| {
        let path = Path::new(source);
        let entries = std::fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path());
        entries.chain([path.to_owned()]).any(|path| asks_a_cloud(&path))
    };
    sources.iter().filter(|source| within(source)).map(|_| Permit::anywhere("cvm:DescribeInstances")).collect()
}

/// The JSON Schema of such a file, and what it names.
pub(super) fn schema() -> (Value, Scope) {
    let mut schema = schemars::schema_for!(Wish).to_value();
    let further = schema.as_object_mut().map(|map| {
        map.remove("$schema");
        map.remove("$defs").and_then(|all| all.as_object().cloned())
    });
    (schema, further.flatten().unwrap_or_default())
}

/// Asks for the instances and reads them into what is being built. Gives what was taken over.
pub(super) fn read(node: &Node, builder: &mut Builder) -> String {
    let at = node.get("plugin").map_or(&node.place, |node| &node.place);
    let list = wish(node).and_then(|wish| wish.list(at));
    match list {
        Ok(list) => {
            script::take(&list, at, builder);
            Value::from(list).to_string()
        }
        Err(faults) => {
            builder.faults.extend(faults.into_vec());
            String::new()
        }
    }
}

/// The file as it is meant.
fn wish(node: &Node) -> Result<Wish, Faults> {
    let mut wish: Wish = from_node(node)?;
    let at = |field: &str| node.get(field).map_or(&node.place, |node| &node.place);
    let mut faults = Vec::new();
    let plain = |region: &str| !region.is_empty() && region.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    for region in wish.region.iter().filter(|region| !plain(region)) {
        faults.push(Fault::new(format!("`{region}` is no region")).at(at("region")).hint("as in ap-guangzhou"));
    }
    if wish.region.0.is_empty() {
        faults.push(Fault::new("`region` names no region").at(at("region")));
    }
    if wish.address.is_empty() {
        faults.push(Fault::new("`address` names no address").at(at("address")));
    }
    for group in wish.groups.iter().filter(|group| !GROUPS.contains(group)) {
        if group.strip_prefix("tag:").is_none_or(str::is_empty) {
            let fault = Fault::new(format!("`{group}` makes no groups")).at(at("groups"));
            faults.push(fault.nearest(group, GROUPS.into_iter().chain(["tag:KEY"])));
        }
    }
    if wish.filters.len() > MOST.0 || wish.filters.values().any(|values| values.0.len() > MOST.1) {
        let what = format!("more than {} filters, or one of more than {} values", MOST.0, MOST.1);
        faults.push(Fault::new(what).at(at("filters")).hint("write two files: what they name is put together"));
    }
    // Never where a key may stand that somebody pasted: its line would be shown.
    faults.extend(wish.access.check().err().map(|fault| fault.at(at("plugin"))));
    wish.access = wish.access.anchored(&node.place.source.name);
    Faults::some(faults).map_or(Ok(wish), Err)
}

impl Wish {
    /// The instances as a program's `--list` would tell them.
    fn list(&self, at: &Place) -> Result<Scope, Faults> {
        let mut faults = Vec::new();
        let found = match self.instances() {
            Ok(found) => found,
            Err(told) => {
                faults.extend(told.into_iter().map(|fault| fault.or_at(at)));
                vec![]
            }
        };
        let (mut vars, mut named) = (Scope::new(), BTreeMap::<String, String>::new());
        let mut groups = Groups::default();
        for (region, instance) in &found {
            match self.host(region, instance) {
                Ok((name, scope)) => {
                    if let Some(other) = named.insert(name.clone(), instance.instance_id.clone()) {
                        let fault =
                            Fault::new(format!("{other} and {} are both called `{name}`", instance.instance_id));
                        faults.push(fault.at(at).hint("call one otherwise, or say `name: id`"));
                        continue;
                    }
                    self.join(&name, region, instance, &mut groups);
                    vars.insert(name, scope.into());
                }
                Err(fault) => faults.push(fault.at(at)),
            }
        }
        faults.extend(groups.collisions.into_iter().map(|fault| fault.at(at)));
        let mut list = Scope::new();
        for (name, (_, hosts)) in groups.members {
            list.insert(name, json!({"hosts": hosts}));
        }
        list.insert("_meta".into(), json!({"hostvars": vars}));
        Faults::some(faults).map_or(Ok(list), Err)
    }

    /// All instances with their regions, which are asked side by side.
    fn instances(&self) -> Result<Vec<(&str, Instance)>, Vec<Fault>> {
        let client = Client::of(&self.access).map_err(|fault| vec![fault])?;
        let filter = |(name, values): (&String, &Many)| Filter { name: name.clone(), values: values.0.clone() };
        let filters: Vec<Filter> = self.filters.iter().map(filter).collect();
        let (client, filters) = (&client, &filters);
        let all: Vec<_> = thread::scope(|scope| {
            let ask = |region| (region, scope.spawn(move || instances(client, region, filters)));
            let running: Vec<_> = self.region.iter().map(ask).collect();
            running.into_iter().map(|(region, thread)| (region, thread.join())).collect()
        });
        let (mut found, mut faults) = (Vec::new(), Vec::new());
        for (region, answer) in all {
            match answer {
                Ok(Ok(some)) => found.extend(some.into_iter().map(|instance| (region, instance))),
                Ok(Err(fault)) => faults.push(Fault::from(fault)),
                Err(_) => faults.push(Fault::new(format!("the question for {region} broke"))),
            }
        }
        if !self.filters.contains_key("instance-state") {
            found.retain(|(_, instance)| instance.instance_state == "RUNNING");
        }
        faults.dedup_by(|one, other| one.to_string() == other.to_string());
        if faults.is_empty() { Ok(found) } else { Err(faults) }
    }

    /// A host's name and variables.
    fn host(&self, region: &str, instance: &Instance) -> Result<(String, Scope)> {
        let id = &instance.instance_id;
        if !plain(id) {
            return Err(Fault::new("an instance has an id that is none"));
        }
        let by_name = self.name == Naming::Name && plain(&instance.instance_name);
        let name = if by_name { &instance.instance_name } else { id };
        let address = self.address.iter().find_map(|kind| kind.of(instance)).ok_or_else(|| {
            let kinds: Vec<&str> = self.address.iter().map(|kind| kind.word()).collect();
            let fault = Fault::new(format!("`{name}` ({id}) has no {} address", kinds.join(" or ")));
            fault.hint("say another `address`, or leave it out by `filters`")
        })?;
        let tags: Scope = instance.tags().map(|tag| (tag.key.clone(), tag.value.clone().into())).collect();
        let vars = json!({
            "ansible_host": address.to_string(),
            "tencent_id": id,
            "tencent_name": instance.instance_name,
            "tencent_region": region,
            "tencent_zone": instance.placement.zone,
            "tencent_state": instance.instance_state,
            "tencent_vpc": instance.vpc(),
            "tencent_security_groups": instance.security_groups(),
            "tencent_disks": instance.disks(),
            "tencent_uuid": instance.uuid,
            "tencent_tags": tags,
        });
        Ok((name.clone(), vars.as_object().cloned().unwrap_or_default()))
    }

    /// Puts a host into its groups.
    fn join(&self, host: &str, region: &str, instance: &Instance, groups: &mut Groups) {
        groups.put("tencent", "tencent", host);
        for word in self.groups.iter() {
            match word {
                "region" => groups.named("region", region, host),
                "zone" => groups.named("zone", &instance.placement.zone, host),
                "vpc" => instance.vpc().iter().for_each(|vpc| groups.named("vpc", vpc, host)),
                "security_group" => {
                    instance.security_groups().iter().for_each(|id| groups.named("security_group", id, host));
                }
                "state" => groups.named("state", &instance.instance_state.to_lowercase(), host),
                _ => {
                    let key = word.strip_prefix("tag:");
                    let chosen = instance.tags().filter(|tag| key.is_none_or(|key| key == tag.key));
                    chosen.for_each(|tag| groups.tag(&tag.key, &tag.value, host));
                }
            }
        }
    }
}

/// Groups by their names, each with what it was made of and its hosts.
#[derive(Default)]
struct Groups {
    members: BTreeMap<String, (String, Vec<String>)>,
    collisions: Vec<Fault>,
}

impl Groups {
    fn named(&mut self, word: &str, value: &str, host: &str) {
        self.put(&format!("{word}_{}", sanitized(value)), &format!("the {word} `{value}`"), host);
    }

    fn tag(&mut self, key: &str, value: &str, host: &str) {
        let name = match value {
            "" => format!("tag_{}", sanitized(key)),
            _ => format!("tag_{}_{}", sanitized(key), sanitized(value)),
        };
        self.put(&name, &format!("the tag `{key}={value}`"), host);
    }

    fn put(&mut self, name: &str, of: &str, host: &str) {
        let (made_of, hosts) = self.members.entry(name.to_owned()).or_insert_with(|| (of.to_owned(), vec![]));
        if made_of != of {
            let fault = Fault::new(format!("{made_of} and {of} would both be the group `{name}`"));
            self.collisions.push(fault.hint("say which tags make groups: `groups: [\"tag:KEY\"]`"));
        } else if hosts.last().is_none_or(|last| last != host) {
            hosts.push(host.to_owned());
        }
    }
}

impl Address {
    fn word(self) -> &'static str {
        match self {
            Self::Private => "private",
            Self::Public => "public",
            Self::Ipv6 => "IPv6",
        }
    }

    /// The instance's first address of this sort: what is none is not taken for one.
    fn of(self, instance: &Instance) -> Option<IpAddr> {
        let all = match self {
            Self::Private => &instance.private_ip_addresses,
            Self::Public => &instance.public_ip_addresses,
            Self::Ipv6 => &instance.ipv6_addresses,
        };
        all.iter().flatten().find_map(|text| text.parse().ok())
    }
}

/// Whether a text can be a host's name: it is no option, no pattern, no path and no range.
fn plain(name: &str) -> bool {
    name.len() <= 128
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'))
}

/// Letters and digits of all scripts stay; everything else, what steers a terminal or a pattern first of all, is `_`.
fn sanitized(text: &str) -> String {
    text.chars().map(|c| if c.is_alphanumeric() || c == '_' { c } else { '_' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_wrote_becomes_harmless_names() {
        assert_eq!(sanitized("role:web,!db\u{202e}\n&*"), "role_web__db____");
        assert_eq!(sanitized("网站 1"), "网站_1");
        for bad in ["", "-oProxyCommand=x", "a b", "web[01:20]", "../x", "a:22", "未命名", "web\n"] {
            assert!(!plain(bad), "{bad:?}");
        }
        assert!(plain("web-1.prod_a"));
    }

    #[test]
    fn two_tags_that_would_be_one_group_are_told() {
        let mut groups = Groups::default();
        groups.tag("role", "web-1", "a");
        groups.tag("role", "web-1", "b");
        assert!(groups.collisions.is_empty());
        groups.tag("role", "web_1", "c");
        assert_eq!(groups.collisions.len(), 1);
        assert_eq!(groups.members["tag_role_web_1"].1, ["a", "b"]);
    }
}
