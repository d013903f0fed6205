//! What a cloud's own scanner finds on a host.

use super::Permit;
use super::tencent::{Access, Client, scan};
use crate::fault::{Fault, Result};
use crate::host::Later;
use serde::{Deserialize, Serialize};

/// A scan that a cloud makes on a host by an agent of its own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct HostScan {
    pub region: String,
    /// As the scanner knows the host.
    pub machine: String,
    /// Only where malware usually is.
    pub quick: bool,
    /// How long it may take.
    pub seconds: u64,
    pub access: Access,
}

/// Something that it found, and that nobody has done anything about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Malware {
    pub path: String,
    /// What it is called.
    pub name: String,
    /// From 1 to 4, the worst; 0 is not told.
    pub level: u64,
}

impl HostScan {
    /// Has it made now, and gives what it found.
    pub fn look(&self) -> Later<'_, Result<Vec<Malware>>> {
        Box::pin(async move {
            let own = self.clone();
            let client = Client::of(&self.access)?;
            let work = move || {
                let Self { region, machine, quick, seconds, .. } = &own;
                scan(&client, super::tencent::Scan { region, machine, quick: *quick, seconds: *seconds })
            };
            let broke = |error: tokio::task::JoinError| Fault::new("the question broke").why(error.to_string());
            tokio::task::spawn_blocking(work).await.map_err(broke)?.map_err(Fault::from)
        })
    }

    /// What must be allowed to whoever has it made.
    pub fn permits() -> Vec<Permit> {
        let actions = [
            "cwp:CreateScanMalwareSetting",
            "cwp:DescribeScanState",
            "cwp:DescribeScanTaskDetails",
            "cwp:DescribeMalWareList",
        ];
        actions.map(Permit::anywhere).to_vec()
    }
}
