//! What this device was told to run, as it is kept on disk.
use super::container::OwedStart;
use super::images::Note;
use super::jobs::Ends;
use super::source::{Entry, Incarnation};
use fleet_contracts::{DeploymentName, ServiceName, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

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
    /// Of its jobs, also of specs before the present one.
    pub ends: Ends,
}

/// What a document did to the agent that acted on it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trial {
    /// How often it ended the process.
    pub ends: u32,
    /// Why it is not acted on any more.
    pub quarantined: Option<String>,
    /// The last run of each service that was stopped for its health: written before the stop, for afterwards nothing
    /// tells such an exit from one of the service's own.
    pub owed: BTreeMap<ServiceName, OwedStart>,
}

impl Trial {
    /// So often a document may end the process before it is not acted on any more.
    const ENDS: u32 = 2;

    /// What it did to the agent, without what the agent owes it.
    pub fn history(&self) -> Self {
        Self { owed: BTreeMap::new(), ..self.clone() }
    }

    /// Begun anew; what is owed to a run of a container is owed all the same.
    pub fn anew(&self) -> Self {
        Self { owed: self.owed.clone(), ..Self::default() }
    }

    /// It has ended the process once more.
    #[must_use]
    pub fn ended(&self, how: &str) -> Self {
        let ends = self.ends.saturating_add(1);
        let quarantined =
            (ends >= Self::ENDS).then(|| format!("it ended the agent's process {ends} times: {how}"));
        Self { ends, quarantined: quarantined.or_else(|| self.quarantined.clone()), owed: self.owed.clone() }
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
    Present(Arc<[u8]>),
    /// Authorised to go; the record stays until everything of it is gone.
    Removed,
}

/// Enough of a document's SHA-256 to tell it from others of its deployment, lowercase hex.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fingerprint(String);

impl Fingerprint {
    /// In hex digits.
    pub const LENGTH: usize = 16;

    pub fn of(document: &[u8]) -> Self {
        let digest = ring::digest::digest(&ring::digest::SHA256, document);
        Self(digest.as_ref()[..Self::LENGTH / 2].iter().map(|byte| format!("{byte:02x}")).collect())
    }

    pub fn parse(text: &str) -> Option<Self> {
        let is_hex = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        (is_hex && text.len() == Self::LENGTH).then(|| Self(text.to_owned()))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Documents that this version of the agent must not even read, and why.
pub type Shunned = BTreeMap<(DeploymentName, Fingerprint), String>;

/// The bucket that this device has followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Followed {
    pub incarnation: Incarnation,
    pub last_sequence: u64,
    /// The latest write that was acted on. It outlives the record of what was removed and forgotten.
    pub acted_until: Option<Timestamp>,
    /// The same of the lives before this one: what a name that has no record says of a time up to this may be what was
    /// removed since. None: this is the first life.
    pub former_until: Option<Timestamp>,
    /// How far the bucket went when it was found reset: what is beyond was written since, whatever the clock said.
    /// `u64::MAX`: that is not known.
    pub former_sequence: u64,
}

impl Followed {
    /// As [`Followed::former_sequence`] in a record that was written without it.
    pub const NOT_KNOWN: u64 = u64::MAX;

    pub fn new(incarnation: Incarnation, last_sequence: u64) -> Self {
        Self {
            incarnation,
            last_sequence,
            acted_until: None,
            former_until: None,
            former_sequence: Self::NOT_KNOWN,
        }
    }

    /// A write of this time was acted on.
    pub fn acted(&mut self, written_at: Timestamp) {
        self.acted_until = self.acted_until.max(Some(written_at));
    }

    /// What the records tell that was acted on, of hints after which this was not written again.
    pub fn learn(&mut self, record: &Record) {
        self.acted(record.written_at);
        if record.incarnation == self.incarnation {
            self.last_sequence = self.last_sequence.max(record.revision);
        }
    }

    /// Whether an entry is of a former life, as far as that can be known.
    pub fn is_former(&self, entry: &Entry) -> bool {
        entry.revision <= self.former_sequence
            && self.former_until.is_some_and(|until| entry.written_at <= until)
    }
}

/// Everything that was found on disk at start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ledger {
    pub records: Vec<Record>,
    /// Of these the newer copy could not be read: the record is the one before it, at best.
    pub doubtful: BTreeSet<DeploymentName>,
    pub followed: Option<Followed>,
    pub images: Note,
    /// Files that could not be read in either copy and were moved aside; what ran keeps running.
    pub quarantined: Vec<String>,
}
