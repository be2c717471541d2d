//! Ends of jobs are durable before they are told: what was told to be done is not done again.
use super::*;
use crate::domain::jobs::{End, Noted};
use fleet_contracts::ServiceName;

impl Book {
    /// Of jobs that ended and of which the record does not know yet: the record to write.
    pub fn note_ends(&mut self, name: &DeploymentName, at: Timestamp) -> Option<Record> {
        // Its record would take the place of the newer one that cannot be read.
        if self.doubtful.contains(name) {
            return None;
        }
        let report = self.known.get(name)?.current_report()?;
        let record = self.records.get_mut(name).filter(|record| record.wanted != ledger::Wanted::Removed)?;
        let is_new =
            |service: &ServiceName, end: &End| record.ends.get(service).is_none_or(|noted| noted.end != *end);
        let new = report.ends.iter().filter(|(service, end)| is_new(service, end));
        let new: Vec<_> =
            new.map(|(service, end)| (service.clone(), Noted { end: end.clone(), at })).collect();
        if new.is_empty() {
            return None;
        }
        record.ends.extend(new);
        self.noting.insert(name.clone());
        Some(record.clone())
    }

    /// The disk refuses: that a job ended is told all the same.
    pub fn not_noted(&mut self) {
        self.noting.clear();
    }

    pub(super) fn noted(&mut self, record: &Record) {
        if self.records.get(&record.name).is_none_or(|known| known.ends == record.ends) {
            self.noting.remove(&record.name);
        }
    }

    /// A reconciler that is started anew has to know of them.
    pub(super) fn remember_ends(&mut self, record: &Record) {
        if let Some(Duty::Run(run)) = self.duties.get_mut(&record.name) {
            let ends = ends_of(record);
            if run.ends != ends {
                Arc::make_mut(run).ends = ends;
            }
        }
    }
}

pub(super) fn ends_of(record: &Record) -> BTreeMap<ServiceName, End> {
    record.ends.iter().map(|(service, noted)| (service.clone(), noted.end.clone())).collect()
}
