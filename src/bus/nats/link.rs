//! The state of the connection: kept, and each change of it logged once.
use crate::bus::LinkState;
use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// Different complaints remembered between two connections. A device may be offline for weeks: a
/// complaint that was logged once is not logged again, and past this many none is.
const MAX_COMPLAINTS: usize = 16;

/// All the client tells of credentials that could not be had, from whatever source.
const NO_CREDENTIALS: &str = "failed signing nonce";

/// What is known of the connection.
pub(super) struct Link {
    state: watch::Sender<LinkState>,
    memory: Mutex<Memory>,
}

#[derive(Default)]
struct Memory {
    epoch: u64,
    /// Why the last attempt that asked could not say who it is.
    credential_error: Option<String>,
    /// Logged since the last change between connected and not connected.
    complaints: BTreeSet<String>,
}

impl Link {
    pub fn new() -> Self {
        let start = LinkState::Connecting { attempts: 0, last_error: None };
        Self { state: watch::Sender::new(start), memory: Mutex::default() }
    }

    pub fn watch(&self) -> watch::Receiver<LinkState> {
        self.state.subscribe()
    }

    /// The epoch of the connection, if there is one.
    pub fn epoch(&self) -> Option<u64> {
        epoch_of(&self.state.borrow())
    }

    /// Why there is no connection, in words.
    pub fn trouble(&self) -> String {
        match &*self.state.borrow() {
            LinkState::Connecting { last_error: Some(error), .. } => format!("not connected: {error}"),
            LinkState::Connecting { last_error: None, .. } | LinkState::Connected { .. } => {
                "not connected".into()
            }
        }
    }

    /// The `n`th attempt since the connection was lost is about to begin.
    pub fn attempt(&self, n: usize) {
        self.state.send_if_modified(|state| match state {
            LinkState::Connecting { attempts, .. } => {
                *attempts = n as u64;
                true
            }
            // The loss is known to the client before it is known here.
            LinkState::Connected { .. } => false,
        });
    }

    /// The credentials were asked: None when they answered.
    pub fn credentials(&self, error: Option<String>) {
        self.memory().credential_error = error;
    }

    /// An attempt failed, or the server complained.
    pub fn complaint(&self, text: &str) {
        let text = self.cause(text);
        if self.is_new(&text) {
            tracing::warn!(error = %text, "NATS");
        }
        self.state.send_if_modified(|state| match state {
            LinkState::Connecting { last_error, .. } => {
                *last_error = Some(text);
                true
            }
            LinkState::Connected { .. } => false,
        });
    }

    pub fn connected(&self, server: String) {
        let epoch = {
            let mut memory = self.memory();
            memory.epoch += 1;
            memory.complaints.clear();
            memory.epoch
        };
        tracing::info!(%server, epoch, "connected to NATS");
        self.state.send_replace(LinkState::Connected { server, epoch });
    }

    /// `reason` is None when the client does not know.
    pub fn disconnected(&self, reason: Option<&str>) {
        self.memory().complaints.clear();
        if self.epoch().is_some() {
            tracing::warn!(reason, "connection to NATS lost");
        }
        self.state.send_replace(LinkState::Connecting { attempts: 0, last_error: reason.map(str::to_owned) });
    }

    /// What the client says, or what it made that from.
    fn cause(&self, text: &str) -> String {
        match &self.memory().credential_error {
            Some(error) if text.ends_with(NO_CREDENTIALS) => error.clone(),
            Some(_) | None => text.into(),
        }
    }

    fn is_new(&self, text: &str) -> bool {
        let mut memory = self.memory();
        memory.complaints.len() < MAX_COMPLAINTS && memory.complaints.insert(text.into())
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        // Nothing in here is left half-written by a panic.
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) fn epoch_of(state: &LinkState) -> Option<u64> {
    match state {
        LinkState::Connected { epoch, .. } => Some(*epoch),
        LinkState::Connecting { .. } => None,
    }
}

/// Waits until the connection of `epoch` is gone.
pub(super) async fn left(link: &mut watch::Receiver<LinkState>, epoch: u64) {
    // An error means that the bus is gone, and the connection with it.
    let _ = link.wait_for(|state| epoch_of(state) != Some(epoch)).await;
}

#[cfg(test)]
mod tests;
