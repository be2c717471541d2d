//! One place in a supervisor.
use super::backoff::Backoff;
use super::budget::Ledger;
use super::failure::Failure;
use super::launch::{self, KILL_GRACE};
use super::node::Node;
use super::spec::ChildSpec;
use fleet_contracts::commands::{ActorState, Cause};
use ractor::{ActorCell, ActorId};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::Instant;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SlotId(pub u64);

pub(super) enum Phase {
    /// Nobody is there; started when its turn comes.
    Down,
    Starting(JoinHandle<Result<ActorCell, Failure>>),
    Up(ActorCell),
    /// A stop that was asked for; the slot's [`Then`] says what follows.
    Stopping(JoinHandle<()>),
    BackingOff,
    Parked,
}

/// What follows a stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    Start,
    Park,
    Remove,
}

pub(super) struct Slot {
    pub id: SlotId,
    pub spec: ChildSpec,
    pub node: Arc<Node>,
    pub phase: Phase,
    /// A stop is wanted, or runs.
    pub then: Option<Then>,
    /// Grows with each backoff: an older timer is stale.
    pub turn: u64,
    /// Has been up, or failed to be, since the supervisor began: it no longer holds back the next one.
    pub tried: bool,
    up_since: Option<Instant>,
    pub backoff: Backoff,
    /// Of a keyed child.
    pub budget: Option<Ledger>,
    waiters: Vec<oneshot::Sender<u64>>,
}

impl Slot {
    pub fn new(id: SlotId, spec: ChildSpec, node: Arc<Node>, budget: Option<Ledger>) -> Self {
        Self {
            id,
            spec,
            node,
            phase: Phase::Down,
            then: None,
            turn: 0,
            tried: false,
            up_since: None,
            backoff: Backoff::default(),
            budget,
            waiters: vec![],
        }
    }

    pub fn is_starting(&self) -> bool {
        matches!(self.phase, Phase::Starting(_))
    }

    pub fn is_up(&self) -> bool {
        matches!(self.phase, Phase::Up(_))
    }

    pub fn is_up_as(&self, id: ActorId) -> bool {
        matches!(&self.phase, Phase::Up(actor) if actor.get_id() == id)
    }

    /// Nobody is there, comes or goes.
    pub fn is_empty(&self) -> bool {
        match self.phase {
            Phase::Down | Phase::BackingOff | Phase::Parked => true,
            Phase::Starting(_) | Phase::Up(_) | Phase::Stopping(_) => false,
        }
    }

    pub fn up(&mut self, actor: ActorCell) {
        self.phase = Phase::Up(actor);
        self.tried = true;
        self.up_since = Some(Instant::now());
        if self.then.is_some() {
            return;
        }
        self.node.up();
        if let Some(hook) = &self.spec.on_up {
            hook();
        }
        let restarts = self.node.restarts();
        // One that asked and went away is no concern of ours.
        for waiter in self.waiters.drain(..) {
            let _ = waiter.send(restarts);
        }
    }

    /// Its actor has ended, or did not come up; returns how long it ran.
    pub fn emptied(&mut self) -> Duration {
        self.phase = Phase::Down;
        self.tried = true;
        self.up_since.take().map(|since| since.elapsed()).unwrap_or_default()
    }

    /// Wants it stopped; the last wish counts.
    pub fn leave(&mut self, then: Then) {
        self.turn += 1;
        if then == Then::Park {
            self.waiters.clear();
        }
        self.then = Some(then);
    }

    pub fn park(&mut self) {
        self.phase = Phase::Parked;
        self.waiters.clear();
        self.node.down(ActorState::Parked, None);
    }

    /// The supervisor starts anew, with a clean budget and in the declared order.
    pub fn resume(&mut self) {
        self.tried = false;
        self.backoff.clear();
        match (&self.phase, self.then) {
            (Phase::Parked, _) => self.phase = Phase::Down,
            (_, Some(Then::Park)) => self.then = Some(Then::Start),
            (_, None | Some(Then::Start | Then::Remove)) => {}
        }
    }

    pub fn restart_as_requested(&mut self, reply: oneshot::Sender<u64>) {
        self.waiters.push(reply);
        self.node.failed(&Failure::new(Cause::Requested, "restart requested"));
        match self.phase {
            Phase::Up(_) => self.leave(Then::Start),
            Phase::BackingOff => self.end_wait(),
            Phase::Parked => self.unpark(),
            // A new one is on its way.
            Phase::Down | Phase::Starting(_) | Phase::Stopping(_) => {}
        }
    }

    pub fn ensure(&mut self, spec: ChildSpec) {
        if self.then == Some(Then::Remove) {
            self.spec = spec;
            self.then = Some(Then::Start);
        } else if matches!(self.phase, Phase::Parked) {
            self.unpark();
        }
    }

    pub fn is_parked(&self) -> bool {
        matches!(self.phase, Phase::Parked)
    }

    fn unpark(&mut self) {
        self.backoff.clear();
        self.forgive();
        self.end_wait();
    }

    /// What crashed so far was another task's fault.
    pub fn forgive(&mut self) {
        if let Some(budget) = &mut self.budget {
            budget.clear();
        }
    }

    fn end_wait(&mut self) {
        self.turn += 1;
        self.phase = Phase::Down;
    }

    /// For the end of the supervisor: how long it may take, and the work.
    pub fn stop(self) -> (Duration, impl Future<Output = ()> + Send + 'static) {
        let within = self.spec.stop_within;
        let work = async move {
            match self.phase {
                Phase::Up(actor) => launch::stop(actor, within, self.node).await,
                Phase::Starting(start) => {
                    if let Ok(Ok(actor)) = start.await {
                        launch::stop(actor, within, self.node).await;
                    }
                }
                // An error says that the task is gone, and the actor with it.
                Phase::Stopping(stop) => drop(stop.await),
                Phase::Down | Phase::BackingOff | Phase::Parked => {}
            }
        };
        (within + 2 * KILL_GRACE, work)
    }
}
