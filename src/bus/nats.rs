//! NATS through async_nats.
//!
//! * [`backoff`]: when to connect again · [`link`]: the state of the connection
//! * [`calls`]: deadlines and errors of every call
//! * [`bucket`], [`feed`], [`read`]: KV buckets as the streams and consumers that they are
//! * [`service`]: the command verbs
mod backoff;
mod bucket;
mod calls;
mod feed;
mod link;
mod read;
mod service;

use crate::bus::{BucketSpec, Bus, BusError, ErrorKind, Followed, LinkState, Request, Result, ServiceSpec};
use crate::credentials::{Credentials, Identity};
use crate::domain::source::Snapshot;
use async_nats::connection::State;
use async_nats::{Auth, AuthError, Client, ConnectOptions, Event, ServerAddr};
use async_trait::async_trait;
use bytes::Bytes;
use calls::{Calls, DEADLINE};
use fleet_contracts::DeviceId;
use futures_util::stream::BoxStream;
use link::Link;
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

/// A half-open connection is noticed after the third ping without an answer.
const PING_INTERVAL: Duration = Duration::from_secs(10);
/// One attempt, credentials and TLS included.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(5);
/// Credentials answer within a second (see [`Credentials`]); past this the attempt could not succeed.
const CREDENTIAL_TIMEOUT: Duration = Duration::from_secs(3);
/// Messages waiting in one subscription. What comes faster than it is read is dropped and noticed as
/// a gap; the rest of the memory belongs to others.
const SUBSCRIPTION_CAPACITY: usize = 1024;
/// Commands waiting in the client. It is only written to while connected, so it is empty but for bursts.
const CLIENT_CAPACITY: usize = 256;
/// Events between the client and the link task. The client waits when it is full.
const EVENT_CAPACITY: usize = 64;

/// Where NATS is and how to speak to it. `Debug` shows no password of a URL.
#[derive(Clone)]
pub struct NatsSettings {
    /// `nats://host:4222`, `tls://host:4222` or `host:port`.
    pub urls: Vec<String>,
    /// First tokens of every inbox, `_INBOX` when None. A prefix of its own lets permissions keep
    /// devices from reading each other's answers.
    pub inbox_prefix: Option<String>,
    pub device: DeviceId,
    /// CA certificates; the system's when None. Read anew on each attempt, as are the next two.
    pub tls_ca: Option<PathBuf>,
    /// Client certificate; needs `tls_key`.
    pub tls_cert: Option<PathBuf>,
    pub tls_key: Option<PathBuf>,
}

impl fmt::Debug for NatsSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let urls: Vec<_> = self.urls.iter().map(|url| without_user(url)).collect();
        f.debug_struct("NatsSettings")
            .field("urls", &urls)
            .field("device", &self.device)
            .finish_non_exhaustive()
    }
}

/// A URL without the user and password that it may carry.
fn without_user(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").map_or(("", url), |(scheme, rest)| (scheme, rest));
    let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
    if scheme.is_empty() { host.into() } else { format!("{scheme}://{host}") }
}

/// A connection that is kept for ever. Dropping it ends the connection.
pub struct NatsBus {
    calls: Calls,
    events: JoinHandle<()>,
}

impl NatsBus {
    /// Starts without a network or a server, and keeps trying. Needs a tokio runtime.
    ///
    /// # Errors
    /// `Refused` when there is no URL, or one cannot be read.
    pub async fn new(settings: NatsSettings, credentials: Arc<dyn Credentials>) -> Result<Self> {
        let servers = servers(&settings)?;
        let link = Arc::new(Link::new());
        let (sender, receiver) = mpsc::channel(EVENT_CAPACITY);
        let client = options(settings, credentials, link.clone(), sender)
            .connect(servers)
            .await
            .map_err(|e| calls::error("connect", "nats", ErrorKind::Refused, e.to_string()))?;
        let calls = Calls::new(client.clone(), link.clone());
        let events = tokio::spawn(keep_link(client, link, receiver));
        Ok(Self { calls, events })
    }
}

impl Drop for NatsBus {
    fn drop(&mut self) {
        self.events.abort();
    }
}

fn servers(settings: &NatsSettings) -> Result<Vec<ServerAddr>> {
    let refused = |object: &str, message: String| -> BusError {
        calls::error("connect", &without_user(object), ErrorKind::Refused, message)
    };
    if settings.urls.is_empty() {
        return Err(refused("nats", "no URL is configured".into()));
    }
    settings
        .urls
        .iter()
        .map(|url| url.parse().map_err(|e: std::io::Error| refused(url, e.to_string())))
        .collect()
}

fn options(
    settings: NatsSettings,
    credentials: Arc<dyn Credentials>,
    link: Arc<Link>,
    events: mpsc::Sender<Event>,
) -> ConnectOptions {
    let attempts = link.clone();
    // The callback makes new options of its own: it has to come first.
    let options =
        ConnectOptions::with_auth_callback(move |_nonce| identify(credentials.clone(), link.clone()))
            .name(format!("fleet-agent/{}", settings.device))
            .retry_on_initial_connect()
            .max_reconnects(None)
            .ping_interval(PING_INTERVAL)
            .connection_timeout(CONNECTION_TIMEOUT)
            .request_timeout(Some(DEADLINE * 2))
            .subscription_capacity(SUBSCRIPTION_CAPACITY)
            .client_capacity(CLIENT_CAPACITY)
            .reconnect_delay_callback(move |attempt| {
                attempts.attempt(attempt);
                backoff::reconnect_delay(attempt, fastrand::f64())
            })
            .event_callback(move |event| {
                let events = events.clone();
                // Fails only when the bus is gone.
                async move { drop(events.send(event).await) }
            });
    tls(options, settings)
}

fn tls(mut options: ConnectOptions, settings: NatsSettings) -> ConnectOptions {
    if let Some(prefix) = settings.inbox_prefix {
        options = options.custom_inbox_prefix(prefix);
    }
    if let Some(ca) = settings.tls_ca {
        options = options.add_root_certificates(ca);
    }
    match (settings.tls_cert, settings.tls_key) {
        (Some(cert), Some(key)) => options.add_client_certificate(cert, key),
        (Some(_), None) | (None, Some(_)) | (None, None) => options,
    }
}

/// Asked on every attempt. In a task of its own because the client wants a future that is `Sync`.
async fn identify(
    credentials: Arc<dyn Credentials>,
    link: Arc<Link>,
) -> std::result::Result<Auth, AuthError> {
    let asking = tokio::spawn(async move {
        match tokio::time::timeout(CREDENTIAL_TIMEOUT, credentials.identity()).await {
            Ok(Ok(identity)) => Ok(identity),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(format!("no credentials within {} s", CREDENTIAL_TIMEOUT.as_secs())),
        }
    });
    let answer = match asking.await {
        Ok(answer) => answer,
        Err(panic) => Err(panic.to_string()),
    };
    link.credentials(answer.as_ref().err().cloned());
    answer.map(auth).map_err(AuthError::new)
}

fn auth(identity: Identity) -> Auth {
    let mut auth = Auth::new();
    match identity {
        Identity::Anonymous => {}
        Identity::UserPassword { user, password } => {
            auth.username = Some(user);
            auth.password = Some(password);
        }
        Identity::Token(token) => auth.token = Some(token),
    }
    auth
}

/// Turns the client's events into the state of the link.
async fn keep_link(client: Client, link: Arc<Link>, mut events: mpsc::Receiver<Event>) {
    while let Some(event) = events.recv().await {
        match event {
            Event::Connected => {
                if ready(&client).await {
                    let info = client.server_info();
                    link.connected(format!("{} {}", info.server_name, info.version));
                }
            }
            Event::Disconnected => link.disconnected(None),
            Event::Closed => link.disconnected(Some("closed")),
            Event::LameDuckMode | Event::Draining => tracing::info!("NATS: {event}"),
            Event::SlowConsumer(_) => link.complaint("messages were dropped: they came faster than read"),
            Event::ServerError(error) => link.complaint(&error.to_string()),
            Event::ClientError(error) => link.complaint(&error.to_string()),
        }
    }
}

/// The event of a connection comes before the client is ready and knows its server; a flush returns
/// after. False when the connection is gone again.
async fn ready(client: &Client) -> bool {
    loop {
        match tokio::time::timeout(DEADLINE, client.flush()).await {
            Ok(flushed) => return flushed.is_ok(),
            Err(_) if client.connection_state() == State::Connected => {}
            Err(_) => return false,
        }
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

    async fn delete(&self, bucket: &str, key: &str) -> Result<()> {
        bucket::delete(&self.calls, bucket, key).await
    }

    async fn publish(&self, subject: &str, payload: Bytes) -> Result<()> {
        let publishing = self.calls.client.publish(subject.to_owned(), payload);
        self.calls.call("publish", subject, publishing).await
    }

    async fn serve(&self, service: &ServiceSpec) -> Result<BoxStream<'static, Request>> {
        service::serve(&self.calls, service).await
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

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(urls: &[&str]) -> NatsSettings {
        NatsSettings {
            urls: urls.iter().map(ToString::to_string).collect(),
            inbox_prefix: None,
            device: "d1".parse().unwrap(),
            tls_ca: None,
            tls_cert: None,
            tls_key: None,
        }
    }

    #[test]
    fn a_password_in_a_url_is_not_shown() {
        let urls = ["nats://me:s3@cret@host:4222", "me:s3cret@host:4222"];
        let shown =
            format!("{:?} {:?}", settings(&urls), servers(&settings(&["nats://me:s3cret@ho st"])).err());
        assert!(!shown.contains("cret"), "{shown}");
        assert!(shown.contains("nats://host:4222"), "{shown}");
    }

    #[test]
    fn without_a_url_that_can_be_read_nothing_starts() {
        assert_eq!(servers(&settings(&[])).unwrap_err().kind, ErrorKind::Refused);
        assert_eq!(servers(&settings(&["a:4222", "ftp://b"])).unwrap_err().object, "ftp://b");
        assert_eq!(servers(&settings(&["a:4222", "tls://b"])).unwrap().len(), 2);
    }
}
