//! `FLEET_AGENT__SECTION__KEY`: the same keys, over the file.
use super::problem::{Place, Problem};
use super::raw::{Raw, Value, bounded, expected, problem};
use super::schema::{self, Known, Shape};
use std::collections::HashMap;

pub const PREFIX: &str = "FLEET_AGENT__";

pub fn read(environment: &HashMap<String, String>, raw: &mut Raw, problems: &mut Vec<Problem>) {
    let mut ours: Vec<_> = environment.iter().filter(|(name, _)| name.starts_with(PREFIX)).collect();
    // The environment has no order; messages should have one.
    ours.sort();
    for (variable, value) in ours {
        if let Err(message) = one(variable, value, raw) {
            problems.push(problem(Place::Variable(variable.clone()), message));
        }
    }
}

fn one(variable: &str, value: &str, raw: &mut Raw) -> Result<(), String> {
    let path = variable.strip_prefix(PREFIX).unwrap_or(variable).to_ascii_lowercase();
    let (section, key) = path.split_once("__").ok_or_else(|| format!("must be {PREFIX}SECTION__KEY"))?;
    let section = schema::section(section).ok_or_else(|| schema::unknown_section(section))?;
    let shape = match schema::lookup(section, key) {
        Known::Yes(shape) => shape,
        Known::No(message) => return Err(message),
    };
    let value = convert(&format!("{}.{key}", section.name), shape, value)
        .inspect_err(|_| raw.refuse(section.name, key))?;
    raw.set(section.name, key, Place::Variable(variable.to_owned()), value);
    Ok(())
}

fn convert(name: &str, shape: Shape, value: &str) -> Result<Value, String> {
    let wrong = || format!("{name} must be {}", expected(shape));
    match shape {
        Shape::Bool => value.parse().map(Value::Bool).map_err(|_| wrong()),
        Shape::Integer { min, max } => bounded(name, value.trim().parse().map_err(|_| wrong())?, min, max),
        Shape::Text | Shape::Secret => Ok(Value::Text(value.to_owned())),
        Shape::List => {
            let items = value.split(',').map(str::trim).filter(|item| !item.is_empty());
            Ok(Value::List(items.map(str::to_owned).collect()))
        }
    }
}
