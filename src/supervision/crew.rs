//! The slots of one supervisor and what becomes of them. Handlers change phases and wishes; [`Crew::advance`]
//! then takes every step that is possible now. It never waits: starts and stops run in tasks.
use super::budget::Ledger;
use super::failure::Failure;
use super::launch::{self, KILL_GRACE, Place};
use super::live::{Live, Turn};
use super::node::Node;
use super::slot::{Phase, Slot, SlotId, Then};
use super::spec::{ChildSpec, Ending, Strategy, SupervisorSpec};
use super::supervisor::{Order, Rule, Throne};
use fleet_contracts::commands::{ActorState, Cause};
use ractor::{ActorCell, ActorId, ActorRef};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout};

pub(super) struct Crew {
    me: ActorRef<Order>,
    rule: Rule,
    node: Arc<Node>,
    live: Arc<Live>,
    slots: Vec<Slot>,
    mode: Mode,
    /// Of all children together; a keyed supervisor counts per slot.
    budget: Ledger,
    /// Exits heard of before their start was reported.
    early: HashMap<ActorId, Failure>,
    last_id: u64,
    /// Grows with each change of mode: an older timer is stale.
    turn: u64,
    ready: Option<oneshot::Sender<()>>,
}

enum Mode {
    Running,
    Parked,
    /// Children are stopped in order, then the supervisor fails with this text.
    Failing(String),
}

impl Crew {
    pub fn new(me: ActorRef<Order>, throne: Throne) -> Self {
        let (budget, children) = match &throne.rule {
            Rule::Tree(spec) => {
                (spec.budget, spec.children.iter().map(|spec| (spec.clone(), false)).collect())
            }
            Rule::Keyed { budget, children } => (*budget, children.attach(me.clone())),
        };
        let live = throne.node.begin();
        let mut crew = Self {
            me,
            rule: throne.rule,
            node: throne.node,
            live,
            slots: vec![],
            mode: Mode::Running,
            budget: Ledger::new(budget),
            early: HashMap::new(),
            last_id: 0,
            turn: 0,
            ready: Some(throne.ready),
        };
        crew.node.is(ActorState::Running);
        children.into_iter().for_each(|(spec, parked)| crew.add(spec, parked));
        let known: Vec<_> = crew.slots.iter().map(|slot| slot.node.path.clone()).collect();
        crew.node.keep_children(&known);
        crew.show_budget();
        crew
    }

    pub fn path(&self) -> &str {
        &self.node.path
    }

    pub fn begin(&self, what: &'static str) -> Turn {
        self.live.begin(what)
    }

    fn add(&mut self, spec: ChildSpec, parked: bool) {
        self.last_id += 1;
        let node = self.node.child(spec.name(), spec.kind(), self.me.clone());
        let own_budget = match &self.rule {
            Rule::Tree(_) => None,
            Rule::Keyed { budget, .. } => Some(Ledger::new(*budget)),
        };
        let mut slot = Slot::new(SlotId(self.last_id), spec, node, own_budget);
        if parked {
            slot.park();
        }
        self.slots.push(slot);
    }

    pub fn on_started(&mut self, slot: SlotId, result: Result<ActorCell, Failure>) {
        let Some(at) = self.at(slot) else { return };
        match result {
            Ok(actor) => match self.early.remove(&actor.get_id()) {
                None => self.slots[at].up(actor),
                Some(failure) => self.crashed(at, failure),
            },
            Err(failure) => self.crashed(at, failure),
        }
        if !self.slots.iter().any(Slot::is_starting) {
            self.early.clear();
        }
    }

    pub fn on_stopped(&mut self, slot: SlotId) {
        if let Some(at) = self.at(slot) {
            self.slots[at].phase = Phase::Down;
        }
    }

    pub fn on_due(&mut self, slot: SlotId, turn: u64) {
        if let Some(at) = self.at(slot)
            && self.slots[at].turn == turn
        {
            self.slots[at].phase = Phase::Down;
        }
    }

    /// Exits are matched by actor id: those of a stop that we asked for, and of earlier incarnations, find
    /// nobody that is up.
    pub fn on_exit(&mut self, actor: ActorId, failure: Failure) {
        match self.slots.iter().position(|slot| slot.is_up_as(actor)) {
            Some(at) => self.crashed(at, failure),
            None if self.slots.iter().any(Slot::is_starting) => {
                self.early.insert(actor, failure);
            }
            None => {}
        }
    }

    pub fn on_mode_over(&mut self, turn: u64) -> Result<(), Failure> {
        if self.turn != turn {
            return Ok(());
        }
        match &self.mode {
            Mode::Running => Ok(()),
            Mode::Parked => {
                self.resume();
                Ok(())
            }
            Mode::Failing(why) => Err(Failure::new(Cause::Error, why.clone())),
        }
    }

    pub fn on_restart(&mut self, path: &str, reply: oneshot::Sender<u64>) {
        let Some(at) = self.slots.iter().position(|slot| slot.node.path == path) else { return };
        match self.mode {
            Mode::Running => {}
            Mode::Parked => self.resume(),
            // The reply is dropped, which says so.
            Mode::Failing(_) => return,
        }
        if self.slots[at].then == Some(Then::Remove) {
            return;
        }
        tracing::warn!(actor = %path, cause = "requested", "restart");
        self.slots[at].restart_as_requested(reply);
        self.no_longer_parked(at);
        self.renew_later_ones(at);
    }

    pub fn on_ensure(&mut self, name: &str, anew: bool) {
        let spec = match &self.rule {
            Rule::Tree(_) => None,
            Rule::Keyed { children, .. } => children.child(name),
        };
        // Not there: retired again meanwhile.
        let Some(spec) = spec else { return };
        let Some(at) = self.slots.iter().position(|slot| slot.spec.name() == name) else {
            return self.add(spec, false);
        };
        self.slots[at].ensure(spec);
        if anew {
            self.slots[at].forgive();
        }
        self.no_longer_parked(at);
    }

    pub fn on_retire(&mut self, name: &str) {
        if let Some(slot) = self.slots.iter_mut().find(|slot| slot.spec.name() == name) {
            slot.leave(Then::Remove);
        }
    }

    /// Takes every step that is possible now. An error is the end of this supervisor.
    pub fn advance(&mut self) -> Result<(), Failure> {
        self.settle();
        self.stop_next();
        self.start_next();
        self.node.progressed();
        if !self.slots.iter().any(Slot::is_starting)
            && let Some(ready) = self.ready.take()
        {
            // Nobody waits after a restart that took long.
            let _ = ready.send(());
        }
        match &self.mode {
            Mode::Failing(why) if self.slots.iter().all(Slot::is_empty) => {
                Err(Failure::new(Cause::Error, why.clone()))
            }
            Mode::Failing(_) | Mode::Running | Mode::Parked => Ok(()),
        }
    }

    /// Wishes of slots that are empty come true.
    fn settle(&mut self) {
        let node = &self.node;
        self.slots.retain_mut(|slot| {
            if !slot.is_empty() {
                return true;
            }
            match slot.then.take() {
                None => {}
                Some(Then::Start) => slot.phase = Phase::Down,
                Some(Then::Park) => slot.park(),
                Some(Then::Remove) => {
                    node.forget_child(&slot.node.path);
                    return false;
                }
            }
            true
        });
    }

    fn stop_next(&mut self) {
        let in_order = self.stops_in_order();
        for slot in self.slots.iter_mut().rev().filter(|slot| slot.then.is_some()) {
            if let Phase::Up(actor) = &slot.phase {
                let stop = launch::stop(actor.clone(), slot.spec.stop_within, slot.node.clone());
                let (me, id) = (self.me.clone(), slot.id);
                slot.phase = Phase::Stopping(tokio::spawn(async move {
                    stop.await;
                    // A supervisor that is gone waits for the task itself.
                    let _ = me.send_message(Order::Stopped { slot: id });
                }));
            }
            if in_order {
                return;
            }
        }
    }

    /// Single restarts of independent children need not wait for each other.
    fn stops_in_order(&self) -> bool {
        match (&self.rule, &self.mode) {
            (Rule::Keyed { .. }, _) => false,
            (Rule::Tree(spec), Mode::Running) => spec.strategy == Strategy::RestForOne,
            (Rule::Tree(_), Mode::Parked | Mode::Failing(_)) => true,
        }
    }

    fn start_next(&mut self) {
        match &self.rule {
            Rule::Keyed { .. } => (0..self.slots.len()).for_each(|at| self.start_if_down(at)),
            Rule::Tree(spec) => match spec.strategy {
                Strategy::OneForOne => self.start_in_turn(),
                Strategy::RestForOne => self.start_after_those_before(),
            },
        }
    }

    /// The order counts at the beginning; one that fails to come up does not hold back its siblings.
    fn start_in_turn(&mut self) {
        for at in 0..self.slots.len() {
            self.start_if_down(at);
            if !self.slots[at].tried {
                return;
            }
        }
    }

    fn start_after_those_before(&mut self) {
        let busy = |slot: &Slot| slot.then.is_some() || slot.is_starting();
        if self.slots.iter().any(busy) {
            return;
        }
        if let Some(at) = self.slots.iter().position(|slot| !slot.is_up()) {
            self.start_if_down(at);
        }
    }

    fn start_if_down(&mut self, at: usize) {
        let slot = &mut self.slots[at];
        if !matches!(slot.phase, Phase::Down) || slot.then.is_some() {
            return;
        }
        slot.node.starting();
        let place = Place { supervisor: self.me.clone(), node: slot.node.clone() };
        let start = launch::start(slot.spec.starter.clone(), place);
        let (me, id) = (self.me.clone(), slot.id);
        slot.phase = Phase::Starting(tokio::spawn(async move {
            let result = start.await;
            // A supervisor that is stopping takes the result from the task itself.
            let _ = me.send_message(Order::Started { slot: id, result: result.clone() });
            result
        }));
    }

    /// Last work of an ordered stop: children in reverse, each within its budget; keyed ones together.
    pub async fn stop_all(&mut self) {
        self.node.is(ActorState::Stopping);
        let mut stops: Vec<_> = self.slots.drain(..).rev().map(Slot::stop).collect();
        match self.rule {
            Rule::Tree(_) => {
                for (within, stop) in stops {
                    let _ = timeout(within, tokio::spawn(stop)).await;
                }
            }
            Rule::Keyed { .. } => {
                let within = stops.iter().map(|(within, _)| *within).max().unwrap_or_default();
                let all: Vec<_> = stops.drain(..).map(|(_, stop)| tokio::spawn(stop)).collect();
                let _ = timeout(within, futures_util::future::join_all(all)).await;
            }
        }
    }

    fn at(&self, slot: SlotId) -> Option<usize> {
        self.slots.iter().position(|candidate| candidate.id == slot)
    }

    fn later(&self, delay: Duration, order: Order) {
        let me = self.me.clone();
        let sleep = sleep(delay);
        tokio::spawn(async move {
            sleep.await;
            let _ = me.send_message(order);
        });
    }
}

mod crashes;
