//! What documents and reports say of images.
use super::*;
use fleet_contracts::ServiceName;

impl Book {
    /// The names of images in accepted documents. None while one of these is not read, or may not be the newest.
    pub fn named_images(&self) -> Option<BTreeSet<String>> {
        let mut names = BTreeSet::new();
        let is_present = |record: &&Record| record.wanted != ledger::Wanted::Removed;
        for record in self.records.values().filter(is_present) {
            let is_durable = self.durable.get(&record.name).is_some_and(|d| d.wanted == record.wanted);
            let wanted = match self.duties.get(&record.name) {
                Some(Duty::Run(wanted)) if is_durable && !wanted.doubtful => wanted,
                Some(Duty::Run(_) | Duty::Vanish) | None => return None,
            };
            // One that is not acted on has the duty of the document before it.
            let is_read = self.known.get(&record.name).is_some_and(|known| known.objection.is_none());
            if !is_read {
                return None;
            }
            names.extend(wanted.targets.values().map(|target| target.service.image.clone()));
        }
        Some(names)
    }

    /// The image of each service of a deployment that is as its document says.
    pub fn settled(&self, name: &DeploymentName) -> Option<BTreeMap<ServiceName, String>> {
        let known = self.known.get(name)?;
        let report = known.settled_report()?;
        let images = report.services.iter();
        Some(images.filter_map(|(service, state)| Some((service.clone(), state.image_id.clone()?))).collect())
    }
}
