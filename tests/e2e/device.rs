//! One device: the agent, a podman of its own, a nats-server of its own. All of it goes with the
//! test, also when that panics.
use crate::agent::{Agent, Log, command};
use crate::nats_link::Link;
use crate::nats_world::{NatsServer, Version};
use crate::observe::{self, Life, Seen};
use crate::operator::Operator;
use crate::patience::{PATIENCE, within};
use crate::podman_world::PodmanWorld;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Its id is as long as one may be: what has a limit is shown at the limit.
pub const ID: &str = "gateway-000000000000000000000000000000000000000000000000000-17_X";

// Fields drop in this order: the agent first, what it stands on after.
pub struct Device {
    pub agent: Option<Agent>,
    pub operator: Operator,
    pub nats: NatsServer,
    pub world: PodmanWorld,
    pub log: Log,
}

/// Names of containers and their processes.
pub type Lives = BTreeMap<String, (String, Option<Life>)>;

impl Device {
    /// Everything is there, and the agent runs.
    pub async fn new() -> Self {
        let mut device = Self::without_agent().await;
        device.boot();
        device
    }

    /// Everything is there, and the agent runs and reaches the server by a way that can be cut.
    pub async fn behind_a_link() -> (Self, Link) {
        let mut device = Self::without_agent().await;
        let link = Link::to(&device.nats.url()).await;
        let config = std::fs::read_to_string(device.config()).unwrap();
        std::fs::write(device.config(), config.replace(&device.nats.url(), link.url())).unwrap();
        device.boot();
        (device, link)
    }

    /// Everything is there but the agent.
    pub async fn without_agent() -> Self {
        let nats = NatsServer::start(Version::Installed).await;
        let world = PodmanWorld::new();
        let operator = Operator::new(nats.client().await, ID);
        let log = Log(world.path("agent.log"));
        let device = Self { agent: None, operator, nats, world, log };
        device.configure("");
        device
    }

    /// Writes the configuration, with `more` at its end.
    pub fn configure(&self, more: &str) {
        let text = format!(
            "[agent]\ndevice_id = \"{ID}\"\nstate_dir = \"{}\"\nreconcile_s = 1\nheartbeat_s = 1\n\
             [nats]\nurls = [\"{}\"]\n[runtime]\nsocket = \"{}\"\n{more}",
            self.state_dir().display(),
            self.nats.url(),
            self.world.socket().display(),
        );
        std::fs::write(self.config(), text).unwrap();
    }

    pub fn config(&self) -> PathBuf {
        self.world.path("config.toml")
    }

    pub fn state_dir(&self) -> PathBuf {
        self.world.path("state")
    }

    /// Where faults are armed.
    pub fn faults_dir(&self) -> PathBuf {
        self.world.path("faults")
    }

    /// Has the agent fail at this point, such as `actor:fleet-agent/link`, as `text` says.
    pub fn arm(&self, point: &str, text: &str) {
        // Renamed into place: the agent may be looking.
        let file = self.world.path("fault");
        std::fs::write(&file, text).unwrap();
        std::fs::create_dir_all(self.faults_dir()).unwrap();
        std::fs::rename(file, self.fault(point)).unwrap();
    }

    pub fn disarm(&self, point: &str) {
        std::fs::remove_file(self.fault(point)).unwrap();
    }

    /// The same for a fault that may have happened in this very moment: whether it has not.
    pub fn disarmed(&self, point: &str) -> bool {
        std::fs::remove_file(self.fault(point)).is_ok()
    }

    fn fault(&self, point: &str) -> PathBuf {
        self.faults_dir().join(point.replace('/', "-"))
    }

    /// Waits until the fault has happened for the last time, and forgets it.
    pub async fn happened(&self, point: &str) {
        let done = self.fault(point).with_added_extension("done");
        let look = async || std::fs::remove_file(&done).map_err(|error| error.to_string());
        self.eventually(&format!("the fault {point} happens"), look).await;
    }

    /// The agent's program with its configuration.
    pub fn command(&self) -> Command {
        let mut command = command(&self.config());
        command.env(fleet_agent::faults::VARIABLE, self.faults_dir());
        command
    }

    pub fn boot(&mut self) {
        self.agent = Some(Agent::start(self.command(), &self.log.0));
    }

    /// `kill -9` of the agent.
    pub fn crash(&mut self) {
        self.agent.take().expect("it runs").kill();
    }

    /// Waits until `check` answers Ok.
    pub async fn eventually<T>(&self, what: &str, check: impl AsyncFnMut() -> Result<T, String>) -> T {
        self.within(PATIENCE, what, check).await
    }

    /// The same for what takes longer by itself.
    pub async fn within<T>(
        &self,
        patience: Duration,
        what: &str,
        check: impl AsyncFnMut() -> Result<T, String>,
    ) -> T {
        let result = within(patience, check).await;
        result.unwrap_or_else(|error| panic!("{what}: {error}\nthe agent's log:\n{}", self.log.tail()))
    }

    /// Waits for a state of the deployment in the bucket.
    pub async fn state(&self, deployment: &str, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        let key = format!("state.{ID}.{deployment}");
        self.document("device-state", &key, what, is_so).await
    }

    /// Waits for such a document.
    pub async fn document(
        &self,
        bucket: &str,
        key: &str,
        what: &str,
        is_so: impl Fn(&Value) -> bool,
    ) -> Value {
        let look = async || match self.operator.get(bucket, key).await? {
            Some(document) if is_so(&document) => Ok(document),
            other => Err(format!("{key} is {}", other.map_or("absent".into(), |d| format!("{d:#}")))),
        };
        self.eventually(what, look).await
    }

    pub async fn heartbeat(&self, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        self.document("device-heartbeat", &format!("heartbeat.{ID}"), what, is_so).await
    }

    /// Waits until the deployment runs as of this revision.
    pub async fn running(&self, deployment: &str, revision: u64) -> Value {
        let what = format!("{deployment} runs as of revision {revision}");
        self.state(deployment, &what, |state| {
            state["phase"] == "Running" && state["observed_revision"] == revision
        })
        .await
    }

    /// Puts the document; the agent may still be creating the bucket. Answers its revision.
    pub async fn put(&self, deployment: &str, document: Vec<u8>) -> u64 {
        let putting = async || self.operator.put(deployment, document.clone()).await;
        self.eventually(&format!("{deployment} is put"), putting).await
    }

    /// Puts the document and waits until it runs.
    pub async fn apply(&self, deployment: &str, document: Vec<u8>) -> u64 {
        let revision = self.put(deployment, document).await;
        self.running(deployment, revision).await;
        revision
    }

    /// Waits until the agent has gone round a few times: its heartbeats are as far apart as its ticks.
    pub async fn several_ticks(&self) {
        self.more_beats(4).await;
    }

    pub fn containers(&self) -> BTreeMap<String, Seen> {
        observe::containers(&self.world)
    }

    /// Waits until the agent says something that it has not said yet.
    pub async fn beats(&self) {
        self.more_beats(1).await;
    }

    /// A restarted agent counts from 1 again, and its last heartbeat of before is still there.
    async fn more_beats(&self, more: u64) {
        let before = self.heartbeat("a heartbeat", |_| true).await;
        let seq = |beat: &Value| beat["seq"].as_u64().unwrap();
        let since = |beat: &Value| if beat["instance"] == before["instance"] { seq(&before) } else { 0 };
        self.heartbeat("more heartbeats", |beat| seq(beat) >= since(beat) + more).await;
    }

    pub fn lives(&self) -> Lives {
        self.containers().into_iter().map(|(name, seen)| (name, (seen.id, seen.life))).collect()
    }

    /// Of containers whose names begin so.
    pub fn lives_of(&self, prefix: &str) -> Lives {
        self.lives().into_iter().filter(|(name, _)| name.starts_with(prefix)).collect()
    }

    /// The process of a container that must be running.
    pub fn life(&self, container: &str) -> Life {
        let all = self.containers();
        let life = all.get(container).and_then(|seen| seen.life);
        life.unwrap_or_else(|| panic!("{container} does not run: {all:#?}\n{}", self.log.tail()))
    }

    /// Waits until the agent's log has these words.
    pub async fn logged(&self, words: &str) {
        let look = async || if self.log.text().contains(words) { Ok(()) } else { Err("not yet".to_owned()) };
        self.eventually(&format!("the log says {words:?}"), look).await;
    }

    /// Waits for such containers.
    pub async fn seen(&self, what: &str, is_so: impl Fn(&BTreeMap<String, Seen>) -> bool) {
        let look = async || {
            let all = self.containers();
            if is_so(&all) { Ok(()) } else { Err(format!("{all:#?}")) }
        };
        self.eventually(what, look).await;
    }

    /// Waits for this answer.
    pub async fn answers(&self, url: &str, text: &str) {
        let look = async || match observe::http(&self.world, url) {
            Ok(answer) if answer == text => Ok(()),
            Ok(other) => Err(format!("it answers {other:?}")),
            Err(error) => Err(error),
        };
        self.eventually(&format!("{url} answers {text:?}"), look).await;
    }

    /// A directory for containers to write to, and its path.
    pub fn directory(&self, name: &str) -> PathBuf {
        let path = self.world.path(name);
        std::fs::create_dir(&path).unwrap();
        path
    }

    /// Waits until the file has these lines.
    pub async fn lines(&self, file: &Path, what: &str, is_so: impl Fn(&[&str]) -> bool) {
        let look = async || {
            let text = std::fs::read_to_string(file).unwrap_or_default();
            let lines: Vec<&str> = text.lines().collect();
            if is_so(&lines) { Ok(()) } else { Err(format!("{lines:?}")) }
        };
        self.eventually(what, look).await;
    }
}
