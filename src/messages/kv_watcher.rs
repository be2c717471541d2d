//! To `kv_watcher`: follow the desired-state bucket.
use crate::bus::{BusError, Followed, LinkState};
use crate::domain::source::{Entry, Snapshot};
use futures_util::stream::BoxStream;

pub type Changes = BoxStream<'static, Result<Entry, BusError>>;

#[derive(strum::IntoStaticStr)]
pub enum KvWatcher {
    Link(LinkState),
    /// Take a full snapshot now, values included: somebody lost what was told before.
    Resnapshot,
    /// The bucket is missing, and this device has never followed one: make it.
    CreateSource,
    SourceCreated(Result<(), BusError>),
    Followed(Result<Followed, BusError>),
    /// What the watch brought since; the stream comes along, to be read on.
    Changed(Batch),
    SnapshotDue,
    Snapshotted(Result<Snapshot, BusError>),
    RetryDue,
}

/// The last entry of each key that changed; `rest` is None when the watch ended.
pub struct Batch {
    pub entries: Vec<Entry>,
    pub rest: Result<Changes, Option<BusError>>,
}
