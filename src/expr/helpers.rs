//! The helpers of templates. None of them has an effect; each refuses what it cannot say truly.

use crate::secret::{holds, learn};
use handlebars::{
    Context, Handlebars, Helper, HelperDef, RenderContext, RenderError, RenderErrorReason, ScopedJson, no_escape,
};
use serde_json::Value;
use std::sync::LazyLock;

/// The helper through which every wanted value goes.
pub(super) const MUST: &str = "must";
/// The helper through which everything goes that is written out.
pub(super) const SHOW: &str = "show";
/// Helpers that give a value.
pub(super) const HELPERS: &[&str] = &[
    "and", "default", "eq", "gt", "gte", "join", "json", "len", "line", "lookup", "lower", "lt", "lte", "ne", "not",
    "or", "shq", "upper",
];
/// Helpers with an inside.
pub(super) const BLOCKS: &[&str] = &["each", "if", "raw", "unless", "with"];

static REGISTRY: LazyLock<Handlebars<'static>> = LazyLock::new(|| {
    let mut registry = Handlebars::new();
    registry.set_strict_mode(true);
    registry.register_escape_fn(no_escape);
    registry.unregister_helper("log");
    let own: [(&str, Work); 9] = [
        (MUST, must),
        (SHOW, show),
        ("default", default),
        ("join", join),
        ("json", json),
        ("line", line),
        ("lower", |h| other_case(h, "lower", str::to_lowercase)),
        ("shq", shq),
        ("upper", |h| other_case(h, "upper", str::to_uppercase)),
    ];
    for (name, work) in own {
        registry.register_helper(name, Box::new(Pure(work)));
    }
    registry
});

pub(super) fn registry() -> &'static Handlebars<'static> {
    &REGISTRY
}

/// The reason of a render error, in words for the author of the template.
pub(super) fn reason(error: &RenderError) -> String {
    match error.reason() {
        RenderErrorReason::Other(what) => what.clone(),
        RenderErrorReason::NestedError(inner) => match inner.downcast_ref::<RenderError>() {
            Some(inner) => reason(inner),
            None => inner.to_string(),
        },
        RenderErrorReason::IOError(error) => error.to_string(),
        RenderErrorReason::MissingVariable(Some(name)) => format!("there is no `{name}`"),
        RenderErrorReason::MissingVariable(None) => "a value is missing".into(),
        RenderErrorReason::ParamNotFoundForIndex(name, n) => format!("`{name}` needs {} values", n + 1),
        other => other.to_string(),
    }
}

type Work = fn(&Helper<'_>) -> Result<Value, RenderError>;

/// A helper that makes a value of values.
struct Pure(Work);

impl HelperDef for Pure {
    fn call_inner<'reg: 'rc, 'rc>(
        &self,
        helper: &Helper<'rc>,
        _: &'reg Handlebars<'reg>,
        _: &'rc Context,
        _: &mut RenderContext<'reg, 'rc>,
    ) -> Result<ScopedJson<'rc>, RenderError> {
        (self.0)(helper).map(ScopedJson::Derived)
    }
}

fn refuse<T>(what: impl Into<String>) -> Result<T, RenderError> {
    Err(RenderErrorReason::Other(what.into()).into())
}

fn value<'h>(helper: &'h Helper<'_>, name: &'static str, n: usize) -> Result<&'h Value, RenderError> {
    let param = helper.param(n).ok_or(RenderErrorReason::ParamNotFoundForIndex(name, n))?;
    Ok(param.value())
}

fn must(helper: &Helper<'_>) -> Result<Value, RenderError> {
    match helper.param(0) {
        Some(param) if !param.is_value_missing() => Ok(param.value().clone()),
        _ => refuse(format!("there is no `{}`", value(helper, MUST, 1)?.as_str().unwrap_or(""))),
    }
}

fn show(helper: &Helper<'_>) -> Result<Value, RenderError> {
    text(helper, "").map(Value::String)
}

/// A value as text, unless it has no honest one.
fn text(helper: &Helper<'_>, name: &'static str) -> Result<String, RenderError> {
    match value(helper, name, 0)? {
        Value::String(text) => Ok(text.clone()),
        Value::Null => refuse("the value is null, which is no text: use `default` or `json`"),
        Value::Array(_) => refuse("the value is a list: use `join`, `json` or `#each`"),
        Value::Object(_) => refuse("the value is a map: use `json` or one of its fields"),
        other => Ok(other.to_string()),
    }
}

/// A secret in other letters is a secret still.
fn other_case(helper: &Helper<'_>, name: &'static str, case: fn(&str) -> String) -> Result<Value, RenderError> {
    let text = text(helper, name)?;
    let other = case(&text);
    if holds(&text) {
        learn(other.clone()).or_else(|fault| refuse(fault.what()))?;
    }
    Ok(other.into())
}

fn default(helper: &Helper<'_>) -> Result<Value, RenderError> {
    let fallback = value(helper, "default", 1)?;
    match helper.param(0) {
        Some(param) if !param.is_value_missing() && !param.value().is_null() => Ok(param.value().clone()),
        _ => Ok(fallback.clone()),
    }
}

fn join(helper: &Helper<'_>) -> Result<Value, RenderError> {
    let Value::Array(items) = value(helper, "join", 0)? else { return refuse("`join` needs a list") };
    let Value::String(between) = value(helper, "join", 1)? else { return refuse("`join` needs text to put between") };
    let texts = items.iter().map(|item| match item {
        Value::String(text) => Ok(text.clone()),
        Value::Number(_) | Value::Bool(_) => Ok(item.to_string()),
        _ => refuse("`join` needs a list of texts"),
    });
    texts.collect::<Result<Vec<_>, _>>().map(|texts| texts.join(between).into())
}

fn json(helper: &Helper<'_>) -> Result<Value, RenderError> {
    value(helper, "json", 0).map(|value| value.to_string().into())
}

/// Text that stays on its line: a value must not smuggle a second setting into a configuration file.
fn line(helper: &Helper<'_>) -> Result<Value, RenderError> {
    let text = text(helper, "line")?;
    if text.contains(['\n', '\r', '\0']) {
        return refuse("`line` refuses a text with a line break or NUL in it");
    }
    Ok(text.into())
}

/// One word for a POSIX shell, in single quotes.
fn shq(helper: &Helper<'_>) -> Result<Value, RenderError> {
    let text = text(helper, "shq")?;
    if text.contains('\0') {
        return refuse("`shq` refuses a text with NUL in it: no shell word can hold it");
    }
    Ok(format!("'{}'", text.replace('\'', r"'\''")).into())
}
