//! The two worlds in which the promises are asked for.
use crate::podman_world::{DEMO_IMAGE, PodmanWorld};
use crate::private_registry::{self, PASSWORD, PrivateRegistry};
use fleet_agent::domain::container::Process;
use fleet_agent::domain::spec::{CreateSpec, FileOwner};
use fleet_agent::runtime::fake::{FakeRuntime, Program, Registry};
use fleet_agent::runtime::podman::PodmanRuntime;
use fleet_agent::runtime::{ContainerRuntime, Run};
use fleet_contracts::DeviceId;
use fleet_contracts::desired::{Port, Protocol};
use fleet_contracts::names::label;
use std::collections::BTreeMap;
use std::path::PathBuf;
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

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundFile {
    pub mode: u32,
    pub uid: u64,
    pub content: Vec<u8>,
}

/// The number of the user that every container here runs as.
pub const USER: u64 = 1234;

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
    /// A variable in a running container's environment.
    fn variable(&self, name: &str, process: Process, variable: &str) -> Option<String>;
    /// The demo image in an archive of this format, and no longer on the device.
    fn archive(&self, format: &str) -> String;
    fn missing_archive(&self) -> String;
    /// No image is on the device any more.
    fn forget_images(&self);
    /// A file that is no archive, called one.
    fn broken_archive(&self) -> String;
    /// An image in a registry that wants `USER` and `PASSWORD`, and no longer on the device.
    fn private_image(&mut self) -> String;
    /// A file in a container, as somebody with root's rights finds it.
    fn file(&self, name: &str, path: &str) -> Option<FoundFile>;
    /// A container's process and whatever watches over it die at once.
    fn kill_behind_the_back(&self, name: &str, process: Process);
    fn make_orphan(&mut self, name: &str);
    /// Somebody's `podman pause`; nothing when it does not run.
    fn pause(&self, name: &str);
    /// Somebody's `podman rm --force`.
    fn user_removes(&self, name: &str);
    /// Somebody's `podman tag`.
    fn tag(&self, image: &str, name: &str);
    /// Where images are, and how many bytes are free there.
    fn room(&self) -> (PathBuf, u64);
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
        hidden_env: BTreeMap::new(),
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
    fn file(&self, name: &str, path: &str) -> Option<FoundFile> {
        let files = self.runtime.container(name)?.files;
        let file = files.into_iter().find(|file| file.path == path)?;
        let uid = if file.owner == FileOwner::Root { 0 } else { USER };
        Some(FoundFile { mode: file.mode.into(), uid, content: file.content.reveal().to_vec() })
    }
    fn variable(&self, name: &str, _: Process, variable: &str) -> Option<String> {
        let value = self.runtime.container(name)?.hidden_env.get(variable)?.reveal().to_vec();
        String::from_utf8(value).ok()
    }
    fn archive(&self, format: &str) -> String {
        let reference = format!("{format}:/srv/demo.tar");
        self.runtime.registry(&reference, Registry::has(Program::polite()));
        reference
    }
    fn missing_archive(&self) -> String {
        let missing = Registry::fails(fleet_agent::runtime::ErrorKind::ImageMissing, "No such file");
        self.runtime.registry("oci-archive:/srv/missing.tar", missing);
        "oci-archive:/srv/missing.tar".into()
    }
    fn forget_images(&self) {
        for format in ["oci-archive", "docker-archive"] {
            self.runtime.remove_image(&format!("{format}:/srv/demo.tar"));
        }
    }
    fn broken_archive(&self) -> String {
        let broken = Registry::fails(fleet_agent::runtime::ErrorKind::Pull, "no supported format");
        self.runtime.registry("oci-archive:/srv/broken.tar", broken);
        "oci-archive:/srv/broken.tar".into()
    }
    fn private_image(&mut self) -> String {
        let registry = Registry::has(Program::polite());
        self.runtime.registry(private_registry::IMAGE, registry.only_for(private_registry::USER, PASSWORD));
        private_registry::IMAGE.into()
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
    fn tag(&self, image: &str, name: &str) {
        self.runtime.tag_image(image, name);
    }
    fn room(&self) -> (PathBuf, u64) {
        self.runtime.set_free(Some(5 << 30));
        ("/fake/storage".into(), 5 << 30)
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
    registry: Option<PrivateRegistry>,
    world: PodmanWorld,
    runtime: PodmanRuntime,
}

impl Podman {
    pub fn new() -> Self {
        let world = PodmanWorld::new();
        let runtime = PodmanRuntime::new(device(), world.socket());
        Self { registry: None, world, runtime }
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
    fn file(&self, name: &str, path: &str) -> Option<FoundFile> {
        // Not by the agent's way into a container: podman mounts it, and the file system tells.
        let mounted = self.world.podman(&["mount", name]);
        let mut command = self.world.inside("sh");
        let script = format!("stat -c '%a %u' {mounted}{path} && cat {mounted}{path}");
        let output = command.args(["-c", &script]).output().expect("sh exists");
        self.world.podman(&["umount", name]);
        let line = output.stdout.iter().position(|byte| *byte == b'\n')?;
        let told = String::from_utf8(output.stdout[..line].to_vec()).expect("numbers");
        let (mode, uid) = told.split_once(' ').expect("two columns");
        Some(FoundFile {
            mode: u32::from_str_radix(mode, 8).expect("octal"),
            uid: uid.parse().expect("a number"),
            content: output.stdout[line + 1..].to_vec(),
        })
    }
    fn variable(&self, _: &str, process: Process, variable: &str) -> Option<String> {
        let environment = std::fs::read_to_string(format!("/proc/{}/environ", process.pid)).expect("alive");
        let is_it = |entry: &str| entry.strip_prefix(&format!("{variable}=")).map(str::to_owned);
        environment.split('\0').find_map(is_it)
    }
    fn archive(&self, format: &str) -> String {
        let path = self.world.path("demo.tar").display().to_string();
        self.world.podman(&["save", "--quiet", "--format", format, "--output", &path, DEMO_IMAGE]);
        self.world.podman(&["rmi", "--force", "--all"]);
        format!("{format}:{path}")
    }
    fn missing_archive(&self) -> String {
        format!("oci-archive:{}", self.world.path("missing.tar").display())
    }
    fn forget_images(&self) {
        // The next archive is of the same image.
        let load = self.world.path("demo.tar").display().to_string();
        self.world.podman(&["rmi", "--force", "--all"]);
        self.world.podman(&["load", "--quiet", "--input", &load]);
        std::fs::remove_file(load).expect("it is there");
    }
    fn broken_archive(&self) -> String {
        let path = self.world.path("broken.tar");
        std::fs::write(&path, "no tar").expect("ours");
        format!("oci-archive:{}", path.display())
    }
    fn private_image(&mut self) -> String {
        self.registry = Some(PrivateRegistry::serve(&self.world));
        private_registry::IMAGE.into()
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
    fn tag(&self, image: &str, name: &str) {
        self.world.podman(&["tag", image, name]);
    }
    fn room(&self) -> (PathBuf, u64) {
        let root = self.world.path("root");
        let df = std::process::Command::new("df").args(["--output=avail", "-B1"]).arg(&root).output();
        let text = String::from_utf8(df.expect("df(1) exists").stdout).expect("numbers");
        (root, text.lines().nth(1).and_then(|line| line.trim().parse().ok()).expect("a number"))
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
