//! Tencent Cloud's API 3.0: one signed POST an action, errors in answers of HTTP 200, limits by the second.

mod access;
mod answer;
mod cbs;
mod client;
mod clock;
mod cvm;
mod cwp;
mod rescue;
mod sign;
mod tat;
mod vpc;

pub use access::Access;
pub use answer::Trouble;
pub use cbs::{Snapshot, Storage};
pub use client::Client;
pub use cvm::{Filter, Instance, instance_groups, instances, set_instance_groups};
pub use cwp::{Scan, scan};
pub use rescue::Rescue;
pub use tat::read_by_script;
pub use vpc::{MOVED, entries, in_order, policies, set_entries, set_policies};
