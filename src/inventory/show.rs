//! An inventory told: as `ansible-inventory` tells it, and what may stand in one.

use super::Inventory;
use crate::expr::Scope;
use crate::fault::{Fault, Result};
use serde_json::{Value, json};
use std::collections::HashSet;

/// Names that Ansible gives itself and does not show.
const INTERNAL: [&str; 33] = [
    "ansible_async_path",
    "ansible_collection_name",
    "ansible_config_file",
    "ansible_dependent_role_names",
    "ansible_diff_mode",
    "ansible_facts",
    "ansible_forks",
    "ansible_inventory_sources",
    "ansible_limit",
    "ansible_play_batch",
    "ansible_play_hosts",
    "ansible_play_hosts_all",
    "ansible_play_role_names",
    "ansible_playbook_python",
    "ansible_role_name",
    "ansible_role_names",
    "ansible_run_tags",
    "ansible_skip_tags",
    "ansible_verbosity",
    "ansible_version",
    "inventory_dir",
    "inventory_file",
    "inventory_hostname",
    "inventory_hostname_short",
    "groups",
    "group_names",
    "hostvars",
    "playbook_dir",
    "play_hosts",
    "role_name",
    "role_names",
    "role_path",
    "role_uuid",
];

impl Inventory {
    /// Groups and the hosts' variables, as `ansible-inventory --list` prints them.
    pub fn list(&self) -> Value {
        let mut list = Scope::new();
        let mut open = vec!["all"];
        let mut seen = HashSet::from(["all"]);
        while let Some(group) = open.pop().and_then(|name| Some((name, self.groups.get(name)?))) {
            let (name, group) = group;
            let mut entry = Scope::new();
            if name != "all" && !group.hosts.is_empty() {
                entry.insert("hosts".to_owned(), json!(group.hosts));
            }
            if !group.children.is_empty() {
                entry.insert("children".to_owned(), json!(group.children));
            }
            if !entry.is_empty() {
                list.insert(name.to_owned(), entry.into());
            }
            open.extend(group.children.iter().map(String::as_str).filter(|child| seen.insert(child)));
        }
        let vars = self.hosts.iter().map(|host| (host.name.clone(), shown(&host.vars)));
        let vars: Scope = vars.filter(|(_, vars)| vars.as_object().is_some_and(|vars| !vars.is_empty())).collect();
        list.insert("_meta".to_owned(), json!({"hostvars": vars, "profile": "inventory_legacy"}));
        list.sort_keys();
        list.into()
    }

    /// The variables of a host, as `ansible-inventory --host` prints them.
    ///
    /// # Errors
    /// There is no such host; the nearest name is told.
    pub fn host_vars(&self, name: &str) -> Result<Value> {
        match self.host(name) {
            Some(host) => Ok(shown(&host.vars)),
            None => Err(Fault::new(format!("no host is called `{name}`"))
                .nearest(name, self.hosts.iter().map(|host| host.name.as_str()))),
        }
    }

    /// A group with all below it as a tree, as `ansible-inventory --graph` prints it; of an unknown group its name alone.
    pub fn graph(&self, group: &str) -> String {
        let mut lines = Vec::new();
        self.branch(group, 0, &mut lines);
        lines.join("\n")
    }

    fn branch(&self, name: &str, depth: usize, lines: &mut Vec<String>) {
        let line = |text: &str, depth: usize| match depth {
            0 => text.to_owned(),
            _ => format!("{}--{text}", "  |".repeat(depth)),
        };
        lines.push(line(&format!("@{name}:"), depth));
        let Some(group) = self.groups.get(name) else { return };
        for child in &group.children {
            self.branch(child, depth + 1, lines);
        }
        if name != "all" {
            lines.extend(group.hosts.iter().map(|host| line(host, depth + 1)));
        }
    }
}

fn shown(vars: &Scope) -> Value {
    let mut shown: Scope =
        vars.iter().filter(|(key, _)| !INTERNAL.contains(&key.as_str())).map(|(k, v)| (k.clone(), v.clone())).collect();
    shown.sort_keys();
    shown.into()
}

/// The JSON Schema of an inventory in YAML, for editors.
pub fn schema() -> Value {
    let port = json!({"type": ["integer", "string"], "description": "Port of the ssh server, from 1 to 65535."});
    let text = |about: &str| json!({"type": "string", "description": about});
    let vars = json!({
        "type": ["object", "null"],
        "description": "Variables; those named here say how to connect, all others are yours.",
        "properties": {
            "ansible_host": text("Name or address to connect to, if it is not the host's name."),
            "ansible_port": port,
            "ansible_user": text("User to log in as."),
            "ansible_connection": text("`ssh`, or `local` for this machine."),
            "ansible_ssh_private_key_file": text("Private key to log in with."),
            "ansible_ssh_common_args": text("More options for ssh, such as `-J bastion`."),
            "ansible_ssh_extra_args": text("More options for ssh, after the common ones."),
            "ansible_become": {"type": ["boolean", "string", "integer"], "description": "Whether to become root by sudo."},
            "ansible_become_user": text("Only `root`."),
            "ansible_become_method": text("Only `sudo`."),
            "ssh_known_hosts_file": text("A known_hosts file of this host's own."),
        },
    });
    let (tencent, further) = super::tencent::schema();
    let mut schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Inventory",
        "description": "Hosts in groups, with their variables; or where a cloud is asked for them.",
        "type": ["object", "null"],
        "if": {"type": "object", "required": ["plugin"]},
        "then": {"$ref": "#/$defs/tencent"},
        "else": {"additionalProperties": {"$ref": "#/$defs/group"}},
        "$defs": {
            "tencent": tencent,
            "vars": vars,
            "group": {
                "type": ["object", "null"],
                "additionalProperties": false,
                "properties": {
                    "hosts": {
                        "type": ["object", "string", "null"],
                        "description": "Hosts by name; `web[01:20]` is a range, `name:port` gives a port.",
                        "additionalProperties": {"$ref": "#/$defs/vars"},
                    },
                    "vars": {"$ref": "#/$defs/vars"},
                    "children": {
                        "type": ["object", "string", "null"],
                        "description": "Groups in this group.",
                        "additionalProperties": {"$ref": "#/$defs/group"},
                    },
                },
            },
        },
    });
    if let Some(all) = schema["$defs"].as_object_mut() {
        all.extend(further);
    }
    schema
}
