//! From slots to what is told of a deployment.
use super::container::{Container, Status};
use super::memory::{Memory, Trouble};
use super::plan::{Rest, Step, View};
use fleet_contracts::desired::Restart;
use fleet_contracts::state::{Code, Phase, PullProgress, ServicePhase, ServiceState};
use fleet_contracts::{DeploymentName, ServiceName};
use std::collections::{BTreeMap, BTreeSet};

/// What is going on in one slot, all that its report depends on.
pub struct SlotFacts<'a> {
    pub name: &'a ServiceName,
    /// None: the document no longer has this service.
    pub restart: Option<Restart>,
    /// A container of another spec bears the slot's name: it is to be replaced.
    pub outdated: bool,
    pub view: &'a View,
    pub memory: &'a Memory,
    pub step: &'a Step,
}

/// A trouble of one slot, or of the deployment as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Complaint {
    pub service: Option<ServiceName>,
    pub trouble: Trouble,
}

impl SlotFacts<'_> {
    pub fn phase(&self) -> ServicePhase {
        let stopping = self.restart.is_none() && !matches!(self.step, Step::Done(_));
        match (self.step, &self.view.main) {
            _ if stopping => ServicePhase::Stopping,
            (Step::Done(Rest::Running), _) => ServicePhase::Running,
            (Step::Done(Rest::Exited { code: 0 }), _) => ServicePhase::Completed,
            (Step::Done(Rest::Exited { .. }), _) => ServicePhase::Failed,
            (Step::Done(Rest::Empty), _) => ServicePhase::Pending,
            _ if self.memory.is_pulling() => ServicePhase::Pulling,
            (_, Some(main)) if main.status.is_alive() => ServicePhase::Running,
            (_, Some(main)) if main.status == Status::Lying || main.status.exit_code().is_some() => {
                ServicePhase::Exited
            }
            (_, Some(_)) => ServicePhase::Starting,
            (_, None) => ServicePhase::Pending,
        }
    }

    /// What is told of the service.
    pub fn state(&self) -> ServiceState {
        let shown = self.view.in_service();
        let told = state_of(self.phase(), shown);
        ServiceState {
            exit_code: told.exit_code.or(self.noted_code()),
            restarts: self.memory.restarts,
            health: self.memory.health(),
            pull: self.memory.progress.map(|(current, total)| PullProgress { current, total }),
            ..told
        }
    }

    /// Of a job whose container cannot tell it any more.
    fn noted_code(&self) -> Option<i64> {
        match self.step {
            Step::Done(Rest::Exited { code }) => Some(*code),
            Step::Done(Rest::Running | Rest::Empty) | Step::Do(_) | Step::Wait(_) => None,
        }
    }

    fn is_settled(&self) -> bool {
        matches!(self.step, Step::Done(_))
    }

    /// A live container of another spec is on its way out.
    fn is_replacing(&self) -> bool {
        let leftovers = self.view.next.is_some() || !self.view.others.is_empty();
        self.restart.is_some() && !self.is_settled() && (leftovers || self.outdated)
    }
}

fn state_of(phase: ServicePhase, shown: Option<&Container>) -> ServiceState {
    ServiceState {
        phase,
        container_id: shown.map(|container| container.id.to_string()),
        image_id: shown.and_then(|container| container.image_id.clone()),
        restarts: 0,
        exit_code: shown.and_then(|container| container.status.exit_code()),
        started_at: shown.and_then(|container| container.started_at),
        health: None,
        pull: None,
    }
}

/// What is told of the services of a deployment that nobody works on: by its containers alone. `before` is what was
/// told of them last.
pub fn services_of(
    deployment: &DeploymentName,
    containers: &[Container],
    before: &BTreeMap<ServiceName, ServiceState>,
) -> BTreeMap<ServiceName, ServiceState> {
    let names: BTreeSet<&ServiceName> = containers.iter().map(|container| &container.service).collect();
    let service = |name: &ServiceName| {
        let view = View::of(deployment, name, containers);
        let shown = view.in_service();
        let restarts = before.get(name).map_or(0, |before| before.restarts);
        ServiceState { restarts, ..state_of(phase_of(shown), shown) }
    };
    names.into_iter().map(|name| (name.clone(), service(name))).collect()
}

fn phase_of(shown: Option<&Container>) -> ServicePhase {
    match shown.map(|container| container.status) {
        Some(Status::Running(_)) => ServicePhase::Running,
        Some(Status::Stopping(_)) => ServicePhase::Stopping,
        Some(Status::Ended { .. } | Status::Exited { .. } | Status::Lying) => ServicePhase::Exited,
        Some(Status::Paused | Status::Busy) => ServicePhase::Starting,
        // Nobody starts it.
        Some(Status::Created) | None => ServicePhase::Pending,
    }
}

/// The most telling trouble: one that needs somebody comes before one that is retried.
pub fn complaint(slots: &[SlotFacts<'_>]) -> Option<Complaint> {
    let troubled = slots.iter().filter_map(|slot| Some((slot, slot.memory.trouble.as_ref()?)));
    let worst = troubled.min_by_key(|(_, trouble)| is_retried(trouble));
    worst.map(|(slot, trouble)| Complaint { service: Some(slot.name.clone()), trouble: trouble.clone() })
}

/// The phase of a deployment that should run.
pub fn phase(slots: &[SlotFacts<'_>], complaint: Option<&Complaint>) -> Phase {
    if let Some(complaint) = complaint {
        return if is_retried(&complaint.trouble) { Phase::Degraded } else { Phase::Failed };
    }
    let any = |wanted: ServicePhase| slots.iter().any(|slot| slot.phase() == wanted);
    if slots.iter().all(SlotFacts::is_settled) {
        let kept = slots.iter().filter(|slot| slot.restart.is_some());
        return if only_jobs_done(kept) { Phase::Completed } else { Phase::Running };
    }
    if any(ServicePhase::Pulling) {
        Phase::Pulling
    } else if slots.iter().any(SlotFacts::is_replacing) || any(ServicePhase::Stopping) {
        Phase::Updating
    } else if slots.iter().all(|slot| slot.phase() == ServicePhase::Pending) {
        Phase::Pending
    } else {
        Phase::Starting
    }
}

fn only_jobs_done<'a>(mut kept: impl Iterator<Item = &'a SlotFacts<'a>>) -> bool {
    kept.all(|slot| slot.restart != Some(Restart::Always) && slot.phase() == ServicePhase::Completed)
}

/// `Failed` needs somebody; everything else is tried again by itself.
fn is_retried(trouble: &Trouble) -> bool {
    match trouble.code {
        Code::NameConflict => false,
        Code::Exited => trouble.retry_at.is_some(),
        _ => true,
    }
}
