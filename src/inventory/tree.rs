//! Inventories in YAML or JSON: groups with `hosts`, `vars` and `children`; and files of variables.

use super::build::Builder;
use super::{ini, range};
use crate::expr::Scope;
use crate::fault::{Fault, Faults, Place, Source};
use crate::yaml::{self, Key, Node, Value};
use serde_json::Value as Json;
use std::sync::Arc;

/// A document with the rules by which its scalars become values.
pub(super) struct Tree {
    pub node: Node,
    /// It is JSON, which Ansible reads as such: `"1"` and `1` are all there is to tell.
    json: bool,
}

impl Tree {
    /// Reads a document.
    ///
    /// # Errors
    /// Every mistake in the syntax.
    pub fn read(source: &Arc<Source>) -> Result<Self, Faults> {
        let json = source.text.trim_start().starts_with(['{', '['])
            && serde_json::from_str::<serde::de::IgnoredAny>(&source.text).is_ok();
        Ok(Self { node: yaml::parse_ansible(source)?, json })
    }

    fn value(&self, node: &Node) -> Json {
        match &node.value {
            Value::Scalar { text, plain: true } if self.json => {
                serde_json::from_str(text).unwrap_or_else(|_| Json::String(text.clone()))
            }
            Value::Scalar { text, plain: false } if text.starts_with(VAULT) => {
                serde_json::json!({"__ansible_vault": text})
            }
            Value::List(items) => items.iter().map(|item| self.value(item)).collect(),
            Value::Map(entries) => {
                Json::Object(entries.iter().map(|(key, node)| (self.key(key), self.value(node))).collect::<Scope>())
            }
            _ => yaml::to_json_yaml11(node),
        }
    }

    /// A key as Ansible shows it.
    fn key(&self, key: &Key) -> String {
        let plain = !key.place.source.text[key.place.start..].starts_with(['"', '\'']);
        if self.json || !plain || !key.text.starts_with(|c: char| c.is_ascii_digit() || "+-.yYnNtTfFoO~".contains(c)) {
            return key.text.clone();
        }
        let node = Node { value: Value::Scalar { text: key.text.clone(), plain }, place: key.place.clone() };
        match yaml::to_json_yaml11(&node) {
            Json::String(_) if matches!(key.text.as_str(), "~" | "null") => "null".to_owned(),
            Json::String(text) => text,
            other => other.to_string(),
        }
    }

    /// The variables of a `group_vars` or `host_vars` file.
    ///
    /// # Errors
    /// The file is something else than a map.
    pub fn vars(&self) -> Result<Vec<(String, Json, &Place)>, Fault> {
        match &self.node.value {
            Value::Null => Ok(vec![]),
            Value::Map(entries) => {
                Ok(entries.iter().map(|(key, node)| (self.key(key), self.value(node), &node.place)).collect())
            }
            _ => Err(Fault::new(format!("a file of variables is a map, but this is {}", self.node.what()))
                .at(&self.node.place)
                .hint("write `name: value`, one a line")),
        }
    }

    /// Reads an inventory into what is being built.
    pub fn groups(&self, builder: &mut Builder) {
        match &self.node.value {
            Value::Null => {}
            Value::Map(entries) => {
                if let Some((key, _)) = entries.iter().find(|(key, _)| key.text == "plugin") {
                    let fault = Fault::new("this configures a plugin of Ansible, which cannot be run here");
                    let hint = "make an executable that runs `ansible-inventory --list` with it, and give that with -i";
                    return builder.faults.push(fault.at(&key.place).hint(hint));
                }
                for (key, node) in entries {
                    self.group(key, node, builder);
                }
            }
            _ => builder.faults.push(
                Fault::new(format!("an inventory is a map of groups, but this is {}", self.node.what()))
                    .at(&self.node.place)
                    .hint("begin with `all:`, and under it `hosts:`"),
            ),
        }
    }

    fn group(&self, key: &Key, node: &Node, builder: &mut Builder) -> usize {
        let number = builder.add_group(&key.text, Some(&key.place));
        let entries = match &node.value {
            Value::Null => return number,
            Value::Map(entries) => entries,
            _ => {
                let what = format!("the group `{}` is a map, but this is {}", key.text, node.what());
                let hint = "a group has `hosts`, `vars` and `children`, each of them a map";
                builder.faults.push(Fault::new(what).at(&node.place).hint(hint));
                return number;
            }
        };
        for (section, node) in entries {
            match section.text.as_str() {
                "hosts" => self.each(section, node, builder, |key, node, builder| {
                    self.hosts(number, key, node, builder);
                }),
                "vars" => self.each(section, node, builder, |name, node, builder| {
                    builder.set(&key.text, &self.key(name), self.value(node), &node.place);
                }),
                "children" => self.each(section, node, builder, |key, node, builder| {
                    let child = self.group(key, node, builder);
                    builder.add_child(number, child, &key.place);
                }),
                other => {
                    let fault = Fault::new(format!("a group has no `{other}`")).at(&section.place);
                    builder.faults.push(fault.nearest(other, ["hosts", "vars", "children"]));
                }
            }
        }
        number
    }

    /// The entries of a section; one word alone is an entry without anything, as in Ansible.
    fn each(&self, section: &Key, node: &Node, builder: &mut Builder, mut one: impl FnMut(&Key, &Node, &mut Builder)) {
        match &node.value {
            Value::Null => {}
            Value::Map(entries) => entries.iter().for_each(|(key, node)| one(key, node, builder)),
            Value::Scalar { text, .. } if self.value(node).is_string() => {
                let key = Key { text: text.clone(), place: node.place.clone() };
                one(&key, &Node { value: Value::Null, place: node.place.clone() }, builder);
            }
            _ => {
                let what = format!("`{}` is a map, but this is {}", section.text, node.what());
                let hint = match (&node.value, section.text.as_str()) {
                    (Value::List(_), "vars") => "write `name: value` without the dash",
                    (Value::List(_), _) => "write `name:` instead of `- name`",
                    _ => "write one name a line, each with a colon behind it",
                };
                builder.faults.push(Fault::new(what).at(&node.place).hint(hint));
            }
        }
    }

    fn hosts(&self, group: usize, key: &Key, node: &Node, builder: &mut Builder) {
        let (names, port) = match range::expand(&key.text) {
            Ok(found) => found,
            Err(wrong) => return builder.faults.push(ini::wrong_host(wrong).at(&key.place)),
        };
        let vars = match &node.value {
            Value::Null => &[][..],
            Value::Map(entries) => entries,
            _ => {
                let what = format!("the host `{}` is a map of variables, but this is {}", key.text, node.what());
                let hint = "put its variables under it, as `name: value`";
                return builder.faults.push(Fault::new(what).at(&node.place).hint(hint));
            }
        };
        for name in &names {
            builder.add_host(name, group, port, &key.place);
            for (key, node) in vars {
                builder.set(name, &self.key(key), self.value(node), &node.place);
            }
        }
    }
}

/// How a text that Ansible Vault has encrypted begins.
pub(super) const VAULT: &str = "$ANSIBLE_VAULT;";
