//! Secrets: by name only. The values are on the device.
use super::file::read_path;
use super::places::Places;
use super::report::{Field, Object, Report, quoted};
use super::{Secret, SecretTarget};
use crate::{NameError, ValueName};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

const FORM: &str = "one of \"env\" (a variable) and \"path\" (a file in the container)";

pub(super) fn read(
    object: &Object<'_>,
    env: &BTreeMap<String, String>,
    places: &mut Places,
    report: &mut Report,
) -> Vec<Secret> {
    let Some(field) = object.get("secrets") else { return Vec::new() };
    let items = report.keep(&field, field.list()).unwrap_or_default();
    let mut taken: BTreeSet<String> = env.keys().cloned().collect();
    items.iter().filter_map(|item| read_secret(item, &mut taken, places, report)).collect()
}

fn read_secret(
    item: &Field<'_>,
    taken: &mut BTreeSet<String>,
    places: &mut Places,
    report: &mut Report,
) -> Option<Secret> {
    let read = item.object();
    let object = report.keep(item, read)?;
    report.unknown(&object, &[&["name", "env", "path", "reload"]]);
    let name = object.required("name", "the name of a file in the device's secrets_dir", report);
    let name = name.and_then(|field| read_name(&field, report));
    let target = read_target(item, &object, taken, places, report);
    let reload = object.get("reload").and_then(|field| report.keep(&field, read_bool(&field)));
    Some(Secret { name: name?, target: target?, reload: reload.unwrap_or_default() })
}

/// The name of something that is kept on the device.
pub(super) fn read_name(field: &Field<'_>, report: &mut Report) -> Option<ValueName> {
    let read = field.text().and_then(|name| name.parse().map_err(|error: NameError| error.to_string()));
    report.keep(field, read)
}

fn read_target(
    item: &Field<'_>,
    object: &Object<'_>,
    taken: &mut BTreeSet<String>,
    places: &mut Places,
    report: &mut Report,
) -> Option<SecretTarget> {
    match (object.get("env"), object.get("path")) {
        (Some(field), None) => read_variable(&field, taken, report).map(SecretTarget::Env),
        (None, Some(_)) => read_path(object, places, report).map(SecretTarget::Path),
        (Some(_), Some(_)) => {
            report.problem(&item.path, format!("env and path are both given: use {FORM}"));
            None
        }
        (None, None) => {
            report.problem(&item.path, format!("neither env nor path is given: use {FORM}"));
            None
        }
    }
}

fn read_variable(field: &Field<'_>, taken: &mut BTreeSet<String>, report: &mut Report) -> Option<String> {
    let key = report.keep(field, field.text())?;
    if key.is_empty() || key.contains(['=', '\0']) {
        report.problem(&field.path, "the name of a variable has at least one character, and no = and no NUL");
    } else if !taken.insert(key.into()) {
        report.problem(&field.path, format!("{} is given more than once", quoted(key)));
    }
    Some(key.into())
}

fn read_bool(field: &Field<'_>) -> Result<bool, String> {
    match field.value {
        Value::Bool(value) => Ok(*value),
        _ => Err(field.expected("true or false")),
    }
}

#[cfg(test)]
mod tests;
