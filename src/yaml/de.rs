//! From tree to typed values.

use super::blank::Blank;
use super::json::JSON;
use super::key::KeyDe;
use super::wrong::{Found, Wrong};
use super::{Key, Node, Open, Value, to_json};
use crate::fault::{Fault, Faults};
use serde::de::value::StrDeserializer;
use serde::de::{self, DeserializeSeed, Error as _, Visitor};
use serde::{Deserialize, forward_to_deserialize_any};

/// Reads a value. Scalars are taken as the type asks: text as written, numbers and booleans from their text. A type
/// that takes anything gets text; variables of any type are read with [`to_json`] or as a [`Json`] field.
///
/// # Errors
/// The mistakes with their places: unknown fields with the nearest names, missing fields, values that do not fit.
/// All of them at once, as far as a type can be read on after its first mistake.
pub fn from_node<T: for<'de> Deserialize<'de>>(node: &Node) -> Result<T, Faults> {
    outcome(read(node, None, Found::default()), node)
}

/// Reads the value of a map's key; `None` where the key is not there or has nothing.
///
/// # Errors
/// As [`from_node`]; the messages name the key.
pub fn from_field<T: for<'de> Deserialize<'de>>(map: &Node, key: &str) -> Result<Option<T>, Faults> {
    match map.get(key) {
        None | Some(Node { value: Value::Null, .. }) => Ok(None),
        Some(node) => outcome(read(node, Some(key), Found::default()), node).map(Some),
    }
}

/// The mistakes that can be told before the open values in it are known: unknown and missing fields, and whatever is
/// written out and does not fit.
pub fn open_faults<T: for<'de> Deserialize<'de>>(node: &Node, open: Open) -> Vec<Fault> {
    if open(node) { vec![] } else { read::<T>(node, None, Found::with_open(open)).1 }
}

fn outcome<T>((value, faults): (Option<T>, Vec<Fault>), node: &Node) -> Result<T, Faults> {
    match (Faults::some(faults), value) {
        (None, Some(value)) => Ok(value),
        (Some(faults), _) => Err(faults),
        (None, None) => Err(Fault::new("this cannot be read").at(&node.place).into()),
    }
}

fn read<T: for<'de> Deserialize<'de>>(node: &Node, key: Option<&str>, found: Found) -> (Option<T>, Vec<Fault>) {
    // Each round finds at least one more mistake or is the last.
    let mut result = None;
    while !found.is_bad(node) {
        match T::deserialize(De { node, found: &found }) {
            Ok(value) => {
                result = Some(value);
                break;
            }
            Err(wrong) if wrong.told => {}
            Err(wrong) => drop(found.tell(wrong, key, node)),
        }
    }
    let mut faults = found.faults.into_inner();
    faults.sort_by_key(|fault| fault.place().map(|place| place.start));
    (result, faults)
}

/// The faults of the keys in a map that are not among the known ones.
pub fn unknown_fields(node: &Node, known: &[&str]) -> Vec<Fault> {
    let Value::Map(entries) = &node.value else { return vec![] };
    let unknown = entries.iter().filter(|(key, _)| !known.contains(&key.text.as_str()));
    // A name that is there already is not what was meant.
    let free: Vec<&str> = known.iter().copied().filter(|name| node.get(name).is_none()).collect();
    let near = if free.is_empty() { known } else { &free };
    unknown
        .map(|(key, _)| {
            Fault::new(format!("unknown field `{}`", key.text)).at(&key.place).nearest(&key.text, near.iter().copied())
        })
        .collect()
}

struct De<'n> {
    node: &'n Node,
    found: &'n Found,
}

impl De<'_> {
    /// The text of a scalar, or that it is none.
    fn text(&self, wanted: &str) -> Result<&str, Wrong> {
        let missing = || {
            let wrong = Wrong::new(format!("needs {wanted}, found {}", self.node.what()));
            let quotable = wanted == "text" && matches!(self.node.value, Value::Null);
            if quotable { wrong.hint("write \"\" for empty text") } else { wrong }
        };
        self.node.text().ok_or_else(missing)
    }

    fn bool(&self) -> Result<bool, Wrong> {
        match self.text("true or false")? {
            "true" | "True" | "TRUE" => Ok(true),
            "false" | "False" | "FALSE" => Ok(false),
            text => {
                let wrong = Wrong::new(format!("needs true or false, found `{text}`"));
                Err(match text.to_ascii_lowercase().as_str() {
                    "yes" | "on" | "y" => wrong.hint("write `true`"),
                    "no" | "off" | "n" => wrong.hint("write `false`"),
                    _ => wrong,
                })
            }
        }
    }

    fn int<T: TryFrom<i128>>(&self, low: i128, high: i128) -> Result<T, Wrong> {
        let text = self.text("a whole number")?;
        let digits = text.strip_prefix('-').unwrap_or(text);
        let wrong = || Wrong::new(format!("needs a whole number, found `{text}`"));
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(wrong());
        }
        if digits.len() > 1 && digits.starts_with('0') {
            return Err(wrong().hint("write it without leading zeros"));
        }
        let number = text.parse::<i128>().ok().filter(|n| (low..=high).contains(n));
        let number = number.and_then(|n| T::try_from(n).ok());
        number.ok_or_else(|| Wrong::new(format!("needs a whole number from {low} to {high}, found `{text}`")))
    }

    fn float(&self) -> Result<f64, Wrong> {
        let text = self.text("a number")?;
        let number = text.parse::<f64>().ok().filter(|number| number.is_finite());
        number.ok_or_else(|| Wrong::new(format!("needs a number, found `{text}`")))
    }

    fn list<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        match &self.node.value {
            Value::List(items) => visitor.visit_seq(List { items: items.iter(), found: self.found }),
            Value::Scalar { .. } => {
                Err(Wrong::new("needs a list, found text").hint("write `[…]` around it, also for a single one"))
            }
            _ => Err(Wrong::new(format!("needs a list, found {}", self.node.what()))),
        }
    }

    fn map<'de, V: Visitor<'de>>(self, visitor: V, known: Option<&'static [&'static str]>) -> Result<V::Value, Wrong> {
        let Value::Map(entries) = &self.node.value else {
            return Err(Wrong::new(format!("needs a map, found {}", self.node.what())));
        };
        let blanks = self.found.blanks(self.node);
        visitor.visit_map(Map { of: self.node, entries: entries.iter(), known, value: None, blanks, found: self.found })
    }
}

macro_rules! ints {
    ($($name:ident $visit:ident $ty:ty),*) => {$(
        fn $name<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
            #[allow(clippy::cast_lossless, reason = "one line for all widths")]
            let number = self.int::<$ty>(<$ty>::MIN as i128, <$ty>::MAX as i128)?;
            visitor.$visit(number)
        }
    )*};
}

impl<'de> de::Deserializer<'de> for De<'_> {
    type Error = Wrong;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        match &self.node.value {
            Value::Null => visitor.visit_unit(),
            Value::Scalar { text, .. } => visitor.visit_str(text),
            Value::List(_) => self.list(visitor),
            Value::Map(_) => self.map(visitor, None),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        visitor.visit_str(self.text("text")?)
    }
    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        visitor.visit_str(self.text("text")?)
    }
    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        visitor.visit_str(self.text("a single character")?)
    }
    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        visitor.visit_bool(self.bool()?)
    }
    ints! {
        deserialize_i8 visit_i8 i8, deserialize_i16 visit_i16 i16, deserialize_i32 visit_i32 i32,
        deserialize_i64 visit_i64 i64, deserialize_u8 visit_u8 u8, deserialize_u16 visit_u16 u16,
        deserialize_u32 visit_u32 u32, deserialize_u64 visit_u64 u64
    }
    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        visitor.visit_f64(self.float()?)
    }
    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        visitor.visit_f64(self.float()?)
    }
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        match &self.node.value {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }
    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, Wrong> {
        if name == JSON {
            return visitor.visit_newtype_struct(to_json(self.node)).map_err(Wrong::custom);
        }
        visitor.visit_newtype_struct(self)
    }
    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        self.list(visitor)
    }
    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Wrong> {
        self.list(visitor)
    }
    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        self.list(visitor)
    }
    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        self.map(visitor, None)
    }
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        let (node, found) = (self.node, self.found);
        found.unknown(node, fields);
        self.map(visitor, Some(fields)).map_err(|wrong| match wrong.missing {
            Some(field) if !wrong.told => found.lacks(wrong, field, fields, node),
            _ => wrong,
        })
    }
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        let (name, place, content) = match &self.node.value {
            Value::Scalar { text, .. } => (text.as_str(), &self.node.place, None),
            Value::Map(entries) if entries.len() == 1 => {
                (entries[0].0.text.as_str(), &entries[0].0.place, Some(&entries[0].1))
            }
            _ => {
                let wrong = Wrong::new(format!("needs one word, found {}", self.node.what()));
                return Err(wrong.hint(format!("known here: {}", variants.join(", "))));
            }
        };
        if !variants.contains(&name) {
            return Err(Wrong::unknown_variant(name, variants).at(place));
        }
        visitor.visit_enum(Enum { name, content, of: self.node, found: self.found })
    }

    forward_to_deserialize_any! { i128 u128 bytes byte_buf unit unit_struct identifier ignored_any }
}

impl Found {
    /// Reads a value inside of another; what is wrong in it is told here.
    fn value<'de, S: DeserializeSeed<'de>>(&self, seed: S, key: Option<&str>, node: &Node) -> Result<S::Value, Wrong> {
        if self.is_open(node) {
            return seed.deserialize(Blank).map_err(|_| self.hopeless(node));
        }
        seed.deserialize(De { node, found: self }).map_err(|wrong| self.tell(wrong, key, node))
    }
}

struct List<'n> {
    items: std::slice::Iter<'n, Node>,
    found: &'n Found,
}

impl<'de> de::SeqAccess<'de> for List<'_> {
    type Error = Wrong;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Wrong> {
        let found = self.found;
        let Some(node) = self.items.find(|node| !found.is_bad(node)) else { return Ok(None) };
        found.value(seed, None, node).map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.items.len())
    }
}

struct Map<'n> {
    of: &'n Node,
    entries: std::slice::Iter<'n, (Key, Node)>,
    /// The fields of a struct; others were told already and are passed over.
    known: Option<&'static [&'static str]>,
    value: Option<(&'n Key, &'n Node)>,
    blanks: Vec<&'static str>,
    found: &'n Found,
}

impl<'de> de::MapAccess<'de> for Map<'_> {
    type Error = Wrong;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Wrong> {
        let (found, known) = (self.found, self.known);
        let fits = |key: &Key| known.is_none_or(|known| known.contains(&key.text.as_str()));
        if let Some((key, value)) = self.entries.find(|(key, value)| fits(key) && !found.is_bad(value)) {
            self.value = Some((key, value));
            let read = seed.deserialize(KeyDe { text: &key.text, place: &key.place });
            return read.map(Some).map_err(|wrong: Wrong| found.tell(wrong.at(&key.place), None, value));
        }
        match self.blanks.pop() {
            Some(field) => seed.deserialize(StrDeserializer::<Wrong>::new(field)).map(Some),
            None => Ok(None),
        }
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Wrong> {
        let found = self.found;
        match self.value.take() {
            Some((key, node)) => found.value(seed, Some(&key.text), node),
            None => seed.deserialize(Blank).map_err(|_| found.hopeless(self.of)),
        }
    }
}

struct Enum<'n> {
    name: &'n str,
    content: Option<&'n Node>,
    of: &'n Node,
    found: &'n Found,
}

impl<'n, 'de> de::EnumAccess<'de> for Enum<'n> {
    type Error = Wrong;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Wrong> {
        Ok((seed.deserialize(StrDeserializer::<Wrong>::new(self.name))?, self))
    }
}

impl<'n> Enum<'n> {
    fn content(&self) -> Result<&'n Node, Wrong> {
        self.content.ok_or_else(|| Wrong::new(format!("`{0}` needs a value: `{0}: …`", self.name)).at(&self.of.place))
    }

    /// Reads the variant's content; what is wrong in it is told there.
    fn inside<T>(self, read: impl FnOnce(De<'n>) -> Result<T, Wrong>) -> Result<T, Wrong> {
        let node = self.content()?;
        if self.found.is_bad(node) {
            return Err(self.found.hopeless(self.of));
        }
        read(De { node, found: self.found }).map_err(|wrong| self.found.tell(wrong, Some(self.name), node))
    }
}

impl<'de> de::VariantAccess<'de> for Enum<'_> {
    type Error = Wrong;

    fn unit_variant(self) -> Result<(), Wrong> {
        match self.content {
            Some(node) if !matches!(node.value, Value::Null) => {
                Err(Wrong::new(format!("`{0}` takes no value: write only `{0}`", self.name)).at(&node.place))
            }
            _ => Ok(()),
        }
    }
    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Wrong> {
        let (node, found) = (self.content()?, self.found);
        if found.is_bad(node) {
            return Err(found.hopeless(self.of));
        }
        found.value(seed, Some(self.name), node)
    }
    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Wrong> {
        self.inside(|de| de.list(visitor))
    }
    fn struct_variant<V: Visitor<'de>>(self, fields: &'static [&'static str], visitor: V) -> Result<V::Value, Wrong> {
        self.inside(|de| de::Deserializer::deserialize_struct(de, "", fields, visitor))
    }
}
