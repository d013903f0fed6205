//! Values and conditions of Ansible as ours.

use super::write::Yaml;
use crate::yaml::{Node, Value};
use std::collections::BTreeMap;

/// The entries of a list; none where there is no list.
pub fn items(node: Option<&Node>) -> Vec<Node> {
    match node.map(|node| &node.value) {
        Some(Value::List(items)) => items.clone(),
        _ => vec![],
    }
}

/// The texts of a list, or the one text.
pub fn items_or_one(node: Option<&Node>) -> Vec<String> {
    match node.map(|node| &node.value) {
        Some(Value::List(items)) => items.iter().filter_map(Node::text).map(ToOwned::to_owned).collect(),
        Some(Value::Scalar { text, .. }) => vec![text.clone()],
        _ => vec![],
    }
}

/// A list of texts.
pub fn texts(all: &[String]) -> Yaml {
    Yaml::List(all.iter().map(Yaml::of).collect())
}

/// A module's arguments, also of its short form (`name=x state=present`).
pub fn arguments(body: &Node) -> BTreeMap<String, Yaml> {
    match &body.value {
        Value::Map(entries) => entries.iter().map(|(key, value)| (key.text.clone(), yaml(value))).collect(),
        Value::Scalar { text, .. } => {
            let pairs = text.split_whitespace().map(|word| word.split_once('=').unwrap_or(("free form", word)));
            pairs.map(|(name, value)| (name.to_owned(), Yaml::of(value.trim_matches(['"', '\''])))).collect()
        }
        _ => BTreeMap::new(),
    }
}

/// A value as it is written again. Booleans of Ansible are those of YAML 1.1.
pub fn yaml(node: &Node) -> Yaml {
    match &node.value {
        Value::Null => Yaml::Word("null".into()),
        Value::List(items) => Yaml::List(items.iter().map(yaml).collect()),
        Value::Map(entries) => Yaml::Map(entries.iter().map(|(key, value)| (key.text.clone(), yaml(value))).collect()),
        Value::Scalar { text, plain } => match (*plain, boolean(text)) {
            (true, Some(yes)) => Yaml::Word(yes.to_string()),
            (true, None) if text.parse::<u64>().is_ok_and(|_| !text.starts_with('0') || text == "0") => {
                Yaml::Word(text.clone())
            }
            _ => Yaml::of(text),
        },
    }
}

/// Whether a value is one of Ansible Vault, or holds one.
pub fn is_sealed(value: &Yaml) -> bool {
    match value {
        Yaml::Text(text) | Yaml::Word(text) => text.trim_start().starts_with("$ANSIBLE_VAULT"),
        Yaml::List(items) => items.iter().any(is_sealed),
        Yaml::Map(entries) => entries.iter().any(|(_, value)| is_sealed(value)),
    }
}

/// What Ansible takes as true and false.
pub fn boolean(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "yes" | "true" | "on" => Some(true),
        "no" | "false" | "off" => Some(false),
        _ => None,
    }
}

/// A condition that means the same here: comparisons of what the host is, and plain variables that are true or false.
pub fn condition_of(text: &str) -> Result<String, String> {
    let cannot = || format!("the condition `{text}` has no exact counterpart");
    let parts: Vec<String> = text.split(" and ").map(comparison).collect::<Option<_>>().ok_or_else(cannot)?;
    Ok(parts.join(" && "))
}

fn comparison(text: &str) -> Option<String> {
    let text = text.trim();
    let (sign, (left, right)) = ["==", "!="].iter().find_map(|sign| Some((*sign, text.split_once(sign)?)))?;
    let value = right.trim();
    let value = ['"', '\''].iter().find_map(|quote| value.strip_prefix(*quote)?.strip_suffix(*quote))?;
    let fact = left.trim().replace("ansible_facts['", "ansible_facts.").replace("ansible_facts[\"", "ansible_facts.");
    let fact = fact.trim_end_matches("']").trim_end_matches("\"]");
    let name = fact.strip_prefix("ansible_facts.").or_else(|| fact.strip_prefix("ansible_"))?;
    let value = value.to_ascii_lowercase();
    if !value.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return None;
    }
    // Families that are called the same there and here; a distribution by its identifier.
    let field = match name {
        "os_family" if ["debian", "alpine"].contains(&value.as_str()) => "family",
        "distribution" if ["debian", "ubuntu", "fedora", "alpine"].contains(&value.as_str()) => "id",
        _ => return None,
    };
    Some(format!("os.{field} {sign} \"{value}\""))
}

#[cfg(test)]
mod tests {
    use super::condition_of;

    #[test]
    fn conditions_that_mean_the_same() {
        assert_eq!(condition_of("ansible_os_family == 'Debian'").unwrap(), "os.family == \"debian\"");
        let both = "ansible_facts['distribution'] != \"Ubuntu\" and ansible_facts.os_family == 'Debian'";
        assert_eq!(condition_of(both).unwrap(), "os.id != \"ubuntu\" && os.family == \"debian\"");
        for other in [
            "x",
            "x is defined",
            "ansible_os_family == 'RedHat'",
            "ansible_distribution_version == '12'",
            "a or b == 'c'",
        ] {
            assert!(condition_of(other).is_err(), "{other}");
        }
    }
}
