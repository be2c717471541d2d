//! The agent's side: its process, an operator, and what the containers tell.
use crate::nats_world::{NatsServer, Version};
use crate::podman_world::{DEMO_IMAGE, PodmanWorld};
use async_nats::jetstream;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Both sides are looked at in the same way, and as often.
const LOOK_EVERY: Duration = Duration::from_micros(500);
const PATIENCE: Duration = Duration::from_secs(300);
const DEVICE: &str = "bench";

pub struct Bench {
    // Dropped in this order.
    agent: Mutex<Option<Child>>,
    pub js: jetstream::Context,
    pub client: async_nats::Client,
    pub nats: NatsServer,
    pub world: PodmanWorld,
    program: PathBuf,
    /// Where the agent finds podman.
    socket: PathBuf,
}

impl Bench {
    pub async fn new(program: PathBuf) -> Self {
        let (nats, world) = (NatsServer::start(Version::Installed).await, PodmanWorld::new());
        std::fs::create_dir(world.path("told")).unwrap();
        let client = nats.client().await;
        let js = jetstream::new(client.clone());
        let socket = world.socket();
        let bench = Self { agent: Mutex::default(), js, client, nats, world, program, socket };
        bench.start();
        bench.until("the agent answers", async |b| b.ask("ping").await.is_some()).await;
        let bucket = async |b: &Self| b.js.get_stream("KV_desired-state").await.is_ok();
        bench.until("it has made the bucket", bucket).await;
        bench
    }

    /// Where containers tell that they run.
    pub fn diary(&self) -> PathBuf {
        self.world.path("told")
    }

    /// Starts the agent again, with podman behind this socket.
    pub async fn restart_behind(&mut self, socket: &Path) {
        self.stop();
        self.socket = socket.to_owned();
        self.start();
        self.until("the agent answers", async |b| b.ask("ping").await.is_some()).await;
    }

    pub fn start(&self) {
        let config = format!(
            "[agent]\ndevice_id = \"{DEVICE}\"\nstate_dir = \"{}\"\n[nats]\nurls = [\"{}\"]\n[runtime]\nsocket = \"{}\"\n",
            self.world.path("state").display(),
            self.nats.url(),
            self.socket.display()
        );
        let file = self.world.path("config.toml");
        std::fs::write(&file, config).unwrap();
        let mut command = Command::new(&self.program);
        command.env_clear().env("PATH", "/usr/bin:/bin").env("RUST_LOG", "warn");
        command.arg("run").arg("--config").arg(file).stdin(Stdio::null());
        let log = std::fs::File::create(self.world.path("agent.log")).unwrap();
        let agent = command.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
        *self.agent.lock().unwrap() = Some(agent);
    }

    pub fn stop(&self) {
        if let Some(mut agent) = self.agent.lock().unwrap().take() {
            let _ = agent.kill();
            let _ = agent.wait();
        }
    }

    pub fn pid(&self) -> u32 {
        self.agent.lock().unwrap().as_ref().unwrap().id()
    }

    /// Nothing is waited for that only a living agent can bring about.
    fn check_agent(&self) {
        let mut agent = self.agent.lock().unwrap();
        let end = agent.as_mut().and_then(|agent| agent.try_wait().unwrap());
        if let Some(end) = end {
            panic!("the agent has ended: {end}\n{}", self.log());
        }
    }

    pub fn document(&self, name: &str, script: &str) -> Vec<u8> {
        self.document_with(name, script, "1")
    }

    /// One whose environment tells of its version.
    pub fn document_with(&self, name: &str, script: &str, version: &str) -> Vec<u8> {
        let service = json!({"name": "a", "image": DEMO_IMAGE, "command": ["sh", "-c", script],
            "env": {"NAME": name, "VERSION": version}, "volumes": [format!("{}:/told", self.diary().display())]});
        json!({"type": "PodmanV0", "data": {"services": [service]}}).to_string().into_bytes()
    }

    pub async fn put(&self, name: &str, document: Vec<u8>) {
        let subject = format!("$KV.desired-state.{DEVICE}.{name}");
        self.js.publish(subject, document.into()).await.unwrap().await.unwrap();
    }

    pub async fn delete(&self, name: &str) {
        let mut headers = async_nats::HeaderMap::new();
        headers.insert("KV-Operation", "DEL");
        let subject = format!("$KV.desired-state.{DEVICE}.{name}");
        self.js.publish_with_headers(subject, headers, "".into()).await.unwrap().await.unwrap();
    }

    pub async fn ask(&self, verb: &str) -> Option<Value> {
        let answer =
            self.client.request(format!("device-command.{DEVICE}.{verb}"), "{}".into()).await.ok()?;
        serde_json::from_slice(&answer.payload).ok()
    }

    pub async fn running(&self) -> u64 {
        let status = self.ask("status").await;
        status.and_then(|s| s["device"]["deployments"]["running"].as_u64()).unwrap_or(0)
    }

    pub async fn until(&self, what: &str, is_so: impl AsyncFn(&Self) -> bool) {
        let end = Instant::now() + PATIENCE;
        while !is_so(self).await {
            self.check_agent();
            assert!(Instant::now() < end, "{what}: not in time\n{}", self.log());
            sleep(Duration::from_millis(20)).await;
        }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.world.path("agent.log")).unwrap_or_default()
    }

    /// Removes all containers and networks that were made without the agent.
    pub fn sweep_bare(&self) {
        let filter = "label=io.fleet.device=bare";
        let listed = self.world.podman(&["ps", "--all", "--quiet", "--filter", filter]);
        if !listed.is_empty() {
            let all = ["rm", "--force", "--time", "0"].into_iter().chain(listed.lines());
            self.world.podman(&all.collect::<Vec<_>>());
        }
        self.world.podman(&["network", "prune", "--force"]);
    }

    /// How many lines the container of this name has written so far.
    pub fn words(&self, name: &str) -> usize {
        std::fs::read_to_string(self.diary().join(name)).map_or(0, |text| text.lines().count())
    }

    /// Waits until the container of this name has written so many.
    pub async fn told(&self, name: &str, times: usize) {
        let end = Instant::now() + PATIENCE;
        while self.words(name) < times {
            self.check_agent();
            assert!(Instant::now() < end, "{name} does not start\n{}", self.log());
            sleep(LOOK_EVERY).await;
        }
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Each start of the container is one line in the file of its name.
pub fn script() -> String {
    "echo up >> /told/$NAME; trap 'exit 0' TERM; sleep 86400 & wait".into()
}
