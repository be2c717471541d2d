//! A ledger in memory for tests, with failures on request and a journal of what was durable when.
use super::{LedgerStore, StateOwner, StoreError};
use crate::domain::images::Note;
use crate::domain::ledger::{Followed, Ledger, Record};
use fleet_contracts::DeploymentName;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// One call that became durable, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Write {
    Saved(Record),
    Forgot(DeploymentName),
    SavedFollowed(Followed),
    SavedImages(Note),
}

/// Where a call fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fail {
    /// Nothing was changed.
    Before(io::ErrorKind),
    /// The new value stands, yet the caller was told of an error (a failed directory sync).
    After(io::ErrorKind),
}

/// The lock on the state directory, which a test takes away and gives back.
pub struct FakeOwner(AtomicBool);

impl FakeOwner {
    pub fn new(ours: bool) -> Self {
        Self(AtomicBool::new(ours))
    }

    pub fn is_ours(&self, ours: bool) {
        self.0.store(ours, Ordering::SeqCst);
    }
}

impl StateOwner for FakeOwner {
    fn still_ours(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

#[derive(Default)]
pub struct FakeLedger {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    records: BTreeMap<DeploymentName, Record>,
    followed: Option<Followed>,
    images: Note,
    quarantined: Vec<String>,
    doubtful: BTreeSet<DeploymentName>,
    failures: VecDeque<Fail>,
    journal: Vec<Write>,
}

impl FakeLedger {
    /// A disk that already holds this, as after a restart. The journal is empty.
    pub fn holding(ledger: Ledger) -> Self {
        let records = ledger.records.into_iter().map(|record| (record.name.clone(), record)).collect();
        let (followed, quarantined, doubtful) = (ledger.followed, ledger.quarantined, ledger.doubtful);
        let images = ledger.images;
        Self {
            inner: Mutex::new(Inner { records, followed, images, quarantined, doubtful, ..Inner::default() }),
        }
    }

    /// The newer copy of this record cannot be read: it is as it is now.
    pub fn damage_the_newer_copy(&self, name: &DeploymentName) {
        self.inner().doubtful.insert(name.clone());
    }

    /// The next call (of any kind, `load` included) fails so; calls add up.
    pub fn fail_next(&self, failure: Fail) {
        self.inner().failures.push_back(failure);
    }

    /// Every write that became durable, oldest first.
    pub fn journal(&self) -> Vec<Write> {
        self.inner().journal.clone()
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, operation: &'static str, write: Write) -> Result<(), StoreError> {
        let mut inner = self.inner();
        let failure = inner.failures.pop_front();
        if let Some(Fail::Before(kind)) = failure {
            return Err(failed(operation, kind));
        }
        match &write {
            Write::Saved(record) => {
                inner.quarantined.retain(|file| *file != format!("deployments/{}", record.name));
                inner.doubtful.remove(&record.name);
                inner.records.insert(record.name.clone(), record.clone());
            }
            Write::Forgot(name) => {
                inner.quarantined.retain(|file| *file != format!("deployments/{name}"));
                inner.doubtful.remove(name);
                inner.records.remove(name);
            }
            Write::SavedImages(images) => inner.images = images.clone(),
            Write::SavedFollowed(followed) => {
                inner.quarantined.retain(|file| file != "followed");
                inner.followed = Some(followed.clone());
            }
        }
        inner.journal.push(write);
        match failure {
            Some(Fail::After(kind)) => Err(failed(operation, kind)),
            Some(Fail::Before(_)) | None => Ok(()),
        }
    }
}

fn failed(operation: &'static str, kind: io::ErrorKind) -> StoreError {
    StoreError { operation, path: PathBuf::from("/fake"), source: kind.into() }
}

impl LedgerStore for FakeLedger {
    fn load(&self) -> Result<Ledger, StoreError> {
        let mut inner = self.inner();
        if let Some(Fail::Before(kind) | Fail::After(kind)) = inner.failures.pop_front() {
            return Err(failed("load", kind));
        }
        Ok(Ledger {
            records: inner.records.values().cloned().collect(),
            followed: inner.followed.clone(),
            images: inner.images.clone(),
            quarantined: inner.quarantined.clone(),
            doubtful: inner.doubtful.clone(),
        })
    }

    fn save(&self, record: &Record) -> Result<(), StoreError> {
        self.write("save", Write::Saved(record.clone()))
    }

    fn forget(&self, name: &DeploymentName) -> Result<(), StoreError> {
        self.write("forget", Write::Forgot(name.clone()))
    }

    fn save_followed(&self, followed: &Followed) -> Result<(), StoreError> {
        self.write("save followed", Write::SavedFollowed(followed.clone()))
    }

    fn save_images(&self, images: &Note) -> Result<(), StoreError> {
        self.write("save images", Write::SavedImages(images.clone()))
    }
}
