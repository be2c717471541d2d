//! What follows a crash: a restart, a wait, a parking, or the end of patience.
use super::*;

impl Crew {
    pub(super) fn crashed(&mut self, at: usize, failure: Failure) {
        let slot = &mut self.slots[at];
        let ran = slot.emptied();
        slot.node.crashed(&failure);
        if slot.then.is_some() {
            // It was to be stopped anyway.
            return;
        }
        let budget = slot.budget.as_mut().unwrap_or(&mut self.budget);
        let exceeded = budget.crashed(Instant::now());
        match (exceeded, &self.rule) {
            (false, _) => self.back_off(at, ran, &failure),
            (true, Rule::Keyed { .. }) => {
                tracing::error!(actor = %self.slots[at].node.path, %failure, "over its budget: parked");
                self.slots[at].park();
                self.tell_parked(at, &failure.to_string());
            }
            (true, Rule::Tree(spec)) => self.give_up(spec.clone(), at, &failure),
        }
        self.show_budget();
    }

    /// First where it outlives this supervisor, then to who wants to hear of it.
    fn tell_parked(&self, at: usize, failure: &str) {
        let spec = &self.slots[at].spec;
        if let Rule::Keyed { children, .. } = &self.rule {
            children.park(spec.name(), Some(failure));
        }
        if let Some(hook) = &spec.on_parked {
            hook(failure);
        }
    }

    /// Somebody wants it tried again.
    pub(super) fn no_longer_parked(&self, at: usize) {
        if let (Rule::Keyed { children, .. }, false) = (&self.rule, self.slots[at].is_parked()) {
            children.park(self.slots[at].spec.name(), None);
        }
    }

    fn back_off(&mut self, at: usize, ran: Duration, failure: &Failure) {
        let slot = &mut self.slots[at];
        let backoff = slot.backoff.crashed(ran);
        let (actor, restarts) = (&slot.node.path, slot.node.restarts() + 1);
        let (cause, message) = (failure.cause_name(), &failure.message);
        tracing::warn!(%actor, cause, %message, restarts, ?backoff, "restart");
        if !backoff.is_zero() {
            slot.phase = Phase::BackingOff;
            slot.turn += 1;
            slot.node.down(ActorState::BackingOff, Some(backoff));
            let due = Order::Due { slot: slot.id, turn: slot.turn };
            self.later(backoff, due);
        }
        self.renew_later_ones(at);
    }

    /// Under `rest_for_one` the later ones go down and come up again with the one at `at`.
    pub(super) fn renew_later_ones(&mut self, at: usize) {
        let Rule::Tree(spec) = &self.rule else { return };
        match spec.strategy {
            Strategy::OneForOne => {}
            Strategy::RestForOne => self.slots[at + 1..].iter_mut().for_each(|slot| slot.leave(Then::Start)),
        }
    }

    fn give_up(&mut self, spec: Arc<SupervisorSpec>, at: usize, failure: &Failure) {
        let (crashes, within) = (spec.budget.max + 1, spec.budget.within);
        let who = &self.slots[at].node.path;
        let why = format!("{crashes} crashes within {within:?}, the last one of {who}: {failure}");
        self.node.failed(&Failure::new(Cause::Error, why.clone()));
        self.turn += 1;
        let over = Order::ModeOver { turn: self.turn };
        match spec.ending {
            Ending::Escalate => {
                tracing::error!(supervisor = %self.node.path, %why, "gives up");
                self.node.gave_up(&why);
                self.mode = Mode::Failing(why);
                // One that cannot be stopped must not keep the failure from being heard of.
                self.later(self.stops_within(), over);
            }
            Ending::Park(pause) => {
                tracing::error!(supervisor = %self.node.path, %why, ?pause, "parked");
                self.node.down(ActorState::Parked, Some(pause));
                self.mode = Mode::Parked;
                self.later(pause, over);
            }
        }
        self.slots.iter_mut().for_each(|slot| slot.leave(Then::Park));
    }

    pub(super) fn resume(&mut self) {
        tracing::info!(supervisor = %self.node.path, "tries again");
        self.turn += 1;
        self.mode = Mode::Running;
        self.budget.clear();
        self.node.is(ActorState::Running);
        self.slots.iter_mut().for_each(Slot::resume);
        self.show_budget();
    }

    fn stops_within(&self) -> Duration {
        self.slots.iter().map(|slot| slot.spec.stop_within + 2 * KILL_GRACE).sum()
    }

    /// A keyed supervisor shows the child that has used most.
    pub(super) fn show_budget(&self) {
        let now = Instant::now();
        let most = self.slots.iter().filter_map(|slot| slot.budget.as_ref()).max_by_key(|b| b.used(now).used);
        let strategy = match &self.rule {
            Rule::Tree(spec) => spec.strategy.as_str(),
            Rule::Keyed { .. } => "keyed",
        };
        self.node.supervises(strategy, most.unwrap_or(&self.budget));
    }
}
