//! The language of a change: rows of found and wanted, claims on objects, ways back.

use super::words::Many;
use crate::secret::{HIDDEN, holds, redact};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

/// What a change disturbs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Disruption {
    #[default]
    None,
    Reload,
    Restart,
    Reboot,
    Access,
    Data,
}

/// A value of one field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Val {
    /// The object or the field is not there.
    Absent,
    Text(String),
    /// The content of a file.
    Data(Arc<[u8]>),
}

impl Val {
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }
    /// For machines: text as it is, nothing as null, a content as its size and SHA-256.
    pub fn brief(&self) -> serde_json::Value {
        match self {
            Self::Absent => serde_json::Value::Null,
            Self::Text(text) => text.as_str().into(),
            Self::Data(data) => {
                use sha2::Digest;
                let digest: String = sha2::Sha256::digest(data).iter().map(|b| format!("{b:02x}")).collect();
                serde_json::json!({"bytes": data.len(), "sha256": digest})
            }
        }
    }

    /// The text, where it is one.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }
}

impl From<&str> for Val {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}
impl From<String> for Val {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

/// For one line of a report; what came from a host is escaped by the report, not here.
impl fmt::Display for Val {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => f.write_str("absent"),
            Self::Text(text) => f.write_str(text),
            Self::Data(data) => write!(f, "{} bytes", data.len()),
        }
    }
}

/// One field of one object that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// The thing as its owner would name it: a path, a unit, a key.
    pub object: String,
    /// `mode`, `content`, `live`, `enabled` …
    pub field: String,
    pub found: Val,
    pub wanted: Val,
}

impl Row {
    pub fn new(
        object: impl Into<String>,
        field: impl Into<String>,
        found: impl Into<Val>,
        wanted: impl Into<Val>,
    ) -> Self {
        Self { object: object.into(), field: field.into(), found: found.into(), wanted: wanted.into() }
    }

    /// Whether it is a follow-up that an earlier change of ours left to be done.
    pub fn is_due(&self) -> bool {
        (self.found.as_text(), self.wanted.as_text()) == (Some("due"), Some("done"))
    }

    /// As it may be shown: a value that holds a secret is not, nor is what stands across from it, which may be the one
    /// before.
    #[must_use]
    pub fn veiled(&self) -> Self {
        let hidden = |val: &Val| match val {
            Val::Absent => false,
            Val::Text(text) => holds(text),
            Val::Data(data) => holds(&String::from_utf8_lossy(data)),
        };
        let (found, wanted) = (hidden(&self.found), hidden(&self.wanted));
        let veil = |val: &Val, own: bool| match val {
            Val::Text(_) | Val::Data(_) if own => Val::text(HIDDEN),
            Val::Text(_) | Val::Data(_) if found || wanted => Val::text("(other)"),
            val => val.clone(),
        };
        Self {
            object: redact(&self.object).into_owned(),
            field: redact(&self.field).into_owned(),
            found: veil(&self.found, found),
            wanted: veil(&self.wanted, wanted),
        }
    }

    /// This row's way forward.
    pub fn forward(&self) -> Setting {
        Setting {
            object: self.object.clone(),
            field: self.field.clone(),
            now: self.found.clone(),
            to: self.wanted.clone(),
        }
    }

    /// This row's way back.
    pub fn back(&self) -> Setting {
        Setting {
            object: self.object.clone(),
            field: self.field.clone(),
            now: self.wanted.clone(),
            to: self.found.clone(),
        }
    }
}

/// One field that is to become something, forward or back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setting {
    pub object: String,
    pub field: String,
    pub now: Val,
    pub to: Val,
}

/// How exact a way back is; shown in the plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "class", content = "why")]
pub enum Undo {
    Exact,
    Partial(String),
    None(String),
}

/// A thing on a host that steps can own or read.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Object {
    /// A path, or a glob of paths.
    Path(String),
    /// A unit with its suffix.
    Unit(String),
    Package(String),
    User(String),
    Group(String),
    Sysctl(String),
    Module(String),
    /// Anything else: a family word and a name.
    Other(&'static str, String),
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(name) => write!(f, "{name}"),
            Self::Unit(name) => write!(f, "unit {name}"),
            Self::Package(name) => write!(f, "package {name}"),
            Self::User(name) => write!(f, "user {name}"),
            Self::Group(name) => write!(f, "group {name}"),
            Self::Sysctl(name) => write!(f, "kernel parameter {name}"),
            Self::Module(name) => write!(f, "kernel module {name}"),
            Self::Other(family, name) => write!(f, "{family} {name}"),
        }
    }
}

/// A step's relation to an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// It decides this field, and wants this value (any text that is equal when the wish is equal), for all that a glob
    /// covers but what these globs leave out.
    Owns { object: Object, field: String, value: String, but: Many },
    /// It needs the object as others leave it: whoever owns it comes first.
    Reads(Object),
    /// It brings a way in to this port (tcp).
    Door(u16),
    /// It closes all ports (tcp) but these, from and to.
    Shuts { but: Vec<(u16, u16)> },
    /// It lets fewer logins in on these ports (tcp), from and to, than one run needs, by this limit.
    Slows { ports: (u16, u16), by: String },
}

impl Claim {
    pub fn owns(object: Object, field: impl Into<String>, value: impl Into<String>) -> Self {
        Self::Owns { object, field: field.into(), value: value.into(), but: Many::default() }
    }

    /// Whether another wants the same field of the same thing of this family otherwise.
    pub fn quarrels(&self, other: &Self, family: &str) -> bool {
        let Self::Owns { object: object @ Object::Other(kind, _), field, value, .. } = self else { return false };
        let same = |wish: &Self| matches!(wish, Self::Owns { object: its, field: at, value: to, .. } if its == object && at == field && to != value);
        *kind == family && same(other)
    }

    /// The path that it is about, where it is one of the host's.
    pub fn path(self) -> Option<String> {
        match self {
            Self::Owns { object: Object::Path(path), .. } | Self::Reads(Object::Path(path)) => Some(path),
            _ => None,
        }
    }

    /// Without what these globs leave out.
    pub fn but(mut self, globs: &Many) -> Self {
        if let Self::Owns { but, .. } = &mut self {
            but.clone_from(globs);
        }
        self
    }
}
