//! What the run does for a step outside its host.

use crate::cloud::{Fence, Fenced, Shape};

/// A fence of a cloud that is to become another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    pub fence: Fence,
    /// As it was read: it is changed only if it still is of this version.
    pub found: Fenced,
    pub to: Shape,
}
