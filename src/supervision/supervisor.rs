//! The ractor actor that watches over its children.
use super::budget::Budget;
use super::failure::Failure;
use super::keyed::Directory;
use super::node::Node;
use super::slot::SlotId;
use super::spec::SupervisorSpec;
use ractor::{Actor, ActorCell, ActorProcessingErr, ActorRef};
use std::sync::Arc;
use tokio::sync::oneshot;

/// What a supervisor is told.
pub(super) enum Order {
    /// A start has ended.
    Started {
        slot: SlotId,
        result: Result<ActorCell, Failure>,
    },
    /// A stop that we asked for has ended.
    Stopped {
        slot: SlotId,
    },
    /// A backoff is over.
    Due {
        slot: SlotId,
        turn: u64,
    },
    /// The time of being parked is over.
    Resume {
        turn: u64,
    },
    /// Asked for from outside; the answer is the total of restarts.
    Restart {
        path: String,
        reply: oneshot::Sender<u64>,
    },
    Ensure(String),
    Retire(String),
}

#[derive(Clone)]
pub(super) enum Rule {
    Tree(Arc<SupervisorSpec>),
    Keyed { budget: Budget, children: Arc<dyn Directory> },
}

pub(super) struct Throne {
    pub rule: Rule,
    pub node: Arc<Node>,
    pub ready: oneshot::Sender<()>,
}

pub(super) struct Supervisor;

impl Actor for Supervisor {
    type Msg = Order;
    type State = ();
    type Arguments = Throne;

    async fn pre_start(&self, _me: ActorRef<Order>, _throne: Throne) -> Result<(), ActorProcessingErr> {
        todo!()
    }
}
