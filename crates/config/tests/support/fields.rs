//! Which keys the Rust types read, asked of the types themselves: a deserializer that writes down
//! the fields that each struct announces to serde.

use open_cowork_config::pointer;
use serde::de::value::{Error, StrDeserializer};
use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::forward_to_deserialize_any;
use serde_json::Value;
use std::cell::RefCell;
use std::collections::BTreeMap;

/// What types announce to serde, by the pointer at which they are read.
#[derive(Default)]
pub struct Announced {
    /// The fields of structs.
    pub structs: BTreeMap<String, Vec<&'static str>>,
    /// The members of enums of texts.
    pub enums: BTreeMap<String, Vec<&'static str>>,
}

/// What the types announce while a document becomes a `T`. What is inside a union is read by serde
/// from a copy and doesn't show.
///
/// # Panics
/// When the document isn't a `T`.
pub fn announced<T: DeserializeOwned>(document: &Value) -> Announced {
    let seen = RefCell::new(Announced::default());
    T::deserialize(Probe {
        value: document,
        at: String::new(),
        seen: &seen,
    })
    .unwrap();
    seen.into_inner()
}

/// The fields of one struct.
///
/// # Panics
/// When `T` is no struct.
pub fn of<T: DeserializeOwned>() -> Vec<&'static str> {
    let seen = RefCell::new(Announced::default());
    let empty = Value::Object(serde_json::Map::new());
    let _ = T::deserialize(Probe {
        value: &empty,
        at: String::new(),
        seen: &seen,
    });
    seen.into_inner().structs.remove("").unwrap()
}

struct Probe<'p> {
    value: &'p Value,
    at: String,
    seen: &'p RefCell<Announced>,
}

impl<'p> Probe<'p> {
    fn below(&self, name: &str, value: &'p Value) -> Probe<'p> {
        Probe {
            value,
            at: pointer::child(&self.at, name),
            seen: self.seen,
        }
    }
}

impl<'de> Deserializer<'de> for Probe<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.value {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::String(text) => visitor.visit_borrowed_str(text),
            Value::Number(number) => match (number.as_u64(), number.as_f64()) {
                (Some(whole), _) => visitor.visit_u64(whole),
                (None, number) => visitor.visit_f64(number.unwrap()),
            },
            Value::Array(items) => visitor.visit_seq(Items {
                rest: items.iter().enumerate(),
                list: &self,
            }),
            Value::Object(members) => visitor.visit_map(Members {
                rest: members.iter(),
                next: None,
                object: &self,
            }),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.seen
            .borrow_mut()
            .structs
            .insert(self.at.clone(), fields.to_vec());
        self.deserialize_any(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.value {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        members: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let seen = &mut self.seen.borrow_mut().enums;
        seen.insert(self.at.clone(), members.to_vec());
        let text = self.value.as_str().unwrap();
        visitor.visit_enum(StrDeserializer::<Error>::new(text))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct seq tuple tuple_struct map identifier ignored_any
    }
}

struct Items<'a, 'de> {
    rest: std::iter::Enumerate<std::slice::Iter<'de, Value>>,
    list: &'a Probe<'de>,
}

impl<'de> SeqAccess<'de> for Items<'_, 'de> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Error> {
        let Some((index, item)) = self.rest.next() else {
            return Ok(None);
        };
        seed.deserialize(self.list.below(&index.to_string(), item))
            .map(Some)
    }
}

struct Members<'a, 'de> {
    rest: serde_json::map::Iter<'de>,
    next: Option<Probe<'de>>,
    object: &'a Probe<'de>,
}

impl<'de> MapAccess<'de> for Members<'_, 'de> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Error> {
        let Some((name, value)) = self.rest.next() else {
            return Ok(None);
        };
        self.next = Some(self.object.below(name, value));
        seed.deserialize(StrDeserializer::new(name)).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        seed.deserialize(self.next.take().unwrap())
    }
}
