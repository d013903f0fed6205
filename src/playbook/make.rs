//! A step for one host: variables filled in, conditions decided, the loop gone through, the kind read.

use super::pattern::{Pattern, as_node};
use super::vars::Vars;
use super::{Left, Made, Step, Turn};
use crate::expr::{Ask, Condition, Reply, Scope, Template, Truth};
use crate::fault::{Fault, Faults, Place, Source};
use crate::step;
use crate::yaml::{Node, Value};
use serde_json::Value as Json;
use std::collections::HashSet;
use std::sync::Arc;

/// The variable of a loop.
pub(super) const ITEM: &str = "item";
/// The most items of a loop.
pub(super) const MAX_ITEMS: usize = 10_000;

/// What a step goes through.
#[derive(Debug, Clone)]
pub(super) enum Each {
    Items(Vec<Pattern>),
    /// A template that gives a list.
    List(Template, Place),
}

impl Each {
    pub fn names(&self) -> Vec<(String, Place)> {
        self.gather(Template::looks_at)
    }

    /// What is asked of each template, all together.
    pub fn gather(&self, ask: fn(&Template) -> Vec<(String, Place)>) -> Vec<(String, Place)> {
        match self {
            Self::Items(items) => items.iter().flat_map(|item| item.gather(ask)).collect(),
            Self::List(template, _) => ask(template),
        }
    }

    fn items(&self, scope: &Scope) -> Result<Vec<Json>, Faults> {
        match self {
            Self::Items(items) => items.iter().map(|item| item.json(scope)).collect(),
            Self::List(template, place) => match template.value(scope)? {
                Json::Array(items) if items.len() <= MAX_ITEMS => Ok(items),
                Json::Array(items) => Err(too_many(items.len(), place).into()),
                other => Err(Fault::new(format!("a loop needs a list, this is {}", as_node(&other, place).what()))
                    .at(place)
                    .into()),
            },
        }
    }
}

/// More than a loop may go over: each item is a thing to be looked at on every host.
pub(super) fn too_many(items: usize, place: &Place) -> Fault {
    Fault::new(format!("a loop over {items} items, more than {MAX_ITEMS}")).at(place)
}

/// What keeps a step's conditions from being told.
#[derive(Default)]
struct Open {
    why: Option<String>,
    unasked: Vec<Ask>,
}

impl Open {
    fn add(&mut self, why: String, unasked: Vec<Ask>) {
        self.why.get_or_insert(why);
        self.unasked.extend(unasked);
    }

    fn is_so(&self) -> bool {
        self.why.is_some()
    }

    fn turn(self, hope: Vec<Made>) -> Turn {
        Turn::Open { why: self.why.unwrap_or_default(), unasked: self.unasked, hope: hope.into() }
    }
}

impl Left {
    fn by(condition: &Condition) -> Self {
        let why = format!("`{}` does not hold", condition.text());
        Self { why, because: condition.reason().map(ToOwned::to_owned), waived: false }
    }
}

impl Step {
    /// This step for one host, as far as `host` answers what its conditions ask.
    ///
    /// # Errors
    /// Unknown names, templates that cannot be rendered, fields that do not fit once filled in.
    pub fn make(&self, scope: &Scope, host: &dyn Fn(&Ask) -> Reply) -> Result<Turn, Faults> {
        let mut scope = scope.clone();
        let mut done = HashSet::new();
        // A variable may be fit to be filled in only where the conditions hold: so conditions come first, one by one.
        let of_item = |condition: &&Condition| {
            self.each.is_some() && self.within.closure(condition.names()).iter().any(|n| n == ITEM)
        };
        let (of_items, of_step): (Vec<&Condition>, Vec<&Condition>) = self.when.iter().partition(of_item);
        let mut open = Open::default();
        if let Some(left) = self.hold(&of_step, &mut scope, &mut done, host, &mut open)? {
            return Ok(Turn::Left(left));
        }
        if open.is_so() {
            // What cannot be filled in perhaps need not be: that is told once the host has answered.
            let hope = self.kinds(&mut scope, &mut done, &of_items, host, &mut open).ok().and_then(Result::ok);
            return Ok(open.turn(hope.unwrap_or_default()));
        }
        Ok(match self.kinds(&mut scope, &mut done, &of_items, host, &mut open)? {
            Ok(made) if open.is_so() => open.turn(made),
            Ok(made) => Turn::Made(made.into()),
            Err(left) => Turn::Left(left),
        })
    }

    /// The questions of its conditions that are known as they stand.
    pub fn asks(&self) -> Vec<Ask> {
        self.when.iter().flat_map(Condition::asks).map(|(ask, ..)| ask.clone()).collect()
    }

    /// Whether its conditions ask the host.
    pub fn asks_host(&self) -> bool {
        self.when.iter().any(Condition::asks_host)
    }

    /// Goes through conditions: the reason of the first that does not hold. What cannot be told yet is kept in `open`.
    fn hold(
        &self,
        conditions: &[&Condition],
        scope: &mut Scope,
        done: &mut HashSet<String>,
        host: &dyn Fn(&Ask) -> Reply,
        open: &mut Open,
    ) -> Result<Option<Left>, Faults> {
        for condition in conditions {
            self.fill(scope, &condition.names(), done)?;
            match condition.decide(scope, host)? {
                Truth::Yes => {}
                Truth::No => return Ok(Some(Left::by(condition))),
                Truth::Open { why, unasked } => open.add(why, unasked),
            }
        }
        Ok(None)
    }

    /// The kinds, one or for each item of the loop; or why there is none.
    fn kinds(
        &self,
        scope: &mut Scope,
        done: &mut HashSet<String>,
        of_items: &[&Condition],
        host: &dyn Fn(&Ask) -> Reply,
        open: &mut Open,
    ) -> Result<Result<Vec<Made>, Left>, Faults> {
        let Some(each) = &self.looped else {
            let kind = match &self.ready {
                Some(kind) => Arc::clone(kind),
                None => self.kind_in(scope, done)?,
            };
            return Ok(Ok(vec![Made { item: None, kind }]));
        };
        let loop_names: Vec<String> = each.names().into_iter().map(|(name, _)| name).collect();
        self.fill(scope, &loop_names, done)?;
        let (mut made, mut faults, mut lefts) = (Vec::new(), Vec::new(), Vec::new());
        for item in each.items(scope)? {
            let mut scope = scope.clone();
            scope.insert(ITEM.into(), item.clone());
            let mut done = done.clone();
            let held = self.hold(of_items, &mut scope, &mut done, host, open);
            match held.and_then(|left| left.map_or_else(|| self.kind_in(&mut scope, &mut done).map(Ok), |l| Ok(Err(l))))
            {
                Ok(Ok(kind)) => made.push(Made { item: Some(as_text(&item)), kind }),
                Ok(Err(left)) => lefts.push(left),
                Err(more) => faults.extend(more.into_vec()),
            }
        }
        // Many items with one mistake have one mistake.
        let mut seen = HashSet::new();
        faults.retain(|fault| seen.insert(fault.to_string()));
        if let Some(faults) = Faults::some(faults) {
            return Err(faults);
        }
        if made.is_empty() {
            let empty = || Left { why: "its loop is over nothing".into(), because: None, waived: false };
            return Ok(Err(lefts.into_iter().next().unwrap_or_else(empty)));
        }
        Ok(Ok(made))
    }

    /// A step that no playbook wrote, with nothing to fill in; `origin` is where it comes from.
    pub fn plain(id: String, title: String, kind: &'static str, origin: &str) -> Self {
        let place = Place { source: Source::new(origin, ""), start: 0, end: 0 };
        let body = Node { value: Value::Null, place: place.clone() };
        Self {
            id,
            title,
            hosts: None,
            when: vec![],
            tags: vec![],
            needs: vec![],
            on_change: vec![],
            each: None,
            control: None,
            become_root: None,
            health: None,
            defaults: Scope::new(),
            choices: vec![],
            vars: Scope::new(),
            kind,
            filled: Pattern::Fixed(body.clone()),
            body,
            ready: None,
            uses: vec![],
            headline: None,
            looped: None,
            within: Vars::default(),
            place,
        }
    }

    /// The title with its names filled in.
    ///
    /// # Errors
    /// An unknown name, or a value that has no text.
    pub fn titled(&self, scope: &Scope) -> Result<String, Faults> {
        let Some(title) = &self.headline else { return Ok(self.title.clone()) };
        let mut scope = scope.clone();
        let names: Vec<String> = title.looks_at().into_iter().map(|(name, _)| name).collect();
        self.fill(&mut scope, &names, &mut HashSet::new())?;
        title.render(&scope).map_err(Faults::from)
    }

    /// What cannot be had for this step is told at the step, where nothing nearer is known.
    fn fill(&self, scope: &mut Scope, names: &[String], done: &mut HashSet<String>) -> Result<(), Faults> {
        let at = |faults: Faults| {
            let faults = faults.into_vec().into_iter().map(|fault| fault.or_at(&self.place)).collect();
            Faults::some(faults).unwrap_or_else(|| Fault::new("a variable cannot be filled in").into())
        };
        self.within.fill(scope, names, done).map_err(at)
    }

    fn kind_in(&self, scope: &mut Scope, done: &mut HashSet<String>) -> Result<Arc<dyn step::Kind>, Faults> {
        let names: Vec<String> = self.filled.names().into_iter().map(|(name, _)| name).collect();
        self.fill(scope, &names, done)?;
        let body: Node = self.filled.node(scope)?;
        let entry = step::kind(self.kind)
            .ok_or_else(|| Fault::new(format!("there is no kind `{}`", self.kind)).at(&self.place))?;
        let mut misplaced = Vec::new();
        secrets_elsewhere(&body, "", entry.secret, &mut misplaced);
        if let Some(faults) = Faults::some(misplaced) {
            return Err(faults);
        }
        entry.parse(&body).map(Arc::from).map_err(|faults| {
            let faults = faults.into_vec().into_iter().map(|fault| veiled(fault, &body));
            Faults::some(faults.collect()).unwrap_or_else(|| Fault::new("this cannot be read").at(&self.place).into())
        })
    }
}

/// The faults of secrets that were filled in where they would be shown: in names, on command lines.
fn secrets_elsewhere(node: &Node, field: &str, may: &[&str], faults: &mut Vec<Fault>) {
    match &node.value {
        Value::Scalar { text, .. } => {
            let Place { source, start, end } = &node.place;
            let filled = source.text.get(*start..*end).is_some_and(Template::is_one);
            let may_be = may.iter().any(|may| field == *may || field.starts_with(&format!("{may}.")));
            if filled && !may_be && crate::secret::holds(text) {
                let fault = Fault::new(format!("a secret cannot stand in `{field}`: it would be seen there"));
                let hint = if may.is_empty() {
                    "no field of this kind takes a secret".to_owned()
                } else {
                    format!("of this kind's fields, these take a secret: {}", may.join(", "))
                };
                faults.push(fault.at(&node.place).hint(hint));
            }
        }
        Value::List(items) => items.iter().for_each(|item| secrets_elsewhere(item, field, may, faults)),
        Value::Map(entries) => {
            for (key, value) in entries {
                let inner = if field.is_empty() { key.text.clone() } else { format!("{field}.{}", key.text) };
                secrets_elsewhere(value, &inner, may, faults);
            }
        }
        Value::Null => {}
    }
}

/// A fault about a filled-in value without the value: it may be a secret, or what a host said.
fn veiled(fault: Fault, body: &Node) -> Fault {
    let Some(place) = fault.place() else { return fault };
    if !place.source.text.get(place.start..place.end).is_some_and(Template::is_one) {
        return fault;
    }
    let mut values = Vec::new();
    values_at(body, place, &mut values);
    let mut what = fault.what().to_owned();
    for value in values.iter().filter(|value| !value.is_empty()) {
        what = what.replace(&format!("`{value}`"), "what was filled in");
        if value.len() > 2 {
            what = what.replace(*value, "…");
        }
    }
    let veiled = Fault::new(what).at(place).or_code(fault.code());
    fault.hints().iter().fold(veiled, |veiled, hint| veiled.hint(hint))
}

fn values_at<'n>(node: &'n Node, place: &Place, values: &mut Vec<&'n str>) {
    match &node.value {
        Value::Scalar { text, .. } if node.place == *place => values.push(text),
        Value::List(items) => items.iter().for_each(|item| values_at(item, place, values)),
        Value::Map(entries) => entries.iter().for_each(|(_, value)| values_at(value, place, values)),
        _ => {}
    }
}

/// An item for a title: its text, or for a map its name.
fn as_text(item: &Json) -> String {
    match item {
        Json::String(text) => text.clone(),
        Json::Object(map) => {
            let name = ["name", "path", "key", "id"].iter().find_map(|key| map.get(*key));
            name.filter(|name| !name.is_object()).map_or_else(|| item.to_string(), as_text)
        }
        other => other.to_string(),
    }
}
