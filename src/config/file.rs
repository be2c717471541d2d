//! The file: TOML with the place of every key and value.
use super::problem::{Place, Problem};
use super::raw::{Raw, Value, bounded, expected, problem};
use super::schema::{self, Known, Section, Shape};
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Everything readable of the text; what is not is a problem each.
pub fn read(text: &str, problems: &mut Vec<Problem>) -> Raw {
    let mut reader = Reader { text, raw: Raw::default(), problems };
    let (document, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        reader.complain(error.span().unwrap_or(0..0), error.message());
    }
    for (name, value) in document.get_ref() {
        reader.section(name, value);
    }
    reader.raw
}

struct Reader<'a> {
    text: &'a str,
    raw: Raw,
    problems: &'a mut Vec<Problem>,
}

impl Reader<'_> {
    fn complain(&mut self, span: Range<usize>, message: impl Into<String>) {
        self.problems.push(problem(Place::at(self.text, span.start), message));
    }

    fn section(&mut self, name: &Spanned<std::borrow::Cow<'_, str>>, value: &Spanned<DeValue<'_>>) {
        let Some(section) = schema::section(name.get_ref()) else {
            let message = match value.get_ref().as_table() {
                Some(_) => schema::unknown_section(name.get_ref()),
                None => format!("unknown key {} outside of any section", name.get_ref()),
            };
            return self.complain(name.span(), message);
        };
        if matches!(section.content, schema::Content::Later) {
            return self.complain(name.span(), schema::later(&format!("section [{}]", section.name)));
        }
        let Some(table) = value.get_ref().as_table() else {
            return self.complain(name.span(), format!("{0} must be a section: [{0}]", section.name));
        };
        for (key, value) in table {
            self.key(section, key, value);
        }
    }

    fn key(
        &mut self,
        section: &Section,
        key: &Spanned<std::borrow::Cow<'_, str>>,
        value: &Spanned<DeValue<'_>>,
    ) {
        let shape = match schema::lookup(section, key.get_ref()) {
            Known::Yes(shape) => shape,
            Known::No(message) => return self.complain(key.span(), message),
        };
        let name = format!("{}.{}", section.name, key.get_ref());
        match convert(&name, shape, value.get_ref()) {
            Ok(converted) => {
                let place = Place::at(self.text, value.span().start);
                self.raw.set(section.name, key.get_ref(), place, converted);
            }
            Err(message) => {
                self.raw.refuse(section.name, key.get_ref());
                self.complain(value.span(), message);
            }
        }
    }
}

fn convert(name: &str, shape: Shape, value: &DeValue<'_>) -> Result<Value, String> {
    let wrong = || format!("{name} must be {}, not {}", expected(shape), called(value));
    match shape {
        Shape::Bool => value.as_bool().map(Value::Bool).ok_or_else(wrong),
        Shape::Integer { min, max } => {
            let number = value.as_integer().ok_or_else(wrong)?;
            // Too large for i64 is out of any bounds.
            let number = i64::from_str_radix(number.as_str(), number.radix()).unwrap_or(i64::MAX);
            bounded(name, number, min, max)
        }
        Shape::Text | Shape::Secret => value.as_str().map(|text| Value::Text(text.into())).ok_or_else(wrong),
        Shape::List => {
            let items = value.as_array().ok_or_else(wrong)?;
            let texts = items.iter().map(|item| item.get_ref().as_str().map(str::to_owned));
            texts.collect::<Option<Vec<_>>>().map(Value::List).ok_or_else(wrong)
        }
    }
}

fn called(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "such a list",
        DeValue::Table(_) => "a section",
    }
}
