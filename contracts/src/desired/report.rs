//! Collects everything that is wrong with a document, each thing with its path.
//!
//! Own code, because deserializers stop at the first error, and an operator should not have to
//! write a document six times to learn six mistakes.
use super::parse::{Problem, Refusal};
use serde_json::{Map, Value};

/// How many problems, and how many warnings, are kept: a document of 256 KiB can hold a hundred
/// thousand mistakes, and the list of them has to fit into one state document.
const KEPT: usize = 64;
/// How much of a word of the document a message repeats, in characters.
const QUOTED: usize = 80;
/// How much of a path is told, in bytes: a known field with a quoted key of escapes has some 700.
const LONGEST_PATH: usize = 1024;

#[derive(Default)]
pub(super) struct Report {
    problems: Vec<Problem>,
    warnings: Vec<String>,
    more_problems: usize,
    more_warnings: usize,
}

impl Report {
    pub(super) fn problem(&mut self, path: impl Into<String>, message: impl Into<String>) {
        self.problem_at(|| path.into(), message);
    }

    /// The same with a path that is costly to write down.
    pub(super) fn problem_at(&mut self, path: impl FnOnce() -> String, message: impl Into<String>) {
        if self.problems.len() < KEPT {
            self.problems.push(Problem { path: shortened(path()), message: message.into() });
        } else {
            self.more_problems += 1;
        }
    }

    fn warning(&mut self, path: String) {
        if self.warnings.len() < KEPT {
            self.warnings.push(path);
        } else {
            self.more_warnings += 1;
        }
    }

    /// The warnings, or the refusal when there is any problem.
    pub(super) fn finish(mut self) -> Result<Vec<String>, Refusal> {
        if self.more_warnings > 0 {
            self.warnings.push(format!("and {} more", self.more_warnings));
        }
        if self.problems.is_empty() {
            return Ok(self.warnings);
        }
        if self.more_problems > 0 {
            let message = format!("and {} more problems", self.more_problems);
            self.problems.push(Problem { path: String::new(), message });
        }
        Err(Refusal::InvalidSpec(self.problems))
    }

    /// Keeps what was understood; reports why the rest was not.
    pub(super) fn keep<T>(&mut self, field: &Field<'_>, read: Result<T, String>) -> Option<T> {
        read.map_err(|message| self.problem(&field.path, message)).ok()
    }

    /// Reports fields of the object that are not among the known ones.
    pub(super) fn unknown(&mut self, object: &Object<'_>, known: &[&[&str]]) {
        let is_known = |key: &str| known.iter().any(|names| names.contains(&key));
        for key in object.map.keys().filter(|key| !is_known(key)) {
            self.warning(child(object.path, key));
        }
    }
}

/// A value of the document and where it stands.
pub(super) struct Field<'v> {
    pub(super) path: String,
    pub(super) value: &'v Value,
}

/// A JSON object of the document and where it stands.
pub(super) struct Object<'v> {
    path: &'v str,
    map: &'v Map<String, Value>,
}

impl<'v> Object<'v> {
    /// A field that is there; null counts as absent.
    pub(super) fn get(&self, name: &str) -> Option<Field<'v>> {
        let value = self.map.get(name).filter(|value| !value.is_null())?;
        Some(Field { path: child(self.path, name), value })
    }

    /// A field that must be there.
    pub(super) fn required(&self, name: &str, what: &str, report: &mut Report) -> Option<Field<'v>> {
        let field = self.get(name);
        if field.is_none() {
            report.problem(child(self.path, name), format!("required: {what}"));
        }
        field
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = (&'v str, Field<'v>)> {
        self.map.iter().map(|(key, value)| (key.as_str(), Field { path: child(self.path, key), value }))
    }
}

impl<'v> Field<'v> {
    pub(super) fn object(&'v self) -> Result<Object<'v>, String> {
        let map = self.value.as_object();
        map.map(|map| Object { path: &self.path, map }).ok_or_else(|| self.expected("an object"))
    }

    pub(super) fn list(&self) -> Result<Vec<Field<'v>>, String> {
        let values = self.value.as_array().ok_or_else(|| self.expected("a list"))?;
        let fields = values.iter().enumerate();
        Ok(fields.map(|(at, value)| Field { path: item(&self.path, at), value }).collect())
    }

    pub(super) fn text(&self) -> Result<&'v str, String> {
        match self.value {
            Value::String(text) => Ok(text),
            // Not repeated in the message: it may be a PIN, and state documents have more readers.
            Value::Number(_) => Err("a number: put it in quotes, only strings are accepted".into()),
            Value::Bool(_) => Err("true or false: put it in quotes, only strings are accepted".into()),
            Value::Null | Value::Array(_) | Value::Object(_) => Err(self.expected("a string")),
        }
    }

    /// A string that the kernel can take as an argument or an environment variable.
    pub(super) fn c_text(&self) -> Result<&'v str, String> {
        let text = self.text()?;
        if text.contains('\0') { Err("a NUL character is not accepted".into()) } else { Ok(text) }
    }

    pub(super) fn expected(&self, what: &str) -> String {
        let found = match self.value {
            Value::Null => "null",
            Value::Bool(_) => "true or false",
            Value::Number(_) => "a number",
            Value::String(_) => "a string",
            Value::Array(_) => "a list",
            Value::Object(_) => "an object",
        };
        format!("{what} is expected, not {found}")
    }
}

/// The path of a field of the object at `path`.
pub(super) fn child(path: &str, key: &str) -> String {
    let plain = !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    match (plain && key.len() <= QUOTED, path.is_empty()) {
        (true, true) => key.into(),
        (true, false) => format!("{path}.{key}"),
        (false, _) => format!("{path}[{}]", quoted(key)),
    }
}

/// The path of an item of the list at `path`.
pub(super) fn item(path: &str, at: usize) -> String {
    format!("{path}[{at}]")
}

/// A path as it is told: of one that is longer than any of a known field, the begin.
fn shortened(mut path: String) -> String {
    if path.len() > LONGEST_PATH {
        path.truncate(path.floor_char_boundary(LONGEST_PATH));
        path.push('…');
    }
    path
}

/// A word of the document as a message repeats it: quoted, escaped and not longer than needed.
pub(super) fn quoted(text: &str) -> String {
    match text.char_indices().nth(QUOTED) {
        None => format!("{text:?}"),
        Some((end, _)) => format!("{:?}…", &text[..end]),
    }
}
