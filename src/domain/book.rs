//! All deployments of the device: what was accepted of each, what is durable, what was said of it.
use super::desired::Wanted;
use super::judge::{self, Records, Ruling, Verdict};
use super::ledger::{self, Followed, Record, Trial};
use super::overlay::{Accepted, Known, Objection, Report, is_change};
use super::source::{Entry, Operation, Snapshot};
use fleet_contracts::device::DeploymentCounts;
use fleet_contracts::state::{Code, DeploymentState, Phase};
use fleet_contracts::{DeploymentName, DeviceId, Timestamp};
use objections::{quarantine, refusal, removal_held, shorten};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

mod objections;

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
    /// With the writes that are still under way: what the next entry is judged against.
    records: Records,
    /// On disk: what may be acted on.
    durable: Records,
    followed: Option<Followed>,
    duties: BTreeMap<DeploymentName, Duty>,
    known: BTreeMap<DeploymentName, Known>,
    told: BTreeMap<DeploymentName, DeploymentState>,
    /// Absent from the bucket, which alone removes nothing.
    held: BTreeSet<DeploymentName>,
    /// Known from the ledger, and their reconcilers have not looked yet: what the process before this one
    /// told of them is nearer to the truth than that nothing is known.
    unseen: BTreeSet<DeploymentName>,
}

impl Book {
    pub fn new(device: DeviceId, ledger: ledger::Ledger) -> Self {
        let records: Records = ledger.records.into_iter().map(|r| (r.name.clone(), r)).collect();
        let mut book = Self {
            device,
            durable: Records::new(),
            followed: ledger.followed,
            duties: BTreeMap::new(),
            known: BTreeMap::new(),
            told: BTreeMap::new(),
            held: BTreeSet::new(),
            unseen: BTreeSet::new(),
            records: records.clone(),
        };
        for record in records.into_values() {
            book.saved(record);
        }
        let runs =
            |(name, duty): (&DeploymentName, &Duty)| matches!(duty, Duty::Run(_)).then(|| name.clone());
        book.unseen = book.duties.iter().filter_map(runs).collect();
        book
    }

    pub fn has_followed(&self) -> bool {
        self.followed.is_some() || !self.records.is_empty()
    }

    /// Judges a complete snapshot; nothing is acted on before the records it returns are durable.
    pub fn snapshot(&mut self, snapshot: &Snapshot) -> Judged {
        let Ruling { verdicts, held, source_reset: _, followed, bad_keys } =
            judge::snapshot(&self.device, &self.records, self.followed.as_ref(), snapshot);
        let mut judged = Judged { bad_keys, ..Judged::default() };
        for (name, verdict) in verdicts {
            self.apply(name, verdict, &mut judged);
        }
        self.hold(held);
        self.forget_unfounded(snapshot, &mut judged);
        let moved = self.followed.as_ref().is_none_or(|before| before.incarnation != followed.incarnation);
        if moved || !judged.records.is_empty() {
            judged.followed = Some(followed.clone());
        }
        self.followed = Some(followed);
        judged
    }

    /// Judges one entry of a watch. `None`: only a full snapshot can tell.
    pub fn hint(&mut self, entry: &Entry) -> Option<Judged> {
        let mut judged = Judged::default();
        let name = match judge::name_of(&self.device, &entry.key) {
            None => return Some(judged),
            // That a bad key went: the snapshot lists those that are left.
            Some(Err(_)) if entry.operation == Operation::Removed => return None,
            Some(Err(key)) => {
                judged.bad_keys.push(key);
                return Some(judged);
            }
            Some(Ok(name)) => name,
        };
        let followed = self.followed.as_mut()?;
        let verdict = judge::hint(&self.records, followed, &name, entry)?;
        followed.last_sequence = followed.last_sequence.max(entry.revision);
        let unfounded = entry.operation == Operation::Removed && !self.records.contains_key(&name);
        if unfounded && self.known.remove(&name).is_some() {
            self.told.remove(&name);
            judged.gone.push(name.clone());
        }
        self.apply(name, verdict, &mut judged);
        Some(judged)
    }

    fn apply(&mut self, name: DeploymentName, verdict: Verdict, judged: &mut Judged) {
        match verdict {
            Verdict::Nothing => {}
            Verdict::Stale { revision } => {
                let message =
                    format!("revision {revision}: older than what this device acted on; publish it again");
                self.object(name, Code::StaleRevision, message);
            }
            Verdict::Remove(record) => self.take(record, judged),
            Verdict::Accept(record) => match refusal(&record) {
                Some((code, message)) => self.object(name, code, message),
                None => self.take(record, judged),
            },
        }
    }

    fn take(&mut self, record: Record, judged: &mut Judged) {
        self.release_held(&record.name);
        self.records.insert(record.name.clone(), record.clone());
        judged.records.push(record);
    }

    fn object(&mut self, name: DeploymentName, code: Code, message: String) {
        self.release_held(&name);
        let message = shorten(message);
        self.known.entry(name).or_default().objection = Some(Objection { code, message });
    }

    /// Marks the removals that are held now, and no others.
    fn hold(&mut self, held: BTreeSet<DeploymentName>) {
        let before: Vec<_> = self.held.difference(&held).cloned().collect();
        before.iter().for_each(|name| self.release_held(name));
        self.held = held;
        for name in self.held.clone() {
            self.mark_held(&name);
        }
    }

    /// Says that a removal is held, whatever was wrong with a document that is gone now. Why an accepted one
    /// is in quarantine is still worth more.
    fn mark_held(&mut self, name: &DeploymentName) {
        let Some(known) = self.known.get_mut(name).filter(|_| self.held.contains(name)) else { return };
        if known.objection.as_ref().is_none_or(|objection| objection.code != Code::Quarantined) {
            known.objection = Some(removal_held(name));
        }
    }

    fn release_held(&mut self, name: &DeploymentName) {
        let was_held = self.held.remove(name);
        if let Some(known) = self.known.get_mut(name).filter(|_| was_held)
            && known.objection.as_ref().is_some_and(|objection| objection.code == Code::RemovalHeld)
        {
            known.objection = None;
        }
    }

    /// Refused documents that were taken back leave nothing behind.
    fn forget_unfounded(&mut self, snapshot: &Snapshot, judged: &mut Judged) {
        let put = |entry: &&Entry| entry.operation != Operation::Removed;
        let named: BTreeSet<_> = snapshot
            .entries
            .iter()
            .filter(put)
            .filter_map(|e| judge::name_of(&self.device, &e.key)?.ok())
            .collect();
        let Self { known, records, told, .. } = self;
        known.retain(|name, _| {
            let founded = records.contains_key(name) || named.contains(name);
            if !founded {
                told.remove(name);
                judged.gone.push(name.clone());
            }
            founded
        });
    }

    /// The records of held removals that an operator confirms: all of them, or none.
    pub fn confirm(&mut self, names: &[DeploymentName]) -> Result<Vec<Record>, NotConfirmed> {
        let mut confirmed = Vec::with_capacity(names.len());
        for name in names {
            if !self.known.contains_key(name) {
                return Err(NotConfirmed::Unknown(name.clone()));
            }
            let record = self.records.get(name).filter(|_| self.held.contains(name));
            let record = record.ok_or_else(|| NotConfirmed::NotHeld(name.clone()))?;
            confirmed.push(judge::confirmed(record));
        }
        self.records.extend(confirmed.iter().map(|record| (record.name.clone(), record.clone())));
        Ok(confirmed)
    }

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
        if wanted(&self.records) != wanted(&self.durable) {
            return None;
        }
        self.retry(name, |trial| trial.parked(how))
    }

    /// Somebody wants a document in quarantine to be tried again: the record to write.
    pub fn release(&mut self, name: &DeploymentName) -> Option<Record> {
        self.records.get(name)?.trial.quarantined.as_ref()?;
        self.retry(name, |_| Trial::default())
    }

    fn retry(&mut self, name: &DeploymentName, change: impl FnOnce(&Trial) -> Trial) -> Option<Record> {
        let record = self.records.get_mut(name)?;
        if record.wanted == ledger::Wanted::Removed {
            return None;
        }
        record.trial = change(&record.trial);
        Some(record.clone())
    }

    pub fn is_quarantined(&self, name: &DeploymentName) -> bool {
        self.durable.get(name).is_some_and(|record| record.trial.quarantined.is_some())
    }

    /// A record is durable: it may be acted on. Returns the duty, when it changed.
    pub fn saved(&mut self, record: Record) -> Option<Duty> {
        let name = record.name.clone();
        let duty = self.settle(record);
        self.mark_held(&name);
        if !matches!(self.duties.get(&name), Some(Duty::Run(_))) {
            self.unseen.remove(&name);
        }
        duty
    }

    fn settle(&mut self, record: Record) -> Option<Duty> {
        let name = record.name.clone();
        let known = self.known.entry(name.clone()).or_default();
        let before = self.durable.insert(name.clone(), record.clone());
        match &record.wanted {
            ledger::Wanted::Removed => {
                (known.removing, known.objection) = (true, None);
                self.held.remove(&name);
                self.duties.insert(name, Duty::Vanish);
                Some(Duty::Vanish)
            }
            ledger::Wanted::Present(document) => {
                let same = before.is_some_and(|b| b.wanted == record.wanted && b.trial == record.trial);
                if let (true, Some(accepted)) = (same, &mut known.accepted) {
                    accepted.revision = record.revision;
                    known.objection = quarantine(&record);
                    return None;
                }
                match Wanted::read(document, record.revision) {
                    Ok(wanted) => self.wants(name, wanted, quarantine(&record)),
                    // Only a ledger of another version can hold what this one refuses.
                    Err(refusal) => {
                        let message = format!("revision {}: {refusal}", record.revision);
                        known.objection =
                            Some(Objection { code: Code::InvalidSpec, message: shorten(message) });
                        None
                    }
                }
            }
        }
    }

    /// What is in quarantine is accepted, and known, but nobody's duty.
    fn wants(&mut self, name: DeploymentName, wanted: Wanted, quarantine: Option<Objection>) -> Option<Duty> {
        let known = self.known.entry(name.clone()).or_default();
        known.removing = false;
        known.accepted = Some(Accepted {
            revision: wanted.revision,
            since_revision: wanted.revision,
            spec_digest: wanted.digest.to_string(),
            warnings: wanted.warnings.clone(),
        });
        known.objection = quarantine;
        if known.objection.is_some() {
            self.duties.remove(&name);
            return None;
        }
        let duty = Duty::Run(Arc::new(wanted));
        self.duties.insert(name, duty.clone());
        Some(duty)
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
        self.told.remove(name);
        true
    }

    /// The states that changed since they were last told.
    pub fn changes(&mut self, at: Timestamp) -> Vec<DeploymentState> {
        let Self { known, told, device, unseen, .. } = self;
        let seen = known.iter().filter(|(name, _)| !unseen.contains(*name));
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

    /// Whether some deployment was last written in another life of the bucket.
    pub fn is_source_reset(&self) -> bool {
        let life = self.followed.as_ref().map(|followed| &followed.incarnation);
        self.records.values().any(|record| life.is_some_and(|life| record.incarnation != *life))
    }

    pub fn has_held(&self) -> bool {
        !self.held.is_empty()
    }
}

#[cfg(test)]
mod tests;
