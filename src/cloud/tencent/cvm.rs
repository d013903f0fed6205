//! Cloud Virtual Machine: which instances there are.

use super::answer::{Trouble, strange};
use super::client::{Client, Product};
use serde::Deserialize;
use serde_json::json;
use std::collections::BTreeMap;

/// Their product of virtual machines.
pub(super) const CVM: Product = ("cvm", "2017-03-12");
/// The most that an answer holds.
const PAGE: usize = 100;

/// What an instance must be like: a name of their documentation (`zone`, `vpc-id`, `tag:KEY` …) and the values, one of
/// which it must have.
#[derive(Debug, Clone, PartialEq)]
pub struct Filter {
    pub name: String,
    pub values: Vec<String>,
}

/// A virtual machine, as far as a run needs to know it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Instance {
    pub instance_id: String,
    #[serde(default)]
    pub instance_name: String,
    pub instance_state: String,
    pub placement: Placement,
    #[serde(default)]
    pub private_ip_addresses: Option<Vec<String>>,
    #[serde(default)]
    pub public_ip_addresses: Option<Vec<String>>,
    #[serde(default, rename = "IPv6Addresses")]
    pub ipv6_addresses: Option<Vec<String>>,
    #[serde(default)]
    pub security_group_ids: Option<Vec<String>>,
    #[serde(default)]
    pub virtual_private_cloud: Option<Network>,
    #[serde(default)]
    pub tags: Option<Vec<Tag>>,
    #[serde(default)]
    pub os_name: Option<String>,
    /// The name by which the host security service knows it.
    #[serde(default)]
    pub uuid: Option<String>,
    #[serde(default)]
    pub default_login_user: Option<String>,
    #[serde(default)]
    pub default_login_port: Option<u16>,
    #[serde(default)]
    pub system_disk: Option<Disk>,
    #[serde(default)]
    pub data_disks: Option<Vec<Disk>>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Placement {
    pub zone: String,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Network {
    #[serde(default)]
    pub vpc_id: String,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Tag {
    pub key: String,
    #[serde(default)]
    pub value: String,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Disk {
    #[serde(default)]
    pub disk_id: Option<String>,
}

impl Instance {
    pub fn tags(&self) -> impl Iterator<Item = &Tag> {
        self.tags.iter().flatten()
    }

    pub fn vpc(&self) -> Option<&str> {
        self.virtual_private_cloud.as_ref().map(|network| network.vpc_id.as_str()).filter(|id| !id.is_empty())
    }

    pub fn security_groups(&self) -> &[String] {
        self.security_group_ids.as_deref().unwrap_or_default()
    }

    /// The ids of its disks, the system's first.
    pub fn disks(&self) -> Vec<&str> {
        let all = self.system_disk.iter().chain(self.data_disks.iter().flatten());
        all.filter_map(|disk| disk.disk_id.as_deref()).collect()
    }
}

/// All instances of a region that pass the filters, by their ids.
///
/// # Errors
/// What was refused, or an answer that is none.
pub fn instances(client: &Client, region: &str, filters: &[Filter]) -> Result<Vec<Instance>, Trouble> {
    let filters: Vec<_> = filters.iter().map(|f| json!({"Name": f.name, "Values": f.values})).collect();
    // By id: a machine that comes or goes while pages are read moves the others.
    let mut found: BTreeMap<String, Instance> = BTreeMap::new();
    let mut offset = 0;
    loop {
        let body = json!({"Filters": filters, "Offset": offset, "Limit": PAGE});
        let answer = client.ask(CVM, region, "DescribeInstances", &body)?;
        let strange = |why: &str| strange(region, "DescribeInstances", why);
        let total = answer.get("TotalCount").and_then(serde_json::Value::as_u64);
        let total = total.ok_or_else(|| strange("it has no `TotalCount`"))?;
        let set = answer.get("InstanceSet").cloned().unwrap_or_default();
        let page: Vec<Instance> = serde_json::from_value(set).map_err(|error| strange(&error.to_string()))?;
        offset += page.len();
        let ended = page.is_empty() || offset as u64 >= total;
        found.extend(page.into_iter().map(|instance| (instance.instance_id.clone(), instance)));
        if ended {
            return Ok(found.into_values().collect());
        }
    }
}

/// The security groups in which an instance is, in their order.
///
/// # Errors
/// What was said; there is no such instance.
pub fn instance_groups(client: &Client, region: &str, id: &str) -> Result<Vec<String>, Trouble> {
    let answer = client.ask(CVM, region, "DescribeInstances", &json!({"InstanceIds": [id]}))?;
    let strange = |why: &str| strange(region, "DescribeInstances", why);
    let set = answer.get("InstanceSet").cloned().unwrap_or_default();
    let set: Vec<Instance> = serde_json::from_value(set).map_err(|error| strange(&error.to_string()))?;
    let found = set.iter().find(|instance| instance.instance_id == id);
    found.map(|instance| instance.security_groups().to_vec()).ok_or_else(|| strange("the instance is not there"))
}

/// Takes an instance out of all its security groups and into these.
///
/// # Errors
/// What was said.
pub fn set_instance_groups(client: &Client, region: &str, id: &str, groups: &[String]) -> Result<(), Trouble> {
    let body = json!({"InstanceIds": [id], "SecurityGroups": groups});
    client.act(CVM, region, "ModifyInstancesAttribute", &body).map(drop)
}
