//! What is known of a disk: its keeper tells of the snapshots, the controller of the last way back.

use super::Ledger;
use crate::disk::Disk;
use crate::fact::DiskState;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// Why something outside the host is not known.
pub fn told(fault: &crate::fault::Fault) -> String {
    let cause = fault.cause().map(|cause| format!(": {cause}")).unwrap_or_default();
    format!("{}{cause}", fault.what())
}

/// Asks both. The error is why it is not known.
pub async fn look(disk: &Disk, keys: Option<&(Arc<dyn Ledger>, String)>) -> Result<DiskState, String> {
    let told = |fault: crate::fault::Fault| told(&fault);
    let last = match keys {
        Some((ledger, host)) => ledger.way_back(host, &disk.name()).map_err(told)?,
        None => return Err("there is no memory of what was done with disks".into()),
    };
    let snapshots = disk.provider().map_err(told)?.list().await.map_err(told)?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    Ok(DiskState { now: u64::try_from(now).unwrap_or(u64::MAX), snapshots, last })
}
