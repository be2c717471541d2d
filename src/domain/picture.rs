//! One deployment as its reconciler knows it: what is wanted, what was seen, what is being done.
use super::backoff::{Backoff, Dice};
use super::container::{Container, ContainerId, OwedStart, SpecDigest, Status};
use super::desired::{Target, Wanted};
use super::hidden::SecretsVersion;
use super::memory::{About, Image, Memory, Trouble};
use super::plan::{Action, Cause, Rest, Step, View, keep, plan, vacate};
use super::report::{self, Complaint, SlotFacts};
use super::time::Moment;
use fleet_contracts::state::{Code, Phase};
use fleet_contracts::{DeploymentName, ServiceName};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What a reconciler was told to do with its deployment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Order {
    /// Not told yet: touch nothing.
    #[default]
    None,
    Run(Arc<Wanted>),
    Vanish,
}

/// How an operation that did not succeed is to be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setback {
    pub code: Code,
    pub message: String,
    /// It may have happened all the same, or was planned from a stale picture.
    pub unsure: bool,
}

/// A container that was just created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    pub id: ContainerId,
    pub name: String,
    pub digest: SpecDigest,
    /// Of the values that its reloaded secrets had.
    pub secrets: Option<SecretsVersion>,
}

/// Why nothing can be seen, and when somebody looks again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blinded {
    pub why: String,
    pub retry_at: Moment,
}

#[derive(Debug, Clone)]
pub struct Picture {
    name: DeploymentName,
    /// Looks that began before may lack what former incarnations did.
    born: Moment,
    order: Order,
    /// Both boxed, as [`Wanted::targets`] are.
    containers: BTreeMap<ContainerId, Box<Container>>,
    slots: BTreeMap<ServiceName, Box<Slot>>,
    /// Whether anything was observed at all: before, nothing can be planned.
    seen: bool,
    busy: BTreeMap<Lane, Busy>,
    asked: Asked,
    network_gone: bool,
    /// Attempts to remove the network, and why the last one failed.
    network: Backoff,
    network_trouble: Option<Trouble>,
    blinded: Option<Blinded>,
    /// Since when somebody is seen to stop a container.
    stops: BTreeMap<ContainerId, Moment>,
}

#[derive(Debug, Clone, Copy)]
struct Busy {
    /// None: it was found busy.
    about: Option<About>,
    since: Asked,
    /// A pull of an image that the document named before: how it fails says nothing of this one.
    is_former: bool,
}

#[derive(Debug, Clone, Default)]
struct Slot {
    memory: Memory,
    /// When an operation on it ended: what was seen before that is stale.
    touched: Moment,
    /// Nothing is planned before a look that began after `touched`.
    unsure: bool,
    secrets: Readings,
    /// Asked to be made durable, and when.
    note: Option<(OwedStart, Moment)>,
}

impl Picture {
    pub fn new(name: DeploymentName, born: Moment) -> Self {
        Self {
            name,
            born,
            order: Order::None,
            containers: BTreeMap::new(),
            slots: BTreeMap::new(),
            seen: false,
            busy: BTreeMap::new(),
            asked: Asked::default(),
            network_gone: false,
            network: Backoff::default(),
            network_trouble: None,
            blinded: None,
            stops: BTreeMap::new(),
        }
    }

    pub fn order(&self) -> &Order {
        &self.order
    }

    pub fn target(&self, service: &ServiceName) -> Option<&Target> {
        match &self.order {
            Order::Run(wanted) => wanted.targets.get(service).map(|target| &**target),
            Order::None | Order::Vanish => None,
        }
    }

    /// Takes a new document. Returns the image lanes whose pull nobody wants any more.
    pub fn want(&mut self, wanted: Arc<Wanted>) -> Vec<Lane> {
        let before = std::mem::replace(&mut self.order, Order::Run(wanted.clone()));
        (self.network_gone, self.network_trouble) = (false, None);
        let mut obsolete = Vec::new();
        self.note_former_pulls(&before, &wanted);
        for (name, target) in &wanted.targets {
            let slot = self.slots.entry(name.clone()).or_default();
            let same = matches!(&before, Order::Run(old) if old.targets.get(name).is_some_and(|t| t.digest == target.digest));
            if !same {
                slot.memory.new_target();
                slot.memory.recall(target, wanted.ends.get(name));
                slot.secrets = Readings::default();
                obsolete.push(Lane::Image(name.clone()));
            }
        }
        if let Order::Run(old) = &before {
            let dropped = old.targets.keys().filter(|name| !wanted.targets.contains_key(*name));
            obsolete.extend(dropped.cloned().map(Lane::Image));
        }
        obsolete.retain(|lane| self.busy.contains_key(lane));
        obsolete
    }

    /// Their ends may be on the way already.
    fn note_former_pulls(&mut self, before: &Order, wanted: &Wanted) {
        let Order::Run(old) = before else { return };
        for (lane, busy) in &mut self.busy {
            let Lane::Image(name) = lane else { continue };
            let image = |wanted: &Wanted| wanted.targets.get(name).map(|target| target.service.image.clone());
            busy.is_former |= image(old) != image(wanted);
        }
    }

    /// What was seen before it was known what is wanted: it may be the end of a job.
    pub fn seen_anew(&mut self, now: Moment, dice: Dice) {
        if !self.seen {
            return;
        }
        // What is being done may have changed what was seen.
        let is_busy = |name: &ServiceName| self.busy.contains_key(&Lane::Slot(name.clone()));
        let known = self.slots.iter().filter(|(name, slot)| !slot.unsure && !is_busy(name));
        let services: Vec<ServiceName> = known.map(|(name, _)| name.clone()).collect();
        for service in services {
            self.refresh(&service, now, dice);
        }
    }

    /// Removed with authority. Returns the lanes whose pull nobody wants any more.
    pub fn vanish(&mut self) -> Vec<Lane> {
        self.order = Order::Vanish;
        self.busy.keys().filter(|lane| matches!(lane, Lane::Image(_))).cloned().collect()
    }

    /// Takes what was seen, except where something was done since the look began.
    pub fn observed(&mut self, begun: Moment, containers: Vec<Container>, now: Moment, dice: Dice) {
        if begun < self.born {
            return;
        }
        (self.seen, self.blinded) = (true, None);
        let stale =
            |slots: &BTreeMap<ServiceName, Box<Slot>>, busy: &BTreeMap<Lane, Busy>, service: &ServiceName| {
                busy.contains_key(&Lane::Slot(service.clone()))
                    || slots.get(service).is_some_and(|slot| slot.touched > begun)
            };
        self.containers.retain(|_, known| stale(&self.slots, &self.busy, &known.service));
        for container in containers {
            if !stale(&self.slots, &self.busy, &container.service) {
                self.slots.entry(container.service.clone()).or_default();
                self.containers.insert(container.id.clone(), Box::new(container));
            }
        }
        self.note_stops(now);
        self.forget_empty_slots();
        let services: Vec<ServiceName> = self.slots.keys().cloned().collect();
        for service in services {
            if !stale(&self.slots, &self.busy, &service) {
                self.refresh(&service, now, dice);
                let is_clear = self.is_clear(&service, now);
                let slot = self.slot(&service);
                slot.unsure = false;
                slot.memory.tick();
                if is_clear {
                    slot.memory.cleared();
                }
            }
        }
    }

    /// Services that came and went must not pile up.
    fn forget_empty_slots(&mut self) {
        let Self { slots, order, containers, busy, .. } = self;
        slots.retain(|name, slot| {
            slot.unsure
                || matches!(order, Order::Run(wanted) if wanted.targets.contains_key(name))
                || containers.values().any(|container| container.service == *name)
                || busy.keys().any(|lane| matches!(lane, Lane::Slot(of) | Lane::Image(of) if of == name))
        });
    }

    /// The runtime does not answer.
    pub fn blinded(&mut self, blinded: Blinded) {
        self.blinded = Some(blinded);
    }

    /// The next step of every slot.
    pub fn steps(&self, now: Moment) -> Vec<(ServiceName, Step)> {
        self.slots.iter().map(|(name, slot)| (name.clone(), self.step(name, slot, now))).collect()
    }

    /// Whether nothing is left but the network.
    pub fn wants_network_removed(&self, now: Moment) -> bool {
        self.has_only_network() && self.network.is_due(now)
    }

    fn has_only_network(&self) -> bool {
        self.order == Order::Vanish && self.is_empty() && !self.network_gone
    }

    /// Whether anything can be said: something was seen, or it is known why nothing can be.
    pub fn has_looked(&self) -> bool {
        self.seen || self.blinded.is_some()
    }

    /// Whether nothing is left at all.
    pub fn is_gone(&self) -> bool {
        self.order == Order::Vanish && self.is_empty() && self.network_gone
    }

    fn is_empty(&self) -> bool {
        self.seen
            && self.blinded.is_none()
            && self.containers.is_empty()
            && self.busy.keys().all(Lane::only_reads)
            && self.slots.values().all(|slot| !slot.unsure)
    }

    fn step(&self, name: &ServiceName, slot: &Slot, now: Moment) -> Step {
        let step = self.step_unless_noted(name, slot, now);
        self.note_first(name, slot, step, now)
    }

    fn step_unless_noted(&self, name: &ServiceName, slot: &Slot, now: Moment) -> Step {
        let held = !self.seen || self.blinded.is_some() || self.order == Order::None;
        if held || slot.unsure || self.busy.contains_key(&Lane::Slot(name.clone())) {
            return Step::Wait(None);
        }
        let step = self.end_a_stop(name, self.plan(name, &slot.memory, now), now);
        match &step {
            Step::Do(action) if about(action) == About::Clearing => {
                slot.memory.clearing_waits(now).map_or(step, Step::Wait)
            }
            Step::Do(_) | Step::Wait(_) | Step::Done(_) => step,
        }
    }

    fn plan(&self, name: &ServiceName, memory: &Memory, now: Moment) -> Step {
        let view = self.view(name);
        let is_doubtful = matches!(&self.order, Order::Run(wanted) if wanted.doubtful);
        let step = match (self.target(name), &self.order) {
            (Some(target), _) if is_doubtful => return keep(target, &view, memory, now),
            (None, Order::Run(_)) if is_doubtful => return Step::Wait(None),
            (Some(target), _) => return plan(target, &view, memory, self.gate(target), now),
            (None, Order::Vanish) => vacate(&view, Cause::Removed),
            (None, Order::Run(_) | Order::None) => vacate(&view, Cause::Dropped),
        };
        self.in_order(name, step)
    }

    /// Whether nothing is in the way: what could not be cleared, as far as was known, is gone.
    fn is_clear(&self, name: &ServiceName, now: Moment) -> bool {
        self.slots.get(name).is_some_and(|slot| match self.plan(name, &slot.memory, now) {
            Step::Done(_) => true,
            Step::Do(action) => about(&action) != About::Clearing,
            Step::Wait(_) => false,
        })
    }

    /// When somebody has to look again although nothing happens.
    pub fn wake_at(&self, steps: &[(ServiceName, Step)], now: Moment) -> Option<Moment> {
        let waits = steps.iter().filter_map(|(_, step)| match step {
            Step::Wait(until) => *until,
            Step::Do(_) | Step::Done(_) => None,
        });
        let network = self.network.retry_at().filter(|_| self.has_only_network());
        let checks = self.checks().map(|(_, _, at)| at);
        waits.chain(network).chain(self.doubts()).chain(checks).filter(|at| *at > now).min()
    }

    /// Whether some container lived long enough to be believed: only a look can tell.
    pub fn wants_a_look(&self, now: Moment) -> bool {
        self.doubts().any(|until| until <= now)
    }

    /// Whether nothing can be planned for this lane's slot before a look.
    pub fn is_unsure(&self, lane: &Lane) -> bool {
        matches!(lane, Lane::Slot(service) if self.slots.get(service).is_some_and(|slot| slot.unsure))
    }

    fn doubts(&self) -> impl Iterator<Item = Moment> {
        self.slots.values().filter_map(|slot| slot.memory.doubted_until())
    }

    fn view(&self, service: &ServiceName) -> View {
        let of_service = self.containers.values().filter(|container| container.service == *service);
        let seen: Vec<Container> = of_service.map(|container| self.by_its_secrets(container)).collect();
        View::of(&self.name, service, &seen)
    }

    fn refresh(&mut self, service: &ServiceName, now: Moment, dice: Dice) {
        let view = self.view(service);
        if self.is_owed(service, &view) {
            self.slot(service).memory.restart_begun();
        }
        if let Some(target) = self.target(service).cloned() {
            self.slot(service).memory.observe(&target, &view, now, dice);
        }
    }

    fn slot(&mut self, service: &ServiceName) -> &mut Slot {
        self.slots.entry(service.clone()).or_default()
    }
}

fn about(action: &Action) -> About {
    match action {
        Action::Pull | Action::Create(_) => About::Preparing,
        Action::Start(_) => About::Running,
        Action::Rename { .. } | Action::Stop { .. } | Action::Unpause(_) | Action::Remove { .. } => {
            About::Clearing
        }
    }
}

use secrets::Readings;

mod dependencies;
mod health;
mod lane;
mod outcomes;
mod owed;
mod secrets;
mod stops;
mod telling;
mod words;

pub use health::Check;
pub use lane::{Asked, Lane};

#[cfg(test)]
mod tests;
