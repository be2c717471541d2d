//! What documents did to the agent that acted on them.
use super::*;
use crate::domain::container::OwedStart;
use fleet_contracts::ServiceName;

impl Book {
    /// A document ended the process before this one: the record to write before it is acted on again.
    pub fn blame(&mut self, name: &DeploymentName, how: &str) -> Option<Record> {
        let record = self.retry(name, |trial| trial.ended(how))?;
        // Nothing is done about it until the count is durable.
        self.duties.remove(name);
        self.durable.remove(name);
        Some(record)
    }

    /// Its reconciler was given up: the record to write.
    pub fn parked(&mut self, name: &DeploymentName, how: &str) -> Option<Record> {
        // Not the fault of a newer document that nobody has acted on yet.
        let wanted = |records: &Records| records.get(name).map(|record| record.wanted.clone());
        // Nor of one that may be older than what was acted on: its record must not become the newest.
        if wanted(&self.records) != wanted(&self.durable) || self.doubtful.contains(name) {
            return None;
        }
        self.retry(name, |trial| trial.parked(how))
    }

    /// The same, known only now that the ledger is read: nothing is done about it until that is durable.
    pub fn parked_before(&mut self, name: &DeploymentName, how: &str) -> Option<Record> {
        if self.is_quarantined(name) {
            return None;
        }
        let record = self.parked(name, how)?;
        self.duties.remove(name);
        self.durable.remove(name);
        Some(record)
    }

    /// What is to be known of this service after a crash: the record to write. None: it says so already.
    pub fn owes(
        &mut self,
        name: &DeploymentName,
        service: ServiceName,
        start: Option<OwedStart>,
    ) -> Option<Record> {
        // Its record would take the place of the newer one that cannot be read.
        if self.doubtful.contains(name) {
            return None;
        }
        let owed = &self.records.get(name)?.trial.owed;
        if owed.get(&service) == start.as_ref() {
            return None;
        }
        self.retry(name, |trial| {
            let mut trial = trial.clone();
            match start {
                Some(start) => drop(trial.owed.insert(service, start)),
                None => drop(trial.owed.remove(&service)),
            }
            trial
        })
    }

    /// The record differs in what it owes only: whoever brings it about is told that it is durable.
    pub(super) fn tell_owed(&mut self, record: &Record) -> Option<Duty> {
        let Some(Duty::Run(wanted)) = self.duties.get_mut(&record.name) else { return None };
        Arc::make_mut(wanted).owed = record.trial.owed.clone();
        Some(Duty::Run(wanted.clone()))
    }

    /// Somebody wants a document in quarantine to be tried again: the record to write.
    pub fn release(&mut self, name: &DeploymentName) -> Option<Record> {
        let was_shunned = self.reading.forgive(name);
        let is_quarantined = self.records.get(name)?.trial.quarantined.is_some();
        if !is_quarantined && !was_shunned {
            return None;
        }
        self.retry(name, Trial::anew)
    }

    fn retry(&mut self, name: &DeploymentName, change: impl FnOnce(&Trial) -> Trial) -> Option<Record> {
        let record = self.records.get_mut(name)?;
        if record.wanted == ledger::Wanted::Removed {
            return None;
        }
        record.trial = change(&record.trial);
        Some(record.clone())
    }

    /// What whoever brings it about works on, where somebody does; what it owes is no other task.
    pub fn task(&self, name: &DeploymentName) -> Option<(ledger::Wanted, Trial)> {
        let record = self.duties.get(name).and_then(|_| self.durable.get(name))?;
        Some((record.wanted.clone(), record.trial.history()))
    }

    pub fn is_quarantined(&self, name: &DeploymentName) -> bool {
        self.durable.get(name).is_some_and(|record| record.trial.quarantined.is_some())
    }

    /// Whether some document of it is not even read.
    pub fn is_shunned(&self, name: &DeploymentName) -> bool {
        self.reading.shuns(name)
    }
}
