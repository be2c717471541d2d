//! A connection, and one request to a device's agent.
use crate::cli::{Format, Global};
use crate::context::{self, Target};
use crate::exit::{Exit, Stop};
use anyhow::{Context as _, Result};
use async_nats::client::RequestErrorKind;
use async_nats::jetstream::{self, context::ContextBuilder};
use async_nats::{Client, ConnectErrorKind, ConnectOptions, Message, Request, ServerAddr};
use bytes::Bytes;
use fleet_contracts::commands::{CommandError, ERROR_CODE_HEADER, ERROR_HEADER, Verb};
use fleet_contracts::{DeviceId, names};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::time::Duration;

/// What every command needs.
pub struct Session {
    pub client: Client,
    pub js: jetstream::Context,
    pub format: Format,
    /// How long one answer may take.
    pub reply: Duration,
    /// How long `--wait` waits.
    pub wait: Duration,
}

/// A reply as it came, and as it is understood.
pub struct Reply<T> {
    pub raw: Value,
    pub value: T,
}

impl Session {
    pub async fn open(global: &Global) -> Result<Self> {
        let target = context::resolve(global, &|name| std::env::var(name).ok())?;
        let client = connect(&target).await?;
        let js = ContextBuilder::new().timeout(global.reply()).build(client.clone());
        Ok(Self { client, js, format: global.output, reply: global.reply(), wait: global.wait() })
    }

    /// Sends a verb to the device's agent. `None` is the request with nothing in it.
    pub async fn ask<T: DeserializeOwned>(
        &self,
        device: &DeviceId,
        verb: Verb,
        request: Option<&impl Serialize>,
    ) -> Result<Reply<T>> {
        let payload = request.map(serde_json::to_vec).transpose()?.unwrap_or_default();
        let message = match self.send(device, verb, payload.into()).await {
            Ok(message) => message,
            Err(error) => return Err(self.no_answer(device, verb, error).await.into()),
        };
        if let Some(stop) = refusal(device, verb, &message) {
            return Err(stop.into());
        }
        let understood = || format!("{device} answered {verb} with something else");
        let raw: Value = serde_json::from_slice(&message.payload).with_context(understood)?;
        let value = T::deserialize(&raw).with_context(understood)?;
        Ok(Reply { raw, value })
    }

    async fn send(&self, device: &DeviceId, verb: Verb, payload: Bytes) -> Result<Message, RequestErrorKind> {
        let subject = names::command_subject(device, verb.as_str());
        let request = Request::new().payload(payload).timeout(Some(self.reply));
        // The client's own limit begins only once the request is queued, which can block.
        let sent = tokio::time::timeout(self.reply * 2, self.client.send_request(subject, request)).await;
        sent.map_err(|_| RequestErrorKind::TimedOut)?.map_err(|error| error.kind())
    }

    async fn no_answer(&self, device: &DeviceId, verb: Verb, error: RequestErrorKind) -> Stop {
        match error {
            RequestErrorKind::NoResponders if verb != Verb::Ping => {
                match self.send(device, Verb::Ping, Bytes::new()).await {
                    Ok(_) => Stop::new(Exit::Failed, format!("the agent of {device} does not offer {verb}"))
                        .next(format!("`fleetctl ping {device}` shows its version; a newer one may")),
                    Err(_) => not_connected(device, verb),
                }
            }
            RequestErrorKind::NoResponders => not_connected(device, verb),
            RequestErrorKind::TimedOut => {
                Stop::new(Exit::TimedOut, format!("{device} did not answer {verb} within {:?}", self.reply))
                    .next("it may still do it; ask again, with a longer --timeout")
            }
            RequestErrorKind::InvalidSubject
            | RequestErrorKind::MaxPayloadExceeded
            | RequestErrorKind::Other => {
                Stop::new(Exit::Unavailable, format!("{verb} could not be sent to {device}: {error}"))
            }
        }
    }
}

fn not_connected(device: &DeviceId, verb: Verb) -> Stop {
    let subject = names::command_subject(device, verb.as_str());
    let message = format!("device {device} is not connected (no agent answers on {subject})");
    Stop::new(Exit::Unavailable, message).next(format!(
        "`fleetctl devices` shows when it was last seen; `fleetctl status {device}` what it reported then"
    ))
}

/// The error that a reply carries, if it is one.
fn refusal(device: &DeviceId, verb: Verb, message: &Message) -> Option<Stop> {
    let headers = message.headers.as_ref()?;
    let code = headers.get(ERROR_CODE_HEADER)?;
    let header = headers.get(ERROR_HEADER).map(ToString::to_string).unwrap_or_default();
    let body: Option<CommandError> = serde_json::from_slice(&message.payload).ok();
    let text = body.map_or(header, |body| body.message);
    let stop = Stop::new(Exit::Failed, format!("{device} refused {verb}: {text} (code {code})"));
    Some(match code.as_str() {
        "404" => {
            stop.next(format!("`fleetctl status {device}` and `fleetctl actors {device}` list what there is"))
        }
        "503" | "504" => stop.next("the agent is busy or not ready: ask again in a few seconds"),
        _ => stop,
    })
}

async fn connect(target: &Target) -> Result<Client> {
    let servers = target.servers.join(", ");
    let addresses: Vec<ServerAddr> =
        (target.servers.iter().map(|server| server.parse()).collect::<Result<_, _>>())
            .map_err(|error| Stop::new(Exit::Usage, format!("{servers} is no server URL: {error}")))?;
    options(target).connect(addresses).await.map_err(|error| {
        let stop = Stop::new(Exit::Unavailable, format!("cannot connect to {servers}: {error}"));
        let rights = matches!(
            error.kind(),
            ConnectErrorKind::AuthorizationViolation | ConnectErrorKind::Authentication
        );
        stop.next(match rights {
            true => "give NATS_USER and NATS_PASSWORD, NATS_TOKEN, or a context that holds them",
            false => "is the server running? Another one can be given with --server, NATS_URL or --context",
        })
        .into()
    })
}

fn options(target: &Target) -> ConnectOptions {
    let mut options = ConnectOptions::new().name("fleetctl");
    if let Some(token) = &target.token {
        options = options.token(token.clone());
    }
    if let Some(user) = &target.user {
        options = options.user_and_password(user.clone(), target.password.clone().unwrap_or_default());
    }
    if let Some(prefix) = &target.inbox_prefix {
        options = options.custom_inbox_prefix(prefix);
    }
    if let Some(ca) = &target.ca {
        options = options.add_root_certificates(ca.clone());
    }
    if let (Some(cert), Some(key)) = (&target.cert, &target.key) {
        options = options.add_client_certificate(cert.clone(), key.clone());
    }
    options
}
