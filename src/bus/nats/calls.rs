//! Every call to NATS: refused at once without a connection, and under a deadline with one.
use super::link::{Link, left};
use crate::bus::{BusError, ErrorKind, Result};
use async_nats::jetstream::{self, ErrorCode, context};
use async_nats::{Client, client};
use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

/// One request and its answer. A server that is there answers in milliseconds, one behind a bad
/// mobile link within two or three seconds; more only delays the retry.
pub(super) const DEADLINE: Duration = Duration::from_secs(5);

/// The connection, as the parts of the adapter share it.
#[derive(Clone)]
pub(super) struct Calls {
    pub client: Client,
    pub js: jetstream::Context,
    pub link: Arc<Link>,
}

impl Calls {
    pub fn new(client: Client, link: Arc<Link>) -> Self {
        // Its own timeouts are above ours, so that one place decides.
        let js = jetstream::ContextBuilder::new()
            .timeout(DEADLINE * 2)
            .ack_timeout(DEADLINE * 2)
            .build(client.clone());
        Self { client, js, link }
    }

    /// Runs one call. The client itself queues without a connection, first silently and then for
    /// ever: so none begins without one, and one that began ends with it.
    pub async fn call<T, E: Failure>(
        &self,
        operation: &'static str,
        object: &str,
        call: impl Future<Output = std::result::Result<T, E>>,
    ) -> Result<T> {
        let mut link = self.link.watch();
        let Some(epoch) = self.link.epoch() else {
            return Err(error(operation, object, ErrorKind::Disconnected, self.link.trouble()));
        };
        tokio::select! {
            result = tokio::time::timeout(DEADLINE, call) => match result {
                Ok(Ok(value)) => Ok(value),
                Ok(Err(failure)) => Err(error(operation, object, failure.kind(), failure.to_string())),
                Err(_) => {
                    let message = format!("no answer within {} s", DEADLINE.as_secs());
                    Err(error(operation, object, ErrorKind::Timeout, message))
                }
            },
            () = left(&mut link, epoch) => {
                Err(error(operation, object, ErrorKind::Disconnected, "connection lost".into()))
            }
        }
    }
}

pub(super) fn error(operation: &'static str, object: &str, kind: ErrorKind, message: String) -> BusError {
    BusError { operation, object: object.into(), kind, message }
}

/// An error of the client, in our words.
pub(super) trait Failure: Display {
    fn kind(&self) -> ErrorKind;
}

fn api_kind(error: &jetstream::Error) -> ErrorKind {
    match error.error_code() {
        ErrorCode::STREAM_NOT_FOUND => ErrorKind::BucketMissing,
        _ => ErrorKind::Refused,
    }
}

impl Failure for jetstream::Error {
    fn kind(&self) -> ErrorKind {
        api_kind(self)
    }
}

impl Failure for context::RequestError {
    fn kind(&self) -> ErrorKind {
        match async_nats::error::Error::kind(self) {
            context::RequestErrorKind::TimedOut => ErrorKind::Timeout,
            // JetStream is off for this account, or has no leader yet.
            context::RequestErrorKind::NoResponders
            | context::RequestErrorKind::InvalidSubject
            | context::RequestErrorKind::Other => ErrorKind::Refused,
        }
    }
}

impl Failure for jetstream::stream::ConsumerError {
    fn kind(&self) -> ErrorKind {
        use jetstream::stream::ConsumerErrorKind as Kind;
        match async_nats::error::Error::kind(self) {
            Kind::TimedOut => ErrorKind::Timeout,
            Kind::JetStream(error) => api_kind(&error),
            Kind::Request | Kind::InvalidConsumerType | Kind::InvalidName | Kind::Other => ErrorKind::Refused,
        }
    }
}

impl Failure for context::CreateStreamError {
    fn kind(&self) -> ErrorKind {
        use context::CreateStreamErrorKind as Kind;
        match async_nats::error::Error::kind(self) {
            Kind::TimedOut => ErrorKind::Timeout,
            Kind::JetStream(error) => api_kind(&error),
            Kind::EmptyStreamName
            | Kind::InvalidStreamName
            | Kind::DomainAndExternalSet
            | Kind::JetStreamUnavailable
            | Kind::Response
            | Kind::NotFound
            | Kind::ResponseParse => ErrorKind::Refused,
        }
    }
}

impl Failure for context::PublishError {
    fn kind(&self) -> ErrorKind {
        use context::PublishErrorKind as Kind;
        match async_nats::error::Error::kind(self) {
            Kind::StreamNotFound => ErrorKind::BucketMissing,
            Kind::TimedOut => ErrorKind::Timeout,
            Kind::BrokenPipe => ErrorKind::Disconnected,
            Kind::WrongLastSequence => ErrorKind::Overtaken,
            Kind::WrongLastMessageId | Kind::MaxAckPending | Kind::MaxPayloadExceeded | Kind::Other => {
                ErrorKind::Refused
            }
        }
    }
}

impl Failure for client::PublishError {
    fn kind(&self) -> ErrorKind {
        match async_nats::error::Error::kind(self) {
            client::PublishErrorKind::Send => ErrorKind::Disconnected,
            client::PublishErrorKind::MaxPayloadExceeded | client::PublishErrorKind::InvalidSubject => {
                ErrorKind::Refused
            }
        }
    }
}

impl Failure for client::SubscribeError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Refused
    }
}

impl Failure for client::FlushError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Disconnected
    }
}

impl Failure for async_nats::Error {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Refused
    }
}
