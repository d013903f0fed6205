//! Follow-ups that are still due: marks that a change left on the host before it began, so that a reload is never
//! forgotten, whatever breaks in between.

/// Where marks lie: one empty file a follow-up, root's alone.
pub const DIRECTORY: &str = "/var/lib/steadfast/due";
