//! One place in a supervisor.
use super::backoff::Backoff;
use super::budget::Ledger;
use super::failure::Failure;
use super::node::Node;
use super::spec::ChildSpec;
use ractor::ActorCell;
use std::sync::Arc;
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
    /// Grows whenever a wait is begun or cut short: an older timer is stale.
    pub turn: u64,
    /// Has been started, or failed to, since its supervisor began: it no longer holds back the next one.
    pub tried: bool,
    pub up_since: Option<Instant>,
    pub backoff: Backoff,
    /// Of a keyed child.
    pub budget: Option<Ledger>,
    pub waiters: Vec<oneshot::Sender<u64>>,
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
}
