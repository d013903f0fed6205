//! A `when:`: CEL that gives true or false.

use super::Scope;
use super::place::{Pin, unknown_name, word};
use crate::fault::{Fault, Place, Result, nearest};
use cel::common::ast::{EntryExpr, Expr};
use cel::objects::{Key, Map};
use cel::{Context, Env, ExecutionError, IdedExpr, Program, Value};
use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

/// The longest condition, in bytes.
const MAX_BYTES: usize = 2048;
/// How deep `all`, `exists`, `map` and `filter` may stand in each other: the time they take grows as a power of it.
const MAX_LOOPS: usize = 2;

/// How deep brackets may stand in each other, and how deep an expression may be. CEL's reader goes down its stack for
/// each level, brackets at some 100 KiB a level, so it gets a stack of its own; deciding is on the caller's.
const MAX_BRACKETS: usize = 16;
const MAX_DEPTH: usize = 24;
const STACK: usize = 32 << 20;

static ENV: LazyLock<Arc<Env>> = LazyLock::new(|| Arc::new(Env::stdlib()));

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

/// A parsed condition.
#[derive(Debug, Clone)]
pub struct Condition {
    text: String,
    place: Place,
    program: Arc<Program>,
    /// Outermost names with their places, each once, in order.
    names: Vec<(String, Place)>,
    fields: Vec<(String, String, Place)>,
}

impl Condition {
    /// Parses a condition that stands at a place.
    ///
    /// # Errors
    /// The syntax error, or a function that there is not, at its place.
    pub fn parse(text: &str, place: &Place) -> Result<Self> {
        let pin = Pin { text, place };
        if text.len() > MAX_BYTES {
            return Err(Fault::new(format!("a condition longer than {MAX_BYTES} bytes")).at(place));
        }
        if text.contains("{{") {
            let fault = Fault::new("a template in a condition").at(&pin.at(text.find("{{").unwrap_or(0), 2));
            return Err(fault.hint("a condition uses names as they are: write `x`, not `{{ x }}`"));
        }
        if brackets(text) > MAX_BRACKETS {
            let fault =
                Fault::new(format!("brackets nested more than {MAX_BRACKETS} deep: a condition too deep")).at(place);
            return Err(fault.hint("split it: `when:` may be a list, all of which must hold"));
        }
        std::thread::scope(|scope| {
            let thread = std::thread::Builder::new().stack_size(STACK).spawn_scoped(scope, || Self::compile(&pin));
            let thread =
                thread.map_err(|error| Fault::new("no thread to read a condition in").why(error.to_string()))?;
            thread.join().unwrap_or_else(|_| Err(Fault::new("the condition cannot be read").at(place)))
        })
    }

    fn compile(pin: &Pin<'_>) -> Result<Self> {
        let program = Program::compile(pin.text).map_err(|errors| syntax(pin, &errors))?;
        let mut walk =
            Walk { pin, program: &program, depth: 0, bound: vec![], names: vec![], fields: vec![], faults: vec![] };
        walk.expr(program.expression(), 0);
        if let Some(fault) = walk.faults.into_iter().next() {
            return Err(fault);
        }
        let (names, fields) = (walk.names, walk.fields);
        Ok(Self { text: pin.text.into(), place: pin.place.clone(), program: Arc::new(program), names, fields })
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    /// The outermost names it uses (`os` in `os.family`).
    pub fn names(&self) -> Vec<String> {
        self.names.iter().map(|(name, _)| name.clone()).collect()
    }

    /// The outermost names it uses, with their places.
    pub fn places(&self) -> &[(String, Place)] {
        &self.names
    }

    /// The fields it asks of outermost names: `os`, `family` and the field's place for `os.family`.
    pub fn fields(&self) -> &[(String, String, Place)] {
        &self.fields
    }

    /// Whether it is true of these variables.
    ///
    /// # Errors
    /// An unknown name (with the nearest), or a value that is neither true nor false.
    pub fn holds(&self, scope: &Scope) -> Result<bool> {
        let mut context = Context::with_env(ENV.clone());
        for (name, place) in &self.names {
            let value = scope.get(name).ok_or_else(|| unknown_name(name, place, scope))?;
            context.add_variable_from_value(name.as_str(), as_cel(value));
        }
        match self.program.execute(&context) {
            Ok(Value::Bool(holds)) => Ok(holds),
            Ok(other) => {
                Err(Fault::new(format!("a condition must be true or false, this one is a {}", other.type_of()))
                    .at(&self.place)
                    .hint("compare it: `x == \"…\"`, `size(x) > 0`, `has(x.y)`"))
            }
            Err(error) => Err(self.failed(&error)),
        }
    }

    fn failed(&self, error: &ExecutionError) -> Fault {
        let fault = Fault::new(format!("`{}` cannot be decided", self.text)).at(&self.place);
        match error {
            ExecutionError::NoSuchKey(key) => {
                let pin = Pin { text: &self.text, place: &self.place };
                let place = word(&self.text, 0, key).map_or_else(|| self.place.clone(), |at| pin.at(at, key.len()));
                fault.at(&place).why(format!("there is no `{key}`")).hint(format!("ask first: `has(….{key}) && …`"))
            }
            ExecutionError::NoSuchOverload(overload) => {
                let types = overload.argument_types().join(" and ");
                let name = overload.function().trim_matches(['_', '@', '[', ']']);
                fault
                    .why(format!("`{name}` does not fit {types}"))
                    .hint("convert one side: `int(x)`, `double(x)`, `string(x)`")
            }
            // Others hold the values themselves in their debug form, which may be long and secret.
            ExecutionError::FunctionError { function, message } => fault.why(format!("{function}: {message}")),
            ExecutionError::UnexpectedType { got, want } => fault.why(format!("found {got} where {want} is needed")),
            _ => fault
                .why("its values do not fit its operators")
                .hint("convert one side: `int(x)`, `double(x)`, `string(x)`"),
        }
    }
}

/// How deep brackets stand in each other, texts in quotes aside.
fn brackets(text: &str) -> usize {
    let (mut depth, mut most) = (0_usize, 0);
    let mut quote = None;
    let mut signs = text.chars();
    while let Some(sign) = signs.next() {
        match (quote, sign) {
            (Some(_), '\\') => drop(signs.next()),
            (Some(open), sign) if sign == open => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(sign),
            (None, '(' | '[' | '{') => depth += 1,
            (None, ')' | ']' | '}') => depth = depth.saturating_sub(1),
            _ => {}
        }
        most = most.max(depth);
    }
    most
}

/// The first syntax error in short words at its place.
fn syntax(pin: &Pin<'_>, errors: &cel::ParseErrors) -> Fault {
    let Some(first) = errors.errors.first() else { return Fault::new("not a condition").at(pin.place) };
    let (line, column) = (usize::try_from(first.pos.0).unwrap_or(1), usize::try_from(first.pos.1).unwrap_or(1));
    let message = first.msg.trim_start_matches("Syntax error: ");
    let message = message.split(" expecting").next().unwrap_or(message).trim();
    let fault = Fault::new("not a condition").at(&pin.line_column(line, column)).why(message.replace("<EOF>", "end"));
    let words: Vec<&str> = pin.text.split_whitespace().collect();
    let hint = if words.contains(&"and") || words.contains(&"or") || words.contains(&"not") {
        "write `&&`, `||` and `!` for and, or and not"
    } else if words.contains(&"is") {
        "write `has(x.y)` for `x.y is defined`"
    } else if words.windows(2).any(|pair| pair[1] == "=") {
        "write `==` to compare"
    } else {
        return fault;
    };
    fault.hint(hint)
}

struct Walk<'a> {
    pin: &'a Pin<'a>,
    program: &'a Program,
    depth: usize,
    /// Variables of the loops around.
    bound: Vec<String>,
    names: Vec<(String, Place)>,
    fields: Vec<(String, String, Place)>,
    faults: Vec<Fault>,
}

impl Walk<'_> {
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
            Expr::Call(call) => {
                let name = call.func_name.as_str();
                if name.starts_with(|c: char| c.is_ascii_alphabetic()) && !FUNCTIONS.contains(&name) && name != "in" {
                    let place = self
                        .pin
                        .text
                        .find(name)
                        .map_or_else(|| self.pin.place.clone(), |at| self.pin.at(at, name.len()));
                    let known = FUNCTIONS.iter().chain(MACROS).copied();
                    let fault = Fault::new(format!("unknown function `{name}`")).at(&place);
                    self.faults.push(match nearest(name, known.clone()) {
                        Some(near) => fault.hint(format!("did you mean `{near}`?")),
                        None => fault.nearest(name, known),
                    });
                }
                self.all(call.target.as_deref(), loops);
                self.all(&call.args, loops);
            }
            Expr::List(list) => self.all(&list.elements, loops),
            Expr::Map(map) => self.entries(&map.entries, loops),
            Expr::Struct(of) => self.entries(&of.entries, loops),
            Expr::Comprehension(inner) => {
                if loops >= MAX_LOOPS {
                    let what = format!("`all`, `exists`, `map` or `filter` more than {MAX_LOOPS} deep in each other");
                    self.faults.push(Fault::new(what).at(self.pin.place));
                    return;
                }
                self.expr(&inner.iter_range, loops);
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

/// Whole numbers become CEL's signed ones, so that they can be compared and added with those in the text.
fn as_cel(value: &serde_json::Value) -> Value {
    match value {
        serde_json::Value::Null => Value::Null,
        serde_json::Value::Bool(bool) => Value::Bool(*bool),
        serde_json::Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(int), _) => Value::Int(int),
            (None, Some(int)) => Value::UInt(int),
            (None, None) => Value::Float(number.as_f64().unwrap_or(f64::NAN)),
        },
        serde_json::Value::String(text) => Value::String(Arc::new(text.clone())),
        serde_json::Value::Array(items) => Value::List(Arc::new(items.iter().map(as_cel).collect())),
        serde_json::Value::Object(entries) => {
            let entries = entries.iter().map(|(key, value)| (Key::String(Arc::new(key.clone())), as_cel(value)));
            Value::Map(Map { map: Arc::new(entries.collect::<HashMap<_, _>>()) })
        }
    }
}
