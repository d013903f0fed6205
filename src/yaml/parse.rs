//! From text to tree.

use super::Node;
use crate::fault::{Faults, Source};
use std::sync::Arc;

/// Reads one document.
///
/// # Errors
/// Every mistake found, each with its place.
pub fn parse(source: &Arc<Source>) -> Result<Node, Faults> {
    let _ = source;
    Err(crate::fault::Fault::new("not written yet").into())
}
