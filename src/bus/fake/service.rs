//! Commands through the fake bus.
use crate::bus::{Request, Responder, Result};
use async_trait::async_trait;
use bytes::Bytes;
use fleet_contracts::commands::Verb;
use tokio::sync::{mpsc, oneshot};

/// Requests waiting to be read.
pub(super) const CAPACITY: usize = 64;

/// An answer to a command: the body, and the service error headers if it failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    pub body: Bytes,
    pub error: Option<(u16, String)>,
}

pub(super) async fn request(requests: mpsc::Sender<Request>, verb: Verb, payload: Bytes) -> Option<Reply> {
    let (sender, receiver) = oneshot::channel();
    let responder = Box::new(FakeResponder(sender));
    let reply_to = Some("_INBOX.fake".into());
    requests.send(Request { verb, payload, reply_to, responder }).await.ok()?;
    receiver.await.ok()
}

struct FakeResponder(oneshot::Sender<Reply>);

#[async_trait]
impl Responder for FakeResponder {
    async fn respond(self: Box<Self>, body: Bytes, error: Option<(u16, String)>) -> Result<()> {
        // The caller may have given up: so may a real one.
        let _ = self.0.send(Reply { body, error });
        Ok(())
    }
}
