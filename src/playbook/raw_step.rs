//! Steps as written.

use super::choice::Choice;
use super::habits::with_habit;
use super::make::{Each, ITEM, MAX_ITEMS, too_many};
use super::pattern::{Pattern, closed_faults, is_open};
use super::question;
use super::raw::{Fields, KINDS_HINT, Text, head, named, told};
use super::vars::Vars;
use super::{Control, Need, Reference};
use crate::expr::{Condition, Template};
use crate::fault::{Fault, Place};
use crate::step::{self, Kind};
use crate::yaml::{Node, Value};
use std::sync::Arc;

/// The fields that every step may have, whatever its kind.
pub(super) const STEP: &[&str] = &[
    "id",
    "title",
    "when",
    "left_because",
    "tags",
    "needs",
    "on_change",
    "loop",
    "control",
    "become",
    "vars",
    "hosts",
    "health",
];
/// The fields of a step that includes a file.
pub(super) const INCLUDE: &[&str] = &["include", "title", "when", "left_because", "tags", "vars", "become"];

/// What an entry under `steps:` is.
pub(super) enum RawStep {
    Step(Box<Draft>),
    Include(Box<Include>),
    /// One without a kind that is known.
    Lost(Names),
}

/// What a step is called, and which others it names.
pub(super) struct Names {
    pub id: Option<Text>,
    pub needs: Vec<Need>,
    pub on_change: Vec<Reference>,
}

/// A file that is put in the place of a step.
pub(super) struct Include {
    pub file: Text,
    pub around: Around,
}

/// What applies to every step of an included file.
#[derive(Clone, Default)]
pub(super) struct Around {
    pub when: Vec<Condition>,
    pub tags: Vec<String>,
    /// What included files say of their variables, the inventory and all else put aside; the outer file wins.
    pub defaults: Vars,
    pub choices: Vec<Arc<Choice>>,
    pub vars: Vars,
    pub become_root: Option<bool>,
}

impl Around {
    pub fn with(&self, inner: &Self) -> Self {
        let mut tags = self.tags.clone();
        tags.extend(inner.tags.iter().filter(|tag| !self.tags.contains(tag)).cloned());
        Self {
            when: self.when.iter().chain(&inner.when).cloned().collect(),
            tags,
            defaults: inner.defaults.with(&self.defaults),
            choices: self.choices.iter().chain(&inner.choices).cloned().collect(),
            vars: self.vars.with(&inner.vars),
            become_root: inner.become_root.or(self.become_root),
        }
    }
}

/// A step whose references have not been looked up yet.
pub(super) struct Draft {
    pub names: Names,
    pub title: Option<Text>,
    pub headline: Option<Template>,
    pub own: Around,
    pub hosts: Option<String>,
    pub each: Option<Node>,
    pub looped: Option<Each>,
    pub control: Option<Control>,
    pub health: Option<u64>,
    pub kind: &'static str,
    pub place: Place,
    pub body: Node,
    pub filled: Pattern,
    pub ready: Option<Arc<dyn Kind>>,
}

/// Reads an entry under `steps:`; `None` when its mistakes leave nothing to go on with.
pub(super) fn read(node: &Node, faults: &mut Vec<Fault>) -> Option<RawStep> {
    let Value::Map(entries) = &node.value else {
        faults.push(Fault::new(format!("a step is a map, found {}", node.what())).at(&node.place));
        return None;
    };
    let mut fields = Fields { node, faults };
    if node.get("include").is_some() {
        return include(&mut fields);
    }
    let kinds: Vec<&str> = step::KINDS.iter().map(|entry| entry.name).collect();
    let strange = fields.known(STEP, "field or kind", &[kinds.as_slice(), &["include"]].concat());
    let mut words = entries.iter().filter_map(|(key, body)| step::kind(&key.text).map(|entry| (key, entry, body)));
    let Some((key, entry, body)) = words.next() else {
        if !strange {
            let fault = Fault::new("a step without a kind").at(&head(node));
            fields.tell(fault.hint(KINDS_HINT));
        }
        fields.around();
        return Some(RawStep::Lost(fields.names()));
    };
    for (other, ..) in words {
        let fault = Fault::new(format!("a step has one kind, this has `{}` and `{}`", key.text, other.text));
        fields.tell(fault.at(&other.place).also(&key.place, "the first").hint("make two steps of it"));
    }
    let names = fields.names();
    let title = fields.text("title");
    let headline = title.as_ref().filter(|title| Template::is_one(&title.text));
    let headline = headline.and_then(|title| fields.keep(Template::parse(&title.text, &title.place)));
    let each = node.get("loop").filter(|each| !matches!(each.value, Value::Null));
    let looped = each.and_then(|each| fields.each(each));
    let before = fields.faults.len();
    let filled = Pattern::parse(body, fields.faults);
    // A template that cannot be read is no text for a kind to judge.
    let ready = if filled.is_fixed() && fields.faults.len() == before {
        let kind: Option<Arc<dyn Kind>> = told(entry.parse(body), fields.faults).map(Arc::from);
        let more = fields.faults.split_off(before);
        let hinted = |fault| with_habit(entry.name, named(fault, entry.name));
        fields.faults.extend(more.into_iter().map(hinted));
        kind.filter(|_| each.is_none())
    } else {
        fields.faults.extend(entry.open_faults(body, is_open).into_iter().map(|fault| with_habit(entry.name, fault)));
        fields.faults.extend(closed_faults(body, entry.closed));
        None
    };
    if let Some(health) = node.get("health").filter(|_| entry.name != "expect") {
        let fault = Fault::new(format!("`health` is for `expect`, not for `{}`", entry.name)).at(&health.place);
        fields.tell(fault.hint("a step that only looks can judge a host; make one of its own"));
    }
    let place = names.id.as_ref().map_or_else(|| key.place.clone(), |id| id.place.clone());
    Some(RawStep::Step(Box::new(Draft {
        own: fields.around(),
        hosts: Some(fields.texts("hosts").into_iter().map(|host| host.text).collect::<Vec<_>>().join(","))
            .filter(|hosts| !hosts.is_empty()),
        control: fields.value("control"),
        health: fields.value("health"),
        each: each.cloned(),
        kind: entry.name,
        body: body.clone(),
        names,
        title,
        headline,
        looped,
        place,
        filled,
        ready,
    })))
}

fn reference(text: Text) -> Reference {
    Reference { step: text.text, place: text.place }
}

fn include(fields: &mut Fields<'_>) -> Option<RawStep> {
    let node = fields.node;
    let Value::Map(entries) = &node.value else { return None };
    for (key, _) in entries.iter().filter(|(key, _)| !INCLUDE.contains(&key.text.as_str())) {
        let goes = STEP.contains(&key.text.as_str()) || step::kind(&key.text).is_some();
        let fault = if goes {
            Fault::new(format!("`{}` does not go with `include`", key.text)).at(&key.place)
        } else {
            Fault::new(format!("unknown field `{}`", key.text))
                .at(&key.place)
                .nearest(&key.text, INCLUDE.iter().copied())
        };
        fields.tell(fault);
    }
    let what = node.get("include")?;
    let mut around = fields.around();
    let file = match &what.value {
        Value::Map(_) => {
            let mut inner = Fields { node: what, faults: fields.faults };
            inner.known(&["file", "vars"], "field", &[]);
            let vars = Vars::read(what.get("vars"), inner.faults);
            around.vars = around.vars.with(&vars);
            let file = inner.text("file");
            if file.is_none() && what.get("file").is_none() {
                inner.tell(Fault::new("`file` is missing").at(&head(what)));
            }
            file
        }
        _ => fields.text("include"),
    };
    if matches!(what.value, Value::Null) {
        fields.tell(Fault::new("`include` needs the name of a file").at(&head(node)));
    }
    let file = file?;
    if Template::is_one(&file.text) {
        fields.tell(Fault::new("the name of an included file cannot be a template").at(&file.place));
        return None;
    }
    Some(RawStep::Include(Box::new(Include { file, around })))
}

impl Fields<'_> {
    fn keep<T>(&mut self, read: crate::fault::Result<T>) -> Option<T> {
        read.map_err(|fault| self.faults.push(fault)).ok()
    }

    fn names(&mut self) -> Names {
        Names {
            id: self.text("id").filter(|id| self.fits_id(id)),
            needs: self.needs(),
            on_change: self.texts("on_change").into_iter().map(reference).collect(),
        }
    }

    fn fits_id(&mut self, id: &Text) -> bool {
        let fits = id.text.len() <= 80 && id.text.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c));
        if !fits {
            let fault = Fault::new(format!("`{}` cannot be an id", id.text)).at(&id.place);
            self.tell(fault.hint("at most 80 letters, digits, `.`, `_` and `-`; write a sentence as `title:`"));
        }
        fits
    }

    fn around(&mut self) -> Around {
        let because = self.text("left_because");
        if let (Some(because), None) = (&because, self.node.get("when")) {
            let fault = Fault::new("`left_because` without `when`: it is never left").at(&because.place);
            self.tell(fault.hint("it says why the step is left where its `when` does not hold"));
        }
        let because = because.as_ref().map(|because| because.text.as_str());
        let mut when = Vec::new();
        for text in self.texts("when") {
            if let Some(condition) = self.keep(Condition::parse(&text.text, &text.place)) {
                self.faults.extend(question::faults(&condition));
                when.push(condition.because(because));
            }
        }
        let mut tags: Vec<String> = Vec::new();
        for text in self.texts("tags") {
            for tag in text.text.split(',').map(str::trim).filter(|tag| !tag.is_empty()) {
                if !tags.iter().any(|known| known == tag) {
                    tags.push(tag.into());
                }
            }
        }
        let vars = Vars::read(self.node.get("vars"), self.faults);
        Around { when, tags, vars, become_root: self.value("become"), ..Around::default() }
    }

    fn each(&mut self, node: &Node) -> Option<Each> {
        match &node.value {
            Value::List(items) if items.len() > MAX_ITEMS => {
                self.tell(too_many(items.len(), &node.place));
                None
            }
            Value::List(items) => {
                let items: Vec<Pattern> = items.iter().map(|item| Pattern::parse(item, self.faults)).collect();
                let each = Each::Items(items);
                for (_, place) in each.names().iter().filter(|(name, _)| name == ITEM) {
                    self.tell(Fault::new("`item` in its own loop").at(place));
                }
                Some(each)
            }
            Value::Scalar { text, .. } => {
                // A bare name stands for the variable.
                let text = text.trim();
                let template = if Template::is_one(text) { text.into() } else { format!("{{{{{text}}}}}") };
                let list = self.keep(Template::parse(&template, &node.place))?;
                Some(Each::List(list, node.place.clone()))
            }
            _ => {
                let fault = Fault::new(format!("`loop` needs a list, found {}", node.what())).at(&node.place);
                self.tell(fault.hint("`loop: [a, b]`, or the name of a variable that is a list"));
                None
            }
        }
    }

    fn needs(&mut self) -> Vec<Need> {
        let Some(node) = self.node.get("needs") else { return vec![] };
        let nodes = match &node.value {
            Value::Null => return vec![],
            Value::List(items) => items.as_slice(),
            _ => std::slice::from_ref(node),
        };
        let mut needs = Vec::new();
        for node in nodes {
            match &node.value {
                Value::Scalar { text, .. } => {
                    let step = Reference { step: text.trim().into(), place: node.place.clone() };
                    needs.push(Need { step, hosts: None });
                }
                Value::Map(_) => {
                    let mut inner = Fields { node, faults: self.faults };
                    inner.known(&["step", "hosts"], "field", &[]);
                    let hosts: Vec<String> = inner.texts("hosts").into_iter().map(|host| host.text).collect();
                    let hosts = (!hosts.is_empty()).then(|| hosts.join(","));
                    match inner.text("step") {
                        Some(step) => needs.push(Need { step: reference(step), hosts }),
                        None if node.get("step").is_none() => {
                            inner.tell(Fault::new("`step` is missing").at(&head(node)));
                        }
                        None => {}
                    }
                }
                _ => {
                    let fault = Fault::new(format!("`needs` wants ids of steps, found {}", node.what()));
                    self.tell(fault.at(&node.place).hint("`needs: [id]` or `needs: {step: id, hosts: pattern}`"));
                }
            }
        }
        needs
    }
}
