//! Which variables a step sees on a host: defaults < group < host < playbook < step < `-e`.

use crate::expr::Scope;
use crate::fact::Os;
use crate::inventory;
use crate::playbook::Step;
use serde_json::json;
use std::sync::Arc;

/// The variables of a host that do not depend on the playbook.
#[derive(Debug)]
pub struct HostScope {
    vars: Scope,
    extra: Arc<Scope>,
    /// `inventory_hostname`, `group_names`.
    magic: Scope,
    /// `groups`: the same for all hosts, and as large as the inventory.
    groups: Arc<Scope>,
}

impl HostScope {
    /// `groups` maps each group to its hosts, as `groups` in a template does.
    pub fn new(host: &inventory::Host, groups: Arc<Scope>, extra: Arc<Scope>) -> Self {
        let mut magic = Scope::new();
        magic.insert("inventory_hostname".into(), json!(host.name));
        let names: Vec<_> = host.groups.iter().filter(|group| *group != "all").collect();
        magic.insert("group_names".into(), json!(names));
        Self { vars: host.vars.clone(), extra, magic, groups }
    }

    /// What a step with these playbook and step variables sees, as far as it uses it: a name that nobody asks for need
    /// not be copied for each of a thousand hosts.
    pub fn with(&self, playbook: &Scope, step: &Step, uses: &[String], os: Option<&Os>) -> Scope {
        let mut scope = Scope::new();
        for name in uses {
            if let Some(value) = self.value(playbook, step, name) {
                scope.insert(name.clone(), value.clone());
            }
        }
        if let Some(os) = os {
            scope.insert("os".into(), serde_json::to_value(os).unwrap_or_default());
        }
        scope
    }

    /// The one value of a name that counts there, as it is written.
    pub fn value<'a>(&'a self, playbook: &'a Scope, step: &'a Step, name: &str) -> Option<&'a serde_json::Value> {
        let layers = [&self.magic, &*self.groups, &*self.extra, &step.vars, playbook, &self.vars, &step.defaults];
        layers.into_iter().find_map(|layer| layer.get(name))
    }

    /// A variable of the host itself, whatever playbooks say.
    pub fn own(&self, name: &str) -> Option<&serde_json::Value> {
        [&self.extra, &self.vars].into_iter().find_map(|layer| layer.get(name))
    }

    /// All that a step could use, for saying what is near to a name that does not exist.
    pub fn whole(&self, playbook: &Scope, step: &Step, os: Option<&Os>) -> Scope {
        let layers = [&step.defaults, &self.vars, playbook, &step.vars, &*self.extra, &self.magic, &*self.groups];
        let names: Vec<String> = layers.iter().flat_map(|layer| layer.keys().cloned()).collect();
        self.with(playbook, step, &names, os)
    }
}
