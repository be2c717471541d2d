//! One actor as the board shows it. Written by its supervisor and by its running incarnation.
use super::budget::Ledger;
use super::failure::Failure;
use super::live::{Live, lock, millis};
use super::supervisor::Order;
use fleet_contracts::Timestamp;
use fleet_contracts::commands::{Actor, ActorError, ActorKind, ActorState};
use ractor::ActorRef;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::Instant;

/// A slot's entry. It outlives incarnations, and restarts of the slot's supervisor.
pub(super) struct Node {
    pub path: String,
    parent: Option<String>,
    kind: ActorKind,
    facts: Mutex<Facts>,
    children: Mutex<Vec<Arc<Node>>>,
}

struct Facts {
    state: ActorState,
    retry_at: Option<Instant>,
    starts: u64,
    last_error: Option<ActorError>,
    live: Arc<Live>,
    strategy: Option<&'static str>,
    budget: Option<Ledger>,
    owner: Option<ActorRef<Order>>,
    gave_up: Option<String>,
}

impl Node {
    pub fn root(name: &str) -> Arc<Self> {
        Arc::new(Self::new(name.into(), None, ActorKind::Supervisor))
    }

    fn new(path: String, parent: Option<String>, kind: ActorKind) -> Self {
        let facts = Facts {
            state: ActorState::Starting,
            retry_at: None,
            starts: 0,
            last_error: None,
            live: Arc::new(Live::new()),
            strategy: None,
            budget: None,
            owner: None,
            gave_up: None,
        };
        Self { path, parent, kind, facts: Mutex::new(facts), children: Mutex::default() }
    }

    /// The child of that name: its history goes on when its supervisor is restarted.
    pub fn child(&self, name: &str, kind: ActorKind, owner: ActorRef<Order>) -> Arc<Self> {
        let path = format!("{}/{name}", self.path);
        let mut children = lock(&self.children);
        let known = children.iter().find(|child| child.path == path).cloned();
        let child = known.unwrap_or_else(|| {
            children.push(Arc::new(Self::new(path, Some(self.path.clone()), kind)));
            children[children.len() - 1].clone()
        });
        lock(&child.facts).owner = Some(owner);
        child
    }

    pub fn children(&self) -> Vec<Arc<Node>> {
        lock(&self.children).clone()
    }

    pub fn forget_child(&self, path: &str) {
        lock(&self.children).retain(|child| child.path != path);
    }

    pub fn keep_children(&self, paths: &[String]) {
        lock(&self.children).retain(|child| paths.contains(&child.path));
    }

    pub fn owner(&self) -> Option<ActorRef<Order>> {
        lock(&self.facts).owner.clone()
    }

    pub fn starting(&self) {
        let mut facts = lock(&self.facts);
        facts.state = ActorState::Starting;
        facts.retry_at = None;
        facts.starts += 1;
    }

    /// Up, unless it has moved on already (a supervisor may park before its start is reported).
    pub fn up(&self) {
        let mut facts = lock(&self.facts);
        if facts.state == ActorState::Starting {
            facts.state = ActorState::Running;
        }
    }

    pub fn progressed(&self) {
        lock(&self.facts).live.progressed();
    }

    pub fn restarts(&self) -> u64 {
        lock(&self.facts).starts.saturating_sub(1)
    }

    /// A new incarnation: what the old one still writes is not shown any more.
    pub fn begin(&self) -> Arc<Live> {
        let live = Arc::new(Live::new());
        lock(&self.facts).live = live.clone();
        live
    }

    pub fn is(&self, state: ActorState) {
        let mut facts = lock(&self.facts);
        facts.state = state;
        facts.retry_at = None;
    }

    /// Down, and with it everything below: `BackingOff` or `Parked`, until `retry_in` is over (`None`:
    /// until asked for).
    pub fn down(&self, state: ActorState, retry_in: Option<Duration>) {
        {
            let mut facts = lock(&self.facts);
            facts.state = state;
            facts.retry_at = retry_in.map(|delay| Instant::now() + delay);
        }
        self.children().iter().for_each(|child| child.down(state, retry_in));
    }

    pub fn failed(&self, failure: &Failure) {
        lock(&self.facts).last_error = Some(error(failure));
    }

    /// Its incarnation is gone: in one step, so that nobody sees one that runs and has failed.
    pub fn crashed(&self, failure: &Failure) {
        let mut facts = lock(&self.facts);
        facts.last_error = Some(error(failure));
        facts.state = ActorState::Starting;
    }

    pub fn gave_up(&self, why: &str) {
        lock(&self.facts).gave_up = Some(why.into());
    }

    pub fn why_gave_up(&self) -> Option<String> {
        lock(&self.facts).gave_up.clone()
    }

    pub fn supervises(&self, strategy: &'static str, budget: &Ledger) {
        let mut facts = lock(&self.facts);
        facts.strategy = Some(strategy);
        facts.budget = Some(budget.clone());
    }

    /// What the actor is busy with now, and in how many looks it has been seen at that.
    pub fn look(&self) -> Option<(&'static str, u32)> {
        let live = lock(&self.facts).live.clone();
        live.look()
    }

    pub fn describe(&self) -> Actor {
        let facts = lock(&self.facts);
        let now = Instant::now();
        let glance = facts.live.glance(now);
        // What the last incarnation left is gone with it.
        let there = !matches!(facts.state, ActorState::BackingOff | ActorState::Parked);
        let stuck = glance.stuck;
        let waiting = facts.state == ActorState::Running && glance.waiting_for.is_some() && stuck.is_none();
        let state = match &stuck {
            Some(_) => ActorState::Stuck,
            None if waiting => ActorState::Waiting,
            None => facts.state,
        };
        Actor {
            name: self.path.clone(),
            parent: self.parent.clone(),
            kind: self.kind,
            state,
            waiting_for: glance.waiting_for.filter(|_| waiting),
            retry_in_ms: facts.retry_at.map(|at| millis(at.saturating_duration_since(now))),
            restarts: facts.starts.saturating_sub(1),
            since: facts.live.since,
            last_error: facts.last_error.clone(),
            last_progress_ms: glance.last_progress_ms,
            mailbox: if there { glance.mailbox } else { 0 },
            doing: stuck.or(glance.doing.filter(|_| there)),
            strategy: facts.strategy.map(Into::into),
            budget: facts.budget.as_ref().map(|ledger| ledger.used(now)),
        }
    }
}

fn error(failure: &Failure) -> ActorError {
    ActorError { at: Timestamp::now(), cause: failure.cause, message: failure.message.clone() }
}
