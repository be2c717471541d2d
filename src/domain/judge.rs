//! What a snapshot or a hint of the desired-state bucket authorises.
//!
//! Absence is not deletion: a deployment goes because of a delete marker, or because it is absent
//! from a complete snapshot of the same bucket that this device has followed, and then only when few
//! go at once. Everything else is held and reported until an operator confirms.
use super::jobs::Ends;
use super::ledger::{Followed, Record, Trial, Wanted};
use super::source::{Entry, Operation, Snapshot};
use fleet_contracts::{DeploymentName, DeviceId};
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

pub type Records = BTreeMap<DeploymentName, Record>;

/// What one entry means for the deployment it names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Newer than what was accepted: the record to write.
    Accept(Record),
    /// Removed with authority: the record to write.
    Remove(Record),
    /// Already acted on, or it says nothing new.
    Nothing,
    /// Older than what was accepted; `revision` is the entry's.
    Stale { revision: u64 },
    /// Newer than what was accepted, and not read.
    Unread { revision: u64 },
}

/// What a complete snapshot means for the device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ruling {
    pub verdicts: BTreeMap<DeploymentName, Verdict>,
    /// Absent, but that alone does not authorise their removal.
    pub held: BTreeSet<DeploymentName>,
    /// The bucket is another one, or an older copy of itself.
    pub source_reset: bool,
    pub followed: Followed,
    /// Keys of this device whose deployment part is no valid name.
    pub bad_keys: Vec<String>,
}

/// Judges a complete snapshot against the ledger.
pub fn snapshot(
    device: &DeviceId,
    records: &Records,
    before: Option<&Followed>,
    snapshot: &Snapshot,
) -> Ruling {
    let (named, bad_keys) = by_name(device, &snapshot.entries);
    let source_reset = before.is_some_and(|before| is_reset(before, records, snapshot, &named));
    let followed = follow(before, snapshot, source_reset);
    let mut verdicts: BTreeMap<_, _> = named
        .iter()
        .map(|(name, entry)| (name.clone(), entry_verdict(records.get(name), &followed, name, entry)))
        .collect();
    let absent = || records.values().filter(|record| is_present(record) && !named.contains_key(&record.name));
    let present = records.values().filter(|record| is_present(record)).count();
    // An empty answer is also what a wiped or purged bucket looks like; a large part of the device
    // at once is more likely an accident than a wish.
    let too_many = absent().count() >= 2 && absent().count() * 2 > present;
    let (mut held, hold_all) = (BTreeSet::new(), named.is_empty() || too_many);
    for record in absent() {
        if hold_all || record.incarnation != followed.incarnation {
            held.insert(record.name.clone());
        } else {
            let revision = snapshot.last_sequence.max(record.revision);
            verdicts.insert(record.name.clone(), Verdict::Remove(removal(record, revision)));
        }
    }
    Ruling { verdicts, held, source_reset, followed, bad_keys }
}

/// Judges one entry that a watch told of. `None`: it cannot be judged alone (the bucket seems to be
/// another one), a full snapshot is needed.
pub fn hint(records: &Records, followed: &Followed, name: &DeploymentName, entry: &Entry) -> Option<Verdict> {
    let record = records.get(name);
    // A put of something unknown that the bucket held already when it was last seen whole: a late one, of what
    // may have been removed and forgotten since, or another bucket's.
    let is_late = entry.revision <= followed.last_sequence && entry.operation != Operation::Removed;
    if record.is_none() && is_late {
        return None;
    }
    match entry_verdict(record, followed, name, entry) {
        Verdict::Stale { .. } => None,
        verdict => Some(verdict),
    }
}

/// The record of a held removal that an operator confirmed.
pub fn confirmed(record: &Record) -> Record {
    removal(record, record.revision)
}

/// The deployment that a key of this device names; None for another device's key.
pub fn name_of(device: &DeviceId, key: &str) -> Option<Result<DeploymentName, String>> {
    let rest = key.strip_prefix(device.as_str())?.strip_prefix('.')?;
    Some(rest.parse().map_err(|_| key.to_owned()))
}

fn by_name<'a>(
    device: &DeviceId,
    entries: &'a [Entry],
) -> (BTreeMap<DeploymentName, &'a Entry>, Vec<String>) {
    let (mut named, mut bad) = (BTreeMap::new(), Vec::new());
    for entry in entries {
        match name_of(device, &entry.key) {
            Some(Ok(name)) => {
                named.insert(name, entry);
            }
            Some(Err(key)) if entry.operation != Operation::Removed => bad.push(key),
            Some(Err(_)) | None => {}
        }
    }
    (named, bad)
}

fn is_present(record: &Record) -> bool {
    matches!(record.wanted, Wanted::Present(_))
}

/// Whether the bucket is another one, or went back in time.
fn is_reset(
    before: &Followed,
    records: &Records,
    snapshot: &Snapshot,
    named: &BTreeMap<DeploymentName, &Entry>,
) -> bool {
    !before.incarnation.is_life_of(&snapshot.incarnation)
        || snapshot.last_sequence < before.last_sequence
        || named
            .iter()
            .any(|(name, entry)| records.get(name).is_some_and(|record| contradicts(before, record, entry)))
}

/// Within one life of a bucket a key's last revision never falls, and a revision is written once.
fn contradicts(before: &Followed, record: &Record, entry: &Entry) -> bool {
    record.incarnation == before.incarnation
        && (entry.revision < record.revision
            || (entry.revision == record.revision
                && is_present(record)
                && entry.written_at != record.written_at))
}

fn follow(before: Option<&Followed>, snapshot: &Snapshot, reset: bool) -> Followed {
    let incarnation = match before {
        Some(before) if !reset => before.incarnation.clone(),
        Some(before) => before.incarnation.next_life(&snapshot.incarnation),
        None => snapshot.incarnation.clone(),
    };
    let acted_until = before.and_then(|before| before.acted_until);
    let former_until = before.and_then(|before| before.former_until);
    let former_sequence = before.map_or(Followed::NOT_KNOWN, |before| before.former_sequence);
    Followed {
        incarnation,
        last_sequence: snapshot.last_sequence,
        acted_until,
        former_until: if reset { former_until.max(acted_until) } else { former_until },
        former_sequence: if reset { snapshot.last_sequence } else { former_sequence },
    }
}

fn entry_verdict(
    record: Option<&Record>,
    followed: &Followed,
    name: &DeploymentName,
    entry: &Entry,
) -> Verdict {
    let life = &followed.incarnation;
    let same_life = record.is_some_and(|record| record.incarnation == *life);
    match (&entry.operation, age(record, followed, entry)) {
        (Operation::Put(_), Ordering::Equal) if same_life => Verdict::Nothing,
        // Equal in another life: the same write, to be known by its new revision.
        (Operation::Put(document), Ordering::Greater | Ordering::Equal) => Verdict::Accept(Record {
            name: name.clone(),
            revision: entry.revision,
            written_at: entry.written_at,
            incarnation: life.clone(),
            wanted: Wanted::Present(document.clone()),
            trial: trial_of(record, document),
            ends: record.map(|record| record.ends.clone()).unwrap_or_default(),
        }),
        (Operation::LeftOut, Ordering::Equal) if same_life => Verdict::Nothing,
        (Operation::LeftOut, Ordering::Greater | Ordering::Equal) => {
            Verdict::Unread { revision: entry.revision }
        }
        (Operation::Put(_) | Operation::LeftOut, Ordering::Less) => {
            Verdict::Stale { revision: entry.revision }
        }
        (Operation::Removed, Ordering::Greater) => match record.filter(|record| is_present(record)) {
            Some(record) => Verdict::Remove(Record {
                written_at: entry.written_at,
                incarnation: life.clone(),
                ..removal(record, entry.revision)
            }),
            None => Verdict::Nothing,
        },
        (Operation::Removed, Ordering::Equal | Ordering::Less) | (Operation::Known, _) => Verdict::Nothing,
    }
}

/// How an entry stands to what was accepted.
fn age(record: Option<&Record>, followed: &Followed, entry: &Entry) -> Ordering {
    match record {
        // Perhaps removed and forgotten since: a restored backup must not bring it back.
        None if followed.is_former(entry) => Ordering::Less,
        None => Ordering::Greater,
        Some(record) if record.incarnation == followed.incarnation => entry.revision.cmp(&record.revision),
        // Revisions of two lives cannot be compared; the server's clock at the write can.
        Some(record) => entry.written_at.cmp(&record.written_at),
    }
}

fn removal(record: &Record, revision: u64) -> Record {
    // What is applied again after it runs anew.
    let ends = Ends::new();
    Record { revision, wanted: Wanted::Removed, trial: Trial::default(), ends, ..record.clone() }
}

/// The same bytes put again are the same document, with what it did. What is owed to a run of a container is owed
/// under any document.
fn trial_of(record: Option<&Record>, document: &[u8]) -> Trial {
    let Some(Record { wanted, trial, .. }) = record else { return Trial::default() };
    match wanted {
        Wanted::Present(known) if **known == *document => trial.clone(),
        Wanted::Present(_) | Wanted::Removed => trial.anew(),
    }
}

#[cfg(test)]
mod tests;
