//! Which variables a step sees on a host: defaults < group < host < playbook < step < `-e`.

use crate::expr::Scope;
use crate::fact::Os;
use crate::inventory;
use serde_json::{Value, json};
use std::sync::Arc;

/// The variables of a host that do not depend on the playbook.
#[derive(Debug)]
pub struct HostScope {
    vars: Scope,
    extra: Arc<Scope>,
    /// `inventory_hostname`, `group_names`, `groups`.
    magic: Scope,
}

impl HostScope {
    /// `groups` maps each group to its hosts, as `groups` in a template does.
    pub fn new(host: &inventory::Host, groups: &Value, extra: Arc<Scope>) -> Self {
        let mut magic = Scope::new();
        magic.insert("inventory_hostname".into(), json!(host.name));
        let names: Vec<_> = host.groups.iter().filter(|group| *group != "all").collect();
        magic.insert("group_names".into(), json!(names));
        magic.insert("groups".into(), groups.clone());
        Self { vars: host.vars.clone(), extra, magic }
    }

    /// What a step with these playbook and step variables sees.
    pub fn with(&self, playbook: &Scope, step: &Scope, os: Option<&Os>) -> Scope {
        let mut scope = self.vars.clone();
        for layer in [playbook, step, &self.extra, &self.magic] {
            scope.extend(layer.iter().map(|(name, value)| (name.clone(), value.clone())));
        }
        if let Some(os) = os {
            scope.insert("os".into(), serde_json::to_value(os).unwrap_or_default());
        }
        scope
    }
}
