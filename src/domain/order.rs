//! In which order the services of a deployment begin, are replaced and end.
use super::container::{Container, Status};
use super::desired::Target;
use super::plan::View;
use fleet_contracts::ServiceName;
use fleet_contracts::desired::{Condition, Dependency};
use std::collections::BTreeSet;

/// What the services that a slot depends on allow it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gate {
    /// A container that ran before may be started again.
    pub may_restart: bool,
    /// A new one may be started, or put in the place of an old one.
    pub may_begin: bool,
}

impl Gate {
    pub const OPEN: Self = Self { may_restart: true, may_begin: true };
}

/// A service that another one depends on.
pub struct Other<'a> {
    pub target: &'a Target,
    pub view: &'a View,
    /// Whether the check of the container in service passed last.
    pub is_healthy: bool,
    /// The code that its job of the target's spec ended with, as far as that is known without its container.
    pub end: Option<i64>,
}

pub fn gate<'a>(target: &Target, other: impl Fn(&ServiceName) -> Option<Other<'a>>) -> Gate {
    let all = |met: fn(&Other<'_>, Condition) -> bool| {
        let mut on = target.service.depends_on.iter();
        on.all(|dependency| other(&dependency.service).is_some_and(|other| met(&other, dependency.condition)))
    };
    Gate { may_restart: all(is_met_somehow), may_begin: all(is_met) }
}

/// The first dependency that a slot still waits for before it may begin.
pub fn awaited<'a, 't>(
    target: &'t Target,
    other: impl Fn(&ServiceName) -> Option<Other<'a>>,
) -> Option<&'t Dependency> {
    let is_open = |dependency: &&Dependency| {
        !other(&dependency.service).is_some_and(|other| is_met(&other, dependency.condition))
    };
    target.service.depends_on.iter().find(is_open)
}

/// By the container of the wanted spec, after everything of an update is done.
fn is_met(other: &Other<'_>, condition: Condition) -> bool {
    let Other { target, view, .. } = other;
    let is_outdated = view.main.as_ref().is_some_and(|main| !target.digest_is(main));
    let replaced = view.next.is_none() && !view.others.iter().any(|old| old.status.is_alive());
    replaced && !is_outdated && is_met_by(view.main.as_ref(), other, condition)
}

/// By whatever container is in service. A service that fails while an update of another one waits for its image
/// must come back.
fn is_met_somehow(other: &Other<'_>, condition: Condition) -> bool {
    let alive = || other.view.all().find(|container| matches!(container.status, Status::Running(_)));
    let in_service = alive().or(other.view.main.as_ref());
    let is_outdated = in_service.is_some_and(|container| !other.target.digest_is(container));
    match condition {
        // Nobody checks one of a former spec: that it runs has to do.
        Condition::Healthy if is_outdated => is_met_by(in_service, other, Condition::Started),
        condition => is_met_by(in_service, other, condition),
    }
}

fn is_met_by(container: Option<&Container>, other: &Other<'_>, condition: Condition) -> bool {
    let runs = container.is_some_and(|container| matches!(container.status, Status::Running(_)));
    let forgets =
        |container: &Container| container.status == Status::Created && other.target.digest_is(container);
    let noted = other.end.filter(|_| container.is_none_or(forgets));
    let code = container.and_then(|container| container.status.exit_code()).or(noted);
    match condition {
        Condition::Started => runs || code.is_some_and(|code| other.target.stays_down(code)),
        Condition::Healthy => runs && other.is_healthy,
        Condition::Completed => code == Some(0),
    }
}

/// Whether the container of a service may be stopped or cleared away: what depends on it, by however many steps,
/// ends first. Containers say on what they depend, so that this holds when their document is gone; a dead one
/// is such a step.
pub fn may_go<'a>(service: &ServiceName, containers: impl Iterator<Item = &'a Container> + Clone) -> bool {
    let live = containers.clone().filter(|container| container.status.is_alive());
    let live: BTreeSet<&ServiceName> = live.map(|container| &container.service).collect();
    let before: Vec<(&ServiceName, BTreeSet<&ServiceName>)> =
        live.iter().map(|name| (*name, all_before(name, containers.clone()))).collect();
    let is_free = |name: &ServiceName| !before.iter().any(|(of, all)| *of != name && all.contains(name));
    // In the middle of an update two documents can contradict each other: then nobody waits.
    is_free(service) || !live.into_iter().any(is_free)
}

/// Everything that a service depends on, by however many steps.
fn all_before<'a>(
    service: &'a ServiceName,
    containers: impl Iterator<Item = &'a Container> + Clone,
) -> BTreeSet<&'a ServiceName> {
    let (mut all, mut open) = (BTreeSet::new(), vec![service]);
    while let Some(name) = open.pop() {
        let of = containers.clone().filter(|container| container.service == *name);
        open.extend(of.flat_map(|container| &container.depends_on).filter(|on| all.insert(*on)));
    }
    all
}

#[cfg(test)]
mod tests;
