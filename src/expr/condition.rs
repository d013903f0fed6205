//! A `when:`: CEL that gives true or false.

use super::Scope;
use crate::fault::{Fault, Place, Result};

/// A parsed condition.
#[derive(Debug, Clone)]
pub struct Condition {
    text: String,
}

impl Condition {
    /// # Errors
    /// The syntax error at its place.
    pub fn parse(text: &str, place: &Place) -> Result<Self> {
        let _ = place;
        Ok(Self { text: text.into() })
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    /// The outermost names it uses (`os` in `os.family`).
    pub fn names(&self) -> Vec<String> {
        Vec::new()
    }

    /// # Errors
    /// An unknown name (with the nearest), or a value that is neither true nor false.
    pub fn holds(&self, scope: &Scope) -> Result<bool> {
        let _ = scope;
        Err(Fault::new("not written yet"))
    }
}
