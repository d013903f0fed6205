//! What the owner of a machine says of it: the APIs of clouds, asked over HTTPS from here and never from a host.

mod fence;
mod permit;
mod rule;
mod scan;
pub mod tencent;

pub use fence::{Fence, Fenced, Miss, Shape};
pub use permit::{Permit, policy};
pub use rule::Rule;
pub use scan::{Flaw, HostScan, Seek};
