//! What this device was told to run, as it is kept on disk.
use super::source::Incarnation;
use fleet_contracts::{DeploymentName, Timestamp};

/// The accepted desired state of one deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    pub name: DeploymentName,
    pub revision: u64,
    pub written_at: Timestamp,
    pub incarnation: Incarnation,
    pub wanted: Wanted,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// The document, byte for byte as it was accepted.
    Present(Vec<u8>),
    /// Authorised to go; the record stays until everything of it is gone.
    Removed,
}

/// The bucket that this device has followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Followed {
    pub incarnation: Incarnation,
    pub last_sequence: u64,
}

/// Everything that was found on disk at start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ledger {
    pub records: Vec<Record>,
    pub followed: Option<Followed>,
    /// Files that could not be read in either copy and were moved aside; what ran keeps running.
    pub quarantined: Vec<String>,
}
