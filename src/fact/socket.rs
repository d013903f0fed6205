//! Listening sockets.

/// A listening (or, for udp, unconnected) socket.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct Socket {
    /// `tcp` or `udp`.
    pub protocol: String,
    /// The address without brackets; `0.0.0.0`, `::` or `*` for all.
    pub address: String,
    pub port: u16,
    /// The program's name, where it may be seen.
    pub process: Option<String>,
    pub pid: Option<u32>,
}
