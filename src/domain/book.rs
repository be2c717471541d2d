//! All deployments of the device: what was accepted of each, what is durable, what was said of it.
use super::container::Container;
use super::desired::Wanted;
use super::judge::{self, Records, Ruling, Verdict};
use super::ledger::{self, Followed, Record, Trial};
use super::overlay::{Accepted, Known, Objection, Report, is_change};
use super::source::{Entry, Operation, SNAPSHOT_BYTES, Snapshot};
use fleet_contracts::device::DeploymentCounts;
use fleet_contracts::state::{Code, DeploymentState, Phase};
use fleet_contracts::{DeploymentName, DeviceId, Timestamp};
pub use objections::{Reading, Unread};
use objections::{doubt, quarantine, removal_held, shorten};
pub use room::{MAX_BYTES, MAX_DEPLOYMENTS};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

mod alone;
mod images;
mod jobs;
mod judging;
mod objections;
pub mod room;
mod trials;

/// What the reconciler of a deployment should be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Duty {
    Run(Arc<Wanted>),
    Vanish,
}

/// What a judgement asks to be written.
#[derive(Debug, Default)]
pub struct Judged {
    pub records: Vec<Record>,
    pub followed: Option<Followed>,
    /// Deployments of which nothing is known any more.
    pub gone: Vec<DeploymentName>,
    /// A delete marker of what was not accepted.
    pub unfounded: bool,
    pub bad_keys: Vec<String>,
}

/// Why a removal cannot be confirmed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotConfirmed {
    #[error("the ledger is still being read")]
    Starting,
    #[error("there is no deployment {0} on this device")]
    Unknown(DeploymentName),
    #[error("no removal of {0} is held")]
    NotHeld(DeploymentName),
}

#[derive(Debug)]
pub struct Book {
    device: DeviceId,
    reading: Reading,
    /// With the writes that are still under way: what the next entry is judged against.
    records: Records,
    /// On disk: what may be acted on.
    durable: Records,
    /// Of these the disk holds an older record than it did: the bucket has to be asked.
    doubtful: BTreeSet<DeploymentName>,
    followed: Option<Followed>,
    duties: BTreeMap<DeploymentName, Duty>,
    known: BTreeMap<DeploymentName, Known>,
    told: BTreeMap<DeploymentName, DeploymentState>,
    /// Absent from the bucket, which alone removes nothing.
    held: BTreeSet<DeploymentName>,
    /// Known from the ledger, and their reconcilers have not looked yet: what the process before this one
    /// told of them is nearer to the truth than that nothing is known.
    unseen: BTreeSet<DeploymentName>,
    /// The end of a job of theirs is being written: nothing is told of them before it is.
    noting: BTreeSet<DeploymentName>,
    /// What the bucket said last of these was refused: what becomes durable later says nothing of it.
    refused: BTreeSet<DeploymentName>,
    /// Something was refused for want of room since it was last asked whether there is some again.
    is_crowded: bool,
}

impl Book {
    pub fn new(device: DeviceId, ledger: ledger::Ledger, reading: Reading) -> Self {
        let records: Records = ledger.records.into_iter().map(|r| (r.name.clone(), r)).collect();
        let mut followed = ledger.followed;
        followed.iter_mut().for_each(|followed| records.values().for_each(|record| followed.learn(record)));
        let mut book = Self {
            device,
            reading,
            durable: Records::new(),
            doubtful: ledger.doubtful,
            followed,
            duties: BTreeMap::new(),
            known: BTreeMap::new(),
            told: BTreeMap::new(),
            held: BTreeSet::new(),
            unseen: BTreeSet::new(),
            noting: BTreeSet::new(),
            refused: BTreeSet::new(),
            is_crowded: false,
            records: records.clone(),
        };
        for record in records.into_values() {
            book.settle(record);
        }
        let is_present = |record: &&Record| record.wanted != ledger::Wanted::Removed;
        book.unseen = book.durable.values().filter(is_present).map(|record| record.name.clone()).collect();
        book
    }

    pub fn has_followed(&self) -> bool {
        self.followed.is_some() || !self.records.is_empty()
    }

    /// A record is durable: it may be acted on. Returns the duty, when it changed.
    pub fn saved(&mut self, record: Record) -> Option<Duty> {
        let name = record.name.clone();
        self.noted(&record);
        let duty = self.settle(record);
        self.mark_held(&name);
        // Of one that nobody works on, a list will tell what is there.
        let waits = match self.duties.get(&name) {
            Some(Duty::Run(_)) => true,
            Some(Duty::Vanish) => false,
            None => self.known.get(&name).is_some_and(|known| known.report.is_none()),
        };
        if !waits {
            self.unseen.remove(&name);
        }
        duty
    }

    fn settle(&mut self, record: Record) -> Option<Duty> {
        let name = record.name.clone();
        let known = self.known.entry(name.clone()).or_default();
        let before = self.durable.insert(name.clone(), record.clone());
        match &record.wanted {
            // Perhaps it was wanted again since.
            ledger::Wanted::Removed if self.doubtful.contains(&name) => {
                known.objection = Some(doubt(&record));
                None
            }
            ledger::Wanted::Removed => {
                known.removing = true;
                known.objection.take_if(|_| !self.refused.contains(&name));
                self.held.remove(&name);
                self.duties.insert(name, Duty::Vanish);
                Some(Duty::Vanish)
            }
            ledger::Wanted::Present(document) => {
                let same = before.as_ref().is_some_and(|b| b.wanted == record.wanted);
                let same_trial = before.as_ref().is_some_and(|b| b.trial == record.trial);
                let same_history = before.is_some_and(|b| b.trial.history() == record.trial.history());
                let runs = matches!(self.duties.get(&name), Some(Duty::Run(run)) if !run.doubtful);
                if let (true, Some(accepted)) = (same && same_history && runs, &mut known.accepted) {
                    known.objection.take_if(|_| !self.refused.contains(&name));
                    accepted.revision = record.revision;
                    self.remember_ends(&record);
                    return if same_trial { None } else { self.tell_owed(&record) };
                }
                let read = match quarantine(&record) {
                    Some(objection) => Err(objection),
                    None => self.reading.document(&record, document),
                };
                match read {
                    Ok(wanted) => Some(self.wants(&record, wanted)),
                    Err(objection) => {
                        self.leaves_alone(&record, same, objection);
                        None
                    }
                }
            }
        }
    }

    fn wants(&mut self, record: &Record, mut wanted: Wanted) -> Duty {
        let name = record.name.clone();
        let known = self.known.entry(name.clone()).or_default();
        wanted.doubtful = self.doubtful.contains(&name);
        wanted.owed = record.trial.owed.clone();
        wanted.ends = jobs::ends_of(record);
        known.removing = false;
        if !self.refused.contains(&name) {
            known.objection = wanted.doubtful.then(|| doubt(record));
        }
        known.accepted = Some(Accepted {
            revision: wanted.revision,
            since_revision: wanted.revision,
            spec_digest: Some(wanted.digest.to_string()),
            warnings: wanted.warnings.clone(),
        });
        let duty = Duty::Run(Arc::new(wanted));
        self.duties.insert(name, duty.clone());
        duty
    }

    /// Accepted for the first time, and not durable yet. Not so one that is blamed for an end: who asks for its
    /// duty without having one releases it from its quarantine.
    pub fn is_new(&self, name: &DeploymentName) -> bool {
        let accepted = self.records.get(name).map(|record| &record.wanted);
        matches!(accepted, Some(ledger::Wanted::Present(_))) && !self.known.contains_key(name)
    }

    pub fn duty(&self, name: &DeploymentName) -> Option<Duty> {
        self.duties.get(name).cloned()
    }

    pub fn duties(&self) -> impl Iterator<Item = &DeploymentName> {
        self.duties.keys()
    }

    pub fn names(&self) -> BTreeSet<DeploymentName> {
        self.known.keys().chain(self.records.keys()).cloned().collect()
    }

    pub fn reported(&mut self, name: &DeploymentName, report: Report) {
        if let Some(known) = self.known.get_mut(name) {
            known.report = Some(report);
            self.unseen.remove(name);
        }
    }

    /// Whether the record may be forgotten now that nothing of the deployment is left.
    pub fn may_forget(&self, name: &DeploymentName) -> bool {
        self.records.get(name).is_some_and(|record| record.wanted == ledger::Wanted::Removed)
    }

    /// Which bucket is followed, and how far it was acted on: durable before a record is forgotten that tells it.
    pub fn followed(&self) -> Option<&Followed> {
        self.followed.as_ref()
    }

    /// Whether a document of it is there that is not carried out.
    pub fn objects_to(&self, name: &DeploymentName) -> bool {
        self.known.get(name).is_some_and(|known| known.objection.is_some())
    }

    /// The record is off the disk. Returns whether the deployment is gone for good: it may have been
    /// wanted again meanwhile.
    pub fn forgotten(&mut self, name: &DeploymentName) -> bool {
        self.durable.remove(name);
        if !self.may_forget(name) {
            return false;
        }
        self.records.remove(name);
        self.duties.remove(name);
        self.known.remove(name);
        self.refused.remove(name);
        self.told.remove(name);
        true
    }

    /// The states that changed since they were last told.
    pub fn changes(&mut self, at: Timestamp) -> Vec<DeploymentState> {
        let Self { known, told, device, unseen, noting, .. } = self;
        let seen = known.iter().filter(|(name, _)| !unseen.contains(*name) && !noting.contains(*name));
        let states = seen.map(|(name, known)| known.state(device, name, at));
        let changed: Vec<_> = states.filter(|state| is_change(told.get(&state.deployment), state)).collect();
        told.extend(changed.iter().map(|state| (state.deployment.clone(), state.clone())));
        changed
    }

    pub fn states(&self) -> impl Iterator<Item = &DeploymentState> {
        self.told.values()
    }

    pub fn counts(&self) -> DeploymentCounts {
        let count = |wanted: &[Phase]| {
            let n = self.told.values().filter(|state| wanted.contains(&state.phase)).count();
            u32::try_from(n).unwrap_or(u32::MAX)
        };
        DeploymentCounts {
            total: u32::try_from(self.known.len()).unwrap_or(u32::MAX),
            running: count(&[Phase::Running, Phase::Completed]),
            failed: count(&[Phase::Failed]),
        }
    }

    /// Whether some deployment was last written in another life of the bucket, or a document of one is held of which
    /// there is no record any more.
    pub fn is_source_reset(&self) -> bool {
        let life = self.followed.as_ref().map(|followed| &followed.incarnation);
        let is_former = |record: &Record| life.is_some_and(|life| record.incarnation != *life);
        let is_stale = |known: &Known| {
            known.objection.as_ref().is_some_and(|objection| objection.code == Code::StaleRevision)
        };
        let mut unknown = self.known.iter().filter(|(name, _)| !self.records.contains_key(*name));
        self.records.values().any(is_former) || unknown.any(|(_, known)| is_stale(known))
    }

    pub fn has_held(&self) -> bool {
        !self.held.is_empty()
    }
}

#[cfg(test)]
mod tests;
