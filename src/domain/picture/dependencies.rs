//! What the slots of a deployment allow each other.
use super::*;
use crate::domain::order::{Gate, Other, awaited, gate, may_go};
use fleet_contracts::state;

impl Picture {
    pub(super) fn gate(&self, target: &Target) -> Gate {
        // Most services depend on nothing.
        if target.service.depends_on.is_empty() {
            return Gate::OPEN;
        }
        let views = self.views_of(target);
        gate(target, |name| self.other(name, &views))
    }

    /// What is to go waits for those that depend on it. Not while a service of the document cannot be brought up: what
    /// it lacks, a port or the lock of a database, may be held by the very one that waits for its dependents, and
    /// they for it.
    pub(super) fn in_order(&self, name: &ServiceName, step: Step) -> Step {
        let fails = |slot: &Slot| slot.memory.trouble.as_ref().is_some_and(|t| t.about == About::Running);
        let is_held_up =
            || matches!(self.order, Order::Run(_)) && self.slots.values().any(|slot| fails(slot));
        match &step {
            Step::Do(Action::Stop { .. } | Action::Remove { .. })
                if !may_go(name, self.containers.values().map(|container| &**container)) && !is_held_up() =>
            {
                Step::Wait(None)
            }
            Step::Do(_) | Step::Wait(_) | Step::Done(_) => step,
        }
    }

    /// The services that wait for this one.
    pub(super) fn waiting_for(&self, service: &ServiceName) -> Vec<&ServiceName> {
        let Order::Run(wanted) = &self.order else { return Vec::new() };
        let waits = |target: &Target| {
            let views = self.views_of(target);
            awaited(target, |name| self.other(name, &views)).is_some_and(|on| on.service == *service)
        };
        wanted.targets.iter().filter(|(_, target)| waits(target)).map(|(name, _)| name).collect()
    }

    /// What the label of a container that was made to this digest says.
    pub(super) fn dependencies_of(&self, service: &ServiceName, digest: &SpecDigest) -> Vec<ServiceName> {
        let target = self.target(service).filter(|target| target.digest == *digest);
        let all = target.into_iter().flat_map(|target| &target.service.depends_on);
        all.map(|dependency| dependency.service.clone()).collect()
    }

    fn views_of(&self, target: &Target) -> BTreeMap<ServiceName, View> {
        let on = target.service.depends_on.iter().map(|dependency| &dependency.service);
        on.map(|name| (name.clone(), self.view(name))).collect()
    }

    fn other<'a>(&'a self, name: &ServiceName, views: &'a BTreeMap<ServiceName, View>) -> Option<Other<'a>> {
        let (target, memory) = (self.target(name)?, &self.slots.get(name)?.memory);
        let is_healthy = memory.health() == Some(state::Health::Healthy);
        let end = memory.end_of(target).map(|end| end.code);
        Some(Other { target, view: views.get(name)?, is_healthy, end })
    }
}
