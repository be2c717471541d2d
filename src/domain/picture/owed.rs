//! Starts that are owed to services which are stopped for their health.
//!
//! One that leaves well when it is told to stop looks, after a crash of the agent, as if it had done its work. So it
//! is made durable before the stop which run of which container is stopped.
use super::*;
use fleet_contracts::state::Health;
use std::time::Duration;

/// A disk that takes longer does not answer: a service that does not work is restarted without the note.
const NOTED_WITHIN: Duration = Duration::from_secs(10);

impl Picture {
    /// The stop of a service for its health waits for its note.
    pub(super) fn note_first(&self, service: &ServiceName, slot: &Slot, step: Step, now: Moment) -> Step {
        let Some(start) = self.unnoted(service, &step) else { return step };
        match &slot.note {
            Some((asked, at)) if *asked == start => {
                let until = *at + NOTED_WITHIN;
                if now < until { Step::Wait(Some(until)) } else { step }
            }
            Some(_) | None => Step::Wait(None),
        }
    }

    /// The run that this step stops for its health, where nothing durable says so and its exit could be taken for the
    /// end of its work.
    fn unnoted(&self, service: &ServiceName, step: &Step) -> Option<OwedStart> {
        let Step::Do(Action::Stop { id, cause: Cause::Unhealthy }) = step else { return None };
        let Order::Run(wanted) = &self.order else { return None };
        let start = OwedStart::after(self.containers.get(id)?)?;
        let may_seem_done = wanted.targets.get(service)?.stays_down(0);
        (may_seem_done && wanted.owed.get(service) != Some(&start)).then_some(start)
    }

    /// What is to be made durable, each asked once: runs that are about to be stopped, and notes (None) of runs that
    /// became well instead.
    pub fn take_notes(&mut self, now: Moment) -> Vec<(ServiceName, Option<OwedStart>)> {
        let unnoted = |service: &ServiceName, slot: &Slot| {
            let start = self.unnoted(service, &self.step_unless_noted(service, slot, now))?;
            let is_asked = slot.note.as_ref().is_some_and(|(asked, _)| *asked == start);
            (!is_asked).then(|| (service.clone(), start))
        };
        let asked: Vec<(ServiceName, OwedStart)> =
            self.slots.iter().filter_map(|(service, slot)| unnoted(service, slot)).collect();
        let needless = self.needless_notes();
        for (service, start) in &asked {
            self.slot(service).note = Some((start.clone(), now));
        }
        let asked = asked.into_iter().map(|(service, start)| (service, Some(start)));
        asked.chain(needless.into_iter().map(|service| (service, None))).collect()
    }

    fn needless_notes(&self) -> Vec<ServiceName> {
        let Order::Run(wanted) = &self.order else { return Vec::new() };
        // Nothing is written into a record that may be older than what was acted on.
        if wanted.doubtful {
            return Vec::new();
        }
        let is_well = |service: &ServiceName, start: &OwedStart| {
            let runs = self.containers.get(&start.id).is_some_and(|c| matches!(c.status, Status::Running(_)));
            let slot = self.slots.get(service);
            runs && slot.is_some_and(|slot| slot.memory.health() == Some(Health::Healthy))
        };
        wanted
            .owed
            .iter()
            .filter(|(service, start)| is_well(service, start))
            .map(|(s, _)| s.clone())
            .collect()
    }

    /// Whether the service is down because this agent, or the one before, stopped it for its health.
    pub(super) fn is_owed(&self, service: &ServiceName, view: &View) -> bool {
        let (Order::Run(wanted), Some(main)) = (&self.order, &view.main) else { return false };
        let is_down = main.status.exit_code().is_some();
        is_down && OwedStart::after(main).is_some_and(|start| wanted.owed.get(service) == Some(&start))
    }
}
