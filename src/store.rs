//! What survives a power cut. Calls block on the disk: actors make them on blocking threads.
use crate::domain::ledger::{Followed, Ledger, Record};
use fleet_contracts::DeploymentName;
use std::io;
use std::path::{Path, PathBuf};

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
