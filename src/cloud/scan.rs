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
    /// What is looked for, in this order.
    pub seeks: Vec<Seek>,
    /// Only where malware usually is.
    pub quick: bool,
    /// How long it may take.
    pub seconds: u64,
    pub access: Access,
}

/// What a cloud's scanner can look for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Seek {
    /// Files that harm.
    Malware,
    /// Programs with known holes.
    Vulnerabilities,
    /// Settings that a benchmark wants otherwise.
    Baseline,
}

/// Something that it found, and that nobody has done anything about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flaw {
    pub seek: Seek,
    /// A path, the number or name of a hole, or what is set.
    pub object: String,
    /// What it is called, or which benchmark says so.
    pub name: String,
    /// From 1 to 4, the worst; 0 is not told.
    pub level: u64,
}

impl HostScan {
    /// Has it made now, and gives what it found.
    pub fn look(&self) -> Later<'_, Result<Vec<Flaw>>> {
        Box::pin(async move {
            let own = self.clone();
            let client = Client::of(&self.access)?;
            let work = move || {
                let Self { region, machine, seeks, quick, seconds, .. } = &own;
                scan(&client, super::tencent::Scan { region, machine, seeks, quick: *quick, seconds: *seconds })
            };
            let broke = |error: tokio::task::JoinError| Fault::new("the question broke").why(error.to_string());
            tokio::task::spawn_blocking(work).await.map_err(broke)?.map_err(Fault::from)
        })
    }

    /// What must be allowed to whoever has it made.
    pub fn permits(&self) -> Vec<Permit> {
        let of = |seek: &Seek| -> &[&str] {
            match seek {
                Seek::Malware => &["cwp:CreateScanMalwareSetting", "cwp:DescribeScanState", "cwp:DescribeMalWareList"],
                Seek::Vulnerabilities => &["cwp:ScanVul", "cwp:DescribeScanState", "cwp:DescribeVulList"],
                Seek::Baseline => &["cwp:StartBaselineDetect", "cwp:DescribeBaselineItemList"],
            }
        };
        let own = self.seeks.iter().flat_map(of).copied();
        let actions: std::collections::BTreeSet<&str> = own.chain(["cwp:DescribeScanTaskDetails"]).collect();
        actions.into_iter().map(Permit::anywhere).collect()
    }
}
