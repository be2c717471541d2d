//! The published state of a deployment: what its reconciler reported, under what is known of its
//! document.
use super::jobs::End;
use super::memory::Trouble;
use super::report::Complaint;
use fleet_contracts::state::{Code, DeploymentState, LastError, Phase, ServiceState};
use fleet_contracts::{DeploymentName, DeviceId, ServiceName, Timestamp};
use std::collections::BTreeMap;

/// What a reconciler says of its deployment, as of the document at `revision`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    pub revision: u64,
    pub phase: Phase,
    pub error: Option<LastError>,
    pub services: BTreeMap<ServiceName, ServiceState>,
    /// Of the jobs of that document.
    pub ends: BTreeMap<ServiceName, End>,
}

/// A document or removal that was not carried out, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Objection {
    pub code: Code,
    pub message: String,
}

impl Objection {
    /// The phase it forces; None when the phase stays.
    fn phase(&self) -> Option<Phase> {
        match self.code {
            Code::StaleRevision | Code::Policy | Code::Signature => Some(Phase::Held),
            Code::RemovalHeld => None,
            _ => Some(Phase::Failed),
        }
    }
}

/// All that is known of one deployment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Known {
    /// Revision and digest of the accepted document; None before the first.
    pub accepted: Option<Accepted>,
    pub removing: bool,
    pub objection: Option<Objection>,
    pub report: Option<Report>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    pub revision: u64,
    /// None: it was not read.
    pub spec_digest: Option<String>,
    pub warnings: Vec<String>,
    /// The revision from which on this same document stands: a byte-equal put moves only `revision`.
    pub since_revision: u64,
}

impl Known {
    pub fn state(&self, device: &DeviceId, name: &DeploymentName, at: Timestamp) -> DeploymentState {
        let services = self.report.as_ref().map(|report| report.services.clone()).unwrap_or_default();
        let ids = services.iter().filter_map(|(name, s)| Some((name.clone(), s.container_id.clone()?)));
        let objection = self.objection.as_ref();
        let accepted = self.accepted.as_ref();
        DeploymentState {
            device_id: device.clone(),
            deployment: name.clone(),
            phase: objection.and_then(Objection::phase).unwrap_or_else(|| self.phase()),
            last_event_at: at,
            last_error: objection.map(last_error_of).or_else(|| self.current_report()?.error.clone()),
            container_ids: ids.collect(),
            observed_revision: accepted.map(|accepted| accepted.revision),
            spec_digest: accepted.and_then(|accepted| accepted.spec_digest.clone()),
            warnings: accepted.map(|accepted| accepted.warnings.clone()).unwrap_or_default(),
            services,
        }
    }

    /// The report, when it is about the accepted document and not about one before it.
    pub(super) fn current_report(&self) -> Option<&Report> {
        let since = self.accepted.as_ref().map(|accepted| accepted.since_revision);
        self.report.as_ref().filter(|report| self.removing || Some(report.revision) >= since)
    }

    /// The report of a deployment that is as its accepted document says.
    pub fn settled_report(&self) -> Option<&Report> {
        let stands = self.accepted.is_some() && !self.removing && self.objection.is_none();
        let is_well = |report: &&Report| {
            matches!(report.phase, Phase::Running | Phase::Completed) && report.error.is_none()
        };
        self.current_report().filter(|_| stands).filter(is_well)
    }

    /// A document that was just accepted leaves `Running` in the same write that says so.
    fn phase(&self) -> Phase {
        match (self.current_report(), &self.report) {
            (Some(report), _) => report.phase,
            (None, Some(stale)) if !stale.services.is_empty() => Phase::Updating,
            (None, _) if self.removing => Phase::Stopping,
            (None, _) => Phase::Pending,
        }
    }
}

fn last_error_of(objection: &Objection) -> LastError {
    LastError { code: objection.code, service: None, message: objection.message.clone(), retry_at: None }
}

/// The published form of a complaint; `retry_at` is the wall clock's word for its moment.
pub fn last_error(complaint: Complaint, retry_at: Option<Timestamp>) -> LastError {
    let Complaint { service, trouble: Trouble { code, message, .. } } = complaint;
    LastError { code, service, message, retry_at }
}

/// Whether two states differ in anything but the time of writing.
pub fn is_change(before: Option<&DeploymentState>, now: &DeploymentState) -> bool {
    before.is_none_or(|before| DeploymentState { last_event_at: now.last_event_at, ..before.clone() } != *now)
}
