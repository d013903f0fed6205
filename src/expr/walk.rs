//! Goes through a parsed condition: the names it uses, what it asks of the host, and what must not stand in it.

use super::ask::{self, Placed};
use super::place::{Pin, word};
use crate::fault::{Fault, Place, nearest};
use cel::common::ast::{CallExpr, EntryExpr, Expr};
use cel::{IdedExpr, Program};

/// How deep `all`, `exists`, `map` and `filter` may stand in each other: the time they take grows as a power of it.
const MAX_LOOPS: usize = 2;
/// How deep an expression may be.
const MAX_DEPTH: usize = 24;

/// Names of the language, not of variables.
const TYPES: &[&str] = &[
    "bool",
    "bytes",
    "double",
    "dyn",
    "google",
    "int",
    "list",
    "map",
    "null_type",
    "optional",
    "optional_type",
    "string",
    "type",
    "uint",
];

/// What can be called, operators aside.
const FUNCTIONS: &[&str] = &[
    "bool",
    "bytes",
    "contains",
    "double",
    "duration",
    "endsWith",
    "int",
    "matches",
    "size",
    "startsWith",
    "string",
    "timestamp",
    "type",
    "uint",
];

/// The macros, which the parser replaces.
const MACROS: &[&str] = &["all", "exists", "exists_one", "filter", "has", "map"];

pub(super) struct Walk<'a> {
    pin: &'a Pin<'a>,
    program: &'a Program,
    depth: usize,
    /// Variables of the loops around.
    bound: Vec<String>,
    /// Why the host cannot be asked here, where it cannot.
    closed: Option<&'static str>,
    pub names: Vec<(String, Place)>,
    pub fields: Vec<(String, String, Place)>,
    /// The questions that are known as they stand.
    pub asks: Vec<Placed>,
    /// Whether the host is asked at all.
    pub asking: bool,
    pub faults: Vec<Fault>,
}

impl<'a> Walk<'a> {
    /// All of a program.
    pub fn over(pin: &'a Pin<'a>, program: &'a Program) -> Self {
        let mut walk = Self {
            pin,
            program,
            depth: 0,
            bound: vec![],
            closed: None,
            names: vec![],
            fields: vec![],
            asks: vec![],
            asking: false,
            faults: vec![],
        };
        walk.expr(program.expression(), 0);
        walk
    }

    /// Where an expression starts in the text, in bytes.
    fn start(&self, id: u64) -> usize {
        let start = self.program.source_info().offset_for(id).map_or(0, |(start, _)| start as usize);
        self.pin.text.char_indices().nth(start).map_or(self.pin.text.len(), |(at, _)| at)
    }

    fn place(&self, id: u64, length: usize) -> Place {
        match self.program.source_info().offset_for(id) {
            Some((start, _)) => self.pin.characters(start as usize, length),
            None => self.pin.place.clone(),
        }
    }

    fn expr(&mut self, expr: &IdedExpr, loops: usize) {
        if self.depth > MAX_DEPTH {
            let fault = Fault::new("a condition too deep").at(self.pin.place);
            self.faults.push(fault.hint("split it: `when:` may be a list, all of which must hold"));
            return;
        }
        self.depth += 1;
        self.inside(expr, loops);
        self.depth -= 1;
    }

    fn inside(&mut self, expr: &IdedExpr, loops: usize) {
        match &expr.expr {
            Expr::Unspecified | Expr::Literal(_) => {}
            Expr::Ident(name) => {
                let known = self.bound.contains(name) || self.names.iter().any(|(known, _)| known == name);
                if !known && !name.starts_with('@') && !TYPES.contains(&name.as_str()) {
                    let place = self.place(expr.id, name.len());
                    self.names.push((name.clone(), place));
                }
            }
            Expr::Select(select) => {
                if let Expr::Ident(name) = &select.operand.expr
                    && !self.bound.contains(name)
                {
                    let at = word(self.pin.text, 0, &format!("{name}.{}", select.field));
                    let place = at.map_or_else(
                        || self.pin.place.clone(),
                        |at| self.pin.at(at + name.len() + 1, select.field.len()),
                    );
                    self.fields.push((name.clone(), select.field.clone(), place));
                }
                self.expr(&select.operand, loops);
            }
            Expr::Call(call) => self.call(call, loops),
            Expr::List(list) => self.all(&list.elements, loops),
            Expr::Map(map) => self.entries(&map.entries, loops),
            Expr::Struct(of) => self.entries(&of.entries, loops),
            Expr::Comprehension(inner) => {
                if loops >= MAX_LOOPS {
                    let what = format!("`all`, `exists`, `map` or `filter` more than {MAX_LOOPS} deep in each other");
                    self.faults.push(Fault::new(what).at(self.pin.place));
                    return;
                }
                let before = self.closed.replace("a loop cannot go over what a host says");
                self.expr(&inner.iter_range, loops);
                self.closed = before;
                self.expr(&inner.accu_init, loops);
                let before = self.bound.len();
                self.bound.extend([inner.iter_var.clone(), inner.accu_var.clone()]);
                self.bound.extend(inner.iter_var2.clone());
                for part in [&inner.loop_cond, &inner.loop_step, &inner.result] {
                    self.expr(part, loops + 1);
                }
                self.bound.truncate(before);
            }
        }
    }

    fn call(&mut self, call: &CallExpr, loops: usize) {
        let name = call.func_name.as_str();
        match ask::find(name) {
            Some(function) => {
                let starts: Vec<usize> = call.args.iter().map(|arg| self.start(arg.id)).collect();
                let place = |walk: &Self| {
                    let at = walk.pin.text.find(name);
                    at.map_or_else(|| walk.pin.place.clone(), |at| walk.pin.at(at, name.len()))
                };
                if call.target.is_some() {
                    let fault = Fault::new(format!("`{name}` asks the host, not a value")).at(&place(self));
                    self.faults.push(fault.hint(function.hint()));
                } else if let Some(why) = self.closed {
                    self.faults.push(Fault::new(why).at(&place(self)).hint("make two conditions, or two steps, of it"));
                }
                self.asking = true;
                match function.read(&call.args, &starts, self.pin) {
                    Ok(ask) => self.asks.extend(ask),
                    Err(fault) => self.faults.push(fault),
                }
                let before = self.closed.replace("what a host says cannot be what it is asked about");
                self.all(&call.args, loops);
                self.closed = before;
            }
            None => {
                if name.starts_with(|c: char| c.is_ascii_alphabetic()) && !FUNCTIONS.contains(&name) && name != "in" {
                    self.faults.push(self.unknown(name));
                }
                self.all(&call.args, loops);
            }
        }
        self.all(call.target.as_deref(), loops);
    }

    fn unknown(&self, name: &str) -> Fault {
        let at = self.pin.text.find(name);
        let place = at.map_or_else(|| self.pin.place.clone(), |at| self.pin.at(at, name.len()));
        let known = FUNCTIONS.iter().chain(MACROS).copied().chain(ask::FUNCTIONS.iter().map(|function| function.name));
        let fault = Fault::new(format!("unknown function `{name}`")).at(&place);
        match nearest(name, known.clone()) {
            Some(near) => fault.hint(format!("did you mean `{near}`?")),
            None => fault.nearest(name, known),
        }
    }

    fn all<'e>(&mut self, exprs: impl IntoIterator<Item = &'e IdedExpr>, loops: usize) {
        exprs.into_iter().for_each(|expr| self.expr(expr, loops));
    }

    fn entries(&mut self, entries: &[cel::common::ast::IdedEntryExpr], loops: usize) {
        for entry in entries {
            match &entry.expr {
                EntryExpr::StructField(field) => self.expr(&field.value, loops),
                EntryExpr::MapEntry(entry) => {
                    self.expr(&entry.key, loops);
                    self.expr(&entry.value, loops);
                }
            }
        }
    }
}
