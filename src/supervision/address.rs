//! Where messages are sent to: a slot of the tree, whoever sits there now.
use super::context::TaskId;
use super::failure::Failure;
use super::live::Live;
use ractor::ActorRef;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;

/// What lies in an actor's mailbox.
pub(super) enum Envelope<M> {
    Message(M),
    Timer { key: &'static str, id: TaskId, message: M },
    Done { task: TaskId, result: Result<M, Failure> },
}

impl<M> Envelope<M> {
    /// None: no message came of it.
    pub fn message(&self) -> Option<&M> {
        match self {
            Envelope::Message(message) | Envelope::Timer { message, .. } => Some(message),
            Envelope::Done { result, .. } => result.as_ref().ok(),
        }
    }
}

/// One incarnation. Its tasks and timers hold this, never the address, so that nothing of an old
/// incarnation reaches its successor.
pub(super) struct Link<M> {
    actor: ActorRef<Envelope<M>>,
    pub live: Arc<Live>,
}

impl<M> Clone for Link<M> {
    fn clone(&self) -> Self {
        Self { actor: self.actor.clone(), live: self.live.clone() }
    }
}

impl<M: Send + 'static> Link<M> {
    pub fn new(actor: ActorRef<Envelope<M>>, live: Arc<Live>) -> Self {
        Self { actor, live }
    }

    pub fn post(&self, envelope: Envelope<M>) -> bool {
        // Counted before it is sent: the actor may take it out before `send_message` returns.
        self.live.put();
        let sent = self.actor.send_message(envelope).is_ok();
        if !sent {
            self.live.took();
        }
        sent
    }
}

/// Stable address of a child slot: survives restarts. It can be made before the child exists, so that the
/// tree can be wired first.
pub struct Address<M> {
    current: Arc<Mutex<Option<Link<M>>>>,
}

impl<M> Clone for Address<M> {
    fn clone(&self) -> Self {
        Self { current: self.current.clone() }
    }
}

impl<M> fmt::Debug for Address<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Address")
    }
}

impl<M> Default for Address<M> {
    fn default() -> Self {
        Self { current: Arc::new(Mutex::new(None)) }
    }
}

impl<M: Send + 'static> Address<M> {
    pub fn new() -> Self {
        Self::default()
    }

    /// False: nobody is there now, and the message is dropped. True promises nothing more than that it lies
    /// in a mailbox: it is lost when the actor crashes before its turn.
    pub fn send(&self, message: M) -> bool {
        let link = self.lock().clone();
        link.is_some_and(|link| link.post(Envelope::Message(message)))
    }

    /// Sends what `question` makes of a [`Reply`] and waits for the answer. For tasks only: a handler cannot
    /// await.
    pub async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(Reply<T>) -> M,
        timeout: Duration,
    ) -> Result<T, AskError> {
        let (sender, answer) = oneshot::channel();
        if !self.send(question(Reply(sender))) {
            return Err(AskError::Nobody);
        }
        match tokio::time::timeout(timeout, answer).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_)) => Err(AskError::Dropped),
            Err(_) => Err(AskError::Timeout(timeout)),
        }
    }

    pub(super) fn connect(&self, link: Link<M>) {
        *self.lock() = Some(link);
    }

    /// Waits until nobody sits here any more. A crash of a supervisor kills its children without waiting
    /// for them; two incarnations at one address would be two owners of one state.
    pub(super) async fn vacant(&self) {
        let before = self.lock().clone();
        if let Some(link) = before {
            // Without a timeout it cannot fail.
            let _ = link.actor.wait(None).await;
        }
    }

    #[cfg(test)]
    pub(super) fn kill(&self) {
        if let Some(link) = self.lock().as_ref() {
            link.actor.kill();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Link<M>>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The asker's end of [`Address::ask`], put into a message.
#[derive(Debug)]
pub struct Reply<T>(oneshot::Sender<T>);

impl<T> Reply<T> {
    /// An asker that went away is no concern of the one who answers.
    pub fn send(self, answer: T) {
        let _ = self.0.send(answer);
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    #[error("nobody is there now")]
    Nobody,
    #[error("the actor dropped the question (it crashed, or chose not to answer)")]
    Dropped,
    #[error("no answer within {0:?}")]
    Timeout(Duration),
}
