//! NATS through async_nats.
//!
//! * [`settings`]: where it is · [`connect`]: how the connection is made and kept
//! * [`backoff`]: when to connect again · [`link`]: the state of the connection
//! * [`calls`]: deadlines and errors of every call
//! * [`bucket`], [`feed`], [`read`]: KV buckets as the streams and consumers that they are
//! * [`service`]: the command verbs
mod backoff;
mod bucket;
mod calls;
mod connect;
mod feed;
mod link;
mod read;
mod service;
mod settings;

pub use settings::NatsSettings;

use crate::bus::offered::Offered;
use crate::bus::{BucketSpec, Bus, ErrorKind, Followed, LinkState, Request, Result, ServiceSpec};
use crate::credentials::Credentials;
use crate::domain::source::Snapshot;
use async_trait::async_trait;
use bytes::Bytes;
use calls::Calls;
use futures_util::stream::BoxStream;
use link::Link;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

/// A connection that is kept for ever. Dropping it ends the connection.
pub struct NatsBus {
    calls: Calls,
    events: JoinHandle<()>,
    service: Offered<Request>,
}

impl NatsBus {
    /// Starts without a network or a server, and keeps trying. Needs a tokio runtime.
    ///
    /// # Errors
    /// `Refused` when there is no URL, or one cannot be read.
    pub async fn new(settings: NatsSettings, credentials: Arc<dyn Credentials>) -> Result<Self> {
        let servers = settings::servers(&settings)?;
        let link = Arc::new(Link::new());
        let (sender, receiver) = mpsc::channel(connect::EVENT_CAPACITY);
        let client = connect::options(settings, credentials, link.clone(), sender)
            .connect(servers)
            .await
            .map_err(|e| calls::error("connect", "nats", ErrorKind::Refused, e.to_string()))?;
        let calls = Calls::new(client.clone(), link.clone());
        let events = tokio::spawn(connect::keep_link(client, link, receiver));
        Ok(Self { calls, events, service: Offered::default() })
    }
}

impl Drop for NatsBus {
    fn drop(&mut self) {
        self.events.abort();
    }
}

#[async_trait]
impl Bus for NatsBus {
    fn link(&self) -> watch::Receiver<LinkState> {
        self.calls.link.watch()
    }

    async fn open(&self, bucket: &str) -> Result<()> {
        bucket::open(&self.calls, bucket).await
    }

    async fn create(&self, bucket: &BucketSpec) -> Result<()> {
        bucket::create(&self.calls, bucket).await
    }

    async fn snapshot(&self, bucket: &str, filter: &str, known: &BTreeMap<String, u64>) -> Result<Snapshot> {
        read::snapshot(&self.calls, bucket, filter, known).await
    }

    async fn follow(&self, bucket: &str, filter: &str) -> Result<Followed> {
        read::follow(&self.calls, bucket, filter).await
    }

    async fn put(&self, bucket: &str, key: &str, value: Bytes) -> Result<u64> {
        bucket::put(&self.calls, bucket, key, value).await
    }

    async fn put_over(&self, bucket: &str, key: &str, value: Bytes, last: u64) -> Result<u64> {
        bucket::put_over(&self.calls, bucket, key, value, last).await
    }

    async fn delete(&self, bucket: &str, key: &str) -> Result<()> {
        bucket::delete(&self.calls, bucket, key).await
    }

    async fn publish(&self, subject: &str, payload: Bytes) -> Result<()> {
        let publishing = self.calls.client.publish(subject.to_owned(), payload);
        self.calls.call("publish", subject, publishing).await
    }

    async fn serve(&self, service: &ServiceSpec) -> Result<BoxStream<'static, Request>> {
        self.service.read(service::serve(&self.calls, service)).await
    }

    async fn close(&self, budget: Duration) {
        let mut link = self.link();
        let closing = async {
            self.calls.client.flush().await.ok();
            self.calls.client.drain().await.ok();
            link.wait_for(|state| link::epoch_of(state).is_none()).await.map(drop).ok();
        };
        if tokio::time::timeout(budget, closing).await.is_err() {
            tracing::warn!(?budget, "NATS did not close in time");
        }
    }
}
