//! A text with `{{ names }}` in it.
//!
//! Handlebars, with its gaps closed when a template is read: every value goes through a helper of ours that refuses what
//! is missing, also where handlebars itself is silent (`#if`, `#each`), and lists or maps are never shown by accident.
//! Nothing is escaped for HTML, so the forms that switch escaping off have no use and are refused, as are partials and
//! decorators.

use super::Scope;
use super::helpers::{self, BLOCKS, HELPERS, MUST, SHOW};
use super::place::{Pin, unknown_name, word};
use crate::fault::{Fault, Place, Result};
use handlebars::template::{BlockParam, HelperTemplate, Parameter, Subexpression, TemplateElement};
use handlebars::{Context, Output, Path, PathSeg, RenderContext, Renderable};
use serde_json::Value;
use std::sync::Arc;

/// The longest template and the longest result, in bytes.
const MAX_BYTES: usize = 1 << 20;
/// How deep `#each` may stand in itself: the time it takes grows as a power of it.
const MAX_LOOPS: usize = 3;
/// How deep blocks and parentheses may be nested.
const MAX_NESTING: usize = 32;

/// A parsed template.
#[derive(Debug, Clone)]
pub struct Template {
    text: String,
    place: Place,
    parsed: Arc<handlebars::Template>,
    /// Outermost names with their places, each once, in order.
    names: Vec<(String, Place)>,
    /// Names that have a default.
    optional: Vec<String>,
    /// It is one `{{ path }}` and nothing else: these steps lead to its value.
    path: Option<Vec<String>>,
}

impl Template {
    /// Whether the text has anything to fill in.
    pub fn is_one(text: &str) -> bool {
        text.contains("{{")
    }

    /// Parses a template that stands at a place.
    ///
    /// # Errors
    /// The syntax error, or a construct that is refused (`{{{`, `{{&`, partials), at its place.
    pub fn parse(text: &str, place: &Place) -> Result<Self> {
        let pin = Pin { text, place };
        bounded(text, place)?;
        let mut parsed = handlebars::Template::compile(text).map_err(|error| syntax(&pin, &error))?;
        let path = only_path(&parsed);
        let mut walk = Walk { pin: &pin, names: vec![], optional: vec![], bound: vec![], depth: 0, from: 0 };
        walk.template(&mut parsed)?;
        let (names, optional) = (walk.names, walk.optional);
        Ok(Self { text: text.into(), place: place.clone(), parsed: Arc::new(parsed), names, optional, path })
    }

    /// The text as written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The outermost names it uses; those with a default do not count.
    pub fn names(&self) -> Vec<String> {
        self.names.iter().map(|(name, _)| name.clone()).collect()
    }

    /// The outermost names it cannot do without, with their places.
    pub fn wanted(&self) -> Vec<(String, Place)> {
        self.names.clone()
    }

    /// All outermost names it looks at, those with a default as well.
    pub fn looks_at(&self) -> Vec<(String, Place)> {
        let optional = self.optional.iter().map(|name| (name.clone(), self.place.clone()));
        self.names.iter().cloned().chain(optional).collect()
    }

    /// The text with everything filled in.
    ///
    /// # Errors
    /// An unknown name (with the nearest), or a helper that refused its argument.
    pub fn render(&self, scope: &Scope) -> Result<String> {
        let mut used = Scope::new();
        for (name, place) in &self.names {
            let value = scope.get(name).ok_or_else(|| unknown_name(name, place, scope))?;
            used.insert(name.clone(), value.clone());
        }
        for name in &self.optional {
            if let Some(value) = scope.get(name) {
                used.insert(name.clone(), value.clone());
            }
        }
        let context = Context::from(Value::Object(used));
        let mut out = Capped(String::new());
        let rendered = self.parsed.render(helpers::registry(), &context, &mut RenderContext::new(None), &mut out);
        rendered.map(|()| out.0).map_err(|error| self.failed(&error))
    }

    /// The value it stands for: of any type when it is one `{{ path }}` and nothing else, else its text.
    ///
    /// # Errors
    /// As [`Template::render`].
    pub fn value(&self, scope: &Scope) -> Result<Value> {
        let Some(path) = &self.path else { return self.render(scope).map(Value::String) };
        let (first, rest) = path.split_first().ok_or_else(|| Fault::new("an empty path").at(&self.place))?;
        let place = self.names.first().map_or(&self.place, |(_, place)| place);
        let mut value = scope.get(first).ok_or_else(|| unknown_name(first, place, scope))?;
        for step in rest {
            let next = match value {
                Value::Array(items) => step.parse::<usize>().ok().and_then(|n| items.get(n)),
                other => other.get(step),
            };
            value = next.ok_or_else(|| {
                let known = value.as_object().into_iter().flat_map(|map| map.keys().map(String::as_str));
                Fault::new(format!("`{}` has no `{step}`", self.text.trim_matches(['{', '}', ' '])))
                    .at(place)
                    .nearest(step, known)
            })?;
        }
        Ok(value.clone())
    }

    fn failed(&self, error: &handlebars::RenderError) -> Fault {
        let pin = Pin { text: &self.text, place: &self.place };
        let place = match (error.line_no, error.column_no) {
            (Some(line), Some(column)) => pin.line_column(line, column),
            _ => self.place.clone(),
        };
        Fault::new(helpers::reason(error)).at(&place)
    }
}

fn bounded(text: &str, place: &Place) -> Result<()> {
    if text.len() > MAX_BYTES {
        return Err(Fault::new(format!("a template longer than {MAX_BYTES} bytes")).at(place));
    }
    // The parser goes down once for each level.
    let (mut blocks, mut parens) = (0_usize, 0_usize);
    for (at, sign) in text.char_indices() {
        match sign {
            '{' if text[at..].starts_with("{{#") => blocks += 1,
            '{' if text[at..].starts_with("{{/") || text[at..].starts_with("{{~/") => blocks = blocks.saturating_sub(1),
            '(' | '[' => parens += 1,
            ')' | ']' => parens = parens.saturating_sub(1),
            '}' => parens = 0,
            _ => {}
        }
        if blocks > MAX_NESTING || parens > MAX_NESTING {
            return Err(Fault::new(format!("a template nested deeper than {MAX_NESTING} levels")).at(place));
        }
    }
    Ok(())
}

fn syntax(pin: &Pin<'_>, error: &handlebars::TemplateError) -> Fault {
    use handlebars::TemplateErrorReason as R;
    let place = error.pos().map_or_else(|| pin.place.clone(), |(line, column)| pin.line_column(line, column));
    let fault = match error.reason() {
        R::MismatchingClosedHelper(open, close) => Fault::new(format!("`{open}` is open, `{close}` is closed")),
        _ => Fault::new("not a template"),
    };
    let fault = fault.at(&place);
    if pin.text.contains('|') && !pin.text.contains(" as |") {
        fault.hint(
            "there are no filters: write a helper first, as in `{{ default x \"1\" }}` or `{{ join list \", \" }}`",
        )
    } else if pin.text.matches("{{").count() > pin.text.matches("}}").count() {
        fault.hint("a `{{` is never closed by `}}`; to write it as text: `\\{{`")
    } else {
        fault.hint("`{{ name.field }}`, `{{ helper value }}`, `{{#if x}}…{{/if}}`, `{{#each x}}…{{/each}}`")
    }
}

/// The steps of a template that is one plain path.
fn only_path(template: &handlebars::Template) -> Option<Vec<String>> {
    let [TemplateElement::Expression(only)] = template.elements.as_slice() else { return None };
    if !only.params.is_empty() || !only.hash.is_empty() {
        return None;
    }
    let Parameter::Path(Path::Relative((segments, raw))) = &only.name else { return None };
    let steps = segments.iter().map(|segment| match segment {
        PathSeg::Named(name) => Some(name.clone()),
        _ => None,
    });
    if raw.starts_with(['.', '@']) { None } else { steps.collect() }
}

struct Walk<'a> {
    pin: &'a Pin<'a>,
    names: Vec<(String, Place)>,
    optional: Vec<String>,
    /// Names that blocks around have given.
    bound: Vec<String>,
    /// How many blocks around have changed what a bare name means.
    depth: usize,
    /// Where in the text the element starts.
    from: usize,
}

impl Walk<'_> {
    fn template(&mut self, template: &mut handlebars::Template) -> Result<()> {
        let mapping = template.mapping.clone();
        for (n, element) in template.elements.iter_mut().enumerate() {
            if let Some(at) = mapping.get(n) {
                self.from = self.offset(at.0, at.1);
            }
            self.element(element)?;
        }
        Ok(())
    }

    fn offset(&self, line: usize, column: usize) -> usize {
        let start = std::iter::once(0).chain(self.pin.text.match_indices('\n').map(|(at, _)| at + 1));
        let start = start.take(line.max(1)).last().unwrap_or(0);
        let rest = &self.pin.text[start..];
        start + rest.char_indices().nth(column.saturating_sub(1)).map_or(0, |(at, _)| at)
    }

    fn here(&self) -> Place {
        self.pin.at(self.from, 2)
    }

    fn element(&mut self, element: &mut TemplateElement) -> Result<()> {
        match element {
            TemplateElement::RawString(_) | TemplateElement::Comment(_) => Ok(()),
            TemplateElement::Expression(expression) => {
                let inner = if expression.params.is_empty() && expression.hash.is_empty() {
                    self.parameter(&expression.name, false)?
                } else {
                    let name = self.helper(expression, HELPERS)?;
                    Parameter::Subexpression(self.call(&name, expression)?)
                };
                expression.name = Parameter::Name(SHOW.into());
                expression.params = vec![inner];
                expression.hash.clear();
                Ok(())
            }
            TemplateElement::HelperBlock(block) => self.block(block),
            TemplateElement::HtmlExpression(_) => Err(Fault::new("`{{{ … }}}` and `{{& … }}` are not supported")
                .at(&self.here())
                .hint("write `{{ … }}`: nothing is escaped anyway")),
            _ => Err(Fault::new("partials `{{> … }}` and decorators `{{* … }}` are not supported").at(&self.here())),
        }
    }

    fn block(&mut self, block: &mut HelperTemplate) -> Result<()> {
        let name = self.helper(block, BLOCKS)?;
        if block.params.len() != 1 && name != "raw" {
            return Err(Fault::new(format!("`#{name}` takes one value")).at(&self.here()));
        }
        for param in &mut block.params {
            *param = self.parameter(param, false)?;
        }
        let bound = self.bound.len();
        match &block.block_param {
            Some(BlockParam::Single(one)) => self.bound.extend(one.as_name().map(Into::into)),
            Some(BlockParam::Pair((one, two))) => {
                self.bound.extend([one, two].iter().filter_map(|param| param.as_name()).map(Into::into));
            }
            _ => {}
        }
        let deeper = usize::from(matches!(name.as_str(), "each" | "with"));
        self.depth += deeper;
        if self.depth > MAX_LOOPS {
            return Err(Fault::new(format!("`#each` and `#with` more than {MAX_LOOPS} deep")).at(&self.here()));
        }
        if let Some(inside) = &mut block.template {
            self.template(inside)?;
        }
        self.depth -= deeper;
        self.bound.truncate(bound);
        match &mut block.inverse {
            Some(inverse) => self.template(inverse),
            None => Ok(()),
        }
    }

    /// The helper's name, when it is one of ours.
    fn helper(&self, template: &HelperTemplate, known: &[&str]) -> Result<String> {
        let name = template.name.as_name().unwrap_or("");
        if known.contains(&name) {
            return Ok(name.into());
        }
        let at = word(self.pin.text, self.from, name).unwrap_or(self.from);
        let fault = Fault::new(format!("unknown helper `{name}`")).at(&self.pin.at(at, name.len()));
        Err(fault.nearest(name, known.iter().copied()))
    }

    fn call(&mut self, name: &str, template: &HelperTemplate) -> Result<Subexpression> {
        let params = template.params.iter().enumerate();
        let params = params.map(|(n, param)| self.parameter(param, name == "default" && n == 0));
        let params = params.collect::<Result<Vec<_>>>()?;
        if let Some(key) = template.hash.keys().next() {
            return Err(Fault::new(format!("`{name}` takes no `{key}=`")).at(&self.here()));
        }
        Ok(Subexpression::new(Parameter::Name(name.into()), params, std::collections::HashMap::new()))
    }

    /// A value that is wanted, wrapped so that a missing one is an error; with a default it may be missing.
    fn parameter(&mut self, param: &Parameter, optional: bool) -> Result<Parameter> {
        match param {
            Parameter::Path(path) => {
                self.path(path, optional)?;
                if optional {
                    return Ok(param.clone());
                }
                let of = vec![param.clone(), Parameter::Literal(Value::String(raw(path).into()))];
                let name = Parameter::Name(MUST.into());
                Ok(Parameter::Subexpression(Subexpression::new(name, of, std::collections::HashMap::new())))
            }
            Parameter::Name(name) => match Path::parse(name) {
                Ok(path) => self.parameter(&Parameter::Path(path), optional),
                Err(_) => Err(Fault::new(format!("`{name}` is not a path")).at(&self.here())),
            },
            Parameter::Subexpression(inner) => match inner.as_element() {
                TemplateElement::Expression(call) if call.params.is_empty() => self.parameter(&call.name, optional),
                TemplateElement::Expression(call) => {
                    let name = self.helper(call, HELPERS)?;
                    self.call(&name, call).map(Parameter::Subexpression)
                }
                _ => Err(Fault::new("not a value").at(&self.here())),
            },
            other => Ok(other.clone()),
        }
    }

    fn path(&mut self, path: &Path, optional: bool) -> Result<()> {
        let Path::Relative((segments, raw)) = path else { return Ok(()) };
        let up = raw.matches("../").count();
        let first = segments.iter().find_map(|segment| match segment {
            PathSeg::Named(name) => Some(name.as_str()),
            _ => None,
        });
        if up > self.depth {
            return Err(Fault::new(format!("`{raw}` goes up further than there are blocks")).at(&self.here()));
        }
        let outermost = up == self.depth || raw.starts_with("@root");
        let Some(first) = first.filter(|name| outermost && *name != "this") else {
            return if self.depth == 0 {
                Err(Fault::new("`this` means something only inside of `#each` and `#with`").at(&self.here()))
            } else {
                Ok(())
            };
        };
        if self.bound.iter().any(|bound| bound == first) {
            return Ok(());
        }
        if optional {
            self.optional.push(first.into());
        } else if !self.names.iter().any(|(name, _)| name == first) {
            let at = word(self.pin.text, self.from, first).unwrap_or(self.from);
            self.names.push((first.into(), self.pin.at(at, first.len())));
        }
        Ok(())
    }
}

fn raw(path: &Path) -> &str {
    match path {
        Path::Relative((_, raw)) | Path::Local((_, _, raw)) => raw,
    }
}

/// An output that ends before it is too long.
struct Capped(String);

impl Output for Capped {
    fn write(&mut self, part: &str) -> Result<(), std::io::Error> {
        if self.0.len() + part.len() > MAX_BYTES {
            return Err(std::io::Error::other(format!("the filled-in text is longer than {MAX_BYTES} bytes")));
        }
        self.0.push_str(part);
        Ok(())
    }
}
