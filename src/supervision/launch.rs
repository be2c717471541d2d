//! Starting and stopping one child, from outside of its supervisor's handler.
use super::address::Address;
use super::failure::Failure;
use super::node::Node;
use super::supervisor::{Order, Rule, Supervisor, Throne};
use super::worker::{Runner, Seat, Worker};
use fleet_contracts::commands::{ActorState, Cause};
use futures_util::future::BoxFuture;
use ractor::{Actor, ActorCell, ActorRef, SpawnErr};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::timeout;

/// A start is short by contract; one that takes longer hangs.
const START_WITHIN: Duration = Duration::from_secs(10);
/// A supervisor counts as up when each child has been tried once, or after this: half of its own limit.
const READY_WITHIN: Duration = Duration::from_secs(5);
/// A killed actor ends at its next await; only one that spins needs longer.
pub(super) const KILL_GRACE: Duration = Duration::from_secs(1);

/// Starts one incarnation, linked to its supervisor.
pub(super) type Starter = Arc<dyn Fn(Place) -> BoxFuture<'static, Result<ActorCell, SpawnErr>> + Send + Sync>;

pub(super) struct Place {
    pub supervisor: ActorRef<Order>,
    pub node: Arc<Node>,
}

pub(super) fn worker_starter<W: Worker>(args: W::Args, address: Address<W::Msg>) -> Starter {
    Arc::new(move |place| {
        let seat = Seat::<W> { args: args.clone(), address: address.clone(), node: place.node };
        Box::pin(async move {
            let parent = place.supervisor.get_cell();
            let (actor, _) = Runner::<W>::spawn_linked(None, Runner::new(), seat, parent).await?;
            Ok(actor.get_cell())
        })
    })
}

pub(super) fn supervisor_starter(rule: Rule) -> Starter {
    Arc::new(move |place| {
        let (ready, is_ready) = oneshot::channel();
        let throne = Throne { rule: rule.clone(), node: place.node, ready };
        Box::pin(async move {
            let parent = place.supervisor.get_cell();
            let (actor, _) = Supervisor::spawn_linked(None, Supervisor, throne, parent).await?;
            // Not ready in time, or dead already: its own supervisor deals with either.
            let _ = timeout(READY_WITHIN, is_ready).await;
            Ok(actor.get_cell())
        })
    })
}

/// Starts a child; a start that comes too late is killed.
pub(super) async fn start(starter: Starter, place: Place) -> Result<ActorCell, Failure> {
    let (report, outcome) = oneshot::channel();
    // A task of its own: a start that spins would keep the timeout from firing.
    tokio::spawn(async move {
        let started = starter(place).await;
        if let Err(Ok(late)) = report.send(started) {
            late.kill();
        }
    });
    match timeout(START_WITHIN, outcome).await {
        Ok(Ok(Ok(actor))) => Ok(actor),
        Ok(Ok(Err(error))) => Err(failed_start(error)),
        Ok(Err(_)) => Err(Failure::new(Cause::Start, "the start was cut off")),
        Err(_) => Err(Failure::new(Cause::Start, format!("not up within {START_WITHIN:?}"))),
    }
}

fn failed_start(error: SpawnErr) -> Failure {
    match error {
        SpawnErr::StartupFailed(error) => {
            let failure = Failure::from_exit(error);
            let panicked = if failure.cause == Cause::Panic { "panic: " } else { "" };
            Failure::new(Cause::Start, format!("{panicked}{}", failure.message))
        }
        other @ (SpawnErr::ActorAlreadyStarted | SpawnErr::ActorAlreadyRegistered(_)) => {
            Failure::new(Cause::Start, other.to_string())
        }
    }
}

/// Stops a child: asks, waits for its budget, kills. Returns when it is gone, however long that takes: two
/// incarnations must not run side by side.
pub(super) async fn stop(actor: ActorCell, within: Duration, node: Arc<Node>) {
    node.is(ActorState::Stopping);
    actor.stop(None);
    // Not `stop_and_wait`: a second one returns at once although the actor lives on.
    if actor.wait(Some(within)).await.is_ok() {
        return;
    }
    tracing::warn!(actor = %node.path, within = ?within, "did not stop in time: killed");
    actor.kill();
    if actor.wait(Some(KILL_GRACE)).await.is_err() {
        tracing::error!(actor = %node.path, "does not even end when killed");
        node.is(ActorState::Stuck);
        let _ = actor.wait(None).await;
    }
}
