//! NATS in our words.
//!
//! * [`nats`]: the real thing; with the files below it, the only place that names async_nats
//! * [`fake`]: the same promises in memory, for tests; `tests/bus_contract.rs` holds both to them
pub mod fake;
pub mod nats;
mod offered;

use crate::domain::source::{Entry, Snapshot};
use async_trait::async_trait;
use bytes::Bytes;
use fleet_contracts::DeviceId;
use fleet_contracts::commands::Verb;
use futures_util::stream::BoxStream;
use std::collections::BTreeMap;
use std::time::Duration;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// Not connected, or the connection went away. The outcome is unknown.
    Disconnected,
    /// No answer in time. The outcome is unknown.
    Timeout,
    /// The bucket (its stream) is not there.
    BucketMissing,
    /// The server refused: permissions, limits, a full bucket.
    Refused,
    /// The key was written since by somebody else.
    Overtaken,
    /// The watch ended or missed its heartbeats; what it would have said is unknown.
    WatchLost,
}

/// A failed operation: what was tried, on which object, and what the server said.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{operation} {object}: {message}")]
pub struct BusError {
    pub operation: &'static str,
    pub object: String,
    pub kind: ErrorKind,
    pub message: String,
}

pub type Result<T> = std::result::Result<T, BusError>;

/// The connection, as it is now. Every change of it is logged once, by the adapter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkState {
    /// `attempts` since the connection was lost, or since the start.
    Connecting { attempts: u64, last_error: Option<String> },
    /// `epoch` counts connections from 1.
    Connected { server: String, epoch: u64 },
}

/// How a bucket is made when it is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BucketSpec {
    pub name: &'static str,
    /// Values kept per key, 1 to 64.
    pub history: u8,
    /// False for buckets that devices write: they refuse rollup headers and purge, so that one
    /// device cannot wipe the others' keys.
    pub allow_rollup: bool,
}

/// A snapshot, and what came after it without a gap.
pub struct Followed {
    pub snapshot: Snapshot,
    /// Ends with an `Err`, or silently: it is a hint, full snapshots are the truth.
    pub changes: BoxStream<'static, Result<Entry>>,
}

/// One command request. Dropping it leaves the caller without an answer.
pub struct Request {
    pub verb: Verb,
    pub payload: Bytes,
    /// Where the answer would go; None when the caller wants none.
    pub reply_to: Option<String>,
    pub responder: Box<dyn Responder>,
}

/// Answers one request.
#[async_trait]
pub trait Responder: Send + 'static {
    /// `error`: numeric code and message, sent as the service error headers beside the body.
    async fn respond(self: Box<Self>, body: Bytes, error: Option<(u16, String)>) -> Result<()>;
}

/// What `nats micro info` shows of the agent.
#[derive(Debug, Clone)]
pub struct ServiceSpec {
    pub device: DeviceId,
    pub version: String,
    pub description: String,
    pub metadata: BTreeMap<String, String>,
}

/// NATS as the agent uses it. Every call has a deadline of its own and never queues for later.
#[async_trait]
pub trait Bus: Send + Sync + 'static {
    fn link(&self) -> tokio::sync::watch::Receiver<LinkState>;

    /// Opens a bucket as it is; `Err(BucketMissing)` when it is not there.
    async fn open(&self, bucket: &str) -> Result<()>;

    /// Creates a bucket; one that exists is a success and stays as it is.
    async fn create(&self, bucket: &BucketSpec) -> Result<()>;

    /// All last entries whose key matches `filter` (`device.>`), delete markers included.
    /// Keys at a revision in `known` come back as `Operation::Known`. Leaves no consumer behind.
    async fn snapshot(&self, bucket: &str, filter: &str, known: &BTreeMap<String, u64>) -> Result<Snapshot>;

    /// A full snapshot and the changes after it, from one consumer.
    async fn follow(&self, bucket: &str, filter: &str) -> Result<Followed>;

    /// The revision of the new value. A timeout may still have written it.
    async fn put(&self, bucket: &str, key: &str, value: Bytes) -> Result<u64>;

    /// The same, unless the key was written since its revision `last`: then `Err(Overtaken)`, and nothing changed.
    async fn put_over(&self, bucket: &str, key: &str, value: Bytes, last: u64) -> Result<u64>;

    /// Sets a delete marker; a key that is not there is a success.
    async fn delete(&self, bucket: &str, key: &str) -> Result<()>;

    /// Core NATS, fire and forget; dropped when not connected.
    async fn publish(&self, subject: &str, payload: Bytes) -> Result<()>;

    /// Offers the verbs as a NATS micro service, until the stream is dropped and nobody asked for it again
    /// within a few seconds: what is requested meanwhile waits for the next reader.
    async fn serve(&self, service: &ServiceSpec) -> Result<BoxStream<'static, Request>>;

    /// Sends what is queued and closes the connection, within `budget`.
    async fn close(&self, budget: Duration);
}
