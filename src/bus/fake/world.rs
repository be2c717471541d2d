//! What the fake server holds.
use super::error;
use crate::bus::{ErrorKind, Request, Result};
use crate::domain::source::{Entries, Entry, Incarnation, Operation, Snapshot};
use bytes::Bytes;
use fleet_contracts::Timestamp;
use fleet_contracts::names::DESIRED_STATE;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;
use tokio::sync::mpsc;

/// Changes waiting in one watch. One that is not read loses what comes then, as on the real bus.
const WATCH_CAPACITY: usize = 1024;
/// When a watch without a server to hear of gives up, as on the real bus.
const SILENCE: Duration = Duration::from_secs(12);
/// 2026-01-01T00:00:00Z: a clock that runs the same in every test.
const START: i64 = 1_767_225_600;

/// A call of the bus that a test can make fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Call {
    Open,
    Create,
    Snapshot,
    Follow,
    Put,
    Delete,
    Publish,
    Serve,
}

impl Call {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Call::Open => "open",
            Call::Create => "create",
            Call::Snapshot => "snapshot",
            Call::Follow => "follow",
            Call::Put => "put",
            Call::Delete => "delete",
            Call::Publish => "publish",
            Call::Serve => "serve",
        }
    }
}

/// What gets lost of a call that fails.
pub(super) enum Lost {
    Call(ErrorKind),
    Answer,
}

/// A bucket as it was.
#[derive(Debug, Clone)]
pub struct Backup(Bucket);

#[derive(Debug, Clone)]
struct Bucket {
    incarnation: Incarnation,
    last_sequence: u64,
    entries: BTreeMap<String, Entry>,
}

struct Watch {
    bucket: String,
    filter: String,
    changes: mpsc::Sender<Result<Entry>>,
    muted: bool,
}

pub(super) struct World {
    buckets: BTreeMap<String, Bucket>,
    watches: Vec<Watch>,
    failures: BTreeMap<Call, VecDeque<Lost>>,
    published: Vec<(String, Bytes)>,
    epoch: u64,
    incarnations: u64,
    pub clock: i64,
    pub snapshots_late_by: Duration,
    pub refused: Option<String>,
    pub journal: Vec<String>,
    pub service: Option<mpsc::Sender<Request>>,
}

impl Default for World {
    fn default() -> Self {
        Self {
            buckets: BTreeMap::new(),
            watches: Vec::new(),
            failures: BTreeMap::new(),
            published: Vec::new(),
            epoch: 0,
            incarnations: 0,
            clock: START,
            snapshots_late_by: Duration::ZERO,
            refused: None,
            journal: Vec::new(),
            service: None,
        }
    }
}

impl World {
    pub fn next_epoch(&mut self) -> u64 {
        self.epoch += 1;
        self.epoch
    }

    pub fn open(&self, operation: &'static str, bucket: &str) -> Result<()> {
        self.bucket(operation, bucket).map(drop)
    }

    fn bucket(&self, operation: &'static str, name: &str) -> Result<&Bucket> {
        self.buckets
            .get(name)
            .ok_or_else(|| error(operation, name, ErrorKind::BucketMissing, "stream not found"))
    }

    pub fn create(&mut self, name: &str) {
        let incarnations = &mut self.incarnations;
        self.buckets.entry(name.into()).or_insert_with(|| {
            *incarnations += 1;
            let incarnation = Incarnation(format!("fake-{incarnations}"));
            Bucket { incarnation, last_sequence: 0, entries: BTreeMap::new() }
        });
    }

    pub fn wipe(&mut self, name: &str) {
        self.buckets.remove(name);
        for watch in self.watches.extract_if(.., |w| w.bucket == name) {
            tokio::spawn(async move {
                tokio::time::sleep(SILENCE).await;
                watch.lose("missed its heartbeats");
            });
        }
    }

    pub fn purge(&mut self, name: &str) {
        if let Some(bucket) = self.buckets.get_mut(name) {
            bucket.entries.clear();
        }
    }

    pub fn backup(&self, name: &str) -> Option<Backup> {
        self.buckets.get(name).cloned().map(Backup)
    }

    pub fn restore(&mut self, name: &str, backup: Backup) {
        self.buckets.insert(name.into(), backup.0);
    }

    pub fn get(&self, bucket: &str, key: &str) -> Option<Vec<u8>> {
        match &self.buckets.get(bucket)?.entries.get(key)?.operation {
            Operation::Put(value) => Some(value.to_vec()),
            Operation::Known | Operation::LeftOut | Operation::Removed => None,
        }
    }

    /// Of the key's last entry; 0 when there is none.
    pub fn revision(&self, bucket: &str, key: &str) -> u64 {
        let entry = self.buckets.get(bucket).and_then(|bucket| bucket.entries.get(key));
        entry.map_or(0, |entry| entry.revision)
    }

    pub fn keys(&self, bucket: &str) -> Vec<String> {
        let Some(bucket) = self.buckets.get(bucket) else { return Vec::new() };
        let with_value = bucket.entries.values().filter(|e| matches!(e.operation, Operation::Put(_)));
        with_value.map(|e| e.key.clone()).collect()
    }

    /// How much later than it was taken a snapshot arrives.
    pub fn late(&self, bucket: &str) -> Duration {
        if bucket == DESIRED_STATE { self.snapshots_late_by } else { Duration::ZERO }
    }

    /// Makes the bucket when it is missing; the revision.
    pub fn write(&mut self, name: &str, key: &str, operation: Operation) -> u64 {
        let entry = self.written(name, key, operation);
        self.tell(name, &entry);
        entry.revision
    }

    /// The same, and no watch tells of it.
    pub fn written(&mut self, name: &str, key: &str, operation: Operation) -> Entry {
        self.create(name);
        self.clock += 1;
        let written_at = Timestamp::from_unix_seconds(self.clock).unwrap_or_else(Timestamp::now);
        let bucket = self.buckets.get_mut(name).expect("it was just made");
        bucket.last_sequence += 1;
        let entry = Entry { key: key.into(), revision: bucket.last_sequence, written_at, operation };
        bucket.entries.insert(key.into(), entry.clone());
        entry
    }

    fn tell(&mut self, bucket: &str, entry: &Entry) {
        self.watches.retain(|w| !w.changes.is_closed());
        let hearing = |w: &&Watch| !w.muted && w.bucket == bucket && matches(&w.filter, &entry.key);
        for watch in self.watches.iter().filter(hearing) {
            let _ = watch.changes.try_send(Ok(entry.clone()));
        }
    }

    pub fn snapshot(
        &self,
        operation: &'static str,
        name: &str,
        filter: &str,
        known: &BTreeMap<String, u64>,
    ) -> Result<Snapshot> {
        let bucket = self.bucket(operation, name)?;
        let mut all: Vec<&Entry> = bucket.entries.values().filter(|e| matches(filter, &e.key)).collect();
        all.sort_unstable_by_key(|entry| entry.revision);
        let mut read = Entries::default();
        all.into_iter().for_each(|entry| read.insert(entry.clone()));
        let mut entries = read.into_entries();
        for entry in &mut entries {
            let is_put = matches!(entry.operation, Operation::Put(_) | Operation::LeftOut);
            if is_put && known.get(&entry.key) == Some(&entry.revision) {
                entry.operation = Operation::Known;
            }
        }
        let (incarnation, last_sequence) = (bucket.incarnation.clone(), bucket.last_sequence);
        Ok(Snapshot { incarnation, last_sequence, entries })
    }

    pub fn watch(&mut self, bucket: &str, filter: &str) -> mpsc::Receiver<Result<Entry>> {
        let (changes, receiver) = mpsc::channel(WATCH_CAPACITY);
        self.watches.push(Watch { bucket: bucket.into(), filter: filter.into(), changes, muted: false });
        receiver
    }

    pub fn kill_watches(&mut self) {
        for watch in self.watches.drain(..) {
            watch.lose("connection lost");
        }
    }

    pub fn mute_watches(&mut self) {
        for watch in &mut self.watches {
            watch.muted = true;
        }
    }

    pub fn watches(&self) -> usize {
        self.watches.iter().filter(|w| !w.changes.is_closed()).count()
    }

    pub fn fail_next(&mut self, call: Call, lost: Lost) {
        self.failures.entry(call).or_default().push_back(lost);
    }

    pub fn failure(&mut self, call: Call) -> Option<Lost> {
        self.failures.get_mut(&call)?.pop_front()
    }

    pub fn publish(&mut self, subject: &str, payload: Bytes) {
        self.published.push((subject.into(), payload));
    }

    pub fn published(&self, subject: &str) -> Vec<Bytes> {
        self.published.iter().filter(|(s, _)| s == subject).map(|(_, payload)| payload.clone()).collect()
    }
}

impl Watch {
    fn lose(&self, message: &str) {
        let _ = self.changes.try_send(Err(error("watch", &self.bucket, ErrorKind::WatchLost, message)));
    }
}

/// NATS subject matching: `*` is one token, `>` the rest, at least one.
fn matches(filter: &str, key: &str) -> bool {
    let mut tokens = key.split('.');
    for pattern in filter.split('.') {
        match (pattern, tokens.next()) {
            (">", rest) => return rest.is_some(),
            ("*", Some(_)) => {}
            (pattern, Some(token)) if pattern == token => {}
            (_, Some(_) | None) => return false,
        }
    }
    tokens.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn a_filter_matches_as_the_server_matches() {
        assert!(matches("d1.>", "d1.web"));
        assert!(matches("d1.>", "d1.web.x"));
        assert!(matches("state.*.web", "state.d1.web"));
        assert!(matches(">", "a"));
        assert!(!matches("d1.>", "d10.web"));
        assert!(!matches("d1.>", "d1"));
        assert!(!matches("d1.*", "d1.web.x"));
        assert!(!matches("d1.web", "d1"));
    }
}
