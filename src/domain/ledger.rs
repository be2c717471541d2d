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
    /// Of this very document; another one begins anew.
    pub trial: Trial,
}

/// What a document did to the agent that acted on it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trial {
    /// How often it ended the process.
    pub ends: u32,
    /// Why it is not acted on any more.
    pub quarantined: Option<String>,
}

impl Trial {
    /// So often a document may end the process before it is not acted on any more.
    const ENDS: u32 = 2;

    /// It has ended the process once more.
    #[must_use]
    pub fn ended(&self, how: &str) -> Self {
        let ends = self.ends.saturating_add(1);
        let quarantined =
            (ends >= Self::ENDS).then(|| format!("it ended the agent's process {ends} times: {how}"));
        Self { ends, quarantined: quarantined.or_else(|| self.quarantined.clone()) }
    }

    /// Its reconciler was given up.
    #[must_use]
    pub fn parked(&self, how: &str) -> Self {
        Self { quarantined: Some(format!("its reconciler crashed again and again: {how}")), ..self.clone() }
    }
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
