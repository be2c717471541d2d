//! The next step of one service slot: a pure function of what is wanted, what is seen and what is
//! remembered.
//!
//! A replace goes: prepare `.next` (image and container) · rename the old to `.old` · rename the
//! successor to the slot's name · stop the old · start the successor · remove the old. Every step
//! can be the last one before a crash: the next step is found from the names and labels alone.
use super::container::{Container, ContainerId, Process, Status};
use super::desired::Target;
use super::memory::{Memory, Readiness};
use super::order::Gate;
use super::time::Moment;
use fleet_contracts::desired::Restart;
use fleet_contracts::names::{Role, container_name};
use fleet_contracts::{DeploymentName, ServiceName};

/// Everything that bears the labels of one slot.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct View {
    pub main: Option<Container>,
    pub next: Option<Container>,
    /// `.old`, and whatever else was labelled into this slot under another name.
    pub others: Vec<Container>,
    /// One whose making was cut off: it lacks its files, whatever its digest says.
    pub draft: Option<Container>,
}

impl View {
    /// Of the containers of one deployment, those of one service.
    pub fn of<'a>(
        deployment: &DeploymentName,
        service: &ServiceName,
        containers: impl IntoIterator<Item = &'a Container>,
    ) -> Self {
        let mut view = View::default();
        let named = |role| container_name(deployment, service, role);
        for container in containers.into_iter().filter(|c| c.service == *service) {
            if container.name == named(Role::Main) {
                view.main = Some(container.clone());
            } else if container.name == named(Role::Next) {
                view.next = Some(container.clone());
            } else if container.name == named(Role::Draft) {
                view.draft = Some(container.clone());
            } else {
                view.others.push(container.clone());
            }
        }
        view
    }

    /// The container that answers for the service: the one that bears its name, unless the one it
    /// replaces still runs.
    pub fn in_service(&self) -> Option<&Container> {
        let outgoing = self.others.iter().find(|container| container.status.is_alive());
        let main = self.main.as_ref();
        main.filter(|main| main.status.is_alive()).or(outgoing).or(main)
    }

    /// All that may be started.
    pub fn all(&self) -> impl Iterator<Item = &Container> {
        self.others.iter().chain(&self.next).chain(&self.main)
    }
}

/// Why a container may be stopped or removed. There is no effect without one of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// Its digest is no longer the wanted one, and its successor is ready, or a job that was done already.
    Changed,
    /// The document no longer has its service.
    Dropped,
    /// Its deployment was removed with authority.
    Removed,
    /// A second live container in one slot.
    Duplicate,
    /// It is dead, and podman can do nothing else with it.
    Dead,
    /// It was prepared, never started, and is no longer wanted.
    Unused,
    /// Its making was cut off: it lacks its files.
    Unfinished,
    /// Its health check fails: it is started again.
    Unhealthy,
    /// Somebody began to stop it, and the stop does not come to its end.
    HalfStopped,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    Pull,
    Create(Role),
    Rename {
        id: ContainerId,
        to: Role,
    },
    Stop {
        id: ContainerId,
        cause: Cause,
    },
    Start(ContainerId),
    /// Somebody paused it: until it goes on it serves nobody and cannot be stopped either.
    Unpause(ContainerId),
    Remove {
        id: ContainerId,
        cause: Cause,
    },
}

/// How a slot that needs nothing more came to rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rest {
    Running,
    /// Exited, and its restart policy leaves it so.
    Exited {
        code: i64,
    },
    /// Nothing is wanted here and nothing is here.
    Empty,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    Do(Action),
    /// Nothing can be done before this moment; None: before something is observed or finishes.
    Wait(Option<Moment>),
    Done(Rest),
}

/// The next step towards a slot that holds exactly one container of the target's digest.
pub fn plan(target: &Target, view: &View, memory: &Memory, gate: Gate, now: Moment) -> Step {
    let slot = Slot { target, view, memory, gate, now };
    // Its name is needed, and nobody else may start it.
    if let Some(draft) = &view.draft {
        return clear(draft, Cause::Unfinished);
    }
    if let Some(step) = slot.keep_what_is_equal() {
        return step;
    }
    if let Some(code) = slot.was_done() {
        return slot.leave_done(code);
    }
    match view.others.iter().find(|c| !c.status.made_way()) {
        Some(outgoing) => slot.hand_over_from(outgoing),
        None => slot.without_outgoing(),
    }
}

/// The next step of a slot whose document the bucket has to confirm first: a newer one may have been acted on. What is
/// in the slot, of whatever spec, is kept and started again; nothing is made, replaced or cleared.
pub fn keep(target: &Target, view: &View, memory: &Memory, now: Moment) -> Step {
    let Some(main) = &view.main else { return Step::Wait(None) };
    let digest = main.digest.clone().unwrap_or_else(|| target.digest.clone());
    let theirs = Target { digest, ..target.clone() };
    let in_the_way = view.others.iter().filter(|container| !container.status.made_way()).cloned().collect();
    let view = View { main: view.main.clone(), next: None, draft: None, others: in_the_way };
    match plan(&theirs, &view, memory, Gate::OPEN, now) {
        Step::Do(action @ (Action::Start(_) | Action::Unpause(_))) => Step::Do(action),
        Step::Do(
            Action::Pull
            | Action::Create(_)
            | Action::Rename { .. }
            | Action::Stop { .. }
            | Action::Remove { .. },
        ) => Step::Wait(None),
        step @ (Step::Wait(_) | Step::Done(_)) => step,
    }
}

/// The next step towards an empty slot.
pub fn vacate(view: &View, cause: Cause) -> Step {
    // Prepared ones first: they must not be started by anybody while the others stop.
    let order = view.draft.iter().chain(&view.next).chain(&view.others).chain(&view.main);
    match order.into_iter().next() {
        Some(container) => clear(container, cause),
        None => Step::Done(Rest::Empty),
    }
}

/// Stop what is alive, remove what is not. A stop of one that has just ended waits for its cleanup.
fn clear(container: &Container, cause: Cause) -> Step {
    let id = container.id.clone();
    match container.status {
        Status::Running(_) | Status::Ended { .. } => Step::Do(Action::Stop { id, cause }),
        Status::Created | Status::Exited { .. } | Status::Lying => Step::Do(Action::Remove { id, cause }),
        // Frozen, it would hear no stop signal.
        Status::Paused => Step::Do(Action::Unpause(id)),
        // Somebody else is at it: podman 4.3.1 loses the process when a stopping one is removed.
        Status::Stopping(_) | Status::Busy => Step::Wait(None),
    }
}

struct Slot<'a> {
    target: &'a Target,
    view: &'a View,
    memory: &'a Memory,
    gate: Gate,
    now: Moment,
}

impl Slot<'_> {
    fn is_wanted(&self, container: &Container) -> bool {
        self.target.digest_is(container)
    }

    /// The document went back to what still runs under another name: give it the slot's name again
    /// instead of stopping it for an equal one.
    fn keep_what_is_equal(&self) -> Option<Step> {
        if self.view.main.as_ref().is_some_and(|main| main.status.is_alive()) {
            return None;
        }
        let mut elsewhere = self.view.others.iter().chain(&self.view.next);
        let equal = elsewhere.find(|c| matches!(c.status, Status::Running(_)) && self.is_wanted(c))?;
        Some(match &self.view.main {
            Some(main) => clear(main, Cause::Unused),
            None => Step::Do(Action::Rename { id: equal.id.clone(), to: Role::Main }),
        })
    }

    /// The code that a job of the wanted spec ended with, where its container does not tell it: it was removed, made
    /// way for that of another spec, or podman forgot that it ran.
    fn was_done(&self) -> Option<i64> {
        let end = self.memory.end_of(self.target)?;
        let tells = |main: &Container| main.status.is_alive() || main.status.exit_code().is_some();
        let is_told = self.view.main.as_ref().is_some_and(|main| self.is_wanted(main) && tells(main));
        (!is_told).then_some(end.code)
    }

    /// Nothing is made or started for a job that was done. One that podman forgot the end of stays.
    fn leave_done(&self, code: i64) -> Step {
        let forgotten = |main: &&Container| self.is_wanted(main) && main.status == Status::Created;
        let main = self.view.main.iter().filter(|main| !forgotten(main));
        match self.view.next.iter().chain(&self.view.others).chain(main).next() {
            Some(other) if other.status.is_alive() => clear(other, Cause::Changed),
            Some(other) => clear(other, Cause::Unused),
            None => Step::Done(Rest::Exited { code }),
        }
    }

    /// An outgoing container is still alive: it stays until its successor is ready to start.
    fn hand_over_from(&self, outgoing: &Container) -> Step {
        match &self.view.main {
            Some(main) if main.status.is_alive() => clear(outgoing, Cause::Duplicate),
            // The old one serves until the new one may.
            Some(main) if self.is_wanted(main) && !self.gate.may_begin => Step::Wait(None),
            Some(main) if self.is_wanted(main) => clear(outgoing, Cause::Changed),
            Some(main) => match self.successor(Role::Next) {
                Ok(_) => clear(main, Cause::Unused),
                Err(step) => step,
            },
            None => self.fill_main(),
        }
    }

    fn without_outgoing(&self) -> Step {
        match &self.view.main {
            None => self.fill_main(),
            Some(main) if self.is_wanted(main) => self.run(main),
            Some(main) => self.replace(main),
        }
    }

    /// Nobody has the slot's name: the successor gets it.
    fn fill_main(&self) -> Step {
        match self.successor(Role::Main) {
            Ok(ready) => Step::Do(Action::Rename { id: ready.id.clone(), to: Role::Main }),
            Err(step) => step,
        }
    }

    /// The prepared successor, or the step that brings it nearer.
    fn successor(&self, role: Role) -> Result<&Container, Step> {
        match &self.view.next {
            Some(next) if self.is_wanted(next) => Ok(next),
            Some(next) => Err(clear(next, Cause::Unused)),
            None => Err(match self.memory.readiness(self.target.service.pull, self.now) {
                Readiness::Create => Step::Do(Action::Create(role)),
                Readiness::Pull => Step::Do(Action::Pull),
                Readiness::Wait(until) => Step::Wait(until),
            }),
        }
    }

    /// The slot's name is on a container of another digest.
    fn replace(&self, main: &Container) -> Step {
        // A dead leftover may hold the name that the old one needs.
        if let Some(leftover) = self.view.others.first() {
            return clear(leftover, Cause::Dead);
        }
        let ready = self.successor(Role::Next).and_then(|next| match self.gate.may_begin {
            true => Ok(next),
            false => Err(Step::Wait(None)),
        });
        match (ready, main.status) {
            (Ok(_), Status::Running(_)) => Step::Do(Action::Rename { id: main.id.clone(), to: Role::Old }),
            (Ok(_), _) => clear(main, Cause::Changed),
            // Its successor is not ready: until then the old one is kept and repaired.
            (Err(Step::Wait(until)), Status::Created | Status::Ended { .. } | Status::Exited { .. }) => {
                self.repair(main, until)
            }
            (Err(Step::Wait(_)), Status::Paused) => Step::Do(Action::Unpause(main.id.clone())),
            (Err(step), _) => step,
        }
    }

    /// Starts the old container again while the new one cannot be prepared. Its own policy is not
    /// known any more; one that ended well is left alone.
    fn repair(&self, main: &Container, until: Option<Moment>) -> Step {
        // A successor that somebody started by hand has the slot until all of it is cleared away.
        let is_taken = self.view.next.as_ref().is_some_and(|next| !next.status.made_way());
        let ended_well = main.status.exit_code() == Some(0) && !self.memory.is_restart_owed();
        if ended_well || is_taken {
            return Step::Wait(until);
        }
        match self.start(main) {
            Step::Wait(start_at) => Step::Wait(earliest(until, start_at)),
            step => step,
        }
    }

    /// The slot's name is on a container of the wanted digest: it should run.
    fn run(&self, main: &Container) -> Step {
        if let Some(next) = &self.view.next {
            let cause = if next.status.is_alive() { Cause::Duplicate } else { Cause::Unused };
            return clear(next, cause);
        }
        match main.status {
            Status::Running(process) if self.fails_its_check(process) => self.stop_unhealthy(main),
            Status::Running(_) => match self.view.others.first() {
                Some(leftover) => clear(leftover, Cause::Dead),
                None => Step::Done(Rest::Running),
            },
            Status::Stopping(_) | Status::Busy => Step::Wait(None),
            Status::Paused => Step::Do(Action::Unpause(main.id.clone())),
            Status::Lying => clear(main, Cause::Dead),
            Status::Created if !self.gate.may_begin => match self.view.others.first() {
                // The one that it is to replace serves until then, and is kept up.
                Some(old) if self.gate.may_restart => self.repair(old, None),
                Some(_) | None => Step::Wait(None),
            },
            Status::Created => self.start(main),
            Status::Ended { code } | Status::Exited { code } if self.stays_down(code) => {
                match self.view.others.first() {
                    Some(leftover) => clear(leftover, Cause::Dead),
                    None => Step::Done(Rest::Exited { code }),
                }
            }
            Status::Ended { .. } | Status::Exited { .. } if !self.gate.may_restart => Step::Wait(None),
            Status::Ended { .. } | Status::Exited { .. } => self.start(main),
        }
    }

    /// One that was stopped because of its health is started again, however it exited.
    fn stays_down(&self, code: i64) -> bool {
        self.target.stays_down(code) && !self.memory.is_restart_owed()
    }

    /// A job is not restarted, whatever its check says.
    fn fails_its_check(&self, process: Process) -> bool {
        self.target.service.restart != Restart::Never && self.memory.is_unhealthy(process)
    }

    fn stop_unhealthy(&self, main: &Container) -> Step {
        let backoff = &self.memory.starts;
        if backoff.is_due(self.now) {
            Step::Do(Action::Stop { id: main.id.clone(), cause: Cause::Unhealthy })
        } else {
            Step::Wait(backoff.retry_at())
        }
    }

    fn start(&self, container: &Container) -> Step {
        let backoff = &self.memory.starts;
        if backoff.is_due(self.now) {
            Step::Do(Action::Start(container.id.clone()))
        } else {
            Step::Wait(backoff.retry_at())
        }
    }
}

fn earliest(a: Option<Moment>, b: Option<Moment>) -> Option<Moment> {
    a.into_iter().chain(b).min()
}

#[cfg(test)]
mod tests;
