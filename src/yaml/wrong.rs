//! What can be wrong while a tree is read as a type, and the list of what was found so far.

use super::{Node, Open};
use crate::fault::{Fault, Place, nearest};
use serde::de::{self, Expected, Unexpected};
use std::cell::RefCell;
use std::collections::HashSet;
use std::fmt;

/// One mistake on its way up to where it is told.
#[derive(Debug)]
pub(super) struct Wrong {
    what: String,
    hints: Vec<String>,
    place: Option<Place>,
    /// The field that a struct did not find.
    pub missing: Option<&'static str>,
    /// It is in the list of faults already; only the way out is left to go.
    pub told: bool,
}

impl Wrong {
    pub fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), hints: vec![], place: None, missing: None, told: false }
    }

    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    pub fn at(mut self, place: &Place) -> Self {
        self.place = Some(place.clone());
        self
    }

    /// The nearest of the words that would be right.
    pub fn nearest(self, wrong: &str, known: &[&str]) -> Self {
        match nearest(wrong, known.iter().copied()) {
            Some(near) => self.hint(format!("did you mean `{near}`?")),
            None => self.hint(format!("known here: {}", known.join(", "))),
        }
    }

    fn into_fault(self, key: Option<&str>, place: &Place) -> Fault {
        let what = match key {
            Some(key) if self.what.starts_with("needs ") => format!("`{key}` {}", self.what),
            _ => self.what,
        };
        let fault = Fault::new(what).at(self.place.as_ref().unwrap_or(place));
        self.hints.into_iter().fold(fault, Fault::hint)
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for Wrong {}

impl de::Error for Wrong {
    fn custom<T: fmt::Display>(what: T) -> Self {
        Self::new(what.to_string())
    }

    fn invalid_type(found: Unexpected<'_>, wanted: &dyn Expected) -> Self {
        Self::new(format!("needs {}, found {}", in_yaml_words(&wanted.to_string()), name(found)))
    }

    fn invalid_value(found: Unexpected<'_>, wanted: &dyn Expected) -> Self {
        Self::new(format!("needs {}, found {}", in_yaml_words(&wanted.to_string()), name(found)))
    }

    fn invalid_length(length: usize, wanted: &dyn Expected) -> Self {
        Self::new(format!("needs {}, found {length} of them", in_yaml_words(&wanted.to_string())))
    }

    fn unknown_variant(variant: &str, known: &'static [&'static str]) -> Self {
        Self::new(format!("`{variant}` is not known here")).nearest(variant, known)
    }

    fn missing_field(field: &'static str) -> Self {
        Self { missing: Some(field), ..Self::new(format!("`{field}` is missing")) }
    }
}

fn name(found: Unexpected<'_>) -> String {
    match found {
        Unexpected::Str(text) => format!("`{text}`"),
        Unexpected::Unit | Unexpected::Option => "nothing".into(),
        Unexpected::Seq => "a list".into(),
        Unexpected::Map => "a map".into(),
        other => other.to_string(),
    }
}

/// serde speaks of sequences and structs; the author of a file knows lists and maps.
fn in_yaml_words(wanted: &str) -> String {
    match wanted {
        "a string" | "string" | "str" => "text".into(),
        "a sequence" => "a list".into(),
        "a boolean" => "true or false".into(),
        "unit" => "nothing".into(),
        _ if wanted.starts_with("struct ") => "a map".into(),
        _ if wanted.starts_with("enum ") => "one of its words".into(),
        _ if wanted.starts_with("tuple ") => "a list".into(),
        "i8" | "i16" | "i32" | "i64" | "i128" | "isize" => "a whole number".into(),
        "u8" | "u16" | "u32" | "u64" | "u128" | "usize" => "a whole number, not negative".into(),
        "f32" | "f64" => "a number".into(),
        _ => wanted.into(),
    }
}

/// Which node, by its address: the tree does not move while it is read.
pub(super) fn id(node: &Node) -> usize {
    std::ptr::from_ref(node) as usize
}

/// What was found so far. serde stops at the first mistake; so the value is read again without what was wrong, until
/// nothing new is wrong.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub faults: RefCell<Vec<Fault>>,
    /// Values that are left out from now on.
    bad: RefCell<HashSet<usize>>,
    /// Fields of structs that are filled with something blank from now on.
    blanks: RefCell<HashSet<(usize, &'static str)>>,
    /// Structs whose unknown fields were told.
    seen: RefCell<HashSet<usize>>,
    /// Which values are not known yet: they fit everything.
    open: Option<Open>,
}

impl Found {
    pub fn with_open(open: Open) -> Self {
        Self { open: Some(open), ..Self::default() }
    }

    pub fn is_open(&self, node: &Node) -> bool {
        self.open.is_some_and(|open| open(node))
    }

    pub fn is_bad(&self, node: &Node) -> bool {
        self.bad.borrow().contains(&id(node))
    }

    /// The blank fields of a struct.
    pub fn blanks(&self, node: &Node) -> Vec<&'static str> {
        let all = self.blanks.borrow();
        all.iter().filter(|(of, _)| *of == id(node)).map(|(_, field)| *field).collect()
    }

    /// Says a mistake about a value and leaves the value out from now on.
    pub fn tell(&self, wrong: Wrong, key: Option<&str>, node: &Node) -> Wrong {
        if wrong.told {
            return wrong;
        }
        self.bad.borrow_mut().insert(id(node));
        // A type that made a new error of one that was told leaves nothing to say.
        if !wrong.what.is_empty() {
            self.faults.borrow_mut().push(wrong.into_fault(key, &node.place));
        }
        Wrong { told: true, ..Wrong::new("") }
    }

    /// Says that a struct lacks a field and gives it a blank one from now on.
    pub fn lacks(&self, wrong: Wrong, field: &'static str, known: &[&str], node: &Node) -> Wrong {
        let left_out = node.get(field).is_some_and(|value| self.is_bad(value));
        // `nam: x` is told as an unknown field that should be `name`; that `name` is missing is the same mistake.
        let misspelt = super::unknown_fields(node, known)
            .iter()
            .any(|fault| fault.hints().iter().any(|hint| *hint == format!("did you mean `{field}`?")));
        if !self.blanks.borrow_mut().insert((id(node), field)) {
            return self.hopeless(node);
        }
        if !left_out && !misspelt {
            self.faults.borrow_mut().push(wrong.into_fault(None, &node.place));
        }
        Wrong { told: true, ..Wrong::new("") }
    }

    /// No more can be found in this value.
    pub fn hopeless(&self, node: &Node) -> Wrong {
        self.bad.borrow_mut().insert(id(node));
        Wrong { told: true, ..Wrong::new("") }
    }

    /// Says the unknown fields of a struct, once.
    pub fn unknown(&self, node: &Node, known: &[&str]) {
        if self.seen.borrow_mut().insert(id(node)) {
            self.faults.borrow_mut().extend(super::unknown_fields(node, known));
        }
    }
}
