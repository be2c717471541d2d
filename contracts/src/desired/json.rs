//! Bytes to JSON, refusing what `serde_json` would accept in silence: a key that is given twice.
//!
//! `serde_json::Value` keeps the last of two equal keys, so an operator would never learn that the
//! first one, perhaps the one that was meant, is ignored.
use super::parse::Problem;
use super::report::{Report, child, item};
use crate::names::MAX_DOCUMENT;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use std::fmt;

/// The document as JSON. Keys that are given twice are reported by path and the first one is kept.
pub(super) fn read(document: &[u8], report: &mut Report) -> Result<Value, Problem> {
    let text = text(document).map_err(|message| Problem { path: String::new(), message })?;
    let mut json = serde_json::Deserializer::from_str(text);
    let value = Node { place: &Place::Root, report }.deserialize(&mut json);
    value.and_then(|value| json.end().map(|()| value)).map_err(|error| Problem {
        path: String::new(),
        // Line and column are part of the parser's own words, as is its limit on nesting.
        message: format!("not valid JSON: {error}"),
    })
}

fn text(document: &[u8]) -> Result<&str, String> {
    if document.len() > MAX_DOCUMENT {
        return Err(format!("{} bytes are too many: a document has at most {MAX_DOCUMENT}", document.len()));
    }
    if document.is_empty() {
        return Err("empty: a JSON object is expected".into());
    }
    if document.starts_with(b"\xef\xbb\xbf") {
        return Err("begins with a byte order mark: save it as UTF-8 without one".into());
    }
    std::str::from_utf8(document).map_err(|error| format!("not valid UTF-8 at byte {}", error.valid_up_to()))
}

/// Where a value stands. Written down only for a value that is told of: a document can hold a hundred thousand
/// values below names of many kilobytes.
enum Place<'p> {
    Root,
    Field(&'p Place<'p>, &'p str),
    Item(&'p Place<'p>, usize),
}

impl Place<'_> {
    fn path(&self) -> String {
        match self {
            Place::Root => String::new(),
            Place::Field(parent, key) => child(&parent.path(), key),
            Place::Item(parent, at) => item(&parent.path(), *at),
        }
    }
}

/// A value that is being read.
struct Node<'r, 'p> {
    place: &'p Place<'p>,
    report: &'r mut Report,
}

impl<'de> DeserializeSeed<'de> for Node<'_, '_> {
    type Value = Value;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_, '_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }
    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }
    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }
    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }
    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }
    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        loop {
            let place = Place::Item(self.place, values.len());
            match list.next_element_seed(Node { place: &place, report: &mut *self.report })? {
                Some(value) => values.push(value),
                None => return Ok(Value::Array(values)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut values = Map::new();
        while let Some(key) = map.next_key::<String>()? {
            let place = Place::Field(self.place, &key);
            let value = map.next_value_seed(Node { place: &place, report: &mut *self.report })?;
            if values.contains_key(&key) {
                self.report.problem_at(|| place.path(), "given more than once");
            } else {
                values.insert(key, value);
            }
        }
        Ok(Value::Object(values))
    }
}
