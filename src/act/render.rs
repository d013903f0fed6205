//! Acts as shell text.

use super::Act;

/// The POSIX shell text that does these acts in order and stops at the first failure.
pub fn render(acts: &[Act]) -> String {
    let _ = acts;
    String::new()
}

/// Which act failed and what it said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// From 0.
    pub act: usize,
    pub why: String,
}

/// Reads a failed script's error output.
pub fn failure(err: &[u8]) -> Option<Failure> {
    let _ = err;
    None
}
