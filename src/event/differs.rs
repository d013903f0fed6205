//! A row as it is told. Contents of files are at hand while the run goes on, so that they can be shown as a diff; a
//! stream of events holds them as size and digest alone.

use crate::step::{Row, Val};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::sync::Arc;

/// One field of one object that differs or was changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Differs {
    pub object: String,
    pub field: String,
    pub found: Seen,
    pub wanted: Seen,
    /// The contents as a unified diff, where that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub diff: Option<Vec<String>>,
}

impl From<&Row> for Differs {
    fn from(row: &Row) -> Self {
        Self {
            object: row.object.clone(),
            field: row.field.clone(),
            found: (&row.found).into(),
            wanted: (&row.wanted).into(),
            diff: None,
        }
    }
}

impl Differs {
    /// As it may be shown.
    #[must_use]
    pub fn veiled(&self) -> Self {
        let (found, wanted) = (self.found.val(), self.wanted.val());
        let row = Row { object: self.object.clone(), field: self.field.clone(), found, wanted };
        let shown = Self::from(&row.veiled());
        // A digest that was read back is no text that could hold anything.
        let kept = |now: Seen, was: &Seen| if matches!(was, Seen::Digest(_)) { was.clone() } else { now };
        Self {
            found: kept(shown.found, &self.found),
            wanted: kept(shown.wanted, &self.wanted),
            diff: self.diff.clone(),
            ..shown
        }
    }
}

/// A value as it is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// The object or the field is not there.
    Absent,
    Text(String),
    /// The content of a file, at hand.
    Data(Arc<[u8]>),
    /// The content of a file, of which this alone is known.
    Digest(Digest),
}

/// A content without its bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Digest {
    pub bytes: usize,
    pub sha256: String,
}

impl From<&Val> for Seen {
    fn from(val: &Val) -> Self {
        match val {
            Val::Absent => Self::Absent,
            Val::Text(text) => Self::Text(text.clone()),
            Val::Data(data) => Self::Data(Arc::clone(data)),
        }
    }
}

impl Seen {
    fn val(&self) -> Val {
        match self {
            Self::Absent | Self::Digest(_) => Val::Absent,
            Self::Text(text) => Val::Text(text.clone()),
            Self::Data(data) => Val::Data(Arc::clone(data)),
        }
    }

    /// The content, where it is at hand.
    pub fn data(&self) -> Option<&[u8]> {
        match self {
            Self::Data(data) => Some(data),
            _ => None,
        }
    }

    /// Size and SHA-256 of a content.
    pub fn digest(&self) -> Option<Digest> {
        use sha2::Digest as _;
        match self {
            Self::Digest(digest) => Some(digest.clone()),
            Self::Data(data) => {
                let sha256 = sha2::Sha256::digest(data).iter().map(|byte| format!("{byte:02x}")).collect();
                Some(Digest { bytes: data.len(), sha256 })
            }
            _ => None,
        }
    }

    /// For machines: text as it is, nothing as null, a content as its size and SHA-256.
    pub fn brief(&self) -> serde_json::Value {
        self.digest().map_or_else(|| self.val().brief(), |digest| serde_json::json!(digest))
    }
}

/// For one line of a report; what came from a host is escaped by the report, not here.
impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Digest(digest) => write!(f, "{} bytes", digest.bytes),
            other => other.val().fmt(f),
        }
    }
}

impl Serialize for Seen {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.brief().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Seen {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            Absent,
            Text(String),
            Digest(Digest),
        }
        Ok(match Form::deserialize(deserializer)? {
            Form::Absent => Self::Absent,
            Form::Text(text) => Self::Text(text),
            Form::Digest(digest) => Self::Digest(digest),
        })
    }
}
