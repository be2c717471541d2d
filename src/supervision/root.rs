//! The top of a running tree.
use super::board::Board;
use super::launch::KILL_GRACE;
use super::node::Node;
use super::spec::SupervisorSpec;
use super::supervisor::{Order, Rule, Supervisor, Throne};
use fleet_contracts::commands::ActorState;
use ractor::{Actor, ActorCell};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::oneshot;

/// How a tree ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// Patience ended, or something ended that nobody asked to: the process must fail. With the reason.
    GaveUp(String),
    /// [`Root::stop`] was called.
    Stopped,
}

/// A running tree. Cheap to clone; dropping it stops nothing.
#[derive(Clone)]
pub struct Root {
    actor: Option<ActorCell>,
    node: Arc<Node>,
    asked: Arc<AtomicBool>,
}

/// Brings a tree up. Returns when every child has been tried once; one that does not come up is retried as
/// its supervisor says, and shown on the board.
pub async fn run_root(spec: SupervisorSpec) -> Root {
    run_root_watched(spec, |_| ()).await
}

/// The same; `watch` gets the board before the first child starts: a start can hang too.
pub async fn run_root_watched(spec: SupervisorSpec, watch: impl FnOnce(Board)) -> Root {
    let node = Node::root(spec.name);
    watch(Board::new(node.clone()));
    let (ready, is_ready) = oneshot::channel();
    let throne = Throne { rule: Rule::Tree(Arc::new(spec)), node: node.clone(), ready };
    node.starting();
    let actor = match Supervisor::spawn(None, Supervisor, throne).await {
        Ok((actor, _)) => {
            // An error says that it has ended already, which `wait` tells.
            let _ = is_ready.await;
            Some(actor.get_cell())
        }
        Err(error) => {
            node.gave_up(&format!("the root supervisor does not start: {error}"));
            None
        }
    };
    Root { actor, node, asked: Arc::new(AtomicBool::new(false)) }
}

impl Root {
    /// Waits for the end. Anything but an asked-for stop is `GaveUp`, whatever ended it.
    pub async fn wait(&self) -> Ended {
        if let Some(actor) = &self.actor {
            // Without a timeout it cannot fail.
            let _ = actor.wait(None).await;
        }
        self.ended()
    }

    fn ended(&self) -> Ended {
        match (self.node.why_gave_up(), self.asked.load(Ordering::SeqCst)) {
            (Some(why), _) => Ended::GaveUp(why),
            (None, true) => Ended::Stopped,
            (None, false) => Ended::GaveUp("the root supervisor ended without being asked".into()),
        }
    }

    /// Ordered stop: children in reverse, each within its own budget and then killed. What still runs after
    /// `budget` is killed too.
    pub async fn stop(&self, budget: Duration) -> Ended {
        self.asked.store(true, Ordering::SeqCst);
        self.node.is(ActorState::Stopping);
        if let Some(actor) = &self.actor {
            actor.stop(None);
            if actor.wait(Some(budget)).await.is_err() {
                tracing::warn!(?budget, "the tree did not stop in time: killed");
                actor.kill();
                let _ = actor.wait(Some(KILL_GRACE)).await;
            }
        }
        self.ended()
    }

    /// Whether the root supervisor still takes orders, asked with a deadline.
    pub async fn is_alive(&self, deadline: Duration) -> bool {
        matches!(tokio::time::timeout(deadline, self.ask()).await, Ok(Ok(())))
    }

    /// Resolves when the root supervisor takes this order, and breaks when it is gone.
    pub fn ask(&self) -> oneshot::Receiver<()> {
        let (reply, answer) = oneshot::channel();
        if let Some(actor) = &self.actor {
            // One that is gone drops the reply, which says so.
            let _ = actor.send_message(Order::Answer(reply));
        }
        answer
    }

    pub fn board(&self) -> Board {
        Board::new(self.node.clone())
    }
}
