//! Stops that somebody else began.
use super::*;
use std::time::Duration;

/// How long somebody's stop is left alone, in seconds. From then on the container has its own grace period, as for a
/// stop by the agent, and is killed after that: who began the stop may be gone, and podman would call it `stopping`
/// for ever.
const LEFT_ALONE: Duration = Duration::from_secs(10);

impl Picture {
    pub(super) fn note_stops(&mut self, now: Moment) {
        let under_way = |container: &Container| matches!(container.status, Status::Stopping(_));
        let since = |container: &Container| self.stops.get(&container.id).copied().unwrap_or(now);
        self.stops = self
            .containers
            .values()
            .filter(|container| under_way(container))
            .map(|container| (container.id.clone(), since(container)))
            .collect();
    }

    /// What to do in place of waiting for the end of a stop.
    pub(super) fn end_a_stop(&self, service: &ServiceName, step: Step, now: Moment) -> Step {
        let is_doubtful = matches!(&self.order, Order::Run(wanted) if wanted.doubtful);
        if is_doubtful || !matches!(step, Step::Wait(None)) {
            return step;
        }
        let goes_on = |container: &Container| matches!(container.status, Status::Stopping(_));
        let of_slot =
            |id: &&ContainerId| self.containers.get(*id).is_some_and(|c| c.service == *service && goes_on(c));
        let Some(id) = self.stops.keys().find(of_slot) else { return step };
        let due = self.stops[id] + LEFT_ALONE;
        if now < due {
            return Step::Wait(Some(due));
        }
        Step::Do(Action::Stop { id: id.clone(), cause: Cause::HalfStopped })
    }
}
