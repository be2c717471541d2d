//! One consumer on a bucket, from its creation to its deletion.
//!
//! A plain push consumer, not the client's ordered one: that one makes itself anew without a word,
//! from a sequence that means nothing in a bucket that was replaced. This one ends with an error on
//! a gap, a missed heartbeat, or another connection, and its owner takes a new snapshot.
use super::bucket::{OPERATION_HEADER, stream_of, subject_of};
use super::calls::{Calls, DEADLINE, error};
use super::link::left;
use crate::bus::{BusError, ErrorKind, LinkState, Result};
use crate::domain::source::{Entry, Operation};
use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, ReplayPolicy, push};
use async_nats::{HeaderMap, Message, StatusCode, Subscriber};
use bytes::Bytes;
use futures_util::StreamExt;
use std::time::Duration;
use tokio::sync::watch;

/// How often the server says that it has nothing to say.
const HEARTBEAT: Duration = Duration::from_secs(5);
/// Two heartbeats missed, and a little for a slow link.
const SILENCE: Duration = Duration::from_secs(12);
/// When the server drops the consumer by itself, should the device be gone before it could.
const INACTIVE: Duration = Duration::from_secs(30);

/// Whether values are sent along.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bodies {
    Full,
    HeadersOnly,
}

pub(super) struct Feed {
    calls: Calls,
    bucket: String,
    consumer: String,
    messages: Subscriber,
    link: watch::Receiver<LinkState>,
    epoch: u64,
    /// Sequence of the last delivery; the server counts each consumer's from 1.
    delivered: u64,
    /// False once the consumer is known to be gone.
    there: bool,
}

/// An entry, and how many the server still has for this consumer.
pub(super) struct Delivery {
    pub entry: Entry,
    pub pending: u64,
}

impl Feed {
    /// Makes a consumer that delivers the last entry of every key under `filter`, then what follows.
    /// The number is how many entries there are now.
    pub async fn open(calls: &Calls, bucket: &str, filter: &str, bodies: Bodies) -> Result<(Self, u64)> {
        let link = calls.link.watch();
        let Some(epoch) = calls.link.epoch() else {
            return Err(error("watch", bucket, ErrorKind::Disconnected, calls.link.trouble()));
        };
        let inbox = calls.client.new_inbox();
        let messages = calls.call("watch", bucket, calls.client.subscribe(inbox.clone())).await?;
        let consumer = consumer_name(&inbox);
        // From here on it cleans up after itself, also when the answer to the creation is lost.
        let (calls, bucket) = (calls.clone(), bucket.to_owned());
        let mut feed = Self { calls, bucket, consumer, messages, link, epoch, delivered: 0, there: true };
        let pending = feed.create(inbox, filter, bodies).await?;
        Ok((feed, pending))
    }

    async fn create(&mut self, inbox: String, filter: &str, bodies: Bodies) -> Result<u64> {
        let config = push::Config {
            deliver_subject: inbox,
            name: Some(self.consumer.clone()),
            deliver_policy: DeliverPolicy::LastPerSubject,
            ack_policy: AckPolicy::None,
            replay_policy: ReplayPolicy::Instant,
            max_deliver: 1,
            filter_subject: subject_of(&self.bucket, filter),
            headers_only: bodies == Bodies::HeadersOnly,
            flow_control: true,
            idle_heartbeat: HEARTBEAT,
            num_replicas: 1,
            memory_storage: true,
            inactive_threshold: INACTIVE,
            ..push::Config::default()
        };
        let creating = self.calls.js.create_consumer_on_stream(config, stream_of(&self.bucket));
        match self.calls.call("watch", &self.bucket, creating).await {
            Ok(consumer) => Ok(consumer.cached_info().num_pending),
            Err(error) => {
                self.there = !matches!(error.kind, ErrorKind::BucketMissing | ErrorKind::Refused);
                Err(error)
            }
        }
    }

    /// The next entry, however long it takes, as long as the server shows that it is there.
    pub async fn next(&mut self) -> Result<Delivery> {
        loop {
            let message = tokio::select! {
                message = tokio::time::timeout(SILENCE, self.messages.next()) => match message {
                    Ok(Some(message)) => message,
                    Ok(None) => return Err(self.lost("the subscription ended")),
                    Err(_) => return Err(self.lost("missed its heartbeats")),
                },
                () = left(&mut self.link, self.epoch) => return Err(self.lost("connection lost")),
            };
            match message.status {
                None => return self.delivery(message),
                Some(StatusCode::IDLE_HEARTBEAT) => self.heartbeat(message).await?,
                Some(status) => {
                    return Err(self.lost(&format!("{status} {}", message.description.unwrap_or_default())));
                }
            }
        }
    }

    /// Deletes the consumer and waits for the answer.
    pub async fn close(mut self) {
        let deleting = self.calls.js.delete_consumer_from_stream(&self.consumer, stream_of(&self.bucket));
        let deleting = async { Ok::<_, async_nats::Error>(deleting.await?) };
        // If this cannot, the server does it after its own time.
        self.there = self.calls.call("unwatch", &self.bucket, deleting).await.is_err();
    }

    fn delivery(&mut self, message: Message) -> Result<Delivery> {
        let message = async_nats::jetstream::Message { message, context: self.calls.js.clone() };
        let info = message.info().map_err(|e| self.lost(&e.to_string()))?;
        let (sequence, revision, pending) = (info.consumer_sequence, info.stream_sequence, info.pending);
        let written_at = info.published.into();
        if sequence != self.delivered + 1 {
            return Err(self.lost(&format!("delivery {sequence} came after {}", self.delivered)));
        }
        let prefix = subject_of(&self.bucket, "");
        let Some(key) = message.subject.strip_prefix(&prefix).map(str::to_owned) else {
            return Err(self.lost(&format!("{} is not a key of the bucket", message.subject)));
        };
        self.delivered = sequence;
        let message = message.message;
        let operation = if is_marker(message.headers.as_ref()) {
            Operation::Removed
        } else {
            // A copy: the client's buffer, of which the payload is a part, may hold others as well.
            Operation::Put(message.payload[..].into())
        };
        Ok(Delivery { entry: Entry { key, revision, written_at, operation }, pending })
    }

    /// Answers a flow control request, and checks that nothing was lost before a heartbeat.
    async fn heartbeat(&self, message: Message) -> Result<()> {
        let header = |name| message.headers.as_ref().and_then(|h| h.get(name)).map(|v| v.as_str().to_owned());
        let flow = message.reply.as_ref().map(|r| r.to_string()).or(header("Nats-Consumer-Stalled"));
        if let Some(flow) = flow {
            self.calls.call("watch", &self.bucket, self.calls.client.publish(flow, Bytes::new())).await?;
        }
        match header("Nats-Last-Consumer").and_then(|last| last.parse::<u64>().ok()) {
            Some(last) if last != self.delivered => {
                Err(self.lost(&format!("{last} were delivered, {} arrived", self.delivered)))
            }
            Some(_) | None => Ok(()),
        }
    }

    fn lost(&self, message: &str) -> BusError {
        error("watch", &self.bucket, ErrorKind::WatchLost, message.into())
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        // Without a connection, or a runtime to wait in, the server does it after its own time.
        if !self.there || self.calls.link.epoch().is_none() {
            return;
        }
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let (calls, consumer, stream) = (self.calls.clone(), self.consumer.clone(), stream_of(&self.bucket));
        runtime.spawn(async move {
            let deleting = calls.js.delete_consumer_from_stream(&consumer, &stream);
            let _ = tokio::time::timeout(DEADLINE, deleting).await;
        });
    }
}

/// The inbox's unique end is unique enough for a consumer too.
fn consumer_name(inbox: &str) -> String {
    format!("fleet-agent-{}", inbox.rsplit('.').next().unwrap_or(inbox))
}

/// Set by a delete or purge, or by the server itself when a value's time ran out (2.11 on).
fn is_marker(headers: Option<&HeaderMap>) -> bool {
    let Some(headers) = headers else { return false };
    let operation = headers.get(OPERATION_HEADER).map(|v| v.as_str());
    matches!(operation, Some("DEL" | "PURGE")) || headers.get("Nats-Marker-Reason").is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &str, value: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(name, value);
        headers
    }

    #[test]
    fn deletes_purges_and_the_servers_own_markers_are_markers() {
        for (name, value) in
            [("KV-Operation", "DEL"), ("KV-Operation", "PURGE"), ("Nats-Marker-Reason", "MaxAge")]
        {
            assert!(is_marker(Some(&headers(name, value))), "{name} {value}");
        }
    }

    #[test]
    fn values_with_other_headers_are_values() {
        assert!(!is_marker(None));
        assert!(!is_marker(Some(&headers("Nats-Msg-Size", "3"))));
        assert!(!is_marker(Some(&headers("KV-Operation", "PUT"))));
    }
}
