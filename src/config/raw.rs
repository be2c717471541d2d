//! Values as they were written, each with its place, before their meaning is checked.
use super::problem::{Place, Problem};
use super::schema::Shape;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Clone, PartialEq, Eq)]
pub enum Value {
    Bool(bool),
    Integer(i64),
    Text(String),
    List(Vec<String>),
}

/// Values by section and key. Only keys of the schema, each in its shape.
#[derive(Default)]
pub struct Raw {
    values: BTreeMap<(String, String), (Place, Value)>,
    refused: BTreeSet<(String, String)>,
}

impl Raw {
    /// A later value (the environment's) wins over an earlier one (the file's).
    pub fn set(&mut self, section: &str, key: &str, place: Place, value: Value) {
        self.values.insert((section.to_owned(), key.to_owned()), (place, value));
    }

    /// Remembers that the key was there with a value of the wrong shape, which was complained of.
    pub fn refuse(&mut self, section: &str, key: &str) {
        self.refused.insert((section.to_owned(), key.to_owned()));
    }

    pub fn was_refused(&self, section: &str, key: &str) -> bool {
        self.refused.contains(&(section.to_owned(), key.to_owned()))
    }

    fn take(&mut self, section: &str, key: &str) -> Option<(Place, Value)> {
        self.values.remove(&(section.to_owned(), key.to_owned()))
    }

    pub fn bool(&mut self, section: &str, key: &str) -> Option<bool> {
        match self.take(section, key)? {
            (_, Value::Bool(value)) => Some(value),
            (_, Value::Integer(_) | Value::Text(_) | Value::List(_)) => None,
        }
    }

    pub fn integer(&mut self, section: &str, key: &str) -> Option<i64> {
        match self.take(section, key)? {
            (_, Value::Integer(value)) => Some(value),
            (_, Value::Bool(_) | Value::Text(_) | Value::List(_)) => None,
        }
    }

    pub fn text(&mut self, section: &str, key: &str) -> Option<(Place, String)> {
        match self.take(section, key)? {
            (place, Value::Text(value)) => Some((place, value)),
            (_, Value::Bool(_) | Value::Integer(_) | Value::List(_)) => None,
        }
    }

    pub fn list(&mut self, section: &str, key: &str) -> Option<(Place, Vec<String>)> {
        match self.take(section, key)? {
            (place, Value::List(value)) => Some((place, value)),
            (_, Value::Bool(_) | Value::Integer(_) | Value::Text(_)) => None,
        }
    }

    /// What is left of a section, in order of keys.
    pub fn rest(&mut self, section: &str) -> Vec<(String, Place, Value)> {
        let keys: Vec<_> = self.values.keys().filter(|(found, _)| found == section).cloned().collect();
        keys.into_iter()
            .filter_map(|key| self.values.remove(&key).map(|(place, value)| (key.1, place, value)))
            .collect()
    }
}

/// Checks an integer against its shape's bounds.
pub fn bounded(name: &str, value: i64, min: i64, max: i64) -> Result<Value, String> {
    if (min..=max).contains(&value) {
        Ok(Value::Integer(value))
    } else {
        Err(format!("{name} must be from {min} to {max}, not {value}"))
    }
}

/// What a value of this shape is called in messages.
pub fn expected(shape: Shape) -> &'static str {
    match shape {
        Shape::Bool => "true or false",
        Shape::Integer { .. } => "a whole number",
        Shape::Text | Shape::Secret => "text in quotes",
        Shape::List => "a list of texts",
    }
}

pub fn problem(place: Place, message: impl Into<String>) -> Problem {
    Problem { place, message: message.into() }
}
