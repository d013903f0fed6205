//! Cloud Block Storage: the snapshots of a disk and the way back to one, with the power of the instance that has it.

use super::answer::{Trouble, strange};
use super::client::{Client, Product};
use super::cvm::CVM;
use serde::Deserialize;
use serde_json::{Value, json};

const CBS: Product = ("cbs", "2017-03-12");
const PAGE: usize = 100;

/// A snapshot as they tell of it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Snapshot {
    pub snapshot_id: String,
    #[serde(default)]
    pub snapshot_name: String,
    pub snapshot_state: String,
    /// `2026-11-27T02:00:00Z`, or without a zone.
    pub create_time: String,
}

/// A disk of an instance in a region.
pub struct Storage<'a> {
    pub client: &'a Client,
    pub region: &'a str,
    pub disk: &'a str,
    pub instance: &'a str,
}

impl Storage<'_> {
    fn ask(&self, product: Product, action: &str, body: &Value) -> Result<Value, Trouble> {
        self.client.ask(product, self.region, action, body)
    }

    /// Has something done; what is done already, by their word for it, is fine.
    fn act(&self, product: Product, action: &str, body: &Value, done: &[&str]) -> Result<Value, Trouble> {
        match self.client.act(product, self.region, action, body) {
            Err(Trouble::Refused { code, .. }) if done.contains(&code.as_str()) => Ok(Value::Null),
            other => other,
        }
    }

    /// All snapshots of the disk.
    ///
    /// # Errors
    /// What was said.
    pub fn snapshots(&self) -> Result<Vec<Snapshot>, Trouble> {
        let mut all: Vec<Snapshot> = Vec::new();
        let mut offset = 0;
        loop {
            let filters = json!([{"Name": "disk-id", "Values": [self.disk]}]);
            let body = json!({"Filters": filters, "Offset": offset, "Limit": PAGE});
            let answer = self.ask(CBS, "DescribeSnapshots", &body)?;
            let strange = |why: &str| strange(self.region, "DescribeSnapshots", why);
            let total = answer.get("TotalCount").and_then(Value::as_u64).ok_or_else(|| strange("no `TotalCount`"))?;
            let set = answer.get("SnapshotSet").cloned().unwrap_or_default();
            let page: Vec<Snapshot> = serde_json::from_value(set).map_err(|error| strange(&error.to_string()))?;
            offset += page.len();
            let ended = page.is_empty() || offset as u64 >= total;
            // One that comes while pages are read moves the others.
            let known: Vec<String> = all.iter().map(|one| one.snapshot_id.clone()).collect();
            all.extend(page.into_iter().filter(|one| !known.contains(&one.snapshot_id)));
            if ended {
                return Ok(all);
            }
        }
    }

    /// Begins a snapshot, and gives its id.
    ///
    /// # Errors
    /// What was said.
    pub fn create(&self, name: &str) -> Result<String, Trouble> {
        let answer = self.act(CBS, "CreateSnapshot", &json!({"DiskId": self.disk, "SnapshotName": name}), &[])?;
        let id = answer.get("SnapshotId").and_then(Value::as_str).map(str::to_owned);
        id.ok_or_else(|| strange(self.region, "CreateSnapshot", "no `SnapshotId`"))
    }

    /// # Errors
    /// What was said.
    pub fn remove(&self, id: &str) -> Result<(), Trouble> {
        let gone = ["ResourceNotFound.NotFound", "InvalidSnapshotId.NotFound"];
        self.act(CBS, "DeleteSnapshots", &json!({"SnapshotIds": [id]}), &gone).map(drop)
    }

    /// Begins to put the disk back: of a stopped instance, so nothing is stopped or started along with it.
    ///
    /// # Errors
    /// What was said.
    pub fn apply(&self, id: &str) -> Result<(), Trouble> {
        let busy = ["ResourceInUse.DiskRollbacking"];
        self.act(CBS, "ApplySnapshot", &json!({"SnapshotId": id, "DiskId": self.disk}), &busy).map(drop)
    }

    /// Whether the disk is on its way back, in their word for its state.
    ///
    /// # Errors
    /// What was said.
    pub fn rolling_back(&self) -> Result<Option<String>, Trouble> {
        let answer = self.ask(CBS, "DescribeDisks", &json!({"DiskIds": [self.disk]}))?;
        let strange = |why: &str| strange(self.region, "DescribeDisks", why);
        let disk = answer.get("DiskSet").and_then(|set| set.get(0)).ok_or_else(|| strange("the disk is not there"))?;
        let busy = disk.get("Rollbacking").and_then(Value::as_bool).ok_or_else(|| strange("no `Rollbacking`"))?;
        let percent = disk.get("RollbackPercent").and_then(Value::as_u64).unwrap_or(0);
        Ok(busy.then(|| format!("{percent} % of the disk is back")))
    }

    /// Begins to stop the instance; one that is stopped stays so.
    ///
    /// # Errors
    /// What was said.
    pub fn stop(&self) -> Result<(), Trouble> {
        if self.power()? == "STOPPED" {
            return Ok(());
        }
        // Not kept waiting for a host that may be compromised: what does not end by itself is cut off.
        let body = json!({"InstanceIds": [self.instance], "StopType": "SOFT_FIRST", "StoppedMode": "KEEP_CHARGING"});
        self.act(CVM, "StopInstances", &body, &["UnsupportedOperation.InstanceStateStopping"]).map(drop)
    }

    /// Begins to start the instance; one that runs stays so.
    ///
    /// # Errors
    /// What was said.
    pub fn start(&self) -> Result<(), Trouble> {
        if self.power()? == "RUNNING" {
            return Ok(());
        }
        let body = json!({"InstanceIds": [self.instance]});
        self.act(CVM, "StartInstances", &body, &["UnsupportedOperation.InstanceStateStarting"]).map(drop)
    }

    /// Whether the instance runs, in their word for it.
    ///
    /// # Errors
    /// What was said.
    pub fn power(&self) -> Result<String, Trouble> {
        let answer = self.ask(CVM, "DescribeInstances", &json!({"InstanceIds": [self.instance]}))?;
        let state = answer.pointer("/InstanceSet/0/InstanceState").and_then(Value::as_str);
        state.map(str::to_owned).ok_or_else(|| strange(self.region, "DescribeInstances", "the instance is not there"))
    }
}
