//! Playbooks as written: their own fields, and the words that all maps in a playbook share.

use super::choice::Choice;
use super::habits::habit;
use super::vars::Vars;
use super::{Batch, Budget, Mode};
use crate::fault::{Fault, Faults, Place, nearest};
use crate::step;
use crate::yaml::{self, Key, Node, Value};
use serde::Deserialize;
use std::sync::Arc;

/// The fields of a playbook.
pub(super) const PLAY: &[&str] = &[
    "name",
    "hosts",
    "become",
    "serial",
    "max_failed",
    "max_unreachable",
    "on_failure",
    "mode",
    "defaults",
    "choices",
    "vars",
    "vars_files",
    "steps",
];
/// The fields of an included file.
pub(super) const INCLUDED: &[&str] = &["defaults", "choices", "vars", "steps"];

/// A playbook's head as written.
pub(super) struct RawPlay {
    pub name: Option<String>,
    pub hosts: String,
    pub hosts_place: Place,
    pub become_root: Option<bool>,
    pub serial: Vec<Batch>,
    pub budget: Budget,
    pub mode: Mode,
    /// Weaker than everything else, the inventory included.
    pub defaults: Vars,
    /// What its variables may be.
    pub choices: Vec<Arc<Choice>>,
    pub vars: Vars,
    pub vars_files: Vec<Text>,
    pub steps: Vec<Node>,
}

/// A text with its place.
#[derive(Debug, Clone)]
pub(super) struct Text {
    pub text: String,
    pub place: Place,
}

impl RawPlay {
    pub fn read(node: &Node, faults: &mut Vec<Fault>) -> Option<Self> {
        let mut fields = Fields { node, faults };
        if !matches!(node.value, Value::Map(_)) {
            fields.tell(Fault::new(format!("a playbook is a map, found {}", node.what())).at(&node.place));
            return None;
        }
        if node.get("hosts").or(node.get("steps")).is_none() && like_step(node) {
            let fault = Fault::new("a step where a playbook should be").at(&head(node));
            fields.tell(fault.hint("steps stand in the list under `steps:`; a file of steps alone is for `include`"));
            return None;
        }
        let before = fields.faults.len();
        fields.known(PLAY, "field", &[]);
        let renamed = |name: &str, faults: &[Fault]| faults.iter().any(|f| f.hints().iter().any(|h| h.contains(name)));
        let hosts = fields.texts("hosts");
        if hosts.is_empty()
            && !node.get("hosts").is_some_and(|hosts| matches!(&hosts.value, Value::List(_) | Value::Map(_)))
        {
            // Told already when it stands under another name.
            if !renamed("`hosts`", &fields.faults[before..]) {
                let fault = Fault::new("`hosts` is missing").at(&head(node));
                fields.tell(fault.hint("`hosts: all` means all"));
            }
        }
        let steps = match node.get("steps") {
            Some(steps) => fields.steps(steps),
            None => {
                if !renamed("`steps", &fields.faults[before..]) {
                    fields.tell(Fault::new("`steps` is missing").at(&head(node)));
                }
                vec![]
            }
        };
        let hosts_place = node.get("hosts").map_or_else(|| head(node), |hosts| hosts.place.clone());
        Some(Self {
            name: fields.value("name"),
            hosts: hosts.into_iter().map(|host| host.text).collect::<Vec<_>>().join(","),
            hosts_place,
            become_root: fields.value("become"),
            serial: fields.serial(),
            budget: Budget {
                max_failed: fields.limit("max_failed"),
                max_unreachable: fields.limit("max_unreachable"),
                on_failure: fields.value("on_failure").unwrap_or_default(),
            },
            mode: fields.value("mode").unwrap_or_default(),
            defaults: Vars::read(node.get("defaults"), fields.faults),
            choices: Choice::read(node.get("choices"), fields.faults),
            vars: Vars::read(node.get("vars"), fields.faults),
            vars_files: fields.texts("vars_files"),
            steps,
        })
    }
}

fn like_step(node: &Node) -> bool {
    let Value::Map(entries) = &node.value else { return false };
    entries.iter().any(|(key, _)| matches!(key.text.as_str(), "id" | "include") || step::kind(&key.text).is_some())
}

/// The first key of a map: a better place to point at than the whole of it.
pub(super) fn head(node: &Node) -> Place {
    match &node.value {
        Value::Map(entries) => entries.first().map_or_else(|| node.place.clone(), |(key, _)| key.place.clone()),
        _ => node.place.clone(),
    }
}

/// Where the kinds are told.
pub(super) const KINDS_HINT: &str = "`steadfast explain` lists the kinds";

/// A map that is read field by field.
pub(super) struct Fields<'a> {
    pub node: &'a Node,
    pub faults: &'a mut Vec<Fault>,
}

impl Fields<'_> {
    pub fn tell(&mut self, fault: Fault) {
        self.faults.push(fault);
    }

    /// Tells every key that is not known; whether there was one.
    pub fn known(&mut self, known: &[&str], what: &str, more: &[&str]) -> bool {
        let Value::Map(entries) = &self.node.value else { return false };
        let is_known = |key: &Key| known.contains(&key.text.as_str()) || more.contains(&key.text.as_str());
        let before = self.faults.len();
        for (key, _) in entries.iter().filter(|(key, _)| !is_known(key)) {
            let fault = Fault::new(format!("unknown {what} `{}`", key.text)).at(&key.place);
            self.faults.push(match habit(&key.text) {
                Some(hint) => fault.hint(hint),
                None => {
                    let free = known.iter().chain(more).copied().filter(|name| self.node.get(name).is_none());
                    if more.is_empty() || nearest(&key.text, free.clone()).is_some() {
                        fault.nearest(&key.text, free)
                    } else {
                        fault.hint(KINDS_HINT)
                    }
                }
            });
        }
        self.faults.len() > before
    }

    /// A typed field; a mistake in it is told and it counts as not there.
    pub fn value<T: for<'de> Deserialize<'de>>(&mut self, key: &str) -> Option<T> {
        match yaml::from_field(self.node, key) {
            Ok(value) => value,
            Err(more) => {
                self.faults.extend(more.into_vec());
                None
            }
        }
    }

    /// A text.
    pub fn text(&mut self, key: &str) -> Option<Text> {
        let text = self.value::<String>(key)?;
        let place = self.node.get(key)?.place.clone();
        if text.trim().is_empty() {
            self.tell(Fault::new(format!("`{key}` is empty")).at(&place));
            return None;
        }
        Some(Text { text, place })
    }

    /// A text or a list of texts.
    pub fn texts(&mut self, key: &str) -> Vec<Text> {
        let Some(node) = self.node.get(key) else { return vec![] };
        let nodes = match &node.value {
            Value::Null => return vec![],
            Value::List(items) => items.as_slice(),
            _ => std::slice::from_ref(node),
        };
        let mut texts = Vec::new();
        for node in nodes {
            match node.text().map(str::trim) {
                Some("") => self.faults.push(Fault::new(format!("an empty text in `{key}`")).at(&node.place)),
                Some(text) => texts.push(Text { text: text.into(), place: node.place.clone() }),
                None => {
                    let what = format!("`{key}` needs text or a list of texts, found {}", node.what());
                    self.faults.push(Fault::new(what).at(&node.place));
                }
            }
        }
        texts
    }

    /// A list of steps.
    pub fn steps(&mut self, node: &Node) -> Vec<Node> {
        match &node.value {
            Value::List(steps) => steps.clone(),
            Value::Null => vec![],
            _ => {
                let fault = Fault::new(format!("steps are a list, found {}", node.what())).at(&node.place);
                self.tell(fault.hint("each step starts with `- `"));
                vec![]
            }
        }
    }

    /// So many hosts, or a share of them; none at all is a limit too.
    fn limit(&mut self, field: &str) -> Option<Batch> {
        let text = self.text(field)?;
        let zero = matches!(text.text.as_str(), "0" | "0%").then_some(Batch::Hosts(0));
        let limit = zero.or_else(|| batch(&text.text));
        if limit.is_none() {
            let fault = Fault::new(format!("`{}` is no number of hosts", text.text)).at(&text.place);
            self.tell(fault.hint("a number from 0, or a share such as \"10%\""));
        }
        limit
    }

    fn serial(&mut self) -> Vec<Batch> {
        let mut batches = Vec::new();
        for one in self.texts("serial") {
            match batch(&one.text) {
                Some(batch) => batches.push(batch),
                None => self.tell(
                    Fault::new(format!("`{}` is no batch size", one.text))
                        .at(&one.place)
                        .hint("a number of hosts from 1, a share such as \"25%\", or a list of them: [1, 25%, 100%]"),
                ),
            }
        }
        batches
    }
}

fn batch(text: &str) -> Option<Batch> {
    match text.strip_suffix('%') {
        Some(share) => {
            let plain = share.bytes().all(|b| b.is_ascii_digit() || b == b'.');
            let share = share.trim().parse::<f64>().ok().filter(|share| plain && *share > 0.0 && *share <= 100.0);
            share.map(Batch::Percent)
        }
        None => text.parse::<usize>().ok().filter(|hosts| *hosts > 0 && !text.starts_with('+')).map(Batch::Hosts),
    }
}

/// A fault of a value as a whole, with the name of its field in front.
pub(super) fn named(fault: Fault, name: &str) -> Fault {
    if !fault.what().starts_with("needs ") {
        return fault;
    }
    let named = Fault::new(format!("`{name}` {}", fault.what()));
    let named = fault.place().iter().fold(named, |named, place| named.at(place));
    fault.hints().iter().fold(named, |named, hint| named.hint(hint))
}

/// What was read, or its faults told.
pub(super) fn told<T>(read: Result<T, Faults>, faults: &mut Vec<Fault>) -> Option<T> {
    match read {
        Ok(value) => Some(value),
        Err(more) => {
            faults.extend(more.into_vec());
            None
        }
    }
}
