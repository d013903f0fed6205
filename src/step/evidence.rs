//! What a host that may be compromised knows is taken to the controller, in the order in which it would be lost, and signed.
//!
//! ```yaml
//! - id: evidence
//!   evidence: {}
//! - id: evidence-by-another-key
//!   evidence: {key: /home/alice/.ssh/evidence_ed25519}
//! ```
//!
//! Taken are, in this order: the clock; processes (as `ps` and as the kernel tell of them, and the programs and memory maps of
//! those that run what is on no disk any more or lies where everybody may write); open files; sockets and the network; who is
//! logged in; the kernel; units and timers; what changed in 30 days by the time that nobody can set back (ctime) and the one that anybody
//! can (mtime); accounts; what starts by itself and who may log in; what lies in directories for everybody; histories of shells;
//! packages; the journal and logs. The hashes of passwords are left out, and so are files called `id_*` and `*_key`.
//!
//! Nothing is written on the host's disk: each answer goes straight to the controller, into `evidence/RUN/HOST/` of what
//! steadfast remembers (`STEADFAST_STATE`), readable by nobody else. `manifest.json` lists every file with its size and
//! SHA-256, and `manifest.json.sig` is its signature by `ssh-keygen -Y sign`: with `key`, else with the key that the host is
//! reached by. Without a key the step fails; `unsigned: true` goes without a signature. `steadfast evidence verify DIR`
//! finds what was changed, added or taken away since.
//!
//! At most 4 MiB are taken of one answer and 64 MiB of one log; what is more is marked as cut. The names of files are ours.
//!
//! It takes evidence each time it is applied, and is never in order already: a check says so and takes nothing. In a playbook with
//! `mode: incident` it comes before everything that may change the host, by itself; without such a step nothing may be
//! changed there.
//!
//! Way back: none is needed; the host is not changed. Disruption: none.
//!
//! Traps:
//! - Histories, logs, programs in memory and what lies in `/tmp` are taken as they are: whatever somebody typed or left there,
//!   a password or a private key, is in the evidence. Keep it as such.
//! - Who is root on the host can lie in every answer. Compare with what others saw: the switch, the cloud, the log host.
//! - Reading changes times of reading (atime), and the login stands in the host's log.
//! - Needs root to see other people's processes and files.

use super::{Check, Claim, Kind, Row, Setting, Val};
use crate::act::Act;
use crate::fact::{Facts, Gap, Milestone, Query};
use serde::Deserialize;
use std::path::PathBuf;

/// What is taken, and who signs.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    /// The key that signs: private, or public with its private half in an agent.
    pub key: Option<PathBuf>,
    /// Nobody signs.
    #[serde(default)]
    pub unsigned: bool,
}

impl Check for Evidence {}

impl Kind for Evidence {
    fn facts(&self) -> Vec<Query> {
        vec![]
    }

    fn plan(&self, _: &Facts) -> Result<Vec<Row>, Gap> {
        Ok(vec![Row::new("evidence of this host", "kept", Val::Absent, "yes")])
    }

    fn set(&self, _: &[Setting], _: &Facts) -> Vec<Act> {
        vec![]
    }

    fn claims(&self) -> Vec<Claim> {
        vec![]
    }

    fn passing(&self) -> bool {
        true
    }

    fn milestone(&self) -> Option<Milestone> {
        Some(Milestone::Sealed)
    }

    fn gathers(&self) -> Option<&Evidence> {
        Some(self)
    }
}
