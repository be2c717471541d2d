//! One device with its agent, and the words that the stories are told in.
use crate::world::Disk;
use fleet_agent::actors::Identity;
use fleet_agent::bus::fake::FakeBus;
use fleet_agent::domain::container::Status;
use fleet_agent::domain::floor::Floor;
use fleet_agent::runtime::fake::FakeRuntime;
use fleet_agent::store::fake::FakeOwner;
use fleet_agent::supervision::Root;
use fleet_agent::tree::{self, Parts};
use fleet_agent::vault::fake::FakeVault;
use fleet_contracts::DeviceId;
use fleet_contracts::commands::{Actor, ActorState, Verb};
use fleet_contracts::device::{Heartbeat, Inventory};
use fleet_contracts::names::{DESIRED_STATE, DEVICE_HEARTBEAT, DEVICE_STATE};
use fleet_contracts::state::{Code, DeploymentState, Phase};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

pub const TICK: Duration = Duration::from_secs(30);
/// What should happen and did not within this is not going to.
const PATIENCE: Duration = Duration::from_secs(120);
/// How often a predicate is looked at, in virtual time.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Of every call of the runtime. Without it a look and what it missed would share one virtual moment.
const LATENCY: Duration = Duration::from_millis(10);

pub fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

pub struct Story {
    pub runtime: FakeRuntime,
    pub bus: FakeBus,
    pub disk: Arc<Disk>,
    pub lock: Arc<FakeOwner>,
    pub vault: Arc<FakeVault>,
    parts: Parts,
    root: Option<Root>,
    boots: u32,
    /// What the names of its processes begin with.
    card: &'static str,
}

/// A device, its agent not running yet, its bus not connected. Images `demo:1` to `demo:3` are there.
impl Story {
    pub fn new() -> Self {
        let device: DeviceId = "d1".parse().unwrap();
        let (runtime, bus) = (FakeRuntime::new(device.clone()), FakeBus::new());
        runtime.latency(LATENCY);
        ["demo:1", "demo:2", "demo:3"].iter().for_each(|image| runtime.add_image(image));
        let (disk, lock) = (Arc::new(Disk::new(runtime.clone())), Arc::new(FakeOwner::new(true)));
        let vault = Arc::<FakeVault>::default();
        let mut parts = parts(device, &runtime, &bus, disk.clone(), lock.clone());
        parts.vault = vault.clone();
        Self { runtime, bus, disk, lock, vault, parts, root: None, boots: 0, card: "i" }
    }

    /// A device whose agent is up and connected.
    pub async fn begin() -> Self {
        let mut story = Self::new();
        story.bus.connect();
        story.boot().await;
        story
    }

    /// Another device that was given this one's id, on the same bus, its agent not running yet.
    pub fn clone_of(other: &Story) -> Self {
        let mut story = Self::new();
        (story.bus, story.card) = (other.bus.clone(), "clone");
        story.parts.bus = Arc::new(other.bus.clone());
        story
    }

    /// Another setting for agents that boot from now on.
    pub fn with(mut self, change: impl FnOnce(&mut Parts)) -> Self {
        change(&mut self.parts);
        self
    }

    /// A new process of the agent.
    pub async fn boot(&mut self) {
        assert!(self.root.is_none(), "one agent at a time");
        self.boots += 1;
        self.parts.identity.instance = format!("{}{}", self.card, self.boots);
        self.root = Some(tree::run(self.parts.clone()).await);
    }

    /// `kill -9`: every actor and every operation ends where it is.
    pub async fn crash(&mut self) {
        let root = self.root.take().expect("it runs");
        root.stop(Duration::ZERO).await;
        while root.is_alive(seconds(1)).await {}
    }

    pub fn root(&self) -> &Root {
        self.root.as_ref().expect("the agent runs")
    }
}

fn parts(
    device: DeviceId,
    runtime: &FakeRuntime,
    bus: &FakeBus,
    disk: Arc<Disk>,
    lock: Arc<FakeOwner>,
) -> Parts {
    Parts {
        identity: Identity { device, agent_version: "0".into(), instance: String::new() },
        runtime: Some(Arc::new(runtime.clone())),
        bus: Arc::new(bus.clone()),
        store: disk,
        vault: Arc::new(FakeVault::default()),
        floor: Floor(64),
        owner: lock,
        inventory: inventory(),
        labels: BTreeMap::new(),
        config_digest: "c".into(),
        reply_prefixes: vec!["_INBOX.".into()],
        log: fleet_agent::telemetry::LogFilter::new(None).0,
        heartbeat_every: seconds(30),
        reconcile_every: TICK,
        clock_synced: || true,
        last_crash: None,
        shunned: Default::default(),
        hold: None,
    }
}

fn inventory() -> Inventory {
    Inventory {
        hostname: "h".into(),
        arch: "a".into(),
        os: "o".into(),
        os_release: "r".into(),
        kernel: "k".into(),
        cpu_cores: 1,
        memory_mb: 1,
        disk_total_mb: 1,
        agent_version: "0".into(),
        runtime: None,
        boot_id: "b".into(),
    }
}

/// What an operator does and sees.
impl Story {
    /// The revision of the document.
    pub fn apply(&self, name: &str, document: impl Into<Vec<u8>>) -> u64 {
        self.bus.put_raw(DESIRED_STATE, &format!("d1.{name}"), document)
    }

    pub fn delete(&self, name: &str) -> u64 {
        self.bus.delete_raw(DESIRED_STATE, &format!("d1.{name}"))
    }

    /// The published state of a deployment.
    pub fn state(&self, name: &str) -> Option<DeploymentState> {
        let document = self.bus.get_raw(DEVICE_STATE, &format!("state.d1.{name}"))?;
        Some(serde_json::from_slice(&document).expect("a state"))
    }

    pub fn phase(&self, name: &str) -> Option<Phase> {
        self.state(name).map(|state| state.phase)
    }

    pub fn code(&self, name: &str) -> Option<Code> {
        self.state(name)?.last_error.map(|error| error.code)
    }

    /// `Running` at this revision, without complaint.
    pub fn is_running(&self, name: &str, revision: u64) -> bool {
        self.state(name).is_some_and(|state| {
            state.phase == Phase::Running
                && state.observed_revision == Some(revision)
                && state.last_error.is_none()
        })
    }

    pub fn heartbeat(&self) -> Option<Heartbeat> {
        let document = self.bus.get_raw(DEVICE_HEARTBEAT, "heartbeat.d1")?;
        Some(serde_json::from_slice(&document).expect("a heartbeat"))
    }

    pub fn says(&self, reason: &str) -> bool {
        self.heartbeat().is_some_and(|heartbeat| heartbeat.reasons.iter().any(|said| said == reason))
    }

    /// A command's answer, or its error's code and text.
    pub async fn command(&self, verb: Verb, request: Value) -> Result<Value, (u16, String)> {
        let reply = self.bus.request(verb, request.to_string()).await.expect("it is answered");
        match reply.error {
            Some(error) => Err(error),
            None => Ok(serde_json::from_slice(&reply.body).expect("JSON was asked for")),
        }
    }

    /// How often this was put by the agent: `put device-state/state.d1.web`.
    pub fn puts(&self, object: &str) -> usize {
        let line = format!("put {object}");
        self.bus.journal().iter().filter(|call| **call == line).count()
    }
}

/// What somebody on the device sees.
impl Story {
    /// Names of the containers that are alive.
    pub fn live(&self) -> Vec<String> {
        let alive = |status: Status| status.is_alive();
        self.runtime.containers().into_iter().filter(|c| alive(c.status)).map(|c| c.name).collect()
    }

    /// Name and pid of every live container.
    pub fn pids(&self) -> BTreeMap<String, u32> {
        self.live().into_iter().filter_map(|name| Some((name.clone(), self.runtime.pid(&name)?))).collect()
    }

    pub fn actor(&self, name: &str) -> Option<Actor> {
        self.root().board().actors().into_iter().find(|actor| actor.name.ends_with(&format!("/{name}")))
    }

    pub fn restarts(&self) -> u64 {
        self.root().board().actors().iter().map(|actor| actor.restarts).sum()
    }

    pub async fn restart_actor(&self, name: &str) {
        self.root().board().restart(name).await.expect("it comes up again");
    }

    pub fn is_up(&self, name: &str) -> bool {
        let up = |actor: Actor| matches!(actor.state, ActorState::Running | ActorState::Waiting);
        self.actor(name).is_some_and(up)
    }
}

/// Time. All of it is virtual.
impl Story {
    pub async fn pass(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }

    pub async fn until(&self, what: &str, so: impl Fn(&Self) -> bool) {
        self.within(PATIENCE, what, so).await;
    }

    pub async fn within(&self, limit: Duration, what: &str, so: impl Fn(&Self) -> bool) {
        let began = tokio::time::Instant::now();
        while !so(self) {
            assert!(began.elapsed() <= limit, "not within {limit:?}: {what}\n{}", self.told());
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// It is so now, and at every look for this long.
    pub async fn always(&self, time: Duration, what: &str, so: impl Fn(&Self) -> bool) {
        let began = tokio::time::Instant::now();
        while began.elapsed() < time {
            assert!(so(self), "no longer so after {:?}: {what}\n{}", began.elapsed(), self.told());
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    pub async fn runs(&self, name: &str, revision: u64) {
        self.until(&format!("{name} runs at {revision}"), |s| s.is_running(name, revision)).await;
    }

    /// A deployment that was just applied, up to `Running`.
    pub async fn apply_and_run(&self, name: &str, document: impl Into<Vec<u8>>) -> u64 {
        let revision = self.apply(name, document);
        self.runs(name, revision).await;
        revision
    }

    /// Everything one needs to understand why a story went wrong.
    fn told(&self) -> String {
        let states: Vec<Value> = (self.bus.keys(DEVICE_STATE).iter())
            .filter_map(|key| serde_json::from_slice(&self.bus.get_raw(DEVICE_STATE, key)?).ok())
            .collect();
        format!(
            "states: {}\ncontainers: {:#?}\nruntime: {:#?}\nheartbeat: {:?}",
            Value::from(states),
            self.runtime.containers(),
            self.runtime.journal(),
            self.heartbeat(),
        )
    }
}

/// Whatever a story is about: two live containers in one slot, or a foreign one touched, end it badly.
impl Drop for Story {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            assert_eq!(self.runtime.violations(), Vec::<String>::new());
        }
    }
}
