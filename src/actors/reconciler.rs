//! Owns: one deployment: what is wanted of it, what was seen of it, what is being done.
//! Hears: `deployments` (`Want`, `Vanish`), `observer` (`Observed`), `effects` (`Ended`), its timer.
//! Tells: `effects` what to do, `deployments` how it stands.
//! After a crash: asks all three again; nothing in here has to survive.
use super::{Clock, Hold, dice};
use crate::domain::container::{Container, ContainerId, Status};
use crate::domain::desired::Wanted;
use crate::domain::hidden::SecretsVersion;
use crate::domain::overlay::{self, Report};
use crate::domain::picture::{Check, Lane, Order, Picture, Setback};
use crate::domain::plan::{Action, Step};
use crate::domain::report::{Complaint, SlotFacts};
use crate::domain::spec::Owner;
use crate::domain::time::Moment;
use crate::faults;
use crate::messages::deployments::{ChildNews, Deployments};
use crate::messages::effects::{Asked, Creation, Effect, Effects, Failure, Job, Operation, Outcome};
use crate::messages::observer::{Observation, Observer};
use crate::messages::reconcilers::Reconciler as Message;
use crate::questions::{self, About};
use crate::supervision::{Address, Context, Fault, Worker};
use crate::telemetry::blame;
use crate::vault::{Vault, VaultError};
use fleet_contracts::names::{Role, container_name, network_name};
use fleet_contracts::state::Phase;
use fleet_contracts::{DeploymentName, DeviceId, ServiceName, ValueName};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// To read a few small files; what takes longer is a disk that hangs.
const READ_WITHIN: Duration = Duration::from_secs(10);

#[derive(Clone)]
pub struct Args {
    pub device: DeviceId,
    pub name: DeploymentName,
    pub deployments: Address<Deployments>,
    pub effects: Address<Effects>,
    pub observer: Address<Observer>,
    pub clock: Clock,
    pub hold: Option<Hold>,
    pub vault: Arc<dyn Vault>,
}

pub struct Reconciler {
    args: Args,
    picture: Picture,
    told: Option<Report>,
    /// Secrets are being read.
    is_reading: bool,
    /// Whose secrets could not be read the last time.
    unreadable: BTreeSet<ServiceName>,
}

impl Worker for Reconciler {
    type Msg = Message;
    type Args = Args;

    fn start(args: Args, _ctx: &mut Context<Message>) -> Result<Self, Fault> {
        // An operation of the incarnation before may still run: its lane is found busy.
        let picture = Picture::new(args.name.clone(), args.clock.now());
        args.effects.send(Effects::Attach { deployment: args.name.clone(), asked: picture.asked() });
        args.observer.send(Observer::Look(args.name.clone()));
        args.deployments.send(Deployments::Child(args.name.clone(), ChildNews::Started));
        Ok(Self { picture, args, told: None, is_reading: false, unreadable: BTreeSet::new() })
    }

    fn kind(msg: &Message) -> &'static str {
        msg.into()
    }

    fn handle(&mut self, msg: Message, ctx: &mut Context<Message>) -> Result<(), Fault> {
        let _working = blame::working_on(self.args.name.as_str());
        match msg {
            Message::Want(wanted) => self.want(wanted),
            Message::Vanish => self.cancel(Picture::vanish),
            Message::Observed(seen) => self.on_observed(seen, ctx),
            Message::Blinded(blinded) => self.picture.blinded(blinded),
            Message::Attached { lanes, asked } => self.on_attached(lanes, asked),
            Message::Ended(lane, outcome) => self.on_ended(&lane, outcome)?,
            Message::Pulled { service, current, total } => self.picture.progressed(&service, current, total),
            Message::Tick => self.on_tick(),
            Message::Retell => self.told = None,
            Message::SecretsRead { begun, read } => self.on_secrets_read(begun, read),
        }
        self.go_on(ctx);
        Ok(())
    }
}

impl Reconciler {
    /// Changes the picture, and ends the pulls that nobody wants any more.
    fn cancel(&mut self, change: impl FnOnce(&mut Picture) -> Vec<Lane>) {
        for lane in change(&mut self.picture) {
            let (deployment, asked) = (self.args.name.clone(), self.picture.asked());
            let unless_it_pulls = match &lane {
                Lane::Image(service) => {
                    self.picture.target(service).map(|target| target.service.image.clone())
                }
                Lane::Slot(_) | Lane::Health(_) | Lane::Words(_) | Lane::Network => None,
            };
            self.args.effects.send(Effects::Cancel { deployment, lane, unless_it_pulls, asked });
        }
    }

    fn want(&mut self, wanted: Arc<Wanted>) {
        faults::point("want", self.args.name.as_str());
        self.cancel(|picture| picture.want(wanted));
        self.picture.seen_anew(self.args.clock.now(), dice());
    }

    fn on_observed(&mut self, seen: Observation, ctx: &mut Context<Message>) {
        self.read_secrets(ctx);
        self.picture.observed(seen.begun, seen.containers, self.args.clock.now(), dice());
        // Its end may have been told to an incarnation that died: ask, once per look.
        if self.picture.is_busy() {
            let (deployment, asked) = (self.args.name.clone(), self.picture.asked());
            self.args.effects.send(Effects::Attach { deployment, asked });
        }
    }

    /// The values stay where they are read: only their versions come here.
    fn read_secrets(&mut self, ctx: &mut Context<Message>) {
        let reloaded = self.picture.reloaded_secrets();
        if reloaded.is_empty() || self.is_reading {
            return;
        }
        self.is_reading = true;
        let (vault, begun) = (self.args.vault.clone(), self.args.clock.now());
        let question = move || {
            let read = reloaded.into_iter().map(|(service, names)| (service, version(&*vault, &names)));
            read.collect::<BTreeMap<_, _>>()
        };
        // Without an answer nothing was read: asked again at the next look.
        ctx.spawn("read secrets", async move {
            let read = questions::ask(About::Values, READ_WITHIN, question).await.unwrap_or_default();
            Message::SecretsRead { begun, read }
        });
    }

    fn on_secrets_read(
        &mut self,
        begun: Moment,
        read: BTreeMap<ServiceName, Result<SecretsVersion, VaultError>>,
    ) {
        self.is_reading = false;
        let mut versions = BTreeMap::new();
        for (service, result) in read {
            match result {
                Ok(version) => {
                    self.unreadable.remove(&service);
                    versions.insert(service, version);
                }
                // What runs has its values: it runs on.
                Err(error) => {
                    if self.unreadable.insert(service.clone()) {
                        let deployment = &self.args.name;
                        tracing::warn!(%deployment, %service, %error, "a secret cannot be read any more");
                    }
                }
            }
        }
        self.picture.secrets_read(begun, versions);
    }

    fn on_attached(&mut self, lanes: Vec<Lane>, asked: Asked) {
        if self.picture.attached(lanes, asked, self.args.clock.now()) {
            self.look();
        }
    }

    fn on_tick(&mut self) {
        if matches!(self.picture.order(), Order::None) {
            self.args.deployments.send(Deployments::Child(self.args.name.clone(), ChildNews::Started));
        }
        if self.picture.wants_a_look(self.args.clock.now()) {
            self.look();
        }
    }

    fn on_ended(&mut self, lane: &Lane, outcome: Outcome) -> Result<(), Fault> {
        let (now, dice) = (self.args.clock.now(), dice());
        match outcome {
            Ok(effect) => self.on_effect(lane, effect),
            Err(Failure::ImageMissing { message }) => self.picture.image_missing(lane, message, now, dice),
            Err(Failure::NoRoom { message }) => self.picture.no_room(lane, message, now),
            Err(Failure::NameConflict { message }) => self.picture.name_conflict(lane, message, now),
            Err(Failure::Refused { code, message }) => {
                self.picture.failed(lane, Setback { code, message, unsure: false }, now, dice);
            }
            Err(Failure::Unknown { code, message }) => {
                self.picture.failed(lane, Setback { code, message, unsure: true }, now, dice);
            }
            // It counts as ours: after five of them the document is left alone.
            Err(Failure::Panicked { message }) => {
                return Err(Fault::new(format!("an operation of it panicked: {message}")));
            }
        }
        if self.picture.is_unsure(lane) {
            self.look();
        }
        Ok(())
    }

    fn on_effect(&mut self, lane: &Lane, effect: Effect) {
        let (now, dice) = (self.args.clock.now(), dice());
        match effect {
            Effect::Created(made) => self.picture.created(lane, made, now, dice),
            Effect::Found(container) | Effect::Started(container) => {
                // The next look may be half a second away: it can end before that.
                if let Status::Running(process) = container.status {
                    self.args.observer.send(Observer::Runs(self.args.name.clone(), process));
                }
                self.picture.became(lane, *container, now, dice);
            }
            Effect::Stopped { id, code } => self.picture.cleared(lane, now, |all| {
                if let Some(container) = all.get_mut(&id) {
                    container.status = Status::Exited { code };
                }
            }),
            Effect::Removed(id) => self.picture.cleared(lane, now, |all| drop(all.remove(&id))),
            Effect::Renamed { id, to } => self.picture.cleared(lane, now, |all| rename(all, &id, to)),
            Effect::Pulled(arrival) => {
                if let Lane::Image(service) = lane {
                    self.picture.pulled(service, now);
                }
                if let Some(arrival) = arrival {
                    let news = ChildNews::Brought(arrival);
                    self.args.deployments.send(Deployments::Child(self.args.name.clone(), news));
                }
            }
            Effect::NetworkRemoved => self.picture.network_removed(now),
            Effect::Said { id, words } => {
                if let Lane::Words(service) = lane {
                    self.picture.said(service, &id, &words);
                }
            }
            Effect::Checked { process, verdict } => {
                if let Lane::Health(service) = lane {
                    self.picture.checked(service, process, verdict, now, dice);
                }
            }
        }
    }

    fn look(&self) {
        self.args.observer.send(Observer::Look(self.args.name.clone()));
    }

    /// Asks for everything that can be done now, says how things stand, and sets the alarm.
    fn go_on(&mut self, ctx: &mut Context<Message>) {
        let now = self.args.clock.now();
        match Hold::left(self.args.hold, self.args.clock) {
            None => self.act(),
            Some(left) => ctx.after("hold", left, Message::Tick),
        }
        if self.picture.is_gone() {
            self.args.deployments.send(Deployments::Child(self.args.name.clone(), ChildNews::Gone));
        }
        let steps = self.picture.steps(now);
        self.report(&steps);
        match self.picture.wake_at(&steps, now) {
            Some(at) => ctx.after("wake", at.since(now), Message::Tick),
            None => ctx.cancel_timer("wake"),
        }
    }

    fn act(&mut self) {
        let now = self.args.clock.now();
        for (service, step) in self.picture.steps(now) {
            if let Step::Do(action) = step {
                self.perform(&service, action);
            }
        }
        for (service, start) in self.picture.take_notes(now) {
            let news = ChildNews::Owes(service, start);
            self.args.deployments.send(Deployments::Child(self.args.name.clone(), news));
        }
        for (service, id) in self.picture.take_unheard() {
            self.picture.words_begun(&service);
            self.ask(Lane::Words(service), Operation::LastWords(id));
        }
        for Check { service, id, process, check } in self.picture.due_checks(now) {
            self.picture.check_begun(&service);
            let limit = Duration::from_secs(check.timeout_s.into());
            self.ask(Lane::Health(service), Operation::Check { id, process, argv: check.test.argv(), limit });
        }
        if self.picture.wants_network_removed(now) {
            self.picture.network_removal_begun();
            self.ask(Lane::Network, Operation::RemoveNetwork(network_name(&self.args.name)));
        }
    }

    fn perform(&mut self, service: &ServiceName, action: Action) {
        let Some((lane, operation)) = self.operation(service, &action) else { return };
        self.picture.begun(lane.clone(), &action);
        self.ask(lane, operation);
    }

    fn ask(&self, lane: Lane, operation: Operation) {
        let job = Job { deployment: self.args.name.clone(), lane, operation, asked: self.picture.asked() };
        self.args.effects.send(Effects::Perform(job));
    }

    fn operation(&self, service: &ServiceName, action: &Action) -> Option<(Lane, Operation)> {
        let slot = Lane::Slot(service.clone());
        Some(match action {
            Action::Pull => {
                let wanted = &self.picture.target(service)?.service;
                let (image, registry_auth) = (wanted.image.clone(), wanted.registry_auth.clone());
                (Lane::Image(service.clone()), Operation::Pull { image, registry_auth })
            }
            Action::Create(role) => {
                let name = container_name(&self.args.name, service, *role);
                (slot, Operation::Create(Box::new(self.creation(service, name)?)))
            }
            Action::Rename { id, to } => {
                let to = container_name(&self.args.name, service, *to);
                (slot, Operation::Rename { id: id.clone(), to })
            }
            Action::Stop { id, cause } => (slot, Operation::Stop { id: id.clone(), cause: *cause }),
            Action::Start(id) => (slot, Operation::Start(id.clone())),
            Action::Unpause(id) => (slot, Operation::Unpause(id.clone())),
            Action::Remove { id, cause } => (slot, Operation::Remove { id: id.clone(), cause: *cause }),
        })
    }

    fn creation(&self, service: &ServiceName, name: String) -> Option<Creation> {
        let Order::Run(wanted) = self.picture.order() else { return None };
        let target = wanted.targets.get(service)?;
        let Args { device, name: deployment, .. } = &self.args;
        let owner = Owner { device, deployment, revision: wanted.revision };
        let volumes = owner.volumes(target);
        let (network, spec) = (owner.network(target), owner.create_spec(target));
        Some(Creation {
            name,
            draft: container_name(deployment, service, Role::Draft),
            spec,
            files: owner.files(target),
            secrets: target.service.secrets.clone(),
            reloaded: target.reloaded(),
            digest: target.digest.clone(),
            network,
            volumes,
            labels: owner.labels(),
        })
    }

    fn report(&mut self, steps: &[(ServiceName, Step)]) {
        // What the one before it said stands until then.
        if !self.picture.has_looked() {
            return;
        }
        let revision = match self.picture.order() {
            Order::None => return,
            Order::Run(wanted) => wanted.revision,
            Order::Vanish => 0,
        };
        let report =
            self.picture.tell(steps, |slots, phase, complaint| self.say(revision, slots, phase, complaint));
        if self.told.as_ref() != Some(&report) {
            self.told = Some(report.clone());
            let news = ChildNews::Reports(report);
            self.args.deployments.send(Deployments::Child(self.args.name.clone(), news));
        }
    }

    fn say(
        &self,
        revision: u64,
        slots: &[SlotFacts<'_>],
        phase: Phase,
        complaint: Option<Complaint>,
    ) -> Report {
        let retry_at =
            complaint.as_ref().and_then(|c| c.trouble.retry_at).and_then(|at| self.args.clock.wall(at));
        let error = complaint.map(|complaint| overlay::last_error(complaint, retry_at));
        let services = slots.iter().map(|slot| (slot.name.clone(), slot.state())).collect();
        let end = |slot: &SlotFacts<'_>| Some((slot.name.clone(), slot.memory.end()?.clone()));
        Report { revision, phase, error, services, ends: slots.iter().filter_map(end).collect() }
    }
}

fn version(vault: &dyn Vault, names: &[ValueName]) -> Result<SecretsVersion, VaultError> {
    let read = |name: &ValueName| Ok((name.clone(), vault.secret(name)?));
    let values = names.iter().map(read).collect::<Result<Vec<_>, VaultError>>()?;
    vault.version(&values)
}

fn rename(all: &mut BTreeMap<ContainerId, Box<Container>>, id: &ContainerId, to: String) {
    if let Some(container) = all.get_mut(id) {
        container.name = to;
    }
}

#[cfg(test)]
mod tests;
