//! What a read-only script of the author said.

/// The outcome of a script.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize)]
pub struct Said {
    pub code: i32,
    /// Standard output, invalid UTF-8 replaced, at most 64 KiB.
    pub out: String,
    pub err: String,
}
