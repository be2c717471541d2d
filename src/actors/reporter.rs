//! Owns: what is still to be published: the latest value per key, nothing else.
//! Hears: `deployments` (states), `observer` (the runtime), the link's state, its own sends.
//! Tells: the buckets `device-state` and `device-info`, and the pulse.
//! After a crash: asks `deployments` to tell every state again.
use super::{Identity, LinkWatch, retry_delay, waiting_text};
use crate::bus::{BucketSpec, Bus, BusError, ErrorKind, LinkState};
use crate::domain::source::Snapshot;
use crate::messages::deployments::{Deployments, Question};
use crate::messages::observer::Observer;
use crate::messages::reporter::{Key, Reporter as Message, Value};
use crate::supervision::{Address, Context, Fault, Reply, TaskId, Worker};
use documents::{Published, is_news, published, put_values, write};
use fleet_contracts::codec::Encoding;
use fleet_contracts::device::{DeviceInfo, Inventory, Pulse, PulseKind, RuntimeInfo};
use fleet_contracts::names::{DEVICE_INFO, DEVICE_STATE, info_key, pulse_subject, state_key};
use fleet_contracts::state::DeploymentState;
use fleet_contracts::{DeploymentName, Timestamp};
use resting::Resting;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

mod documents;
mod resting;

const RETRY_CAP: Duration = Duration::from_secs(60);
/// Sends under way at once: enough to hide a slow link's latency, few enough to stay small.
const AT_ONCE: usize = 4;

pub const STATES: BucketSpec = BucketSpec { name: DEVICE_STATE, history: 1, allow_rollup: false };
pub const INFOS: BucketSpec = BucketSpec { name: DEVICE_INFO, history: 1, allow_rollup: false };

#[derive(Clone)]
pub struct Args {
    pub identity: Identity,
    pub bus: Arc<dyn Bus>,
    pub deployments: Address<Deployments>,
    pub observer: Address<Observer>,
    pub labels: BTreeMap<String, String>,
    pub inventory: Inventory,
    pub config_digest: String,
}

pub struct Reporter {
    args: Args,
    link: LinkWatch,
    /// The latest value of each key that is not yet published.
    pending: BTreeMap<Key, Value>,
    sending: BTreeSet<Key>,
    /// What the bucket is known to hold: states that did not change are not written again.
    /// None: there is something, but what it says is not known.
    published: Published,
    /// Keys that the server refused: the others do not wait for them.
    resting: Resting,
    looking: Option<TaskId>,
    /// Whether the bucket was read over this connection: before, nothing is known of what it holds.
    found: bool,
    info_found: bool,
    keep: Option<BTreeSet<DeploymentName>>,
    info: DeviceInfo,
    /// Device info without the times and the instance, as it was last queued.
    told_info: Option<DeviceInfo>,
    failures: u32,
}

impl Worker for Reporter {
    type Msg = Message;
    type Args = Args;

    fn start(args: Args, ctx: &mut Context<Message>) -> Result<Self, Fault> {
        let link = LinkWatch::new(&*args.bus);
        link.next(None, ctx, Message::Link);
        args.deployments.send(Deployments::Ask(Question::Retell));
        args.observer.send(Observer::TellRuntime);
        let mut reporter = Self {
            link,
            pending: BTreeMap::new(),
            sending: BTreeSet::new(),
            published: BTreeMap::new(),
            resting: Resting::default(),
            looking: None,
            found: false,
            info_found: false,
            keep: None,
            info: device_info(&args),
            told_info: None,
            failures: 0,
            args,
        };
        reporter.queue_info();
        Ok(reporter)
    }

    fn kind(msg: &Message) -> &'static str {
        msg.into()
    }

    fn handle(&mut self, msg: Message, ctx: &mut Context<Message>) -> Result<(), Fault> {
        match msg {
            Message::Link(state) => self.on_link(&state, ctx),
            Message::State(state) => self.on_state(*state, ctx),
            Message::Gone(name) => drop(self.pending.insert(Key::State(name), Value::Absent)),
            Message::Keep(names) => self.on_keep(names),
            Message::Runtime(runtime) => self.on_runtime(runtime),
            Message::Info(reply) => self.on_info(reply),
            Message::Found(result) => self.on_found(result, ctx),
            Message::FoundInfo(info) => self.on_found_info(info.map(|info| *info)),
            Message::Sent { key, value, result, created } => {
                self.on_sent(key, value, result, ctx);
                // Made anew, it holds nothing of what was published before.
                if created {
                    self.found = false;
                    self.look(ctx);
                }
            }
            Message::Pulsed => {}
            Message::Rested => self.wake(ctx),
            Message::RetryDue => self.look(ctx),
        }
        self.send_on(ctx);
        Ok(())
    }
}

impl Reporter {
    fn on_link(&mut self, state: &LinkState, ctx: &mut Context<Message>) {
        self.link.next(Some(state), ctx, Message::Link);
        ctx.waiting_for(waiting_text(state));
        if self.link.is_up() {
            self.failures = 0;
            ctx.cancel_timer("retry");
            self.resting.clear();
            // The server may have lost what it was told before.
            (self.found, self.info_found) = (false, false);
            self.look(ctx);
        }
    }

    /// Reads what the buckets hold of this device, once per connection.
    fn look(&mut self, ctx: &mut Context<Message>) {
        if !self.link.is_up() {
            return;
        }
        if !self.info_found {
            self.look_for_info(ctx);
        }
        if self.found {
            return;
        }
        let (bus, filter) = (self.args.bus.clone(), format!("state.{}.>", self.args.identity.device));
        if let Some(task) = self.looking.take() {
            ctx.cancel(task);
        }
        let task = ctx.spawn("reading the published states", async move {
            let found = match bus.snapshot(DEVICE_STATE, &filter, &BTreeMap::new()).await {
                Err(error) if error.kind == ErrorKind::BucketMissing => {
                    bus.create(&STATES).await.and(bus.snapshot(DEVICE_STATE, &filter, &BTreeMap::new()).await)
                }
                other => other,
            };
            Message::Found(found)
        });
        self.looking = Some(task);
    }

    fn look_for_info(&self, ctx: &mut Context<Message>) {
        let (bus, key) = (self.args.bus.clone(), info_key(&self.args.identity.device));
        ctx.background(async move {
            let found = bus.snapshot(DEVICE_INFO, &key, &BTreeMap::new()).await.ok();
            let info = found
                .as_ref()
                .and_then(|snapshot| put_values(snapshot).next())
                .and_then(|(_, value)| Encoding::Json.decode(value).ok());
            Message::FoundInfo(info.map(Box::new))
        });
    }

    /// The actor may be new while the process, and so the content, is not; the bucket may be new too.
    fn on_found_info(&mut self, found: Option<DeviceInfo>) {
        if std::mem::replace(&mut self.info_found, true) {
            return;
        }
        let same =
            found.is_some_and(|found| DeviceInfo { updated_at: self.info.updated_at, ..found } == self.info);
        if same {
            self.pending.remove(&Key::Info);
        } else {
            let info = self.dated_info();
            self.pending.entry(Key::Info).or_insert(info);
        }
    }

    fn on_found(&mut self, result: Result<Snapshot, BusError>, ctx: &mut Context<Message>) {
        // Two connections in a row ask twice; what the second read found may be older than what was
        // sent since the first.
        if self.found {
            return;
        }
        match result {
            Ok(snapshot) => {
                self.found = true;
                let told = std::mem::replace(&mut self.published, published(&snapshot));
                for state in told.into_values().flatten() {
                    let key = Key::State(state.deployment.clone());
                    self.pending.entry(key).or_insert(Value::State(Box::new(state)));
                }
                let Self { pending, published, .. } = self;
                pending.retain(|key, value| match (key, value) {
                    (Key::State(_), Value::State(state)) => is_news(published, state),
                    (Key::State(name), Value::Absent) => published.contains_key(name),
                    (Key::State(_), Value::Info(_)) | (Key::Info, _) => true,
                });
                self.prune();
            }
            Err(error) => self.on_failure(&error, ctx),
        }
    }

    fn on_state(&mut self, state: DeploymentState, ctx: &mut Context<Message>) {
        self.pulse(&state, ctx);
        if let Some(keep) = &mut self.keep {
            keep.insert(state.deployment.clone());
        }
        let key = Key::State(state.deployment.clone());
        let unchanged = self.found && !self.sending.contains(&key) && !is_news(&self.published, &state);
        if unchanged {
            self.pending.remove(&key);
        } else {
            self.pending.insert(key, Value::State(Box::new(state)));
        }
    }

    /// The live pulse is for those who watch now: what nobody hears is not sent again.
    fn pulse(&self, state: &DeploymentState, ctx: &mut Context<Message>) {
        if !self.link.is_up() {
            return;
        }
        let kind = PulseKind::State { state: Box::new(state.clone()) };
        let pulse = Pulse { device_id: self.args.identity.device.clone(), at: Timestamp::now(), kind };
        let Ok(payload) = Encoding::MessagePack.encode(&pulse) else { return };
        let (bus, subject) = (self.args.bus.clone(), pulse_subject(&self.args.identity.device));
        ctx.background(async move {
            // Lost: the document in the bucket tells the same.
            let _ = bus.publish(&subject, payload.into()).await;
            Message::Pulsed
        });
    }

    fn on_keep(&mut self, names: BTreeSet<DeploymentName>) {
        self.keep = Some(names);
        self.prune();
    }

    /// Deletes the keys of deployments of which nothing is left but their state.
    fn prune(&mut self) {
        if self.found
            && let Some(keep) = self.keep.take()
        {
            let old = self.published.keys().filter(|name| !keep.contains(*name)).cloned();
            let old: Vec<_> = old.map(|name| (Key::State(name), Value::Absent)).collect();
            self.pending.extend(old);
        }
    }

    fn on_runtime(&mut self, runtime: RuntimeInfo) {
        self.info.inventory.runtime = Some(runtime);
        self.queue_info();
    }

    fn on_info(&self, reply: Reply<DeviceInfo>) {
        reply.send(DeviceInfo { updated_at: Timestamp::now(), ..self.info.clone() });
    }

    fn queue_info(&mut self) {
        if self.told_info.as_ref() != Some(&self.info) {
            self.told_info = Some(self.info.clone());
            self.pending.insert(Key::Info, self.dated_info());
        }
    }

    fn dated_info(&self) -> Value {
        Value::Info(Box::new(DeviceInfo { updated_at: Timestamp::now(), ..self.info.clone() }))
    }

    fn send_on(&mut self, ctx: &mut Context<Message>) {
        if !self.link.is_up() || ctx.has_timer("retry") {
            return;
        }
        while self.sending.len() < AT_ONCE {
            let next = self.pending.iter().find(|(key, _)| self.is_ready(key));
            let Some((key, value)) = next.map(|(key, value)| (key.clone(), value.clone())) else { return };
            self.sending.insert(key.clone());
            self.send(key, value, ctx);
        }
    }

    /// When the first of the resting keys may be tried again.
    fn wake(&self, ctx: &mut Context<Message>) {
        if let Some(wait) = self.resting.next() {
            ctx.after("rest", wait, Message::Rested);
        }
    }

    /// One send per key at a time, and none before it is known what the bucket holds.
    fn is_ready(&self, key: &Key) -> bool {
        let known = match key {
            Key::Info => self.info_found,
            Key::State(_) => self.found,
        };
        known && !self.sending.contains(key) && !self.resting.rests(key)
    }

    fn send(&self, key: Key, value: Value, ctx: &mut Context<Message>) {
        let (bus, name) = (self.args.bus.clone(), self.name(&key));
        let bucket = if key == Key::Info { INFOS } else { STATES };
        ctx.spawn(format!("publishing {name}"), async move {
            let mut result = write(&*bus, &bucket, &name, &value).await;
            let created = result.as_ref().is_err_and(|error| error.kind == ErrorKind::BucketMissing);
            if created {
                result = match bus.create(&bucket).await {
                    Ok(()) => write(&*bus, &bucket, &name, &value).await,
                    Err(error) => Err(error),
                };
            }
            Message::Sent { key, value, result, created }
        });
    }

    fn on_sent(&mut self, key: Key, value: Value, result: Result<(), BusError>, ctx: &mut Context<Message>) {
        self.sending.remove(&key);
        if let Err(error) = result {
            if let (Key::State(name), Value::State(_)) = (&key, value) {
                // It may have been written all the same.
                self.published.insert(name.clone(), None);
            }
            if error.kind != ErrorKind::Refused {
                return self.on_failure(&error, ctx);
            }
            if self.resting.refused(key) {
                tracing::warn!(%error, "not published: refused, kept to be sent later");
            }
            return self.wake(ctx);
        }
        self.failures = 0;
        self.resting.accepted(&key);
        if self.pending.get(&key) == Some(&value) {
            self.pending.remove(&key);
        }
        match (key, value) {
            (Key::State(name), Value::State(state)) => drop(self.published.insert(name, Some(*state))),
            (Key::State(name), Value::Absent) => drop(self.published.remove(&name)),
            (Key::State(_), Value::Info(_)) | (Key::Info, _) => {}
        }
    }

    /// Everything unsent stays, the latest per key, until it can be sent.
    fn on_failure(&mut self, error: &BusError, ctx: &mut Context<Message>) {
        if self.failures == 0 {
            tracing::warn!(%error, "not published, kept to be sent later");
        }
        ctx.after("retry", retry_delay(self.failures, RETRY_CAP), Message::RetryDue);
        self.failures = self.failures.saturating_add(1);
    }

    fn name(&self, key: &Key) -> String {
        let device = &self.args.identity.device;
        match key {
            Key::Info => info_key(device),
            Key::State(name) => state_key(device, name),
        }
    }
}

fn device_info(args: &Args) -> DeviceInfo {
    let mut labels = args.labels.clone();
    let device_id = args.identity.device.clone();
    labels.entry("device-id".to_owned()).or_insert_with(|| device_id.to_string());
    DeviceInfo {
        device_id,
        labels,
        agent_version: args.identity.agent_version.clone(),
        instance: args.identity.instance.clone(),
        inventory: args.inventory.clone(),
        config_digest: args.config_digest.clone(),
        updated_at: Timestamp::now(),
    }
}

#[cfg(test)]
mod tests;
