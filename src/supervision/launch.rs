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
/// A supervisor counts as up when each child has been tried once, or after this. It is no failure: its
/// siblings must not wait for ever for a child of it that does not come up.
const READY_WITHIN: Duration = START_WITHIN;
/// A killed actor ends at its next await; only one that spins needs longer.
pub(super) const KILL_GRACE: Duration = Duration::from_secs(1);

/// Starts one incarnation, linked to its supervisor. Must not await once that has succeeded: cut off there,
/// the actor would live on unknown.
pub(super) type Starter = Arc<dyn Fn(Place) -> BoxFuture<'static, Result<Started, SpawnErr>> + Send + Sync>;

pub(super) struct Started {
    pub actor: ActorCell,
    /// Resolves, or breaks, when the next sibling may start.
    pub ready: Option<oneshot::Receiver<()>>,
}

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
            Ok(Started { actor: actor.get_cell(), ready: None })
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
            Ok(Started { actor: actor.get_cell(), ready: Some(is_ready) })
        })
    })
}

/// Starts a child. A start that hangs is cut off; one that cannot be and comes too late is killed.
pub(super) async fn start(starter: Starter, place: Place) -> Result<ActorCell, Failure> {
    let (report, outcome) = oneshot::channel();
    // A task of its own: a start that spins would keep the timeout from firing.
    let starting = tokio::spawn(async move {
        let started = starter(place).await;
        if let Err(Ok(late)) = report.send(started) {
            late.actor.kill();
        }
    });
    let started = match timeout(START_WITHIN, outcome).await {
        Ok(Ok(started)) => started.map_err(failed_start)?,
        Ok(Err(_)) => return Err(Failure::new(Cause::Start, "the start was cut off")),
        Err(_) => {
            starting.abort();
            return Err(Failure::new(Cause::Start, format!("not up within {START_WITHIN:?}")));
        }
    };
    if let Some(ready) = started.ready {
        // Not ready in time, or dead already: its own supervisor hears of either.
        let _ = timeout(READY_WITHIN, ready).await;
    }
    Ok(started.actor)
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
