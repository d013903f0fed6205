//! Words that several kinds share.

use crate::fact::{Facts, Gap};
use crate::fault::{Fault, Place};
use crate::yaml::{Node, Value};
use globset::Glob;
use serde::{Deserialize, Deserializer, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Permission bits, written as octal digits (`"0600"`, `0600`, `0o600` and `600` are the same) or as `u=rw,g=r,o=`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, schemars::JsonSchema)]
#[schemars(with = "String")]
pub struct Mode(pub u32);

impl Mode {
    /// # Errors
    /// A sentence that says what a mode looks like.
    pub fn parse(text: &str) -> Result<Self, String> {
        let digits = text.strip_prefix("0o").unwrap_or(text);
        if !digits.is_empty() && digits.len() <= 5 && digits.bytes().all(|b| (b'0'..=b'7').contains(&b)) {
            let bits = u32::from_str_radix(digits, 8).map_err(|e| e.to_string())?;
            if bits <= 0o7777 {
                return Ok(Self(bits));
            }
        }
        symbolic(text).map(Self).ok_or_else(|| {
            format!(
                "`{text}` is no mode: write octal digits such as \"0640\", or u=rw,g=r,o= with all three of u, g and o"
            )
        })
    }
}

/// `u=rwx,g=rx,o=`: all three must be said, so that the result does not depend on what is found.
fn symbolic(text: &str) -> Option<u32> {
    let mut bits = [None::<u32>; 3];
    for part in text.split(',') {
        let (who, what) = part.split_once('=')?;
        let mut value = 0;
        let mut special = 0;
        for letter in what.chars() {
            match letter {
                'r' => value |= 4,
                'w' => value |= 2,
                'x' => value |= 1,
                's' => special |= 1,
                't' => special |= 2,
                _ => return None,
            }
        }
        for class in who.chars() {
            let (slot, shift, set) = match class {
                'u' => (0, 6, (special & 1) << 11),
                'g' => (1, 3, (special & 1) << 10),
                'o' => (2, 0, (special & 2) << 8),
                _ => return None,
            };
            bits[slot] = Some((value << shift) | set);
        }
    }
    Some(bits[0]? | bits[1]? | bits[2]?)
}

impl std::fmt::Display for Mode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:04o}", self.0)
    }
}

impl<'de> Deserialize<'de> for Mode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

impl Serialize for Mode {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Where a field stands, or the whole body when it does not say it.
pub fn place<'n>(body: &'n Node, field: &str) -> &'n Place {
    body.get(field).map_or(&body.place, |node| &node.place)
}

/// Variables of a script. One that holds a secret is the shell's alone: what is exported can be read in the environment
/// of every program that the script starts.
#[derive(Debug, Clone, PartialEq, Eq, Default, schemars::JsonSchema)]
#[schemars(with = "BTreeMap<String, String>")]
pub struct Env {
    pub values: BTreeMap<String, String>,
    /// The names of those that hold a secret; settled once, so that the text of a script stays what it is.
    secret: BTreeSet<String>,
}

impl<'de> Deserialize<'de> for Env {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let values = BTreeMap::<String, String>::deserialize(deserializer)?;
        let secret = values.iter().filter(|(_, value)| crate::secret::holds(value)).map(|(name, _)| name.clone());
        Ok(Self { secret: secret.collect(), values })
    }
}

impl Env {
    /// Shell text with its variables set before it, each from a quoted literal.
    pub fn before(&self, text: &str) -> String {
        let set = self.values.iter().map(|(name, value)| {
            let value = crate::host::quote(value);
            // A name that came from outside is exported until it is unset.
            if self.secret.contains(name) {
                format!("unset {name}; {name}={value}\n")
            } else {
                format!("{name}={value}; export {name}\n")
            }
        });
        set.collect::<String>() + text
    }

    /// The same for a text that is kept on the host: without secrets.
    pub fn before_kept(&self, text: &str) -> String {
        let values = self.values.iter().filter(|(name, _)| !self.secret.contains(*name));
        let values = values.map(|(name, value)| (name.clone(), value.clone())).collect();
        Self { values, secret: BTreeSet::new() }.before(text)
    }

    /// A variable with a secret that a text speaks of.
    pub fn secret_in(&self, text: &str) -> Option<&str> {
        let speaks = |name: &&String| text.contains(&format!("${name}")) || text.contains(&format!("${{{name}"));
        self.secret.iter().find(speaks).map(String::as_str)
    }
}

/// The names under `env` that are none, and values that no variable can hold.
pub fn env_faults(body: &Node, env: &BTreeMap<String, String>) -> Vec<Fault> {
    let name = |name: &str| {
        !name.starts_with(|c: char| c.is_ascii_digit())
            && !name.is_empty()
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
    };
    let entries = match body.get("env").map(|node| &node.value) {
        Some(Value::Map(entries)) => entries.as_slice(),
        _ => &[],
    };
    let mut faults = Vec::new();
    for (key, node) in entries {
        if !name(&key.text) {
            faults.push(Fault::new(format!("`{}` cannot be the name of a variable", key.text)).at(&key.place));
        }
        if env.get(&key.text).is_some_and(|value| value.contains('\0')) {
            faults.push(Fault::new("a variable cannot hold a zero byte").at(&node.place));
        }
    }
    faults
}

/// Whether the host is a container, whose kernel is the machine's.
///
/// # Errors
/// The system could not be read.
pub fn container(found: &Facts) -> Result<bool, Gap> {
    const MACHINES: [&str; 11] =
        ["", "none", "kvm", "qemu", "amazon", "vmware", "oracle", "xen", "parallels", "microsoft", "wsl"];
    Ok(!MACHINES.contains(&found.os()?.virtualization.as_str()))
}

/// Whether something is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Presence {
    #[default]
    Present,
    Absent,
}

/// One thing or a list of things.
#[derive(Debug, Clone, PartialEq, Eq, Default, schemars::JsonSchema)]
#[schemars(with = "OneOrManySchema")]
pub struct Many(pub Vec<String>);

#[derive(schemars::JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "only its schema is used")]
enum OneOrManySchema {
    One(String),
    Many(Vec<String>),
}

impl Many {
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// Whether a path, or its last name, is among those that these globs mean.
    pub fn covers(&self, path: &str) -> bool {
        let name = path.rsplit('/').next().unwrap_or(path);
        let globs = self.0.iter().filter_map(|glob| Glob::new(glob).ok());
        globs.map(|glob| glob.compile_matcher()).any(|glob| glob.is_match(name) || glob.is_match(path))
    }

    /// The faults of a field that holds names: none at all where one is needed, and names that `good` refuses.
    pub fn faults(&self, body: &Node, field: &str, good: fn(&str) -> bool) -> Vec<Fault> {
        let at = |n: usize| match body.get(field).map(|node| &node.value) {
            Some(Value::List(items)) => items.get(n).map_or(place(body, field), |item| &item.place),
            _ => place(body, field),
        };
        let wrong = |(n, name): (usize, &String)| {
            (!good(name)).then(|| Fault::new(format!("`{name}` cannot stand under `{field}`")).at(at(n)))
        };
        let mut faults: Vec<Fault> = self.0.iter().enumerate().filter_map(wrong).collect();
        if self.0.is_empty() && body.get(field).is_some() {
            faults.push(Fault::new(format!("`{field}` names nothing")).at(place(body, field)));
        }
        faults
    }
}

impl<'de> Deserialize<'de> for Many {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Many;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("text or a list of texts")
            }
            fn visit_str<E>(self, text: &str) -> Result<Many, E> {
                Ok(Many(vec![text.to_owned()]))
            }
            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut list: A) -> Result<Many, A::Error> {
                let mut all = Vec::new();
                while let Some(text) = list.next_element()? {
                    all.push(text);
                }
                Ok(Many(all))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}
