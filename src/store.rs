//! What survives a power cut. Calls block on the disk: actors make them on blocking threads.
use crate::domain::ledger::{Followed, Ledger, Record};
use fleet_contracts::DeploymentName;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

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
}

/// The lock on the state directory, as seen by its owner.
pub trait StateOwner: Send + Sync + 'static {
    /// Whether the lock on disk is still the one that this process holds. Blocks on the disk.
    fn still_ours(&self) -> bool;
}

/// Whether this process may act: every effect and every ledger write asks first.
#[derive(Debug, Clone)]
pub struct OwnershipView(Arc<AtomicBool>);

impl OwnershipView {
    pub fn new(ours: bool) -> Self {
        Self(Arc::new(AtomicBool::new(ours)))
    }

    pub fn is_ours(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    /// Whether that changed anything.
    pub fn set(&self, ours: bool) -> bool {
        self.0.swap(ours, Ordering::AcqRel) != ours
    }
}

impl StateOwner for lock::StateLock {
    fn still_ours(&self) -> bool {
        lock::StateLock::still_ours(self)
    }
}
