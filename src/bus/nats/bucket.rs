//! KV buckets as what they are: streams named `KV_<bucket>` over subjects `$KV.<bucket>.<key>`.
use super::calls::{Calls, Failure};
use crate::bus::{BucketSpec, ErrorKind, Result};
use crate::domain::source::Incarnation;
use async_nats::HeaderMap;
use async_nats::header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE;
use async_nats::jetstream::response::Response;
use async_nats::jetstream::stream::{Config, DiscardPolicy, StorageType};
use async_nats::jetstream::{ErrorCode, context};
use bytes::Bytes;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::time::Duration;

pub(super) const OPERATION_HEADER: &str = "KV-Operation";
/// Deduplication of publishes that carry a message id: the server's own default, as `nats kv add`.
const DUPLICATE_WINDOW: Duration = Duration::from_secs(120);
/// When a write that was not acknowledged is doubted: later than a bad mobile link mostly takes, and early
/// enough for the answer to come before the write's own deadline.
const DOUBT: Duration = Duration::from_secs(2);

pub(super) fn stream_of(bucket: &str) -> String {
    format!("KV_{bucket}")
}

pub(super) fn subject_of(bucket: &str, key: &str) -> String {
    format!("$KV.{bucket}.{key}")
}

/// What the server says of a bucket at one moment.
pub(super) struct Facts {
    pub incarnation: Incarnation,
    pub last_sequence: u64,
    /// Subjects that match the filter asked for, delete markers included.
    pub subjects: Vec<String>,
}

#[derive(Deserialize)]
struct StreamInfo {
    created: String,
    state: StreamState,
}

#[derive(Deserialize)]
struct StreamState {
    last_seq: u64,
    #[serde(default)]
    subjects: Option<BTreeMap<String, u64>>,
}

/// Asks the server about a bucket and its subjects under `filter`. Nothing of it is remembered: the
/// client's own bucket handle answers from a copy long after the bucket is gone.
pub(super) async fn facts(calls: &Calls, bucket: &str, filter: Option<&str>) -> Result<Facts> {
    let request = match filter {
        Some(filter) => serde_json::json!({ "subjects_filter": subject_of(bucket, filter) }),
        None => serde_json::json!({}),
    };
    let asking = calls.js.request(format!("STREAM.INFO.{}", stream_of(bucket)), &request);
    let info = match calls.call("open", bucket, asking).await? {
        Response::Ok::<StreamInfo>(info) => info,
        Response::Err { error } => {
            return Err(super::calls::error("open", bucket, Failure::kind(&error), error.to_string()));
        }
    };
    Ok(Facts {
        incarnation: Incarnation(info.created),
        last_sequence: info.state.last_seq,
        subjects: info.state.subjects.unwrap_or_default().into_keys().collect(),
    })
}

/// `nats kv add` by hand: the client's own call asks the account first and cannot read the answer
/// of nats-server 2.9, and a device need not be allowed to ask.
pub(super) async fn create(calls: &Calls, spec: &BucketSpec) -> Result<()> {
    let creating = async {
        match calls.js.create_stream(config(spec)).await {
            Ok(_) => Ok(()),
            // With other settings: it stays as it is.
            Err(error) if exists(&error) => Ok(()),
            Err(error) => Err(error),
        }
    };
    calls.call("create", spec.name, creating).await
}

fn exists(error: &context::CreateStreamError) -> bool {
    matches!(error.kind(), context::CreateStreamErrorKind::JetStream(error)
        if error.error_code() == ErrorCode::STREAM_NAME_EXIST)
}

fn config(spec: &BucketSpec) -> Config {
    Config {
        name: stream_of(spec.name),
        subjects: vec![subject_of(spec.name, ">")],
        max_messages_per_subject: spec.history.into(),
        max_messages: -1,
        max_bytes: -1,
        max_message_size: -1,
        max_consumers: -1,
        discard: DiscardPolicy::New,
        storage: StorageType::File,
        num_replicas: 1,
        duplicate_window: DUPLICATE_WINDOW,
        allow_rollup: spec.allow_rollup,
        deny_delete: true,
        deny_purge: !spec.allow_rollup,
        allow_direct: true,
        ..Config::default()
    }
}

pub(super) async fn put(calls: &Calls, bucket: &str, key: &str, value: Bytes) -> Result<u64> {
    write(calls, "put", bucket, key, HeaderMap::new(), value).await
}

/// The server compares: no second request, and no moment between a look and the write.
pub(super) async fn put_over(calls: &Calls, bucket: &str, key: &str, value: Bytes, last: u64) -> Result<u64> {
    let mut headers = HeaderMap::new();
    headers.insert(NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, last.to_string());
    write(calls, "put", bucket, key, headers, value).await
}

pub(super) async fn delete(calls: &Calls, bucket: &str, key: &str) -> Result<()> {
    let mut headers = HeaderMap::new();
    headers.insert(OPERATION_HEADER, "DEL");
    write(calls, "delete", bucket, key, headers, Bytes::new()).await.map(drop)
}

/// A write goes to a subject and not to a stream, so it is not the stream that says that it is missing: the
/// server says it, where nobody at all hears the subject. One client that hears every subject, as somebody
/// who looks for a fault does, and nobody answers. So the server is asked about what is not answered soon.
async fn write(
    calls: &Calls,
    operation: &'static str,
    bucket: &str,
    key: &str,
    headers: HeaderMap,
    value: Bytes,
) -> Result<u64> {
    let (object, subject) = (format!("{bucket}/{key}"), subject_of(bucket, key));
    let writing = async { calls.js.publish_with_headers(subject, headers, value).await?.await };
    tokio::select! {
        acknowledged = calls.call(operation, &object, writing) => Ok(acknowledged?.sequence),
        message = missed(calls, bucket) => {
            Err(super::calls::error(operation, &object, ErrorKind::BucketMissing, message))
        }
    }
}

/// Ends only when the bucket is known to be missing. A device that may not ask waits for the deadline.
async fn missed(calls: &Calls, bucket: &str) -> String {
    tokio::time::sleep(DOUBT).await;
    match facts(calls, bucket, None).await {
        Err(error) if error.kind == ErrorKind::BucketMissing => error.message,
        Ok(_) | Err(_) => std::future::pending().await,
    }
}

pub(super) async fn open(calls: &Calls, bucket: &str) -> Result<()> {
    facts(calls, bucket, None).await.map(drop)
}

/// Whether the bucket was replaced, or keys that were there all along were not delivered.
pub(super) fn verify(bucket: &str, before: &Facts, after: &Facts, seen: impl Fn(&str) -> bool) -> Result<()> {
    let lost = |message: String| Err(super::calls::error("snapshot", bucket, ErrorKind::WatchLost, message));
    if before.incarnation != after.incarnation {
        return lost("the bucket was replaced while it was read".into());
    }
    let missed = before.subjects.iter().find(|s| after.subjects.contains(s) && !seen(s));
    match missed {
        Some(subject) => lost(format!("{subject} was not delivered")),
        None => Ok(()),
    }
}
