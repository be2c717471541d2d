//! Memory that runs out.
use crate::device::Device;
use crate::documents::{deployment, steady, with};
use serde_json::{Value, json};
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
    // Documents to be read: more than it may have. They stay, and the next process reads them too.
    for n in 0..20 {
        let _ = device.operator.put(&format!("large{n}"), large(n)).await;
    }
    let end = agent.ended().await;
    assert_eq!(end.signal(), Some(9), "{end}");
    assert_eq!(device.lives_of("fleet-web."), before);
    drop(group);
    device.boot();
    let counts = |beat: &Value| beat["deployments"]["running"] == 1 && beat["deployments"]["total"] == 21;
    device.heartbeat("it counts what it adopted", counts).await;
    device.several_ticks().await;
    assert_eq!(device.lives_of("fleet-web."), before);
    below_its_cap(&device);
}

/// 250 kB, of an image that is not there.
fn large(mark: usize) -> Vec<u8> {
    let more = json!({"env": {"BALLAST": "x".repeat(250_000), "MARK": mark.to_string()},
                      "image": "localhost/absent:1", "pull": "never"});
    deployment(&[with(steady("c"), more)])
}

/// The cap that docs/operations.md states.
fn below_its_cap(device: &Device) {
    const CAP_KB: u64 = 128 * 1024;
    let status =
        fs::read_to_string(format!("/proc/{}/status", device.agent.as_ref().unwrap().pid())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let peak: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
    println!("{peak} kB at its highest");
    assert!(peak < CAP_KB, "{peak} kB at its highest");
}

#[tokio::test]
async fn large_documents_of_many_deployments_leave_the_agent_below_its_cap() {
    let device = Device::new().await;
    device.apply("web", deployment(&[steady("a")])).await;
    let mut last = 0;
    for n in 0..100 {
        last = device.put(&format!("large{}", n % 25), large(n)).await;
    }
    device.state("large24", "the last one is seen", |state| state["observed_revision"] == last).await;
    below_its_cap(&device);
}

mod long {
    use super::*;

    #[tokio::test]
    async fn more_large_documents_than_a_device_takes_leave_it_below_its_cap_also_after_a_restart() {
        let mut device = Device::new().await;
        device.apply("web", deployment(&[steady("a")])).await;
        let before = device.lives();
        for n in 0..200 {
            device.put(&format!("large{n}"), large(n)).await;
        }
        let refused = |state: &Value| state["last_error"]["code"] == "invalid-spec";
        device.state("large199", "what is too much is refused by name", refused).await;
        below_its_cap(&device);
        device.crash();
        device.boot();
        device.state("large199", "and again", refused).await;
        device.heartbeat("it counts all", |beat| beat["deployments"]["total"] == 201).await;
        device.several_ticks().await;
        below_its_cap(&device);
        assert_eq!(device.lives_of("fleet-web."), before);
    }
}
