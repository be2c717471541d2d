//! Memory that runs out.
use crate::device::Device;
use crate::documents::{deployment, steady, with};
use serde_json::json;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};

/// A memory cgroup that goes with the test.
struct Group(PathBuf);

impl Group {
    /// What `pid` asks for from now on may take so many bytes.
    fn around(pid: u32, bytes: u64) -> Self {
        let old = Path::new("/sys/fs/cgroup/memory");
        let (base, limit) = if old.is_dir() {
            (old, "memory.limit_in_bytes")
        } else {
            (Path::new("/sys/fs/cgroup"), "memory.max")
        };
        let group = Self(base.join(format!("fleet-test-{}", std::process::id())));
        fs::create_dir(&group.0).unwrap();
        fs::write(group.0.join(limit), bytes.to_string()).unwrap();
        fs::write(group.0.join("cgroup.procs"), pid.to_string()).unwrap();
        group
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.0);
    }
}

#[tokio::test]
async fn an_agent_that_the_kernel_kills_for_want_of_memory_is_followed_by_one_that_adopts_everything() {
    let mut device = Device::new().await;
    device.apply("web", deployment(&[steady("a"), steady("b")])).await;
    let before = device.lives();
    let agent = device.agent.take().unwrap();
    let group = Group::around(agent.pid(), 1 << 20);
    // Documents to be read: more than it may have.
    let large = deployment(&[with(steady("c"), json!({"env": {"BALLAST": "x".repeat(250_000)}}))]);
    for n in 0..20 {
        let _ = device.operator.put(&format!("large{n}"), large.clone()).await;
    }
    let end = agent.ended().await;
    assert_eq!(end.signal(), Some(9), "{end}");
    assert_eq!(device.lives_of("fleet-web."), before);
    drop(group);
    for n in 0..20 {
        device.operator.delete(&format!("large{n}")).await;
    }
    device.boot();
    device.heartbeat("it counts what it adopted", |beat| beat["deployments"]["running"] == 1).await;
    device.several_ticks().await;
    assert_eq!(device.lives_of("fleet-web."), before);
}

/// The cap that docs/operations.md states.
#[tokio::test]
async fn large_documents_of_many_deployments_leave_the_agent_below_its_cap() {
    const CAP_KB: u64 = 128 * 1024;
    let device = Device::new().await;
    device.apply("web", deployment(&[steady("a")])).await;
    let large = |mark: usize| {
        let image = with(
            steady("c"),
            json!({"env": {"BALLAST": "x".repeat(250_000), "MARK": mark.to_string()},
            "image": "localhost/absent:1", "pull": "never"}),
        );
        deployment(&[image])
    };
    let mut last = 0;
    for n in 0..100 {
        last = device.put(&format!("large{}", n % 25), large(n)).await;
    }
    device.state("large24", "the last one is seen", |state| state["observed_revision"] == last).await;
    let status =
        fs::read_to_string(format!("/proc/{}/status", device.agent.as_ref().unwrap().pid())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let peak: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(peak < CAP_KB, "{peak} kB at its highest");
}
