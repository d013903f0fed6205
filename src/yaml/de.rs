//! From tree to typed values.

use super::Node;
use crate::fault::{Fault, Faults};
use serde::Deserialize;

/// Reads a value; every unknown or missing field of the outermost struct is told at once, with the nearest name.
///
/// # Errors
/// The mistakes with their places.
pub fn from_node<T: for<'de> Deserialize<'de>>(node: &Node) -> Result<T, Faults> {
    let _ = node;
    Err(Fault::new("not written yet").into())
}

/// The faults of the keys in a map that are not among the known ones.
pub fn unknown_fields(node: &Node, known: &[&str]) -> Vec<Fault> {
    let _ = (node, known);
    Vec::new()
}
