//! The content of a file.

/// What a path holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    Absent,
    /// The bytes of a regular file, up to 1 MiB; a larger file is unknown.
    Regular(Vec<u8>),
    /// A directory, a symbolic link, a device …, by its name.
    Other(String),
}

impl Content {
    /// The text of a regular file, where it is UTF-8.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Regular(bytes) => std::str::from_utf8(bytes).ok(),
            _ => None,
        }
    }
}
