//! The two worlds in which the promises are asked for.
use crate::podman_world::{DEMO_IMAGE, PodmanWorld};
use fleet_agent::domain::container::Process;
use fleet_agent::domain::spec::CreateSpec;
use fleet_agent::runtime::fake::{FakeRuntime, Program, Registry};
use fleet_agent::runtime::podman::PodmanRuntime;
use fleet_agent::runtime::{ContainerRuntime, Run};
use fleet_contracts::DeviceId;
use fleet_contracts::desired::{Port, Protocol};
use fleet_contracts::names::label;
use std::collections::BTreeMap;
use std::time::Duration;

/// What a demo container's program does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Demo {
    /// Ends with 5 on SIGTERM, with 6 on SIGUSR1.
    Obeys,
    /// Ends by SIGKILL only.
    Deaf,
    /// Ends with 4 by itself, soon.
    Ends,
}

pub const ABSENT_IMAGE: &str = "localhost/absent:1";
/// Nothing listens there.
pub const DEAD_REGISTRY_IMAGE: &str = "127.0.0.1:5000/demo:1";
pub const DEVICE: &str = "d1";
pub const PORT: u16 = 18080;

pub trait World: Send + Sync {
    type Runtime: ContainerRuntime;
    fn runtime(&self) -> &Self::Runtime;
    /// A runtime whose socket does not exist.
    fn unreachable(&self) -> Self::Runtime;
    fn image(&self, demo: Demo) -> String;
    fn command(demo: Demo) -> Option<Vec<String>>;
    /// Runs a container without any label.
    fn add_foreign(&self, name: &str);
    /// Whether the foreign container of that name still runs.
    fn foreign_runs(&self, name: &str) -> bool;
    fn volumes(&self) -> Vec<String>;
    /// A container's process gets SIGKILL, not by way of the runtime.
    fn kill(&self, name: &str, process: Process);
    /// A container's process and whatever watches over it die at once.
    fn kill_behind_the_back(&self, name: &str, process: Process);
    fn make_orphan(&mut self, name: &str);
    /// Somebody's `podman pause`; nothing when it does not run.
    fn pause(&self, name: &str);
    /// Somebody's `podman rm --force`.
    fn user_removes(&self, name: &str);
    fn restart_service(&mut self);
    /// What the next commands in that container come to, where they are not real.
    fn next_run(&self, name: &str, run: Run);
    /// What the container says last, where it is not real.
    fn says(&self, name: &str, words: &str);
    /// Whether a process with this argument lives on the device.
    fn runs_command(&self, argument: &str) -> bool;
}

pub fn device() -> DeviceId {
    DEVICE.parse().expect("valid")
}

/// A container of a service, on the host's network unless changed.
pub fn spec<W: World>(world: &W, demo: Demo, deployment: &str, service: &str) -> CreateSpec {
    let labels = [(label::DEVICE, DEVICE), (label::DEPLOYMENT, deployment), (label::SERVICE, service)];
    CreateSpec {
        image: world.image(demo),
        command: W::command(demo),
        entrypoint: None,
        working_dir: None,
        user: None,
        env: BTreeMap::from([("MODE".into(), "demo".into())]),
        ports: vec![],
        mounts: vec![],
        devices: vec![],
        resources: Default::default(),
        log_max_size_mb: None,
        labels: labels.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect(),
        network: "host".into(),
        aliases: vec![],
        stop_signal: "SIGTERM".into(),
        stop_timeout_s: 30,
    }
}

pub fn port() -> Port {
    Port { ip: Some([127, 0, 0, 1].into()), host: PORT, container: 80, protocol: Protocol::Tcp }
}

pub struct Fake {
    runtime: FakeRuntime,
}

impl Fake {
    pub fn new() -> Self {
        let runtime = FakeRuntime::new(device());
        let obeys = Program::deaf().on("SIGTERM", Duration::ZERO, 5).on("SIGUSR1", Duration::ZERO, 6);
        runtime.add_image_with("obeys:1", obeys);
        runtime.add_image_with("deaf:1", Program::deaf());
        runtime.add_image_with("ends:1", Program::exits(Duration::from_millis(300), 4));
        let refused = Registry::fails(fleet_agent::runtime::ErrorKind::Pull, "connection refused");
        runtime.registry(DEAD_REGISTRY_IMAGE, refused);
        Self { runtime }
    }
}

impl World for Fake {
    type Runtime = FakeRuntime;
    fn runtime(&self) -> &FakeRuntime {
        &self.runtime
    }
    fn unreachable(&self) -> FakeRuntime {
        let runtime = FakeRuntime::new(device());
        runtime.down();
        runtime
    }
    fn image(&self, demo: Demo) -> String {
        match demo {
            Demo::Obeys => "obeys:1".into(),
            Demo::Deaf => "deaf:1".into(),
            Demo::Ends => "ends:1".into(),
        }
    }
    fn command(_: Demo) -> Option<Vec<String>> {
        None
    }
    fn add_foreign(&self, name: &str) {
        self.runtime.foreign_container(name);
    }
    fn foreign_runs(&self, name: &str) -> bool {
        self.runtime.pid(name).is_some()
    }
    fn volumes(&self) -> Vec<String> {
        self.runtime.volumes()
    }
    fn kill(&self, name: &str, _: Process) {
        self.runtime.kill(name);
    }
    fn kill_behind_the_back(&self, name: &str, _: Process) {
        self.runtime.kill_with_conmon(name);
    }
    fn make_orphan(&mut self, name: &str) {
        self.runtime.orphan(name);
    }
    fn pause(&self, name: &str) {
        self.runtime.pause(name);
    }
    fn user_removes(&self, name: &str) {
        self.runtime.user_removes(name);
    }
    fn restart_service(&mut self) {
        self.runtime.down();
        self.runtime.up();
    }
    fn next_run(&self, name: &str, run: Run) {
        self.runtime.set_run(name, run);
    }
    fn says(&self, name: &str, words: &str) {
        self.runtime.says(name, words);
    }
    fn runs_command(&self, _: &str) -> bool {
        false
    }
}

pub struct Podman {
    world: PodmanWorld,
    runtime: PodmanRuntime,
}

impl Podman {
    pub fn new() -> Self {
        let world = PodmanWorld::new();
        let runtime = PodmanRuntime::new(device(), world.socket());
        Self { world, runtime }
    }
}

impl World for Podman {
    type Runtime = PodmanRuntime;
    fn runtime(&self) -> &PodmanRuntime {
        &self.runtime
    }
    fn unreachable(&self) -> PodmanRuntime {
        PodmanRuntime::new(device(), self.world.socket().with_extension("absent"))
    }
    fn image(&self, _: Demo) -> String {
        DEMO_IMAGE.into()
    }
    fn command(demo: Demo) -> Option<Vec<String>> {
        let script = match demo {
            Demo::Obeys => "trap 'exit 5' TERM; trap 'exit 6' USR1; while :; do sleep 0.1; done",
            Demo::Deaf => "trap '' TERM; while :; do sleep 0.1; done",
            Demo::Ends => "echo one; sleep 0.3; echo two >&2; exit 4",
        };
        Some(vec!["sh".into(), "-c".into(), script.into()])
    }
    fn add_foreign(&self, name: &str) {
        self.world.podman(&[
            "run",
            "--detach",
            "--network",
            "host",
            "--name",
            name,
            DEMO_IMAGE,
            "sleep",
            "600",
        ]);
    }
    fn foreign_runs(&self, name: &str) -> bool {
        self.world.podman(&["inspect", "--format", "{{.State.Running}}", name]) == "true"
    }
    fn volumes(&self) -> Vec<String> {
        self.world.podman(&["volume", "ls", "--quiet"]).lines().map(str::to_owned).collect()
    }
    fn kill(&self, _: &str, process: Process) {
        let kill = std::process::Command::new("kill").args(["-9", &process.pid.to_string()]).status();
        assert!(kill.expect("kill(1) exists").success());
    }
    fn kill_behind_the_back(&self, _: &str, process: Process) {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", process.pid)).expect("alive");
        let conmon =
            stat.rsplit_once(')').expect("stat").1.split_whitespace().nth(1).expect("ppid").to_owned();
        assert_eq!(std::fs::read_to_string(format!("/proc/{conmon}/comm")).expect("alive").trim(), "conmon");
        let kill =
            std::process::Command::new("kill").args(["-9", &conmon, &process.pid.to_string()]).status();
        assert!(kill.expect("kill(1) exists").success());
    }
    fn make_orphan(&mut self, name: &str) {
        self.world.make_orphan(name);
    }
    fn pause(&self, name: &str) {
        // Podman refuses where nothing runs.
        self.world.podman_command(&["pause", name]).output().expect("podman is installed");
    }
    fn user_removes(&self, name: &str) {
        self.world.podman(&["rm", "--force", "--time=0", name]);
    }
    fn restart_service(&mut self) {
        self.world.restart_service();
    }
    fn next_run(&self, _: &str, _: Run) {}
    fn says(&self, _: &str, _: &str) {}
    fn runs_command(&self, argument: &str) -> bool {
        let has = |pid: &std::path::Path| {
            let words = std::fs::read(pid.join("cmdline")).unwrap_or_default();
            words.split(|byte| *byte == 0).any(|word| word == argument.as_bytes())
        };
        std::fs::read_dir("/proc").expect("mounted").flatten().any(|entry| has(&entry.path()))
    }
}
