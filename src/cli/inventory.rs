//! `inventory`: what the inventory says, as `ansible-inventory` would.

use super::{complete, load, say};
use crate::fault::{Fault, Faults};
use clap::builder::NonEmptyStringValueParser;

/// Hosts, groups and variables.
#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("what").required(true)))]
pub struct Inventory {
    /// Inventory file, directory, executable or `host1,host2,`; may be given again.
    #[arg(short, long, value_name = "INVENTORY", env = "STEADFAST_INVENTORY", value_parser = NonEmptyStringValueParser::new())]
    inventory: Vec<String>,
    /// Everything as JSON.
    #[arg(long, group = "what")]
    list: bool,
    /// Groups and hosts as a tree.
    #[arg(long, group = "what")]
    graph: bool,
    /// The variables of one host as JSON.
    #[arg(long, group = "what", value_name = "HOST", add = complete::hosts())]
    host: Option<String>,
}

impl Inventory {
    pub fn run(self) -> Result<u8, Faults> {
        let inventory = load::inventory(&self.inventory, &[])?;
        let text = if let Some(name) = &self.host {
            let host = inventory.host(name).ok_or_else(|| {
                let known = inventory.hosts.iter().map(|host| host.name.as_str());
                Fault::new(format!("there is no host `{name}`")).nearest(name, known)
            })?;
            format!("{:#}\n", serde_json::Value::Object(host.vars.clone()))
        } else if self.graph {
            format!("{}\n", inventory.graph("all").trim_end())
        } else {
            format!("{:#}\n", inventory.list())
        };
        say(&text)?;
        Ok(0)
    }
}
