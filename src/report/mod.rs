//! What is told of a run: folds over events. A report never runs anything.

mod diff;
pub mod fault;
mod group;
mod json;
mod live;
mod safe;
mod text;
mod verdict;

pub use json::line;
pub use live::Live;
pub use safe::line as safe_line;
pub use text::{Style, Text};
