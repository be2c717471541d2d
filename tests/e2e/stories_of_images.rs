//! Images that do not come, and disks that have no room for them.
use crate::device::Device;
use crate::documents::{deployment, steady, with};
use crate::podman_world::{PodmanWorld, static_busybox};
use crate::private_registry::OpenRegistry;
use serde_json::{Value, json};
use std::process::{Child, Stdio};

const MIB: u64 = 1 << 20;
/// Of memory for podman's storage: with every image of a story in it more is free than the default of `min_free_mb`
/// (64) asks for. It is taken only as it is filled.
const ROOMY: u64 = 256 * MIB;

fn of(image: &str) -> Vec<u8> {
    deployment(&[with(steady("a"), json!({"image": image}))])
}

fn complains(code: &'static str, words: &'static [&'static str]) -> impl Fn(&Value) -> bool {
    move |state| {
        let error = &state["last_error"];
        let message = error["message"].as_str().unwrap_or_default();
        state["phase"] == "Degraded"
            && error["code"] == code
            && words.iter().all(|word| message.contains(word))
    }
}

/// Takes connections on this port of the world, and never says a word.
struct Silence(Child);

impl Silence {
    fn on(world: &PodmanWorld, port: u16) -> Self {
        let mut server = world.inside(static_busybox());
        server.args(["nc", "-ll", "-p", &port.to_string(), "-e", "sleep", "300"]);
        server.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Self(server.spawn().unwrap())
    }
}

impl Drop for Silence {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn an_update_whose_image_does_not_come_leaves_the_old_version_running_and_the_next_one_is_taken_at_once()
 {
    let mut device = Device::without_agent().await;
    let registry = OpenRegistry::serve(&device.world);
    let _silence = Silence::on(&device.world, 5001);
    let good = registry.push(&device.world, crate::podman_world::DEMO_IMAGE, "web:2");
    device.world.make_image("localhost/big:1", 3 << 20);
    let tampered = registry.push(&device.world, "localhost/big:1", "web:3");
    registry.tamper(&device.world);
    device.world.storage_in_memory(ROOMY);
    device.boot();
    device.apply("web", deployment(&[steady("a")])).await;
    let before = device.lives();
    let absent_digest = format!("127.0.0.1:5000/web@sha256:{:064}", 1);
    for (what, image) in [
        ("nobody listens", "127.0.0.1:5009/web:2"),
        ("no such tag", "127.0.0.1:5000/web:9"),
        ("no such digest", &absent_digest),
        ("another content than its digest says", &tampered),
    ] {
        device.put("web", of(image)).await;
        device
            .state("web", what, |state| {
                complains("image-pull", &[])(state)
                    && state["last_error"]["message"].as_str().unwrap().contains(image)
            })
            .await;
        assert_eq!(device.lives(), before, "{what}");
    }
    device.put("web", of("127.0.0.1:5001/web:2")).await;
    device.state("web", "it is waited for", |state| state["phase"] == "Pulling").await;
    device.several_ticks().await;
    assert_eq!(device.lives(), before, "the registry says nothing");
    let revision = device.put("web", of(&good)).await;
    device.running("web", revision).await;
    assert_eq!(device.containers().len(), 1);
}

#[tokio::test]
async fn without_room_for_an_image_the_old_version_runs_on_the_state_has_the_figures_and_it_goes_on_with_room()
 {
    let mut device = Device::without_agent().await;
    let registry = OpenRegistry::serve(&device.world);
    device.world.make_image("localhost/big:1", 12 << 20);
    let big = registry.push(&device.world, "localhost/big:1", "web:2");
    device.world.storage_in_memory(40 * MIB);
    device.configure("min_free_mb = 16\n");
    device.boot();
    device.apply("web", deployment(&[steady("a")])).await;
    let before = device.lives();
    // Not enough to begin.
    device.world.leave_free(Some(6 * MIB));
    let revision = device.put("web", of(&big)).await;
    let words: &[&str] = &["not begun", "less than the 16 MiB of min_free_mb", "podman image prune"];
    device.state("web", "it is not even begun", complains("disk-full", words)).await;
    device.several_ticks().await;
    assert_eq!(device.lives(), before);
    // Enough to begin, and not enough for the image.
    device.configure("min_free_mb = 2\n");
    device.crash();
    device.boot();
    let words: &[&str] = &["no space left", "MiB are free in"];
    device.state("web", "podman finds no room", complains("disk-full", words)).await;
    assert_eq!(device.lives(), before);
    device.world.leave_free(None);
    device.running("web", revision).await;
    assert_eq!(device.containers().len(), 1);
}

#[tokio::test]
async fn images_of_former_versions_go_one_update_later_and_nobody_elses_do() {
    let mut device = Device::without_agent().await;
    let registry = OpenRegistry::serve(&device.world);
    let names: Vec<String> = (1..=3).map(|n| format!("localhost/made:{n}")).collect();
    names.iter().for_each(|name| device.world.make_image(name, 1000));
    let pushed = |n: usize| registry.push(&device.world, &names[n], &format!("web:{}", n + 1));
    let versions = [pushed(0), pushed(1), pushed(2)];
    // Each pull ends with a sync, which waits for whatever else is written to a disk.
    device.world.storage_in_memory(ROOMY);
    device.world.make_image("localhost/theirs:1", 1000);
    device.boot();
    // Podman's list fails when an image goes while it is made.
    let list = |device: &Device| {
        let mut podman = device.world.podman_command(&["images", "--format", "{{.Repository}}:{{.Tag}}"]);
        let output = podman.output().unwrap();
        output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
    };
    let there = |device: &Device| list(device).unwrap();
    device.apply("web", of(&versions[0])).await;
    // Somebody's container, which never ran, uses the first one.
    device.world.podman(&["create", "--name", "theirs", &versions[0], "sleep", "1"]);
    device.apply("web", of(&versions[1])).await;
    device.crash();
    device.boot();
    device.apply("web", of(&versions[2])).await;
    let is_gone = async |device: &Device, version: &String| {
        let look = async || match list(device) {
            Some(all) if !all.contains(version.as_str()) => Ok(()),
            other => Err(format!("{other:?}")),
        };
        device.within(std::time::Duration::from_secs(60), "it is removed", look).await;
    };
    device.several_ticks().await;
    assert!(versions.iter().all(|version| there(&device).contains(version.as_str())), "{}", there(&device));
    device.world.podman(&["rm", "theirs"]);
    // What is not needed any more is looked at when something changes.
    device.operator.delete("web").await;
    is_gone(&device, &versions[0]).await;
    is_gone(&device, &versions[1]).await;
    is_gone(&device, &versions[2]).await;
    let all = there(&device);
    assert!(all.contains("localhost/theirs:1") && all.contains(crate::podman_world::DEMO_IMAGE), "{all}");
}

mod long {
    use super::*;

    #[tokio::test]
    async fn a_registry_that_says_nothing_is_given_up_after_a_minute_and_the_old_version_runs_on() {
        let device = Device::new().await;
        let _silence = Silence::on(&device.world, 5001);
        device.apply("web", deployment(&[steady("a")])).await;
        let before = device.lives();
        device.put("web", of("127.0.0.1:5001/web:2")).await;
        let look = async || {
            let key = format!("state.{}.web", crate::device::ID);
            match device.operator.get("device-state", &key).await? {
                Some(state) if complains("image-pull", &["no progress for 60 s"])(&state) => Ok(()),
                other => Err(format!("{other:?}")),
            }
        };
        device.within(std::time::Duration::from_secs(180), "it is given up", look).await;
        assert_eq!(device.lives(), before);
    }
}
