//! Conditions (CEL) and templates (handlebars, strict), over variables that are plain data.
//!
//! What a host says may be compared in a condition and shown by a template, but is never itself a template, and no
//! template is ever rendered into shell text.

mod ask;
mod condition;
mod helpers;
mod place;
mod template;
#[cfg(test)]
mod tests;
mod walk;

pub use ask::{Ask, Reply};
pub use condition::{Condition, Truth};
pub use template::Template;

/// The variables that are visible at a place.
pub type Scope = serde_json::Map<String, serde_json::Value>;
