//! From slots to what is told of a deployment.
use super::container::{Container, Status};
use super::memory::{Image, Memory, Trouble};
use super::plan::{Rest, Step, View};
use fleet_contracts::ServiceName;
use fleet_contracts::desired::Restart;
use fleet_contracts::state::{Code, Phase, ServicePhase};

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
            _ if self.memory.image == Image::Pulling => ServicePhase::Pulling,
            (_, Some(main)) if main.status.is_alive() => ServicePhase::Running,
            (_, Some(main)) if main.status == Status::Lying || main.status.exit_code().is_some() => {
                ServicePhase::Exited
            }
            (_, Some(_)) => ServicePhase::Starting,
            (_, None) => ServicePhase::Pending,
        }
    }

    /// The container that answers for the service: the one that bears its name, unless the one it
    /// replaces still runs.
    pub fn in_service(&self) -> Option<&Container> {
        let outgoing = self.view.others.iter().find(|container| container.status.is_alive());
        let main = self.view.main.as_ref();
        main.filter(|main| main.status.is_alive()).or(outgoing).or(main)
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
