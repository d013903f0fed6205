//! One sign, and how sure it is.

use crate::step::Row;
use serde::Deserialize;

/// How sure it is that a finding is a sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    Low,
    Medium,
    High,
}

impl Level {
    pub fn word(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }
}

/// One sign.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    pub sign: &'static str,
    pub object: String,
    pub level: Level,
    pub told: String,
    pub wanted: &'static str,
    /// A moment at which it was there, in seconds since 1970, where it has one.
    pub at: Option<i64>,
    /// This controller did it.
    pub ours: bool,
}

impl Finding {
    pub fn new(level: Level, sign: &'static str, object: impl Into<String>, told: impl Into<String>) -> Self {
        Self { level, sign, object: object.into(), told: told.into(), wanted: "absent", at: None, ours: false }
    }

    pub fn but(mut self, wanted: &'static str) -> Self {
        self.wanted = wanted;
        self
    }

    pub fn since(mut self, at: Option<i64>) -> Self {
        self.at = at;
        self
    }

    pub fn ours(mut self, ours: bool) -> Self {
        self.ours = ours;
        self
    }

    pub fn row(&self) -> Row {
        Row::new(&self.object, self.sign, format!("{}: {}", self.level.word(), self.told), self.wanted)
    }
}
