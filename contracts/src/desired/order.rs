//! `depends_on`: in which order services start.
use super::report::{Field, Object, Report, quoted};
use super::{Condition, Dependency, Restart, Service};
use crate::{NameError, ServiceName};
use std::collections::{BTreeMap, BTreeSet};

const CONDITIONS: [(&str, Condition); 3] =
    [("started", Condition::Started), ("healthy", Condition::Healthy), ("completed", Condition::Completed)];

/// The dependencies of one service; whether they exist is known when all services are read.
pub(super) fn read(object: &Object<'_>, report: &mut Report) -> Vec<Dependency> {
    let Some(field) = object.get("depends_on") else { return Vec::new() };
    let mut taken: BTreeMap<ServiceName, String> = BTreeMap::new();
    let mut dependencies = Vec::new();
    for item in report.keep(&field, field.list()).unwrap_or_default() {
        let Some(dependency) = read_one(&item, report) else { continue };
        match taken.get(&dependency.service) {
            Some(first) => {
                report.problem(&item.path, format!("\"{}\" is already given at {first}", dependency.service));
            }
            None => drop(taken.insert(dependency.service.clone(), item.path)),
        }
        dependencies.push(dependency);
    }
    dependencies
}

fn read_one(item: &Field<'_>, report: &mut Report) -> Option<Dependency> {
    let read = item.object().map_err(|wrong| format!("{wrong}: write {{\"service\": \"name\"}}"));
    let object = report.keep(item, read)?;
    report.unknown(&object, &[&["service", "condition"]]);
    let condition = read_condition(&object, report);
    let field = object.required("service", "the name of another service of this document", report)?;
    let read = field.text().and_then(|name| name.parse().map_err(|error: NameError| error.to_string()));
    Some(Dependency { service: report.keep(&field, read)?, condition })
}

fn read_condition(object: &Object<'_>, report: &mut Report) -> Condition {
    let Some(field) = object.get("condition") else { return Condition::default() };
    let read = field.text().and_then(|given| {
        let found = CONDITIONS.iter().find(|(word, _)| *word == given).map(|(_, condition)| *condition);
        let accepted = CONDITIONS.map(|(word, _)| word).join(", ");
        found.ok_or_else(|| format!("{}: use one of {accepted}", quoted(given)))
    });
    report.keep(&field, read).unwrap_or_default()
}

/// Reports dependencies on what is not there, can never come about, or waits for itself. `read` holds each
/// service with the path at which it stands.
pub(super) fn check(read: &[(Service, String)], report: &mut Report) {
    let known: BTreeMap<&ServiceName, &Service> = read.iter().map(|(s, _)| (&s.name, s)).collect();
    for (service, path) in read {
        for (at, dependency) in service.depends_on.iter().enumerate() {
            if let Err(why) = possible(service, dependency, &known) {
                report.problem(format!("{path}.depends_on[{at}]"), why);
            }
        }
    }
    if let Some((first, circle)) = circle(&known) {
        let path = read.iter().find(|(service, _)| service.name == *first).map_or("", |(_, path)| path);
        let names: Vec<&str> = circle.iter().map(|name| name.as_str()).collect();
        let message = format!("the services wait for each other for ever: {}", names.join(" → "));
        report.problem(format!("{path}.depends_on"), message);
    }
}

fn possible(
    service: &Service,
    dependency: &Dependency,
    known: &BTreeMap<&ServiceName, &Service>,
) -> Result<(), String> {
    let name = &dependency.service;
    let on = known.get(name).ok_or_else(|| format!("this document has no service \"{name}\""))?;
    match dependency.condition {
        _ if *name == service.name => Err("a service cannot wait for itself".into()),
        Condition::Healthy if on.healthcheck.is_none() => {
            Err(format!("\"{name}\" has no healthcheck, so it never counts as healthy"))
        }
        Condition::Completed if on.restart == Restart::Always => Err(format!(
            "\"{name}\" is always started again, so it never completes: give it \"restart\": \"never\""
        )),
        Condition::Started | Condition::Healthy | Condition::Completed => Ok(()),
    }
}

/// The first services that wait for each other: the name it begins with, and the way round to it again. One
/// that waits for itself is told elsewhere.
fn circle<'a>(
    known: &BTreeMap<&'a ServiceName, &'a Service>,
) -> Option<(&'a ServiceName, Vec<&'a ServiceName>)> {
    // Services whose every dependency is settled are settled; what is left contains the circle.
    let mut open: BTreeSet<&ServiceName> = known.keys().copied().collect();
    let next = |name: &ServiceName, open: &BTreeSet<&ServiceName>| {
        let all = known.get(name).into_iter().flat_map(|service| &service.depends_on);
        all.map(|d| &d.service).find(|on| *on != name && open.contains(on))
    };
    while let Some(settled) = open.iter().copied().find(|name| next(name, &open).is_none()) {
        open.remove(settled);
    }
    let mut way: Vec<&ServiceName> = Vec::new();
    let mut at = *open.first()?;
    loop {
        if let Some(begin) = way.iter().position(|name| *name == at) {
            let mut circle = way.split_off(begin);
            circle.push(at);
            return Some((at, circle));
        }
        way.push(at);
        let (name, _) = known.get_key_value(next(at, &open)?)?;
        at = name;
    }
}
