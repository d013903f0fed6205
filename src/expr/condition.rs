//! A `when:`: CEL that gives true or false.

use super::Scope;
use super::ask::{self, Ask, Placed, Reply};
use super::place::{Pin, unknown_name, word};
use super::walk::Walk;
use crate::fault::{Fault, Place, Result};
use cel::extractors::Arguments;
use cel::objects::{Key, Map};
use cel::{Context, Env, ExecutionError, Program, Value};
use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

/// The longest condition, in bytes.
const MAX_BYTES: usize = 2048;
/// How often a condition is worked out anew because an answer led to a further question.
const MAX_ROUNDS: usize = 16;
/// How deep brackets may stand in each other. CEL's reader goes down its stack for each level, brackets at some 100 KiB a
/// level, so it gets a stack of its own; deciding is on the caller's.
const MAX_BRACKETS: usize = 16;
const STACK: usize = 32 << 20;

static ENV: LazyLock<Arc<Env>> = LazyLock::new(|| Arc::new(Env::stdlib()));

/// A parsed condition.
#[derive(Debug, Clone)]
pub struct Condition {
    text: String,
    place: Place,
    program: Arc<Program>,
    /// Outermost names with their places, each once, in order.
    names: Vec<(String, Place)>,
    fields: Vec<(String, String, Place)>,
    asks: Vec<Placed>,
    asking: bool,
    because: Option<String>,
}

/// What came of a condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Truth {
    Yes,
    No,
    /// It hangs on what the host says: on these questions that were not asked yet, or on one that cannot be told.
    Open {
        why: String,
        unasked: Vec<Ask>,
    },
}

/// What happened while a condition was worked out.
#[derive(Debug, Default)]
struct Log {
    known: HashMap<Ask, Reply>,
    unasked: Vec<Ask>,
    unknown: Option<String>,
    wrong: Option<String>,
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
        let walk = Walk::over(pin, &program);
        if let Some(fault) = walk.faults.into_iter().next() {
            return Err(fault);
        }
        let (names, fields, asks, asking) = (walk.names, walk.fields, walk.asks, walk.asking);
        let (text, place) = (pin.text.into(), pin.place.clone());
        Ok(Self { text, place, program: Arc::new(program), names, fields, asks, asking, because: None })
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    /// With what its author says for the case that it does not hold.
    #[must_use]
    pub fn because(self, because: Option<&str>) -> Self {
        Self { because: because.map(ToOwned::to_owned), ..self }
    }

    /// What its author says for the case that it does not hold.
    pub fn reason(&self) -> Option<&str> {
        self.because.as_deref()
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

    /// Whether it asks the host.
    pub fn asks_host(&self) -> bool {
        self.asking
    }

    /// The questions to the host that are known as they stand, with their places and those of their arguments.
    pub fn asks(&self) -> impl Iterator<Item = &Placed> {
        self.asks.iter()
    }

    /// Whether it is true of these variables, and of the host as far as it is known: what decides is enough, as in
    /// `known || unknown`.
    ///
    /// # Errors
    /// An unknown name (with the nearest), a value that is neither true nor false, a question that cannot be asked.
    pub fn decide(&self, scope: &Scope, host: &dyn Fn(&Ask) -> Reply) -> Result<Truth> {
        let mut context = Context::with_env(ENV.clone());
        for (name, place) in &self.names {
            let value = scope.get(name).ok_or_else(|| unknown_name(name, place, scope))?;
            context.add_variable_from_value(name.as_str(), as_cel(value));
        }
        let known = self.asks.iter().map(|(ask, ..)| (ask.clone(), host(ask)));
        let log = Arc::new(Mutex::new(Log { known: known.collect(), ..Log::default() }));
        if self.asking {
            listen(&mut context, &log);
        }
        // Arguments that are worked out are known when they are met; what the host has said of them is put in then.
        for _ in 0..MAX_ROUNDS {
            let result = self.program.execute(&context);
            let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
            let known = std::mem::take(&mut log.known);
            let seen = std::mem::replace(&mut *log, Log { known, ..Log::default() });
            let new: Vec<(Ask, Reply)> = seen
                .unasked
                .iter()
                .filter(|ask| !log.known.contains_key(*ask))
                .map(|ask| (ask.clone(), host(ask)))
                .collect();
            if !new.is_empty() {
                log.known.extend(new);
                continue;
            }
            return self.truth(result, seen);
        }
        Err(Fault::new(format!("`{}` asks too much", self.text)).at(&self.place))
    }

    fn truth(&self, result: std::result::Result<Value, ExecutionError>, seen: Log) -> Result<Truth> {
        if let Some(wrong) = seen.wrong {
            return Err(Fault::new(wrong).at(&self.place));
        }
        match result {
            Ok(Value::Bool(true)) => Ok(Truth::Yes),
            Ok(Value::Bool(false)) => Ok(Truth::No),
            Ok(other) => {
                Err(Fault::new(format!("a condition must be true or false, this one is a {}", other.type_of()))
                    .at(&self.place)
                    .hint("compare it: `x == \"…\"`, `size(x) > 0`, `has(x.y)`"))
            }
            Err(error) => match (seen.unknown, seen.unasked) {
                (None, unasked) if unasked.is_empty() => Err(self.failed(&error)),
                (unknown, unasked) => {
                    let why = unknown.unwrap_or_else(|| "the host was not asked yet".into());
                    Ok(Truth::Open { why, unasked })
                }
            },
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

/// Makes the questions to the host known to CEL: each answers from what is known, or writes down that it is not.
fn listen(context: &mut Context<'_, '_>, log: &Arc<Mutex<Log>>) {
    for function in ask::FUNCTIONS {
        let log = Arc::clone(log);
        let one = move |Arguments(args): Arguments| {
            let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
            let open = || Err(ExecutionError::function_error(function.name, "is not known"));
            let ask = match function.ask(&args) {
                Ok(ask) => ask,
                Err(why) => {
                    log.wrong.get_or_insert(why);
                    return open();
                }
            };
            match log.known.get(&ask).cloned() {
                Some(Reply::True) => Ok(Value::Bool(true)),
                Some(Reply::False) => Ok(Value::Bool(false)),
                Some(Reply::Text(text)) => Ok(Value::String(Arc::new(text))),
                Some(Reply::Unknown(why)) => {
                    log.unknown.get_or_insert(why);
                    open()
                }
                Some(Reply::Wrong(why)) => {
                    log.wrong.get_or_insert(why);
                    open()
                }
                Some(Reply::Unasked) | None => {
                    if !log.unasked.contains(&ask) {
                        log.unasked.push(ask);
                    }
                    open()
                }
            }
        };
        // None of these names is one of CEL's own functions, which is all that could be in the way.
        let _ = context.add_function(function.name, one);
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
