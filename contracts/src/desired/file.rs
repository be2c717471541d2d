//! Files that a container finds when it starts.
use super::places::Places;
use super::report::{Field, Object, Report, quoted};
use super::{File, FileMode, path};
use std::str::FromStr;

const FORM: &str = "use an absolute path in the container, such as /etc/app.toml";
/// The bits of chmod(2).
const MAX_MODE: u16 = 0o7777;

pub(super) fn read(object: &Object<'_>, places: &mut Places, report: &mut Report) -> Vec<File> {
    let Some(field) = object.get("files") else { return Vec::new() };
    let items = report.keep(&field, field.list()).unwrap_or_default();
    items.iter().filter_map(|item| read_file(item, places, report)).collect()
}

fn read_file(item: &Field<'_>, places: &mut Places, report: &mut Report) -> Option<File> {
    let read = item.object();
    let object = report.keep(item, read)?;
    report.unknown(&object, &[&["path", "content", "mode"]]);
    let path = read_path(&object, places, report);
    let content = object.required("content", "a string, the file's text", report);
    let content = content.and_then(|field| report.keep(&field, field.text()).map(String::from));
    let mode = object.get("mode").and_then(|field| {
        let read = field.text().and_then(str::parse);
        report.keep(&field, read)
    });
    Some(File { path: path?, content: content?, mode: mode.unwrap_or_default() })
}

/// A path of its own, in the one spelling that it has.
pub(super) fn read_path(object: &Object<'_>, places: &mut Places, report: &mut Report) -> Option<String> {
    let field = object.required("path", FORM, report)?;
    let read = field.text().and_then(|given| check(given).map(|()| given));
    let given = report.keep(&field, read)?;
    places.file(given, field.path, report);
    Some(given.into())
}

fn check(given: &str) -> Result<(), String> {
    path::check(given, "the path in the container", FORM)?;
    if given.split('/').skip(1).any(str::is_empty) {
        return Err(format!("{}: leave out empty parts and the / at the end: {FORM}", quoted(given)));
    }
    Ok(())
}

impl FromStr for FileMode {
    type Err = String;

    fn from_str(given: &str) -> Result<Self, String> {
        let digits = (3..=4).contains(&given.len()) && given.bytes().all(|b| (b'0'..=b'7').contains(&b));
        let bits = digits.then(|| u16::from_str_radix(given, 8).ok()).flatten();
        bits.filter(|bits| *bits <= MAX_MODE)
            .map(Self)
            .ok_or_else(|| format!("{}: use three or four octal digits, such as \"0640\"", quoted(given)))
    }
}

impl FileMode {
    pub fn bits(self) -> u16 {
        self.0
    }
}

impl Default for FileMode {
    fn default() -> Self {
        Self(0o644)
    }
}

impl std::fmt::Display for FileMode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:04o}", self.0)
    }
}

#[cfg(test)]
mod tests;
