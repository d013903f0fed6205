//! What is told of a run: folds over events. A report never runs anything.

mod changes;
mod coverage;
mod diff;
pub mod fault;
mod fold;
mod format;
mod group;
mod left;
mod live;
mod page;
mod safe;
mod text;
mod timeline;
mod verdict;

pub use changes::{Change, Changed, changes};
pub use diff::with_diffs;
pub use fold::{Past, Point, Report};
pub use format::{FORMATS, Format, line, render, schema};
pub use live::Live;
pub use safe::line as safe_line;
pub use text::Style;
pub use timeline::{Timeline, timelines};
