//! A gate: what is written after it waits until a person said yes.
//!
//! ```yaml
//! - id: go-back
//!   approve: {message: "Evidence is kept. Roll {{ inventory_hostname }} back?"}
//! ```
//!
//! All steps of the playbook that are written before it come first, on all hosts of the batch; all that are written after it,
//! and all later playbooks of the run, wait for it. What failed before it keeps it shut.
//!
//! An `apply` on a terminal asks once for each gate, not for each host, and tells what follows. Where nobody can be asked
//! (`-y`, no terminal) it opens by `--approve STEP` alone, once for each gate by its id; `-y` never opens one. A gate that
//! stays shut ends the run with exit code 3, and nothing after it was begun: `steadfast resume RUN --approve STEP` goes on, or the
//! same `apply` again. Where nothing that follows would change anything, it asks nobody.
//!
//! A check and a plan tell it as a gate; it is no drift.
//!
//! Way back: none is needed; nothing is changed. Disruption: none.
//!
//! Traps:
//! - With `serial:` the first batch asks; its answer holds for the batches that follow.
//! - What follows was read when the host was first read. It is read again after the yes, and a saved plan holds as it does always.

use super::words::place;
use super::{Check, Claim, Kind, Row, Setting};
use crate::act::Act;
use crate::fact::{Facts, Gap, Query};
use crate::fault::{Fault, Faults};
use crate::yaml::Node;
use serde::Deserialize;

/// What is asked.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Approve {
    /// The question, in a sentence.
    message: String,
}

impl Check for Approve {
    fn check(&self, body: &Node) -> Result<(), Faults> {
        if self.message.trim().is_empty() {
            let fault = Fault::new("a gate asks something").at(place(body, "message"));
            return Err(fault.hint("say in a sentence what the yes is for").into());
        }
        Ok(())
    }
}

impl Kind for Approve {
    fn facts(&self) -> Vec<Query> {
        vec![]
    }

    fn plan(&self, _: &Facts) -> Result<Vec<Row>, Gap> {
        Ok(vec![])
    }

    fn set(&self, _: &[Setting], _: &Facts) -> Vec<Act> {
        vec![]
    }

    fn claims(&self) -> Vec<Claim> {
        vec![]
    }

    fn read_only(&self) -> bool {
        true
    }

    fn passing(&self) -> bool {
        true
    }

    fn gate(&self) -> Option<&str> {
        Some(&self.message)
    }
}
