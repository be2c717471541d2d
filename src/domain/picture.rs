//! One deployment as its reconciler knows it: what is wanted, what was seen, what is being done.
use super::backoff::{Backoff, Dice};
use super::container::{Container, ContainerId, SpecDigest, Status};
use super::desired::{Target, Wanted};
use super::memory::{About, Image, Memory, Trouble};
use super::plan::{Action, Cause, Rest, Step, View, plan, vacate};
use super::report::{self, Complaint, SlotFacts};
use super::time::Moment;
use fleet_contracts::names::{Role, container_name};
use fleet_contracts::state::{Code, Phase};
use fleet_contracts::{DeploymentName, ServiceName};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Operations of one lane never overlap.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lane {
    /// The containers of one service slot.
    Slot(ServiceName),
    /// The image of one service: a pull may take hours and holds up nothing else.
    Image(ServiceName),
    /// What belongs to the deployment as a whole.
    Network,
}

/// How many operations a reconciler had asked for when it asked which lanes are busy: the answer says
/// nothing of later ones.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Asked(u64);

impl Asked {
    /// For an answer that holds for every operation so far, whoever asked.
    pub const ALL: Self = Self(u64::MAX);
}

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

#[derive(Debug, Clone)]
pub struct Picture {
    name: DeploymentName,
    /// Looks that began before may lack what former incarnations did.
    born: Moment,
    order: Order,
    containers: BTreeMap<ContainerId, Container>,
    slots: BTreeMap<ServiceName, Slot>,
    /// Whether anything was observed at all: before, nothing can be planned.
    seen: bool,
    busy: BTreeMap<Lane, Busy>,
    asked: Asked,
    network_gone: bool,
    /// Attempts to remove the network.
    network: Backoff,
    blinded: Option<String>,
}

#[derive(Debug, Clone, Copy)]
struct Busy {
    /// None: it was found busy.
    about: Option<About>,
    since: Asked,
}

#[derive(Debug, Clone, Default)]
struct Slot {
    memory: Memory,
    /// When an operation on it ended: what was seen before that is stale.
    touched: Moment,
    /// Nothing is planned before a look that began after `touched`.
    unsure: bool,
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
            blinded: None,
        }
    }

    pub fn order(&self) -> &Order {
        &self.order
    }

    pub fn target(&self, service: &ServiceName) -> Option<&Target> {
        match &self.order {
            Order::Run(wanted) => wanted.targets.get(service),
            Order::None | Order::Vanish => None,
        }
    }

    /// Takes a new document. Returns the image lanes whose pull nobody wants any more.
    pub fn want(&mut self, wanted: Arc<Wanted>) -> Vec<Lane> {
        let before = std::mem::replace(&mut self.order, Order::Run(wanted.clone()));
        self.network_gone = false;
        let mut obsolete = Vec::new();
        for (name, target) in &wanted.targets {
            let slot = self.slots.entry(name.clone()).or_default();
            let same = matches!(&before, Order::Run(old) if old.targets.get(name).is_some_and(|t| t.digest == target.digest));
            if !same {
                slot.memory.new_target();
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
            |slots: &BTreeMap<ServiceName, Slot>, busy: &BTreeMap<Lane, Busy>, service: &ServiceName| {
                busy.contains_key(&Lane::Slot(service.clone()))
                    || slots.get(service).is_some_and(|slot| slot.touched > begun)
            };
        self.containers.retain(|_, known| stale(&self.slots, &self.busy, &known.service));
        for container in containers {
            if !stale(&self.slots, &self.busy, &container.service) {
                self.slots.entry(container.service.clone()).or_default();
                self.containers.insert(container.id.clone(), container);
            }
        }
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
    pub fn blinded(&mut self, why: String) {
        self.blinded = Some(why);
    }

    /// How many operations were asked for so far.
    pub fn asked(&self) -> Asked {
        self.asked
    }

    /// Takes the lanes that were really busy after as many operations as `asked` says. Returns whether
    /// somebody should look: the end of an operation was missed.
    pub fn attached(&mut self, lanes: Vec<Lane>, asked: Asked, now: Moment) -> bool {
        let really: BTreeSet<Lane> = lanes.into_iter().collect();
        let is_missed = |(lane, busy): &(&Lane, &Busy)| busy.since <= asked && !really.contains(*lane);
        let missed: Vec<Lane> = self.busy.iter().filter(is_missed).map(|(lane, _)| lane.clone()).collect();
        for lane in &missed {
            self.busy.remove(lane);
            match lane {
                Lane::Slot(service) => {
                    let slot = self.slot(service);
                    (slot.touched, slot.unsure) = (now, true);
                }
                Lane::Image(service) => self.slot(service).memory.image = Image::Unknown,
                Lane::Network => {}
            }
        }
        for lane in really {
            if let Lane::Image(service) = &lane {
                self.slot(service).memory.image = Image::Pulling;
            }
            self.busy.entry(lane).or_insert(Busy { about: None, since: self.asked });
        }
        !missed.is_empty()
    }

    pub fn is_busy(&self) -> bool {
        !self.busy.is_empty()
    }

    /// An operation was asked for.
    pub fn begun(&mut self, lane: Lane, action: &Action) {
        if let Lane::Image(service) = &lane {
            self.slot(service).memory.image = Image::Pulling;
        }
        if let (Lane::Slot(service), Action::Start(id)) = (&lane, action) {
            let again = self.containers.get(id).is_some_and(|c| c.status != Status::Created);
            self.slot(service).memory.restarts += u64::from(again);
        }
        self.occupy(lane, Some(about(action)));
    }

    pub fn network_removal_begun(&mut self) {
        self.occupy(Lane::Network, None);
    }

    fn occupy(&mut self, lane: Lane, about: Option<About>) {
        self.asked = Asked(self.asked.0 + 1);
        self.busy.insert(lane, Busy { about, since: self.asked });
    }

    /// The lane is free again; for a slot, what was seen before is stale now. An operation that a former
    /// incarnation asked for was planned from what this one may never have seen: look first.
    fn free(&mut self, lane: &Lane, now: Moment) -> Option<About> {
        let about = self.busy.remove(lane).and_then(|busy| busy.about);
        if let Lane::Slot(service) = lane {
            let slot = self.slot(service);
            slot.touched = now;
            slot.unsure |= about.is_none();
        }
        about
    }

    /// A container is now as given: created, found, started.
    pub fn became(&mut self, lane: &Lane, container: Container, now: Moment, dice: Dice) {
        let about = self.free(lane, now);
        let (service, id) = (container.service.clone(), container.id.clone());
        self.containers.insert(id.clone(), container);
        let memory = &mut self.slots.entry(service.clone()).or_default().memory;
        match about {
            Some(About::Preparing) => memory.prepared(),
            Some(About::Running) => memory.started(&id, now),
            Some(About::Clearing) | None => {}
        }
        self.refresh(&service, now, dice);
    }

    /// A container was created, by this name and to this digest (which the document may no longer
    /// want by now).
    pub fn created(
        &mut self,
        lane: &Lane,
        id: ContainerId,
        name: String,
        digest: SpecDigest,
        now: Moment,
        dice: Dice,
    ) {
        let Lane::Slot(service) = lane else { return };
        let container = Container {
            id,
            name,
            deployment: self.name.clone(),
            service: service.clone(),
            digest: Some(digest),
            status: Status::Created,
            image_id: None,
            started_at: None,
        };
        self.became(lane, container, now, dice);
    }

    /// A container was stopped, renamed or removed.
    pub fn cleared(
        &mut self,
        lane: &Lane,
        now: Moment,
        change: impl FnOnce(&mut BTreeMap<ContainerId, Container>),
    ) {
        self.free(lane, now);
        change(&mut self.containers);
        if let Lane::Slot(service) = lane {
            self.slot(service).memory.cleared();
        }
    }

    pub fn pulled(&mut self, service: &ServiceName, now: Moment) {
        self.free(&Lane::Image(service.clone()), now);
        let memory = &mut self.slot(service).memory;
        memory.image = Image::Pulled;
        memory.prepared();
    }

    pub fn progressed(&mut self, service: &ServiceName, current: u64, total: u64) {
        self.slot(service).memory.progress = Some((current, total));
    }

    pub fn network_removed(&mut self, now: Moment) {
        self.free(&Lane::Network, now);
        self.network_gone = true;
    }

    /// The image is not on the device: it has to be pulled, unless the policy forbids it.
    pub fn image_missing(&mut self, lane: &Lane, message: String, now: Moment, dice: Dice) {
        use fleet_contracts::desired::Pull;
        self.free(lane, now);
        let Lane::Slot(service) = lane else { return };
        let forbidden = self.target(service).is_some_and(|target| target.service.pull == Pull::Never);
        let memory = &mut self.slot(service).memory;
        // One that was pulled just now and is missing all the same would be pulled for ever.
        let in_vain = memory.image == Image::Pulled;
        memory.image = Image::Missing;
        if forbidden || in_vain {
            memory.prepare_failed(Code::ImageMissing, message, now, dice);
        }
    }

    pub fn name_conflict(&mut self, lane: &Lane, message: String, now: Moment) {
        self.free(lane, now);
        if let Lane::Slot(service) = lane {
            self.slot(service).memory.name_conflict(message);
        }
    }

    /// An operation did not succeed.
    pub fn failed(&mut self, lane: &Lane, setback: Setback, now: Moment, dice: Dice) {
        let about = self.free(lane, now);
        let Setback { code, message, unsure } = setback;
        match lane {
            Lane::Slot(service) => {
                let slot = self.slot(service);
                slot.unsure |= unsure;
                match about {
                    Some(About::Preparing) => slot.memory.prepare_failed(code, message, now, dice),
                    Some(About::Running) => slot.memory.start_failed(code, message, now, dice),
                    Some(About::Clearing) | None => slot.memory.clear_failed(code, message, now, dice),
                }
            }
            Lane::Image(service) => {
                let memory = &mut self.slot(service).memory;
                (memory.image, memory.progress) = (Image::Missing, None);
                memory.prepare_failed(code, message, now, dice);
            }
            Lane::Network => self.network.failed(now, dice),
        }
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

    /// Whether nothing is left at all.
    pub fn is_gone(&self) -> bool {
        self.order == Order::Vanish && self.is_empty() && self.network_gone
    }

    fn is_empty(&self) -> bool {
        self.seen
            && self.blinded.is_none()
            && self.containers.is_empty()
            && self.busy.is_empty()
            && self.slots.values().all(|slot| !slot.unsure)
    }

    fn step(&self, name: &ServiceName, slot: &Slot, now: Moment) -> Step {
        let held = !self.seen || self.blinded.is_some() || self.order == Order::None;
        if held || slot.unsure || self.busy.contains_key(&Lane::Slot(name.clone())) {
            return Step::Wait(None);
        }
        let step = self.plan(name, &slot.memory, now);
        match &step {
            Step::Do(action) if about(action) == About::Clearing && !slot.memory.clears.is_due(now) => {
                Step::Wait(slot.memory.clears.retry_at())
            }
            Step::Do(_) | Step::Wait(_) | Step::Done(_) => step,
        }
    }

    fn plan(&self, name: &ServiceName, memory: &Memory, now: Moment) -> Step {
        let view = self.view(name);
        match (self.target(name), &self.order) {
            (Some(target), _) => plan(target, &view, memory, now),
            (None, Order::Vanish) => vacate(&view, Cause::Removed),
            (None, Order::Run(_) | Order::None) => vacate(&view, Cause::Dropped),
        }
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
        waits.chain(network).chain(self.doubts()).filter(|at| *at > now).min()
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
        let mut view = View::default();
        let named = |role| container_name(&self.name, service, role);
        for container in self.containers.values().filter(|c| c.service == *service) {
            if container.name == named(Role::Main) {
                view.main = Some(container.clone());
            } else if container.name == named(Role::Next) {
                view.next = Some(container.clone());
            } else {
                view.others.push(container.clone());
            }
        }
        view
    }

    fn refresh(&mut self, service: &ServiceName, now: Moment, dice: Dice) {
        let view = self.view(service);
        if let Some(target) = self.target(service).cloned() {
            self.slot(service).memory.observe(&target, &view, now, dice);
        }
    }

    fn slot(&mut self, service: &ServiceName) -> &mut Slot {
        self.slots.entry(service.clone()).or_default()
    }

    /// Hands each slot's facts to `tell`, with what is said of the deployment as a whole. Slots that
    /// are neither wanted nor filled are forgotten.
    pub fn tell<T>(
        &self,
        steps: &[(ServiceName, Step)],
        tell: impl FnOnce(&[SlotFacts<'_>], Phase, Option<Complaint>) -> T,
    ) -> T {
        let views: Vec<View> = steps.iter().map(|(name, _)| self.view(name)).collect();
        let facts: Vec<SlotFacts<'_>> = steps
            .iter()
            .zip(&views)
            .filter(|((name, step), _)| self.target(name).is_some() || *step != Step::Done(Rest::Empty))
            .filter_map(|((name, step), view)| {
                let memory = &self.slots.get(name)?.memory;
                let target = self.target(name);
                let restart = target.map(|target| target.service.restart);
                let outdated =
                    target.zip(view.main.as_ref()).is_some_and(|(target, main)| !target.digest_is(main));
                Some(SlotFacts { name, restart, outdated, view, memory, step })
            })
            .collect();
        let complaint = self.complaint(&facts);
        let phase = match self.order {
            Order::Vanish => Phase::Stopping,
            _ if !self.seen && complaint.is_none() => Phase::Pending,
            Order::None | Order::Run(_) => report::phase(&facts, complaint.as_ref()),
        };
        tell(&facts, phase, complaint)
    }

    fn complaint(&self, facts: &[SlotFacts<'_>]) -> Option<Complaint> {
        let blind = self.blinded.as_ref().map(|why| Complaint {
            service: None,
            trouble: Trouble {
                about: About::Running,
                code: Code::RuntimeUnreachable,
                message: why.clone(),
                retry_at: None,
            },
        });
        blind.or_else(|| report::complaint(facts))
    }
}

fn about(action: &Action) -> About {
    match action {
        Action::Pull | Action::Create(_) => About::Preparing,
        Action::Start(_) => About::Running,
        Action::Rename { .. } | Action::Stop { .. } | Action::Remove { .. } => About::Clearing,
    }
}

#[cfg(test)]
mod tests;
