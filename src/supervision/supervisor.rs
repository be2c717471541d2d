//! The ractor actor that watches over children: it translates, its [`Crew`] decides. Unlike ractor's own
//! default it never answers a child's death with a normal end of itself.
use super::budget::Budget;
use super::crew::Crew;
use super::failure::Failure;
use super::keyed::Directory;
use super::node::Node;
use super::slot::SlotId;
use super::spec::SupervisorSpec;
use crate::faults;
use fleet_contracts::commands::Cause;
use ractor::{Actor, ActorCell, ActorId, ActorProcessingErr, ActorRef, SupervisionEvent};
use std::sync::Arc;
use tokio::sync::oneshot;

/// What a supervisor is told.
#[derive(strum::IntoStaticStr)]
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
    /// The time of being parked, or the time given to a last ordered stop, is over.
    ModeOver {
        turn: u64,
    },
    /// Asked for from outside; the answer is the total of restarts.
    Restart {
        path: String,
        reply: oneshot::Sender<u64>,
    },
    Ensure {
        name: String,
        /// Its crashes so far do not count.
        anew: bool,
    },
    Retire(String),
    /// Answered by any supervisor that still takes orders.
    Answer(oneshot::Sender<()>),
}

#[derive(Clone)]
pub(super) enum Rule {
    Tree(Arc<SupervisorSpec>),
    Keyed { budget: Budget, children: Arc<dyn Directory> },
}

pub(super) struct Throne {
    pub rule: Rule,
    pub node: Arc<Node>,
    /// Told when each child has been tried once.
    pub ready: oneshot::Sender<()>,
}

pub(super) struct Supervisor;

impl Actor for Supervisor {
    type Msg = Order;
    type State = Crew;
    type Arguments = Throne;

    async fn pre_start(&self, me: ActorRef<Order>, throne: Throne) -> Result<Crew, ActorProcessingErr> {
        Ok(Crew::new(me, throne))
    }

    async fn post_start(&self, _me: ActorRef<Order>, crew: &mut Crew) -> Result<(), ActorProcessingErr> {
        let _turn = crew.begin("its start");
        Ok(crew.advance()?)
    }

    async fn handle(
        &self,
        _me: ActorRef<Order>,
        order: Order,
        crew: &mut Crew,
    ) -> Result<(), ActorProcessingErr> {
        let _turn = crew.begin((&order).into());
        faults::point("actor", crew.path());
        match order {
            Order::Started { slot, result } => crew.on_started(slot, result),
            Order::Stopped { slot } => crew.on_stopped(slot),
            Order::Due { slot, turn } => crew.on_due(slot, turn),
            Order::ModeOver { turn } => crew.on_mode_over(turn)?,
            Order::Restart { path, reply } => crew.on_restart(&path, reply),
            Order::Ensure { name, anew } => crew.on_ensure(&name, anew),
            Order::Retire(name) => crew.on_retire(&name),
            // An asker that went away is no concern of ours.
            Order::Answer(reply) => drop(reply.send(())),
        }
        Ok(crew.advance()?)
    }

    async fn handle_supervisor_evt(
        &self,
        _me: ActorRef<Order>,
        event: SupervisionEvent,
        crew: &mut Crew,
    ) -> Result<(), ActorProcessingErr> {
        let _turn = crew.begin("the end of a child");
        if let Some((actor, failure)) = exit(event) {
            crew.on_exit(actor, failure);
        }
        Ok(crew.advance()?)
    }

    async fn post_stop(&self, _me: ActorRef<Order>, crew: &mut Crew) -> Result<(), ActorProcessingErr> {
        crew.stop_all().await;
        Ok(())
    }
}

/// Who ended, and why. What is left of its state is dropped here, before anything is started again.
fn exit(event: SupervisionEvent) -> Option<(ActorId, Failure)> {
    match event {
        SupervisionEvent::ActorFailed(actor, error) => Some((actor.get_id(), Failure::from_exit(error))),
        // A kill arrives like a normal end. Neither is normal for one that nobody asked to stop.
        SupervisionEvent::ActorTerminated(actor, _state, reason) => {
            let reason = reason.unwrap_or_else(|| "no reason given".into());
            let message = format!("stopped without being asked ({reason})");
            Some((actor.get_id(), Failure::new(Cause::Error, message)))
        }
        SupervisionEvent::ActorStarted(_) | SupervisionEvent::ProcessGroupChanged(_) => None,
    }
}
