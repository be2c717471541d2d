//! Read view of the live tree.
use super::node::Node;
use super::supervisor::Order;
use fleet_contracts::commands::Actor;
use std::sync::Arc;
use tokio::sync::oneshot;

/// The live tree, as the running supervisors and actors write it. Cheap to clone.
#[derive(Clone)]
pub struct Board {
    root: Arc<Node>,
}

/// An actor that does not end handling one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stuck {
    /// Path from the root.
    pub actor: String,
    /// The word for the message.
    pub message: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestartOutcome {
    /// Path from the root.
    pub name: String,
    /// Total since the process began.
    pub restarts: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RestartError {
    #[error("there is no actor {0}")]
    NotFound(String),
    #[error("{name} is ambiguous: {}", candidates.join(", "))]
    Ambiguous { name: String, candidates: Vec<String> },
    #[error("the root cannot be restarted: restart the process")]
    Root,
    #[error("{0} did not come up: it, or a supervisor above it, is down or went down meanwhile")]
    Down(String),
}

impl Board {
    pub(super) fn new(root: Arc<Node>) -> Self {
        Self { root }
    }

    /// All actors in tree order: parents before children, children as declared.
    pub fn actors(&self) -> Vec<Actor> {
        self.nodes().iter().map(|node| node.describe()).collect()
    }

    /// An actor that was found at the same message in more than `patience` looks, this one included. For one
    /// watcher that looks at regular intervals; waits for nobody.
    pub fn look(&self, patience: u32) -> Option<Stuck> {
        // No early end: each actor's looks are counted.
        let stuck = self.nodes().into_iter().filter_map(|node| {
            let (message, looks) = node.look()?;
            (looks > patience).then(|| Stuck { actor: node.path.clone(), message })
        });
        // Parents come before children, and are busy with nothing that a child does.
        stuck.collect::<Vec<_>>().into_iter().next()
    }

    /// The path that a path, or its last part or parts where those are unique, stand for.
    ///
    /// # Errors
    /// Nothing, more than one, or the root bears this name.
    pub fn resolve(&self, name: &str) -> Result<String, RestartError> {
        self.restartable(name).map(|node| node.path.clone())
    }

    /// Restarts one actor (under `rest_for_one` the later ones with it) and answers when the new one is up.
    /// Uses no budget and waits for no backoff. Without an own deadline: while starts fail it waits on.
    pub async fn restart(&self, name: &str) -> Result<RestartOutcome, RestartError> {
        let node = self.restartable(name)?;
        let (reply, answer) = oneshot::channel();
        let down = || RestartError::Down(node.path.clone());
        let owner = node.owner().ok_or_else(down)?;
        owner.send_message(Order::Restart { path: node.path.clone(), reply }).map_err(|_| down())?;
        let restarts = answer.await.map_err(|_| down())?;
        Ok(RestartOutcome { name: node.path.clone(), restarts })
    }

    fn restartable(&self, name: &str) -> Result<Arc<Node>, RestartError> {
        let node = self.find(name)?;
        if Arc::ptr_eq(&node, &self.root) { Err(RestartError::Root) } else { Ok(node) }
    }

    fn find(&self, name: &str) -> Result<Arc<Node>, RestartError> {
        let nodes = self.nodes();
        if let Some(exact) = nodes.iter().find(|node| node.path == name) {
            return Ok(exact.clone());
        }
        let end = format!("/{name}");
        let mut found: Vec<_> = nodes.into_iter().filter(|node| node.path.ends_with(&end)).collect();
        match found.len() {
            0 => Err(RestartError::NotFound(name.into())),
            1 => Ok(found.remove(0)),
            _ => {
                let candidates = found.iter().map(|node| node.path.clone()).collect();
                Err(RestartError::Ambiguous { name: name.into(), candidates })
            }
        }
    }

    fn nodes(&self) -> Vec<Arc<Node>> {
        let mut found = vec![];
        collect(&self.root, &mut found);
        found
    }
}

fn collect(node: &Arc<Node>, found: &mut Vec<Arc<Node>>) {
    found.push(node.clone());
    node.children().iter().for_each(|child| collect(child, found));
}
