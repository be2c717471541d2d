//! Deployments whose document is accepted and nobody's duty: what is in quarantine, or cannot be read. What
//! runs of them is told as it is seen, by their containers alone.
use super::*;
use crate::domain::report;

impl Book {
    /// Accepted, and known, but nobody's duty. What was read of the same document before stays known.
    pub(super) fn leaves_alone(&mut self, record: &Record, is_same: bool, objection: Objection) {
        let known = self.known.entry(record.name.clone()).or_default();
        let read = known.accepted.take().filter(|_| is_same);
        known.accepted = Some(Accepted {
            revision: record.revision,
            since_revision: read.as_ref().map_or(record.revision, |read| read.since_revision),
            spec_digest: read.as_ref().and_then(|read| read.spec_digest.clone()),
            warnings: read.map(|read| read.warnings).unwrap_or_default(),
        });
        (known.removing, known.objection) = (false, Some(objection));
        self.duties.remove(&record.name);
    }

    fn is_left_alone(&self, name: &DeploymentName) -> bool {
        let is_present = self.durable.get(name).is_some_and(|r| r.wanted != ledger::Wanted::Removed);
        is_present && !self.duties.contains_key(name)
    }

    /// A list of everything there is: the containers of deployments without a reconciler, and the names of all.
    pub fn listed(
        &mut self,
        alone: &BTreeMap<DeploymentName, Vec<Container>>,
        labelled: &BTreeSet<DeploymentName>,
    ) {
        let names: Vec<_> = self.durable.keys().filter(|name| self.is_left_alone(name)).cloned().collect();
        for name in names {
            match alone.get(&name) {
                Some(containers) => self.looked(&name, containers),
                None if labelled.contains(&name) => {}
                None => self.looked(&name, &[]),
            }
        }
    }

    /// All containers of one deployment without a reconciler.
    pub fn looked(&mut self, name: &DeploymentName, containers: &[Container]) {
        if !self.is_left_alone(name) {
            return;
        }
        let Some(known) = self.known.get_mut(name) else { return };
        let before = known.report.take().map(|report| report.services).unwrap_or_default();
        let revision = known.accepted.as_ref().map_or(0, |accepted| accepted.revision);
        let services = report::services_of(name, containers, &before);
        known.report =
            Some(Report { revision, phase: Phase::Failed, error: None, services, ends: BTreeMap::new() });
        self.unseen.remove(name);
    }

    /// Nothing can be seen: what is known is told.
    pub fn blinded(&mut self) {
        let alone: Vec<_> = self.unseen.iter().filter(|name| self.is_left_alone(name)).cloned().collect();
        alone.iter().for_each(|name| _ = self.unseen.remove(name));
    }
}
