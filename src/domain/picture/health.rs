//! When which service is checked, and what its check found.
use super::*;
use crate::domain::container::Process;
use crate::domain::health::Verdict;
use fleet_contracts::desired::Healthcheck;
use fleet_contracts::names::{Role, container_name};

/// A check that is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    pub service: ServiceName,
    pub id: ContainerId,
    pub process: Process,
    pub check: Healthcheck,
}

impl Picture {
    pub fn due_checks(&self, now: Moment) -> Vec<Check> {
        let due = self.checks().filter(|(_, _, at)| *at <= now);
        due.filter_map(|(service, main, _)| {
            let Status::Running(process) = main.status else { return None };
            let check = self.target(service)?.service.healthcheck.clone()?;
            Some(Check { service: service.clone(), id: main.id.clone(), process, check })
        })
        .collect()
    }

    /// The services that have a check, their containers, and when each is due. None while one is being checked
    /// or worked on.
    pub(super) fn checks(&self) -> impl Iterator<Item = (&ServiceName, &Container, Moment)> {
        let blind = !self.seen || self.blinded.is_some();
        let slots = self.slots.iter().filter(move |(name, slot)| {
            let lanes = [Lane::Health((*name).clone()), Lane::Slot((*name).clone())];
            !blind && !slot.unsure && !lanes.iter().any(|lane| self.busy.contains_key(lane))
        });
        slots.filter_map(|(name, slot)| {
            let at = slot.memory.check_at()?;
            let main = container_name(&self.name, name, Role::Main);
            let container = self.containers.values().find(|c| c.service == *name && c.name == main)?;
            Some((name, &**container, at))
        })
    }

    pub fn check_begun(&mut self, service: &ServiceName) {
        self.occupy(Lane::Health(service.clone()), None);
    }

    pub(super) fn not_checked(&mut self, service: &ServiceName, now: Moment) {
        if let Some(target) = self.target(service).cloned() {
            self.slot(service).memory.not_checked(&target, now);
        }
    }

    pub fn checked(
        &mut self,
        service: &ServiceName,
        process: Process,
        verdict: Verdict,
        now: Moment,
        dice: Dice,
    ) {
        self.busy.remove(&Lane::Health(service.clone()));
        let Some(target) = self.target(service).cloned() else { return };
        self.slot(service).memory.checked(process, verdict, &target, now, dice);
    }
}
