//! From text to tree: events become nodes on a stack; what can be told at once is gathered, a syntax error ends it.

use super::hints::{Opened, explain};
use super::{Key, Node, Value};
use crate::fault::{Fault, Faults, Place, Source};
use granit_parser::{Event, Parser, ScalarStyle, Span, StructureStyle, Tag};
use std::collections::HashMap;
use std::sync::Arc;

/// The largest text that is read, in bytes.
const MAX_BYTES: usize = 16 << 20;
/// The largest tree, aliases expanded.
const MAX_NODES: usize = 1_000_000;
/// The deepest nesting.
const MAX_DEPTH: usize = 64;
/// After so many mistakes the rest of the file is not worth telling.
const MAX_FAULTS: usize = 100;

/// Reads one document.
///
/// # Errors
/// Every mistake found, each with its place; a syntax error is the last of them.
pub fn parse(source: &Arc<Source>) -> Result<Node, Faults> {
    document(source, Tree::new(source))
}

/// Reads one document of Ansible's: a scalar tagged `!vault` or `!unsafe` is its text.
///
/// # Errors
/// As [`parse`].
pub fn parse_ansible(source: &Arc<Source>) -> Result<Node, Faults> {
    document(source, Tree { ansible: true, ..Tree::new(source) })
}

fn document(source: &Arc<Source>, mut tree: Tree<'_>) -> Result<Node, Faults> {
    if source.text.len() > MAX_BYTES {
        let what = format!("the file has {} bytes, more than the {MAX_BYTES} that are read", source.text.len());
        return Err(Fault::new(what).at(&Place { source: source.clone(), start: 0, end: 0 }).into());
    }
    let options = granit_parser::options! {
        emit_comments: false,
        emit_unresolved_aliases: true,
        disallow_directives: true,
        flow_nesting_limit: MAX_DEPTH,
        block_nesting_limit: MAX_DEPTH,
    };
    for next in Parser::new_from_str_with_options(&source.text, options) {
        let step = match next {
            Ok((event, span)) => {
                tree.reached = span.byte_range().map_or(tree.reached, |range| range.end.max(tree.reached));
                tree.take(event, &span)
            }
            Err(error) => Err(explain(source, &error, &tree.opened())),
        };
        if let Err(last) = step {
            tree.faults.push(last);
            break;
        }
        if tree.faults.len() >= MAX_FAULTS {
            break;
        }
    }
    match Faults::some(tree.faults) {
        Some(faults) => Err(faults),
        None => Ok(tree.root.map_or_else(
            || Node { value: Value::Null, place: Place { source: source.clone(), start: 0, end: 0 } },
            |part| part.node,
        )),
    }
}

/// A finished node with what the budget needs to know.
#[derive(Clone)]
struct Part {
    node: Node,
    /// Nodes in it, itself included.
    size: usize,
    /// Levels in it; a scalar has one.
    depth: usize,
}

/// A list or map whose end has not been seen.
struct Open {
    start: usize,
    end: usize,
    flow: bool,
    anchor: usize,
    size: usize,
    depth: usize,
    what: Inside,
}

enum Inside {
    List(Vec<Node>),
    Map {
        entries: Vec<(Key, Node)>,
        at: HashMap<String, usize>,
        /// The key that waits for its value; `None` in it where the key itself was a mistake.
        key: Option<Option<Key>>,
        merges: Vec<Node>,
        /// The key that waits is a plain `<<`.
        merging: bool,
    },
}

struct Tree<'s> {
    source: &'s Arc<Source>,
    stack: Vec<Open>,
    root: Option<Part>,
    anchors: HashMap<usize, Part>,
    nodes: usize,
    documents: usize,
    /// How far the events have come, in bytes.
    reached: usize,
    /// Ansible's own tags are known.
    ansible: bool,
    faults: Vec<Fault>,
}

impl<'s> Tree<'s> {
    fn new(source: &'s Arc<Source>) -> Self {
        let anchors = HashMap::new();
        let (stack, faults) = (vec![], vec![]);
        Self { source, stack, root: None, anchors, nodes: 0, documents: 0, reached: 0, ansible: false, faults }
    }

    /// Where things were opened that a syntax error may be about.
    fn opened(&self) -> Opened {
        let bracket = self.stack.last().filter(|open| open.flow).map(|open| open.start);
        Opened { bracket, reached: floor(&self.source.text, self.reached) }
    }

    fn place(&self, span: &Span) -> Place {
        let range = span.byte_range().unwrap_or(0..0);
        self.range(range.start, range.end)
    }

    /// A place without blanks at its end (a block's span runs on to the next token).
    fn range(&self, start: usize, end: usize) -> Place {
        let text = self.source.text.as_str();
        let start = floor(text, start);
        let end = floor(text, end).max(start);
        let end = start + text.get(start..end).map_or(0, |t| t.trim_end().len());
        Place { source: self.source.clone(), start, end }
    }

    fn take(&mut self, event: Event<'_>, span: &Span) -> Result<(), Fault> {
        match event {
            Event::DocumentStart(..) => {
                self.documents += 1;
                if self.documents > 1 {
                    let fault = Fault::new("a second document in one file").at(&self.place(span));
                    return Err(fault.hint("put each document into a file of its own, or make it one list"));
                }
                Ok(())
            }
            Event::Scalar(text, style, anchor, tag) => {
                let node = self.scalar(&text, style, tag.as_deref(), span);
                self.count(1, &node.place)?;
                self.finish(Part { node, size: 1, depth: 1 }, anchor, style == ScalarStyle::Plain)
            }
            Event::SequenceStart(style, anchor, tag) => {
                self.tagged(tag.as_deref(), "seq", span);
                self.open(Inside::List(vec![]), style, anchor, span)
            }
            Event::MappingStart(style, anchor, tag) => {
                self.tagged(tag.as_deref(), "map", span);
                let (entries, at, merges) = (vec![], HashMap::new(), vec![]);
                self.open(Inside::Map { entries, at, key: None, merges, merging: false }, style, anchor, span)
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(span),
            Event::Alias(anchor) => self.alias(anchor, span),
            Event::UnresolvedAlias(name) => {
                let place = self.place(span);
                self.faults.push(
                    Fault::new(format!("no anchor `&{name}` stands before this"))
                        .at(&place)
                        .hint(format!("is it meant as text? then quote it: \"*{name}\"")),
                );
                self.finish(Part { node: Node { value: Value::Null, place }, size: 1, depth: 1 }, 0, false)
            }
            _ => Ok(()),
        }
    }

    /// Every node counts, a copy as much as what it copies: that is the bomb's bill.
    fn count(&mut self, nodes: usize, place: &Place) -> Result<(), Fault> {
        self.nodes += nodes;
        if self.nodes <= MAX_NODES {
            return Ok(());
        }
        let what = format!("more than {MAX_NODES} values, aliases counted where they are used");
        Err(Fault::new(what).at(place))
    }

    fn scalar(&mut self, text: &str, style: ScalarStyle, tag: Option<&Tag>, span: &Span) -> Node {
        let place = self.place(span);
        let core = match tag {
            None => None,
            Some(tag) if tag.original() == "!" => Some("str"),
            Some(tag) if self.ansible && matches!(tag.original().as_str(), "!vault" | "!unsafe") => Some("str"),
            Some(tag) => match tag.core_suffix() {
                Some("map" | "seq") | None => {
                    self.refuse(tag, span);
                    None
                }
                core => core,
            },
        };
        let plain = style == ScalarStyle::Plain;
        let null = plain && matches!(text, "" | "~" | "null" | "Null" | "NULL");
        let value = match core {
            Some("null") => Value::Null,
            None if null => Value::Null,
            Some("str") => Value::Scalar { text: text.into(), plain: false },
            Some(_) => Value::Scalar { text: text.into(), plain: true },
            None => Value::Scalar { text: text.into(), plain },
        };
        Node { value, place }
    }

    fn tagged(&mut self, tag: Option<&Tag>, fits: &str, span: &Span) {
        if let Some(tag) = tag
            && tag.core_suffix() != Some(fits)
            && tag.original() != "!"
        {
            self.refuse(tag, span);
        }
    }

    fn refuse(&mut self, tag: &Tag, span: &Span) {
        let name = tag.original();
        let place = self.place(&span.tag_span().unwrap_or(*span));
        let fault = match (name.as_str(), tag.core_suffix()) {
            (_, Some(_)) => Fault::new(format!("`{name}` does not fit what follows it")),
            ("!vault", _) => Fault::new("`!vault` is not supported: Ansible Vault texts cannot be decrypted here")
                .hint("decrypt it with `ansible-vault` and pass the value by `--extra-vars @FILE`"),
            ("!unsafe", _) => Fault::new("`!unsafe` is not supported")
                .hint("remove it: a value is filled in once and its result is never a template again"),
            _ => Fault::new(format!("unknown tag `{name}`")).hint("is it meant as text? then quote it"),
        };
        self.faults.push(fault.at(&place));
    }

    fn open(&mut self, what: Inside, style: StructureStyle, anchor: usize, span: &Span) -> Result<(), Fault> {
        let place = self.place(span);
        if self.stack.len() >= MAX_DEPTH {
            return Err(too_deep(&place));
        }
        self.count(1, &place)?;
        let flow = style == StructureStyle::Flow;
        self.stack.push(Open { start: place.start, end: place.end, flow, anchor, size: 1, depth: 1, what });
        Ok(())
    }

    fn close(&mut self, span: &Span) -> Result<(), Fault> {
        let Some(open) = self.stack.pop() else { return Ok(()) };
        let end = if open.flow { self.place(span).end } else { open.end };
        let place = self.range(open.start, end);
        let value = match open.what {
            Inside::List(items) => Value::List(items),
            Inside::Map { entries, merges, .. } => Value::Map(self.merge(entries, merges)),
        };
        self.finish(Part { node: Node { value, place }, size: open.size, depth: open.depth }, open.anchor, false)
    }

    fn alias(&mut self, anchor: usize, span: &Span) -> Result<(), Fault> {
        let place = self.place(span);
        let Some(mut part) = self.anchors.get(&anchor).cloned() else {
            self.faults.push(Fault::new("an alias inside of what it stands for").at(&place));
            return self.finish(Part { node: Node { value: Value::Null, place }, size: 1, depth: 1 }, 0, false);
        };
        if self.stack.len() + part.depth > MAX_DEPTH {
            return Err(too_deep(&place));
        }
        self.count(part.size, &place)?;
        let plain = matches!(part.node.value, Value::Scalar { plain: true, .. });
        part.node.place = place;
        self.finish(part, 0, plain)
    }

    /// A finished node goes to whoever waits for it: a list, a map as key or value, or the document.
    fn finish(&mut self, part: Part, anchor: usize, plain: bool) -> Result<(), Fault> {
        if anchor != 0 {
            self.count(part.size, &part.node.place)?;
            self.anchors.insert(anchor, part.clone());
        }
        let Some(top) = self.stack.last_mut() else {
            self.root = Some(part);
            return Ok(());
        };
        top.size += part.size;
        top.depth = top.depth.max(part.depth + 1);
        top.end = top.end.max(part.node.place.end);
        let (start, flow) = (top.start, top.flow);
        match &mut top.what {
            Inside::List(items) => items.push(part.node),
            Inside::Map { key: waiting @ None, merging, .. } => {
                let (key, fault) = as_key(part.node, plain, flow, start);
                *merging = plain && key.as_ref().is_some_and(|key| key.text == "<<");
                *waiting = Some(key);
                self.faults.extend(fault);
            }
            Inside::Map { entries, at, key: waiting @ Some(_), merges, merging } => match waiting.take().flatten() {
                Some(_) if *merging && merges.is_empty() => merges.push(part.node),
                Some(key) => match at.get(&key.text).and_then(|n| entries.get(*n)) {
                    Some((first, _)) => self.faults.push(twice(&key, &first.place)),
                    None if *merging => {
                        self.faults
                            .push(Fault::new("a second `<<` in one map").at(&key.place).hint("write `<<: [*a, *b]`"));
                    }
                    None => {
                        at.insert(key.text.clone(), entries.len());
                        entries.push((key, part.node));
                    }
                },
                None => {}
            },
        }
        Ok(())
    }

    /// What `<<` brings in comes first and gives way to what is written.
    fn merge(&mut self, own: Vec<(Key, Node)>, merges: Vec<Node>) -> Vec<(Key, Node)> {
        let Some(from) = merges.into_iter().next() else { return own };
        let sources = match from.value {
            Value::List(items) => items,
            _ => vec![from],
        };
        let mut entries: Vec<(Key, Node)> = Vec::new();
        let mut known: std::collections::HashSet<String> = own.iter().map(|(key, _)| key.text.clone()).collect();
        for source in sources {
            let what = source.what();
            match source.value {
                Value::Map(more) => entries.extend(more.into_iter().filter(|(key, _)| known.insert(key.text.clone()))),
                _ => self.faults.push(Fault::new(format!("`<<` needs a map, found {what}")).at(&source.place)),
            }
        }
        entries.extend(own);
        entries
    }
}

/// A node in key position as a key, and what is wrong with it.
fn as_key(node: Node, plain: bool, flow: bool, map_start: usize) -> (Option<Key>, Option<Fault>) {
    let Node { value, place } = node;
    let text = match value {
        Value::Scalar { text, .. } => text,
        // A key keeps its text, so `null:` and `~:` are names like any other.
        Value::Null if place.end > place.start => place.source.text[place.start..place.end].into(),
        Value::Null if plain => return (None, Some(Fault::new("a key is missing before `:`").at(&place))),
        Value::Null => return (None, None),
        Value::List(_) | Value::Map(_) => {
            let braces = flow && place.start == map_start + 1 && matches!(value, Value::Map(_));
            let fault = if braces {
                let place = Place { start: map_start, ..place };
                Fault::new("`{{` without quotes starts a map, not a template")
                    .at(&place)
                    .hint("quote the whole value: \"{{ … }}\"")
            } else {
                Fault::new("a key must be text").at(&place)
            };
            return (None, Some(fault));
        }
    };
    (Some(Key { text, place }), None)
}

fn twice(key: &Key, first: &Place) -> Fault {
    let fault = Fault::new(format!("the key `{}` stands twice in one map", key.text)).at(&key.place);
    fault.also(first, "first written here").hint("remove one of them: which one would hold is a guess")
}

fn too_deep(place: &Place) -> Fault {
    Fault::new(format!("nested deeper than {MAX_DEPTH} levels")).at(place)
}

/// The nearest character boundary at or before an offset.
fn floor(text: &str, offset: usize) -> usize {
    let mut at = offset.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}
