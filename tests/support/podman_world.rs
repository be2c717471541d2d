//! A private podman service: own storage, own configuration, own network and mount namespace. It
//! touches nothing of the machine's, and everything of it goes when it is dropped, also by a panic.
#![allow(clippy::disallowed_methods)] // It runs without tokio, also while a test unwinds: here is the one place that waits by polling.
#![allow(dead_code, reason = "each test binary uses another part of it")]
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The image that every world has: a static busybox and nothing else.
pub const DEMO_IMAGE: &str = "localhost/fleet-demo:1";
/// Podman's network tools keep addresses and name servers in fixed places, which must not be shared.
const NAMESPACES: &str = "mkdir -p /run/containers /run/netns \
    && mount -t tmpfs none /run/containers && mount -t tmpfs none /run/netns \
    && ip link set lo up && echo up && exec sleep infinity";
/// A podman service answers after 0.1 s on an idle machine; a busy one gets its time.
const PATIENCE: Duration = Duration::from_secs(30);

pub struct PodmanWorld {
    dir: TempDir,
    /// Owns the namespaces: they live as long as it does.
    holder: Child,
    service: Option<Child>,
}

impl PodmanWorld {
    /// Blocks until podman answers and has the demo image.
    pub fn new() -> Self {
        // Short, because a socket's path may have 108 bytes.
        let dir = tempfile::Builder::new().prefix("fleet-w").tempdir_in("/tmp").expect("/tmp is writable");
        configure(dir.path());
        let holder = Command::new("unshare")
            .args(["--net", "--mount", "sh", "-c", NAMESPACES])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("unshare(1) exists");
        let mut world = Self { dir, holder, service: None };
        world.wait_for_namespaces();
        world.start_service();
        world.import_demo_image();
        world
    }

    pub fn socket(&self) -> PathBuf {
        self.dir.path().join("podman.sock")
    }

    /// A path in the world's own directory, which goes with it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// `podman` with these arguments, in this world. Panics when it fails.
    pub fn podman(&self, args: &[&str]) -> String {
        succeeded(&format!("podman {args:?}"), self.podman_command(args).output())
    }

    /// A command in the world's namespaces: its loopback, its bridges, its mounts.
    pub fn inside(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let pid = self.holder.id();
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/proc/{pid}/ns/net")).arg(format!("--mount=/proc/{pid}/ns/mnt"));
        command.arg(program).env("TMPDIR", self.dir.path().join("tmpdir"));
        for (variable, file) in CONFIGURATION {
            command.env(variable, self.dir.path().join(file));
        }
        command
    }

    /// The service ends as by `kill -9` and comes back; containers live on.
    pub fn restart_service(&mut self) {
        self.stop_service();
        self.start_service();
    }

    pub fn stop_service(&mut self) {
        if let Some(mut service) = self.service.take() {
            service.kill().and_then(|()| service.wait()).expect("our own child");
        }
    }

    /// The machine goes down and comes up: every process is gone, and what podman keeps in memory.
    pub fn reboot(&mut self) {
        let listed = self.podman(&["ps", "--all", "--format", "{{.Pid}} {{.ID}}", "--no-trunc"]);
        self.stop_service();
        for row in listed.lines() {
            let (pid, id) = row.split_once(' ').expect("two columns");
            for victim in [monitor_of(id), pid.parse().ok()].into_iter().flatten().filter(|pid| *pid > 0) {
                let _ = Pid::from_raw(victim).map(|pid| kill_process(pid, Signal::KILL));
            }
            // The runtime's own memory of it lies in /run, which is not this world's alone.
            let forget =
                format!("for runtime in runc crun; do $runtime delete --force {id} 2>/dev/null; done; true");
            succeeded("forgetting", self.inside("sh").args(["-c", &forget]).output());
        }
        for volatile in ["run", "tmp"] {
            let _ = fs::remove_dir_all(self.dir.path().join(volatile));
        }
        let forget = "umount -l /run/netns/* 2>/dev/null; rm -rf /run/containers/* /run/netns/*; \
                      for link in $(ls /sys/class/net | grep -v '^lo$'); do ip link del $link; done; \
                      iptables -t nat -F; iptables -F; true";
        succeeded("forgetting", self.inside("sh").args(["-c", forget]).output());
        self.start_service();
    }

    /// Of podman's service.
    pub fn service_pid(&self) -> u32 {
        // The service runs behind nsenter, which becomes it.
        self.service.as_ref().expect("it runs").id()
    }

    /// `STOP` freezes the service, `CONT` lets it go on.
    pub fn signal_service(&self, name: &str) {
        let pid = self.service.as_ref().expect("it runs").id().to_string();
        let status = Command::new("kill").args([&format!("-{name}"), &pid]).status();
        assert!(status.expect("kill(1) exists").success());
    }

    pub fn start_service(&mut self) {
        let url = format!("unix://{}", self.socket().display());
        let log = fs::File::create(self.dir.path().join("podman.log")).expect("ours");
        let mut command = self.podman_command(&["system", "service", "--time=0", &url]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        self.service = Some(command.spawn().expect("nsenter(1) exists"));
        wait("podman answers", || UnixStream::connect(self.socket()).is_ok());
    }

    /// Leaves what a `kill -9` of podman during a create leaves: a name that is taken in storage
    /// while no container is listed under it.
    pub fn make_orphan(&mut self, name: &str) {
        let database = self.dir.path().join("root/libpod/bolt_state.db");
        let copy = self.dir.path().join("before.db");
        self.stop_service();
        fs::copy(&database, &copy).expect("podman 4 keeps its state there");
        self.podman(&["create", "--name", name, DEMO_IMAGE, "sleep", "600"]);
        fs::copy(&copy, &database).expect("ours");
        self.start_service();
    }

    /// Leaves what a `kill -9` of podman during a remove can leave: a container that is listed while
    /// the storage no longer knows it. It must not run.
    pub fn remove_by_half(&mut self, name: &str) {
        let id = self.podman(&["inspect", "--format", "{{.Id}}", name]);
        self.stop_service();
        let file = self.dir.path().join("root/overlay-containers/containers.json");
        let text = fs::read_to_string(&file).expect("the overlay driver keeps its list there");
        let mut all: Vec<serde_json::Value> = serde_json::from_str(&text).expect("a list");
        all.retain(|container| container["id"] != id.as_str());
        fs::write(&file, serde_json::to_vec(&all).expect("it was JSON")).expect("ours");
        self.start_service();
    }

    /// Pids of this world's containers' processes with such a command line, whoever knows of them.
    pub fn programs(&self, script: &str) -> Vec<u32> {
        let marker = self.dir.path().join("root").display().to_string();
        let pids = fs::read_dir("/proc").into_iter().flatten().flatten();
        pids.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
            .filter(|pid| {
                let read = |file: &str| fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default();
                read("cmdline").split('\0').any(|word| word == script) && read("mountinfo").contains(&marker)
            })
            .collect()
    }

    /// From now on its images are in memory, with so many bytes. Whatever it had is gone, but for the demo image.
    pub fn storage_in_memory(&mut self, bytes: u64) {
        self.stop_service();
        let (root, size) = (self.dir.path().join("root"), format!("size={bytes}"));
        let mount = self.inside("mount").args(["-t", "tmpfs", "-o", &size, "none"]).arg(root).output();
        succeeded("mount", mount);
        self.start_service();
        self.load_demo_image();
    }

    /// Writes into the filesystem of its images until only so many bytes are free, or takes that away again.
    pub fn leave_free(&self, bytes: Option<u64>) {
        let root = self.dir.path().join("root");
        let script = match bytes {
            Some(bytes) => format!(
                "cd {0} && free=$(df --output=avail -B1 . | tail -n 1) && \
                 head -c $((free - {bytes})) /dev/zero > filler",
                root.display()
            ),
            None => format!("rm {}/filler", root.display()),
        };
        succeeded("filling", self.inside("sh").args(["-c", &script]).output());
    }

    /// An image with the demo image's content and a file of so many random bytes.
    pub fn make_image(&self, name: &str, bytes: usize) {
        let script = format!(
            "set -e; cd {0}; head -c {bytes} /dev/urandom > image/more; tar -C image -cf more.tar .; rm image/more",
            self.dir.path().display()
        );
        succeeded("an archive", self.inside("sh").args(["-c", &script]).output());
        self.podman(&["import", "--quiet", &self.dir.path().join("more.tar").to_string_lossy(), name]);
    }

    pub fn podman_command(&self, args: &[&str]) -> Command {
        let dir = |name: &str| self.dir.path().join(name);
        let mut command = self.inside("podman");
        for (option, name) in
            [("--root", "root"), ("--runroot", "run"), ("--tmpdir", "tmp"), ("--network-config-dir", "net")]
        {
            command.arg(option).arg(dir(name));
        }
        command.args(args);
        command
    }

    fn wait_for_namespaces(&mut self) {
        use std::io::Read;
        let mut said = [0; 2];
        let stdout = self.holder.stdout.as_mut().expect("piped");
        stdout.read_exact(&mut said).expect("needs root, unshare(1) and ip(8)");
    }

    fn import_demo_image(&self) {
        let busybox = static_busybox();
        let bin = self.dir.path().join("image/bin");
        fs::create_dir_all(&bin).expect("ours");
        fs::copy(busybox, bin.join("busybox")).expect("readable");
        for applet in ["sh", "sleep", "cat", "echo", "httpd", "nc", "kill", "mkdir", "touch", "ls"] {
            std::os::unix::fs::symlink("busybox", bin.join(applet)).expect("ours");
        }
        let archive = self.dir.path().join("image.tar");
        let tar = Command::new("tar")
            .arg("-C")
            .arg(self.dir.path().join("image"))
            .arg("-cf")
            .arg(&archive)
            .arg(".")
            .output();
        succeeded("tar", tar);
        self.load_demo_image();
    }

    fn load_demo_image(&self) {
        let archive = self.dir.path().join("image.tar");
        self.podman(&["import", "--quiet", &archive.to_string_lossy(), DEMO_IMAGE]);
    }
}

/// The conmon of a container: it does not die with its service.
fn monitor_of(id: &str) -> Option<i32> {
    let pids =
        fs::read_dir("/proc").ok()?.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
    let command = |pid: i32| fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let is_it = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes);
        text.contains("conmon") && text.contains(id)
    };
    pids.into_iter().find(|pid| is_it(&command(*pid)))
}

/// The one that scripts/setup unpacked, which it does where the system's is not static.
pub fn static_busybox() -> PathBuf {
    let unpacked = Path::new(env!("CARGO_MANIFEST_DIR")).join(".cache/busybox");
    let candidates = [unpacked.join("bin/busybox"), unpacked.join("usr/bin/busybox"), "/bin/busybox".into()];
    let found = candidates.into_iter().find(|candidate| candidate.exists());
    found.expect("the demo image needs a static busybox: run scripts/setup")
}

impl Drop for PodmanWorld {
    fn drop(&mut self) {
        // Nothing here may panic: it may run because of one. What fails is seen as a leak.
        let _ = self.podman_command(&["rm", "--all", "--force", "--time", "0"]).output();
        if let Some(mut service) = self.service.take() {
            let _ = service.kill();
            let _ = service.wait();
        }
        self.sweep();
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

impl PodmanWorld {
    /// Lets podman's own clean-up commands end, then ends whatever is left in the namespaces.
    fn sweep(&self) {
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(5) {
            let members = self.members();
            if members.is_empty() {
                return;
            }
            if begun.elapsed() > Duration::from_secs(1) {
                for pid in members.into_iter().filter_map(Pid::from_raw) {
                    let _ = kill_process(pid, Signal::KILL);
                }
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// The processes in the world's mount namespace, its holder and its containers' own excepted.
    fn members(&self) -> Vec<i32> {
        let namespace = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/mnt")).ok();
        let holder = self.holder.id().to_string();
        let Some(ours) = namespace(&holder) else { return Vec::new() };
        let pids = fs::read_dir("/proc").into_iter().flatten().flatten();
        pids.filter_map(|entry| entry.file_name().into_string().ok())
            .filter(|pid| *pid != holder && namespace(pid).as_ref() == Some(&ours))
            .filter_map(|pid| pid.parse().ok())
            .collect()
    }
}

const CONFIGURATION: [(&str, &str); 3] = [
    ("CONTAINERS_CONF", "containers.conf"),
    ("CONTAINERS_STORAGE_CONF", "storage.conf"),
    ("CONTAINERS_REGISTRIES_CONF", "registries.conf"),
];

fn configure(dir: &Path) {
    for name in ["root", "run", "tmp", "net", "tmpdir"] {
        fs::create_dir(dir.join(name)).expect("fresh");
    }
    // crun wants a pure cgroup v2 host.
    let pure_v2 = Path::new("/sys/fs/cgroup/cgroup.controllers").exists();
    let runtime = if pure_v2 && Path::new("/usr/bin/crun").exists() { "crun" } else { "runc" };
    let containers = format!(
        "[containers]\n\
         # Equal limits: the API of podman 4.3.1 swaps soft and hard ones of the defaults.\n\
         default_ulimits=[\"nofile=4096:4096\",\"nproc=4096:4096\"]\n\
         [engine]\nruntime=\"{runtime}\"\ncgroup_manager=\"cgroupfs\"\nevents_logger=\"file\"\n\
         # Else all instances share one lock segment.\nlock_type=\"file\"\n"
    );
    let storage = format!(
        "[storage]\ndriver=\"overlay\"\ngraphroot=\"{0}/root\"\nrunroot=\"{0}/run\"\n",
        dir.display()
    );
    let registries =
        "unqualified-search-registries=[]\n[[registry]]\nlocation=\"127.0.0.1:5000\"\ninsecure=true\n";
    for ((_, file), content) in CONFIGURATION.iter().zip([containers, storage, registries.into()]) {
        fs::write(dir.join(file), content).expect("fresh");
    }
}

fn succeeded(what: &str, output: std::io::Result<Output>) -> String {
    let output = output.unwrap_or_else(|error| panic!("{what}: {error}"));
    assert!(output.status.success(), "{what}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn wait(what: &str, done: impl Fn() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < until, "waited {PATIENCE:?}: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
