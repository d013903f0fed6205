//! Texts that nobody gets to see by accident.
//!
//! A [`Secret`] has no `Display`, no value in `Debug`, and is wiped when dropped. Where a variable's value comes from a
//! source of secrets ([`Reference`]) its text must flow through templates into the bodies of steps like any other; so
//! the program remembers every such text ([`learn`]), and all that leaves it goes through one [`redact`].

use crate::fault::{Fault, Result};
use std::fmt;
use std::sync::{Arc, OnceLock};
use zeroize::Zeroizing;

mod form;
mod reference;
pub mod sealed;
mod vault;

pub use reference::{Reference, anchor, refers, stand_in, withhold_in};
pub use vault::{HIDDEN, holds, learn, once, redact, redact_bytes, withheld, withhold};

/// A secret text.
#[derive(Clone)]
pub struct Secret(Arc<Zeroizing<String>>);

impl Secret {
    pub fn new(text: String) -> Self {
        Self(Arc::new(Zeroizing::new(text)))
    }

    /// The text itself, for the one place that must have it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Asks a person for a secret; the text says for what.
pub type Ask = fn(&str) -> Result<Secret>;

static ASK: OnceLock<Ask> = OnceLock::new();

/// Says how a person is asked.
pub fn ask_by(how: Ask) {
    // The first word counts: there is one terminal.
    let _ = ASK.set(how);
}

/// Asks a person.
///
/// # Errors
/// Nobody is there.
pub fn ask(what: &str) -> Result<Secret> {
    ASK.get().map_or_else(|| Err(Fault::new(format!("nobody is there to give the {what}"))), |ask| ask(what))
}
