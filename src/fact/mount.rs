//! What is mounted where.

/// One mount, as /proc/self/mounts tells it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Mount {
    pub device: String,
    pub path: String,
    pub fs: String,
    pub options: Vec<String>,
}
