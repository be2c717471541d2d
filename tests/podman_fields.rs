//! What a document asks of a container is what its process finds: fields of a service on real podman. The
//! container tells it itself, in a file.
#![allow(clippy::unwrap_used, clippy::panic)] // A failed assumption ends the test.
use fleet_agent::domain::container::ContainerId;
use fleet_agent::domain::desired::Wanted;
use fleet_agent::domain::spec::Owner;
use fleet_agent::runtime::ContainerRuntime;
use fleet_agent::runtime::podman::PodmanRuntime;
use podman_world::{DEMO_IMAGE, PodmanWorld};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::Duration;
use tokio::time::{Instant, sleep};

#[path = "support/podman_world.rs"]
mod podman_world;

/// A program at the limit of its memory is slow, and slower on a busy machine.
const PATIENCE: Duration = Duration::from_secs(180);

struct Bench {
    world: PodmanWorld,
    runtime: PodmanRuntime,
}

impl Bench {
    fn new() -> Self {
        let world = PodmanWorld::new();
        let runtime = PodmanRuntime::new("d1".parse().unwrap(), world.socket());
        std::fs::create_dir(world.path("told")).unwrap();
        Self { world, runtime }
    }

    /// Runs one service that has these fields, and a script that may write to /told.
    async fn run(&self, name: &str, script: &str, fields: Value) -> ContainerId {
        let told = format!("{}:/told", self.world.path("told").display());
        let mut service = json!({"name": name, "image": DEMO_IMAGE, "command": ["sh", "-c", script],
            "volumes": [told]});
        service.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        let document = json!({"type": "PodmanV0", "data": {"services": [service]}}).to_string();
        let wanted = Wanted::read(document.as_bytes(), 1).unwrap();
        let (device, deployment) = ("d1".parse().unwrap(), "web".parse().unwrap());
        let owner = Owner { device: &device, deployment: &deployment, revision: 1 };
        let target = wanted.targets.values().next().unwrap();
        if let Some(network) = owner.network(target) {
            self.runtime.ensure_network(&network.name, &network.labels).await.unwrap();
        }
        let id = self.runtime.create(&format!("fleet-web.{name}"), &owner.create_spec(target)).await.unwrap();
        self.runtime.start(&id).await.unwrap();
        id
    }

    fn told(&self, file: &str) -> PathBuf {
        self.world.path("told").join(file)
    }

    /// What the container wrote and closed by a rename.
    async fn hear(&self, file: &str) -> String {
        let end = Instant::now() + PATIENCE;
        loop {
            match std::fs::read_to_string(self.told(file)) {
                Ok(text) => return text.trim().to_owned(),
                Err(error) if Instant::now() >= end => panic!("the container told nothing: {error}"),
                Err(_) => sleep(Duration::from_millis(20)).await,
            }
        }
    }
}

/// Writes what `command` says into /told/`file`, at once.
fn tell(command: &str, file: &str) -> String {
    format!("{{ {command}; }} > /told/.{file} 2>&1; busybox mv /told/.{file} /told/{file}; ")
}

const STAY: &str = "busybox sleep 600";

#[tokio::test]
async fn a_process_has_the_directory_and_the_user_of_its_document() {
    let bench = Bench::new();
    std::fs::set_permissions(bench.world.path("told"), std::os::unix::fs::PermissionsExt::from_mode(0o777))
        .unwrap();
    let script = format!("{}{STAY}", tell("busybox pwd; busybox id -u; busybox id -g", "who"));
    bench.run("a", &script, json!({"working_dir": "/told", "user": "1234:2345"})).await;
    assert_eq!(bench.hear("who").await, "/told\n1234\n2345");
}

#[tokio::test]
async fn a_device_is_there_under_its_name_and_with_its_permissions_and_no_other_is() {
    let bench = Bench::new();
    let look = "busybox test -c /dev/mine && echo mine; busybox test -e /dev/kmsg || echo no kmsg; \
                ( : </dev/mine ) && echo readable; ( : >/dev/mine ) && echo writable";
    let script = format!("{}{STAY}", tell(look, "devices"));
    // Not one of the devices that every container may use.
    bench.run("a", &script, json!({"devices": ["/dev/fuse:/dev/mine:r"]})).await;
    let told = bench.hear("devices").await;
    assert!(told.starts_with("mine\nno kmsg\nreadable"), "{told}");
    assert!(!told.contains("writable"), "{told}");
}

#[tokio::test]
async fn limits_hold() {
    let bench = Bench::new();
    // tail keeps the whole of what has no end of line in memory.
    let eat = tell("busybox head -c 40000000 /dev/zero | busybox tail >/dev/null; echo $?", "memory");
    let fork = tell("for i in 1 2 3 4 5 6 7 8 9 10 11 12; do busybox sleep 5 & done; echo forked", "pids");
    bench.run("memory", &format!("{eat}{STAY}"), json!({"resources": {"memory_mb": 16}})).await;
    bench.run("pids", &format!("{fork}{STAY}"), json!({"resources": {"pids": 8}})).await;
    let id = bench.run("cpus", STAY, json!({"resources": {"cpus": 0.25}})).await;
    assert_eq!(bench.hear("memory").await.lines().last(), Some("137"), "it ate 40 MB of 16");
    let _ = bench
        .run(
            "small",
            &format!("{}{STAY}", tell("echo fits", "small")),
            json!({"resources": {"memory_mb": 6}}),
        )
        .await;
    assert_eq!(bench.hear("small").await, "fits");
    let quota = bench.world.podman(&[
        "inspect",
        "--format",
        "{{.HostConfig.NanoCpus}} {{.HostConfig.CpuQuota}} {{.HostConfig.CpuPeriod}}",
        id.as_str(),
    ]);
    assert_eq!(quota, "250000000 25000 100000");
}

#[tokio::test]
async fn a_log_is_cut_at_its_size() {
    let bench = Bench::new();
    let talk = "busybox yes 0123456789012345678901234567890123456789 | busybox head -n 60000; ";
    let script = format!("{talk}{}{STAY}", tell("echo done", "done"));
    let id = bench.run("a", &script, json!({"log": {"max_size_mb": 1}})).await;
    assert_eq!(bench.hear("done").await, "done");
    let path = bench.world.podman(&["inspect", "--format", "{{.HostConfig.LogConfig.Path}}", id.as_str()]);
    let size = std::fs::metadata(&path).unwrap().len();
    assert!(size <= 1024 * 1024, "{path} has {size} bytes");
    assert!(bench.world.podman(&["logs", "--tail", "1", id.as_str()]).starts_with("0123456789"));
}

#[tokio::test]
async fn each_network_is_what_its_word_says() {
    let bench = Bench::new();
    let links = |file: &str| format!("{}{STAY}", tell("busybox ls /sys/class/net", file));
    bench.run("own", &links("own"), json!({})).await;
    bench.run("host", &links("host"), json!({"network": "host"})).await;
    bench.run("none", &links("none"), json!({"network": "none"})).await;
    bench.run("named", &links("named"), json!({"network": "plant"})).await;
    let words = |text: String| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(words(bench.hear("own").await), ["eth0", "lo"]);
    assert_eq!(words(bench.hear("none").await), ["lo"]);
    assert_eq!(words(bench.hear("named").await), ["eth0", "lo"]);
    let host = words(bench.hear("host").await);
    assert!(host.len() > 2, "the device's own links, podman's bridges among them: {host:?}");
    let networks = bench.world.podman(&["network", "ls", "--format", "{{.Name}}"]);
    assert!(networks.lines().any(|name| name == "plant"), "{networks}");
}
