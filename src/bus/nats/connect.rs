//! How the connection is made and kept.
use super::backoff;
use super::calls::DEADLINE;
use super::link::Link;
use super::settings::NatsSettings;
use crate::credentials::{Credentials, Identity};
use async_nats::connection::State;
use async_nats::{Auth, AuthError, Client, ConnectOptions, Event};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

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
pub(super) const EVENT_CAPACITY: usize = 64;

pub(super) fn options(
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
pub(super) async fn keep_link(client: Client, link: Arc<Link>, mut events: mpsc::Receiver<Event>) {
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
