//! What survives a power cut. Calls block on the disk: actors make them on blocking threads.
use crate::domain::images::Note;
use crate::domain::ledger::{Followed, Ledger, Record};
use fleet_contracts::DeploymentName;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

pub mod disk;
pub mod envelope;
pub mod fake;
pub mod lock;
mod pair;
mod written;

#[derive(Debug, thiserror::Error)]
#[error("{operation} {}: {source}", path.display())]
pub struct StoreError {
    pub operation: &'static str,
    pub path: PathBuf,
    pub source: io::Error,
}

impl StoreError {
    /// Refused because this process does not own the state directory.
    pub fn not_owner() -> Self {
        let source = io::Error::new(io::ErrorKind::PermissionDenied, "this process does not own it");
        Self { operation: "write", path: PathBuf::from("the state directory"), source }
    }

    /// For `map_err`: names the operation and the file of an I/O error.
    fn on(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self { operation, path: path.to_owned(), source }
    }
}

/// The ledger's disk. A call that returned Ok survives a power cut; one that failed left the old
/// value or the new one, never anything else.
pub trait LedgerStore: Send + Sync + 'static {
    /// Reads everything; a file bad in both copies is moved aside and named in `quarantined`.
    fn load(&self) -> Result<Ledger, StoreError>;
    fn save(&self, record: &Record) -> Result<(), StoreError>;
    /// Forgets a deployment; one that is not there is a success.
    fn forget(&self, name: &DeploymentName) -> Result<(), StoreError>;
    fn save_followed(&self, followed: &Followed) -> Result<(), StoreError>;
    fn save_images(&self, images: &Note) -> Result<(), StoreError>;
}

/// The lock on the state directory, as seen by its owner.
pub trait StateOwner: Send + Sync + 'static {
    /// Whether the lock on disk is still the one that this process holds. Blocks on the disk.
    fn still_ours(&self) -> bool;
}

/// One uninterrupted time of owning the state directory. What was planned in an earlier one may rest
/// on what another owner has changed since.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Epoch(u64);

/// Whether this process may act: every effect and every ledger write carries the epoch in which it
/// was asked for, and asks again when it begins.
#[derive(Clone)]
pub struct OwnershipView {
    owner: Arc<dyn StateOwner>,
    /// How often ownership was gained and lost: odd while it is ours.
    turns: Arc<AtomicU64>,
}

impl OwnershipView {
    /// Of a process that owns the directory now.
    pub fn new(owner: Arc<dyn StateOwner>) -> Self {
        Self { owner, turns: Arc::new(AtomicU64::new(1)) }
    }

    /// The present epoch, as of the last check; None while the directory is not ours.
    pub fn epoch(&self) -> Option<Epoch> {
        let turns = self.turns.load(Ordering::Acquire);
        (turns % 2 == 1).then_some(Epoch(turns))
    }

    /// Whether that epoch goes on at this very moment, asked of the lock itself: a process that was
    /// stopped for long has not checked. Blocks on the disk.
    pub fn goes_on(&self, epoch: Epoch) -> bool {
        self.epoch() == Some(epoch) && self.owner.still_ours()
    }

    /// Takes the answer of a check. Whether that changed anything.
    pub fn set(&self, ours: bool) -> bool {
        let turn = |turns: u64| ((turns % 2 == 1) != ours).then_some(turns + 1);
        self.turns.fetch_update(Ordering::AcqRel, Ordering::Acquire, turn).is_ok()
    }
}

impl StateOwner for lock::StateLock {
    fn still_ours(&self) -> bool {
        lock::StateLock::still_ours(self)
    }
}
