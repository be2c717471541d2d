//! KV buckets: read all last values, follow them, write.
use crate::connect::Session;
use crate::exit::{Exit, Stop};
use anyhow::{Context as _, Result};
use async_nats::jetstream::consumer::DeliverPolicy;
use async_nats::jetstream::consumer::push::{Ordered, OrderedConfig};
use async_nats::jetstream::context::GetStreamErrorKind;
use async_nats::jetstream::{ErrorCode, Message, kv, stream};
use bytes::Bytes;
use futures_util::StreamExt;
use std::collections::BTreeMap;
use std::time::Duration;
use time::OffsetDateTime;

/// Values kept per key of `desired-state`: what was asked for last week should still be there.
const DESIRED_HISTORY: i64 = 8;
/// Pause before a watch that broke is opened again.
const PAUSE: Duration = Duration::from_secs(1);

/// Silence after which a read that lacks keys is begun again: one of them was purged meanwhile.
const QUIET: Duration = Duration::from_secs(1);
const ATTEMPTS: u32 = 3;

/// The last entry of one key.
#[derive(Debug, Clone)]
pub struct Entry {
    pub key: String,
    pub revision: u64,
    /// The server's clock when it took the write.
    pub written: OffsetDateTime,
    /// None: a delete marker.
    pub value: Option<Bytes>,
}

impl Session {
    /// The bucket, or None when it is not there.
    pub async fn bucket(&self, name: &str) -> Result<Option<kv::Store>> {
        let get = self.js.get_stream(format!("KV_{name}"));
        let stream = match self.within(get).await?.map(drop) {
            Ok(()) => self.within(self.js.get_key_value(name)).await?,
            Err(error) if is_missing(error.kind()) => return Ok(None),
            Err(error) => return Err(no_jetstream(name, &error).into()),
        };
        Ok(Some(stream.with_context(|| format!("cannot open bucket {name}"))?))
    }

    /// The bucket of desired state; made when it is missing, for the operator is who owns it.
    pub async fn desired_bucket(&self) -> Result<kv::Store> {
        let name = fleet_contracts::names::DESIRED_STATE;
        if let Some(store) = self.bucket(name).await? {
            return Ok(store);
        }
        // A stream, not `create_key_value`: that asks for account figures that nats-server 2.9 does not give.
        let create = self.js.create_stream(desired_stream(name));
        self.within(create).await?.with_context(|| format!("cannot create bucket {name}"))?;
        let store = self.bucket(name).await?;
        store.with_context(|| format!("bucket {name} was created and is not there"))
    }

    /// The last entry of every key that matches, in the order of keys, delete markers included. None: no
    /// such bucket.
    pub async fn last(&self, bucket: &str, filter: &str) -> Result<Option<Vec<Entry>>> {
        let Some(store) = self.bucket(bucket).await? else { return Ok(None) };
        let mut entries = BTreeMap::new();
        for _ in 0..ATTEMPTS {
            entries.clear();
            if self.read_all(&store, filter, &mut entries).await? {
                break;
            }
        }
        Ok(Some(entries.into_values().collect()))
    }

    /// Whether as many keys were seen as there were at the beginning. What a message says of how many are
    /// still pending is not to be trusted: a key that is written while the watch begins leaves it above
    /// zero for ever (nats-server 2.9.10), and heartbeats are written all the time.
    async fn read_all(
        &self,
        store: &kv::Store,
        filter: &str,
        entries: &mut BTreeMap<String, Entry>,
    ) -> Result<bool> {
        let (mut messages, keys) = self.within(open(self, store, filter)).await??;
        while (entries.len() as u64) < keys {
            let Ok(message) = tokio::time::timeout(QUIET, messages.next()).await else { return Ok(false) };
            let message = message.with_context(|| format!("the watch of {} ended", store.name))?;
            let entry = entry(store, &message.with_context(|| format!("cannot read {}", store.name))?)?;
            entries.insert(entry.key.clone(), entry);
        }
        Ok(true)
    }

    /// Bounds a call in time: the client alone may block for ever while its queue is full.
    pub async fn within<T>(&self, call: impl Future<Output = T>) -> Result<T> {
        let answer = tokio::time::timeout(self.reply, call).await;
        answer.map_err(|_| {
            Stop::new(Exit::TimedOut, format!("the server did not answer within {:?}", self.reply))
                .next("try again, with a longer --timeout")
                .into()
        })
    }
}

fn desired_stream(bucket: &str) -> stream::Config {
    stream::Config {
        name: format!("KV_{bucket}"),
        subjects: vec![format!("$KV.{bucket}.>")],
        max_messages_per_subject: DESIRED_HISTORY,
        discard: stream::DiscardPolicy::New,
        allow_rollup: true,
        deny_delete: true,
        allow_direct: true,
        num_replicas: 1,
        ..stream::Config::default()
    }
}

fn is_missing(kind: GetStreamErrorKind) -> bool {
    match kind {
        GetStreamErrorKind::JetStream(error) => error.error_code() == ErrorCode::STREAM_NOT_FOUND,
        GetStreamErrorKind::EmptyName
        | GetStreamErrorKind::Request
        | GetStreamErrorKind::InvalidStreamName => false,
    }
}

fn no_jetstream(bucket: &str, error: &dyn std::error::Error) -> Stop {
    Stop::new(Exit::Unavailable, format!("cannot open bucket {bucket}: {error}"))
        .next("does the server have JetStream (nats-server -js), and may this user use it?")
}

/// A watch from the last entry of every key on, and how many entries are there now.
async fn open(session: &Session, store: &kv::Store, filter: &str) -> Result<(Ordered, u64)> {
    let config = OrderedConfig {
        deliver_subject: session.client.new_inbox(),
        filter_subject: format!("{}{filter}", store.prefix),
        deliver_policy: DeliverPolicy::LastPerSubject,
        ..OrderedConfig::default()
    };
    let failed = || format!("cannot watch {filter} in {}", store.name);
    let consumer = store.stream.create_consumer(config).await.with_context(failed)?;
    // Of an empty bucket nothing ever arrives, so the end of the beginning is counted.
    let pending = consumer.cached_info().num_pending;
    Ok((consumer.messages().await.with_context(failed)?, pending))
}

fn entry(store: &kv::Store, message: &Message) -> Result<Entry> {
    let info = message.info().map_err(|error| anyhow::anyhow!("a KV entry without metadata: {error}"))?;
    let operation = message.headers.as_ref().and_then(|headers| headers.get("KV-Operation"));
    let removed = operation.is_some_and(|operation| operation.as_str() != "PUT");
    Ok(Entry {
        key: message.subject.strip_prefix(&store.prefix).unwrap_or(&message.subject).to_string(),
        revision: info.stream_sequence,
        written: info.published,
        value: (!removed).then(|| message.payload.clone()),
    })
}

/// Entries of a bucket as they come, from the last of every key on; opened again when it breaks, also
/// while the bucket is not there yet.
pub struct Follower<'s> {
    session: &'s Session,
    bucket: &'static str,
    filter: String,
    open: Option<(kv::Store, Ordered)>,
}

impl<'s> Follower<'s> {
    pub fn new(session: &'s Session, bucket: &'static str, filter: String) -> Self {
        Self { session, bucket, filter, open: None }
    }

    /// The next entry, however long it takes. May be dropped while it waits.
    pub async fn next(&mut self) -> Entry {
        loop {
            if let Some((store, messages)) = &mut self.open
                && let Some(Ok(message)) = messages.next().await
                && let Ok(entry) = entry(store, &message)
            {
                return entry;
            }
            // After an error nothing is known of what was missed: everything is read again.
            self.open = None;
            if let Ok(Some(store)) = self.session.bucket(self.bucket).await
                && let Ok((messages, _)) = open(self.session, &store, &self.filter).await
            {
                self.open = Some((store, messages));
            } else {
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}
