//! A text with `{{ names }}` in it.

use super::Scope;
use crate::fault::{Fault, Place, Result};

/// A parsed template.
#[derive(Debug, Clone)]
pub struct Template {
    text: String,
}

impl Template {
    /// Whether the text has anything to fill in.
    pub fn is_one(text: &str) -> bool {
        text.contains("{{")
    }

    /// # Errors
    /// The syntax error, or a construct that is refused (`{{{`, `{{&`, partials), at its place.
    pub fn parse(text: &str, place: &Place) -> Result<Self> {
        let _ = place;
        Ok(Self { text: text.into() })
    }

    /// The outermost names it uses.
    pub fn names(&self) -> Vec<String> {
        let _ = &self.text;
        Vec::new()
    }

    /// # Errors
    /// An unknown name (with the nearest), or a helper that refused its argument.
    pub fn render(&self, scope: &Scope) -> Result<String> {
        let _ = scope;
        Err(Fault::new("not written yet"))
    }
}
