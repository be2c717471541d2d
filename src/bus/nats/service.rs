//! The command verbs as a NATS micro service.
use super::calls::Calls;
use crate::bus::{Request, Responder, Result, ServiceSpec};
use async_nats::HeaderMap;
use async_nats::service::{self, Service, ServiceExt, endpoint::Endpoint};
use async_trait::async_trait;
use bytes::Bytes;
use fleet_contracts::commands::{ERROR_CODE_HEADER, ERROR_HEADER, SERVICE_NAME, Verb};
use fleet_contracts::names::command_subject;
use futures_util::stream::{BoxStream, SelectAll, select_all};
use futures_util::{FutureExt, Stream, StreamExt};
use std::collections::HashMap;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Longest error text in a header, in characters; the body has all of it.
const MAX_HEADER: usize = 256;

/// See [`crate::bus::Bus::serve`].
pub(super) async fn serve(calls: &Calls, spec: &ServiceSpec) -> Result<BoxStream<'static, Request>> {
    let starting = calls
        .client
        .service_builder()
        .description(&spec.description)
        .metadata(metadata(spec))
        .start(SERVICE_NAME, &spec.version);
    // From here on dropping it stops the service, whichever endpoint fails.
    let service = Running(Some(calls.call("serve", SERVICE_NAME, starting).await?));
    let mut endpoints = Vec::new();
    for verb in Verb::ALL {
        let endpoint = service.offer(calls, spec, verb).await?;
        let calls = calls.clone();
        endpoints.push(endpoint.map(move |request| accept(calls.clone(), verb, request)).boxed());
    }
    // The server has the subscriptions before anybody is told that the verbs are offered.
    calls.call("serve", SERVICE_NAME, calls.client.flush()).await?;
    Ok(Serving { requests: select_all(endpoints), _service: service }.boxed())
}

fn metadata(spec: &ServiceSpec) -> HashMap<String, String> {
    let mut metadata: HashMap<_, _> = spec.metadata.clone().into_iter().collect();
    metadata.insert("device".into(), spec.device.to_string());
    metadata
}

fn accept(calls: Calls, verb: Verb, request: service::Request) -> Request {
    Request {
        verb,
        payload: request.message.payload.clone(),
        reply_to: request.message.reply.as_ref().map(ToString::to_string),
        responder: Box::new(NatsResponder { calls, verb, request }),
    }
}

struct Running(Option<Service>);

impl Running {
    async fn offer(&self, calls: &Calls, spec: &ServiceSpec, verb: Verb) -> Result<Endpoint> {
        let subject = command_subject(&spec.device, verb.as_str());
        let service = self.0.as_ref().expect("the service is only taken when this is dropped");
        let adding = service.endpoint_builder().name(verb.as_str()).add(&subject);
        calls.call("serve", &subject, adding).await
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Stopping only signals and aborts: it never waits.
        if let Some(service) = self.0.take() {
            let _ = service.stop().now_or_never();
        }
    }
}

struct Serving {
    requests: SelectAll<BoxStream<'static, Request>>,
    _service: Running,
}

impl Stream for Serving {
    type Item = Request;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Request>> {
        self.requests.poll_next_unpin(cx)
    }
}

struct NatsResponder {
    calls: Calls,
    verb: Verb,
    request: service::Request,
}

#[async_trait]
impl Responder for NatsResponder {
    async fn respond(self: Box<Self>, body: Bytes, error: Option<(u16, String)>) -> Result<()> {
        // Nobody waits for the answer.
        if self.request.message.reply.is_none() {
            return Ok(());
        }
        let mut headers = HeaderMap::new();
        if let Some((code, message)) = error {
            headers.insert(ERROR_CODE_HEADER, code.to_string());
            headers.insert(ERROR_HEADER, header_text(&message));
        }
        // Not the library's error answer: that one has no body.
        let responding = self.request.respond_with_headers(Ok(body), headers);
        self.calls.call("respond", self.verb.as_str(), responding).await
    }
}

/// A header is one line; the client panics on two.
fn header_text(message: &str) -> String {
    message.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_HEADER).collect()
}

#[cfg(test)]
mod tests {
    use super::header_text;

    #[test]
    fn an_error_of_many_lines_becomes_one_header_line() {
        assert_eq!(header_text("a\r\nb"), "a  b");
        assert_eq!(header_text(&"x".repeat(1000)).len(), 256);
    }
}
