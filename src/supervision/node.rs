//! One actor as the board shows it. Written by its supervisor and by its running incarnation.
use super::budget::Ledger;
use super::context::TaskId;
use super::failure::Failure;
use super::supervisor::Order;
use fleet_contracts::Timestamp;
use fleet_contracts::commands::{Actor, ActorError, ActorKind, ActorState, Doing};
use ractor::ActorRef;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

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
        let message = failure.message.clone();
        lock(&self.facts).last_error =
            Some(ActorError { at: Timestamp::now(), cause: failure.cause, message });
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

    pub fn describe(&self) -> Actor {
        let facts = lock(&self.facts);
        let now = Instant::now();
        let activity = lock(&facts.live.activity);
        let waiting = facts.state == ActorState::Running && activity.waiting_for.is_some();
        // What the last incarnation left is gone with it.
        let there = !matches!(facts.state, ActorState::BackingOff | ActorState::Parked);
        Actor {
            name: self.path.clone(),
            parent: self.parent.clone(),
            kind: self.kind,
            state: if waiting { ActorState::Waiting } else { facts.state },
            waiting_for: if waiting { activity.waiting_for.clone() } else { None },
            retry_in_ms: facts.retry_at.map(|at| millis(at.saturating_duration_since(now))),
            restarts: facts.starts.saturating_sub(1),
            since: facts.live.since,
            last_error: facts.last_error.clone(),
            last_progress_ms: millis(now.saturating_duration_since(activity.progress)),
            mailbox: if there { facts.live.mailbox.load(Ordering::Relaxed) } else { 0 },
            doing: if there { activity.oldest(now) } else { None },
            strategy: facts.strategy.map(Into::into),
            budget: facts.budget.as_ref().map(|ledger| ledger.used(now)),
        }
    }
}

/// One incarnation, as it is now.
pub(super) struct Live {
    since: Timestamp,
    mailbox: AtomicU64,
    activity: Mutex<Activity>,
}

struct Activity {
    progress: Instant,
    doing: BTreeMap<TaskId, (String, Instant)>,
    waiting_for: Option<String>,
}

impl Activity {
    /// Task ids grow: the first one is the oldest.
    fn oldest(&self, now: Instant) -> Option<Doing> {
        let (what, since) = self.doing.values().next()?;
        Some(Doing { what: what.clone(), for_ms: millis(now.saturating_duration_since(*since)) })
    }
}

impl Live {
    fn new() -> Self {
        let activity = Activity { progress: Instant::now(), doing: BTreeMap::new(), waiting_for: None };
        Self { since: Timestamp::now(), mailbox: AtomicU64::new(0), activity: Mutex::new(activity) }
    }

    pub fn put(&self) {
        self.mailbox.fetch_add(1, Ordering::Relaxed);
    }

    pub fn took(&self) {
        self.mailbox.fetch_sub(1, Ordering::Relaxed);
    }

    pub fn progressed(&self) {
        lock(&self.activity).progress = Instant::now();
    }

    pub fn doing(&self, task: TaskId, what: String) {
        lock(&self.activity).doing.insert(task, (what, Instant::now()));
    }

    pub fn done(&self, task: TaskId) {
        lock(&self.activity).doing.remove(&task);
    }

    pub fn waiting_for(&self, what: Option<String>) {
        lock(&self.activity).waiting_for = what;
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
