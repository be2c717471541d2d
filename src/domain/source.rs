//! What was read from the desired-state bucket.
use fleet_contracts::Timestamp;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Bytes of values that one snapshot keeps. More than a device accepts, so that what it has already is read along with
/// what it refuses, and little enough to be held beside what it has.
pub const SNAPSHOT_BYTES: usize = 24 << 20;

/// One life of a bucket: the creation time of its stream. Another value is another bucket, whatever
/// its name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Incarnation(pub String);

/// What happened last to a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    Put(Arc<[u8]>),
    /// A put at a revision that the reader said it already has: the value was not sent again.
    Known,
    /// A put whose value was left out: those of the keys written before it are as much as a snapshot keeps.
    LeftOut,
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

impl Entry {
    /// Without the value, which was told.
    pub fn told(&self) -> Self {
        let operation = match &self.operation {
            Operation::Put(_) | Operation::Known | Operation::LeftOut => Operation::Known,
            Operation::Removed => Operation::Removed,
        };
        Self { key: self.key.clone(), operation, ..*self }
    }

    /// Of its value, in bytes.
    pub fn size(&self) -> usize {
        match &self.operation {
            Operation::Put(value) => value.len(),
            Operation::Known | Operation::LeftOut | Operation::Removed => 0,
        }
    }
}

/// The entries of a snapshot while they arrive, those written first before the others.
#[derive(Debug, Default)]
pub struct Entries {
    by_key: BTreeMap<String, Entry>,
    bytes: usize,
}

impl Entries {
    pub fn insert(&mut self, mut entry: Entry) {
        self.bytes -= self.by_key.get(&entry.key).map_or(0, Entry::size);
        if self.bytes + entry.size() > SNAPSHOT_BYTES {
            entry.operation = Operation::LeftOut;
        }
        self.bytes += entry.size();
        self.by_key.insert(entry.key.clone(), entry);
    }

    pub fn contains_key(&self, key: &str) -> bool {
        self.by_key.contains_key(key)
    }

    pub fn into_entries(self) -> Vec<Entry> {
        self.by_key.into_values().collect()
    }
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

impl Snapshot {
    /// Takes in what a watch of the same bucket told while it was made: it may show as absent, or as older, what was
    /// written since.
    pub fn overtaken_by(&mut self, heard: BTreeMap<String, Entry>) {
        let mut entries: BTreeMap<String, Entry> =
            self.entries.drain(..).map(|entry| (entry.key.clone(), entry)).collect();
        for (key, entry) in heard {
            self.last_sequence = self.last_sequence.max(entry.revision);
            if entries.get(&key).is_none_or(|shown| shown.revision < entry.revision) {
                entries.insert(key, entry);
            }
        }
        self.entries = entries.into_values().collect();
    }
}

impl Incarnation {
    /// Separates the bucket's own incarnation from the number of times that it went back in time.
    const LIFE: char = '~';

    fn bucket(&self) -> &str {
        self.0.split_once(Self::LIFE).map_or(self.0.as_str(), |(bucket, _)| bucket)
    }

    /// Whether this is the bucket `seen`, or one of its lives.
    pub fn is_life_of(&self, seen: &Incarnation) -> bool {
        self.bucket() == seen.bucket()
    }

    /// What the bucket `seen` is called after it was found reset: a restored backup bears the same
    /// creation time, but its revisions cannot be compared with those before.
    pub fn next_life(&self, seen: &Incarnation) -> Incarnation {
        if !self.is_life_of(seen) {
            return seen.clone();
        }
        let lives: u64 = self.0.split_once(Self::LIFE).and_then(|(_, n)| n.parse().ok()).unwrap_or(1);
        Incarnation(format!("{}{}{}", self.bucket(), Self::LIFE, lives + 1))
    }
}
