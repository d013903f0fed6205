//! The effective configuration of sshd.

use std::collections::BTreeMap;

/// What `sshd -T` says: lower-case keyword to its values, in order.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize)]
pub struct Effective(pub BTreeMap<String, Vec<String>>);
