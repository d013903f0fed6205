//! Keys of maps, as a type wants them.

use super::wrong::Wrong;
use crate::fault::Place;
use serde::de::value::StrDeserializer;
use serde::de::{self, Error as _, Visitor};
use serde::forward_to_deserialize_any;

/// A map's key: text, a number or a word of an enum.
pub(super) struct KeyDe<'n> {
    pub text: &'n str,
    pub place: &'n Place,
}

impl KeyDe<'_> {
    fn number<T: std::str::FromStr>(&self) -> Result<T, Wrong> {
        let wrong = || Wrong::new(format!("the key `{}` must be a whole number in range", self.text)).at(self.place);
        self.text.parse().map_err(|_| wrong())
    }
}

macro_rules! key_ints {
    ($($name:ident $visit:ident),*) => {$(
        fn $name<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
            visitor.$visit(self.number()?)
        }
    )*};
}

impl<'de> de::Deserializer<'de> for KeyDe<'_> {
    type Error = Wrong;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        visitor.visit_str(self.text)
    }
    key_ints! {
        deserialize_i8 visit_i8, deserialize_i16 visit_i16, deserialize_i32 visit_i32, deserialize_i64 visit_i64,
        deserialize_u8 visit_u8, deserialize_u16 visit_u16, deserialize_u32 visit_u32, deserialize_u64 visit_u64
    }
    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Wrong> {
        visitor.visit_newtype_struct(self)
    }
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        if !variants.contains(&self.text) {
            return Err(Wrong::unknown_variant(self.text, variants).at(self.place));
        }
        visitor.visit_enum(StrDeserializer::new(self.text))
    }
    forward_to_deserialize_any! {
        bool i128 u128 f32 f64 char str string bytes byte_buf option unit unit_struct seq tuple tuple_struct map struct
        identifier ignored_any
    }
}
