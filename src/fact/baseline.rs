//! What a host was like when nothing was wrong with it. It is no reading of the host: the controller keeps it.

use std::collections::{BTreeMap, BTreeSet};

/// Names of things, each as a triage tells it.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Baseline {
    /// The host's clock, in seconds since 1970.
    pub at: i64,
    pub accounts: BTreeSet<String>,
    /// Files with the keys that let in: `/root/.ssh/authorized_keys SHA256:…`
    pub keys: BTreeSet<String>,
    /// `tcp 0.0.0.0:22`
    pub listeners: BTreeSet<String>,
    /// Start-up items that no package brought.
    pub items: BTreeSet<String>,
    pub modules: BTreeSet<String>,
    /// The most connections (tcp) that one address had at a time, by the port that listens, in all runs that kept one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub busiest: Option<BTreeMap<u16, u32>>,
}
