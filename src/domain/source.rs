//! What was read from the desired-state bucket.
use fleet_contracts::Timestamp;

/// One life of a bucket: the creation time of its stream. Another value is another bucket, whatever
/// its name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Incarnation(pub String);

/// What happened last to a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    Put(Vec<u8>),
    /// A put at a revision that the reader said it already has: the value was not sent again.
    Known,
    /// A delete or purge marker.
    Removed,
}

/// The last entry of one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The whole key, such as `device.deployment`.
    pub key: String,
    pub revision: u64,
    /// The server's clock when it took the write.
    pub written_at: Timestamp,
    pub operation: Operation,
}

/// All keys of one device at one moment, delete markers included. Complete by construction: a
/// reader that could not see the end returns an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    pub incarnation: Incarnation,
    /// Last sequence of the whole bucket: going backwards betrays a restored backup.
    pub last_sequence: u64,
    pub entries: Vec<Entry>,
}
