//! Somebody is at work on the device beside the agent, with podman's own command.
use crate::device::Device;
use crate::documents::{deployment, steady, with};
use crate::observe::Seen;
use crate::podman_world::DEMO_IMAGE;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::process::{Child, Stdio};

/// Containers that are none of this device's: without a label, and of another device. One has a name like ours.
fn strangers(device: &Device) -> Vec<String> {
    let run = |name: &str, labels: &[&str]| {
        let name = format!("--name={name}");
        let mut arguments = vec!["run", "--detach", "--network=none", &name];
        arguments.extend(labels);
        arguments.extend([DEMO_IMAGE, "sleep", "86400"]);
        device.world.podman(&arguments);
    };
    let other =
        ["--label=io.fleet.device=another", "--label=io.fleet.deployment=web", "--label=io.fleet.service=a"];
    run("somebody", &[]);
    run("fleet-web.a.of-another", &other);
    run("fleet-other.a", &other);
    ["somebody", "fleet-web.a.of-another", "fleet-other.a"].map(str::to_owned).to_vec()
}

#[tokio::test]
async fn what_somebody_stops_pauses_renames_or_removes_by_hand_runs_again_and_strangers_are_left_alone() {
    let device = Device::new().await;
    let strangers = strangers(&device);
    let revision = device.apply("web", deployment(&[steady("a"), steady("b")])).await;
    let before = device.lives();
    let hand: [&[&str]; 5] = [
        &["stop", "--time=5", "fleet-web.a"],
        &["kill", "fleet-web.a"],
        &["pause", "fleet-web.a"],
        &["rename", "fleet-web.a", "mine"],
        &["rm", "--force", "--time=0", "fleet-web.a"],
    ];
    for command in hand {
        device.world.podman(command);
        let states = ["inspect", "--format={{.State.Status}}", "fleet-web.a"];
        let runs = async || {
            let mut podman = device.world.podman_command(&states);
            let said = String::from_utf8(podman.output().unwrap().stdout).unwrap();
            if said.trim() == "running" { Ok(()) } else { Err(format!("it is {said:?}")) }
        };
        device.eventually(&format!("after {command:?} it runs again"), runs).await;
        device.running("web", revision).await;
        assert_eq!(device.containers().len(), 2 + strangers.len(), "after {command:?}");
    }
    let untouched = strangers.iter().map(String::as_str).chain(["fleet-web.b"]);
    for name in untouched {
        assert_eq!(device.lives()[name], before[name], "{name}");
    }
}

#[tokio::test]
async fn a_paused_container_can_still_be_replaced_and_removed() {
    let device = Device::new().await;
    device.apply("web", deployment(&[steady("a")])).await;
    device.world.podman(&["pause", "fleet-web.a"]);
    let revision = device.put("web", deployment(&[with(steady("a"), json!({"env": {"V": "2"}}))])).await;
    device.running("web", revision).await;
    device.world.podman(&["pause", "fleet-web.a"]);
    device.operator.delete("web").await;
    device.seen("it is gone", BTreeMap::is_empty).await;
}

#[tokio::test]
async fn a_stranger_under_the_name_that_an_update_needs_is_a_conflict_and_the_old_one_runs_on() {
    let device = Device::new().await;
    let device = &device;
    for role in ["next", "old"] {
        let (name, deployed) = (format!("fleet-{role}.a.{role}"), format!("fleet-{role}.a"));
        device.apply(role, deployment(&[steady("a")])).await;
        let run = ["run", "--detach", "--network=none", "--name", &name, DEMO_IMAGE, "sleep", "86400"];
        device.world.podman(&run);
        let (stranger, old) = (device.lives()[&name].clone(), device.life(&deployed));
        let update = deployment(&[with(steady("a"), json!({"env": {"V": "2"}}))]);
        let revision = device.put(role, update).await;
        let conflict = |state: &Value| {
            state["phase"] == "Failed"
                && state["last_error"]["code"] == "name-conflict"
                && state["last_error"]["message"].as_str().unwrap().contains(&name)
        };
        device.state(role, "the conflict is told", conflict).await;
        device.several_ticks().await;
        device.state(role, "still so", conflict).await;
        assert_eq!(device.lives()[&name], stranger);
        assert_eq!(device.life(&deployed), old, "until its successor is ready the old one runs");
        device.world.podman(&["rm", "--force", "--time=0", &name]);
        device.running(role, revision).await;
        assert_ne!(device.life(&deployed), old);
    }
}

#[tokio::test]
async fn without_its_image_a_container_runs_on_and_after_its_end_the_image_is_asked_for_until_it_is_there() {
    let device = Device::new().await;
    let archive = device.world.path("saved.tar").display().to_string();
    device.world.podman(&["save", "--quiet", "--output", &archive, DEMO_IMAGE]);
    let never = with(steady("b"), json!({"pull": "never"}));
    // By a name whose registry is not there, as when the network is gone.
    let gone = "127.0.0.1:5001/demo:1";
    device.world.podman(&["tag", DEMO_IMAGE, gone]);
    let pulled = with(steady("a"), json!({"image": gone}));
    let first = device.apply("pulled", deployment(&[pulled])).await;
    let second = device.apply("never", deployment(&[never])).await;
    let before = device.lives();
    // All names of it. An `rmi --force` would take the containers along.
    device.world.podman(&["untag", gone]);
    device.several_ticks().await;
    assert_eq!(device.lives(), before);
    for name in before.keys() {
        device.world.podman(&["rm", "--force", "--time=0", name]);
    }
    let code = |code: &'static str| {
        move |state: &Value| {
            state["phase"] == "Degraded"
                && state["last_error"]["code"] == code
                && state["last_error"]["retry_at"].is_string()
        }
    };
    device.state("never", "its image is missing", code("image-missing")).await;
    device.state("pulled", "its image cannot be pulled", code("image-pull")).await;
    device.world.podman(&["load", "--quiet", "--input", &archive]);
    device.world.podman(&["tag", DEMO_IMAGE, gone]);
    device.running("pulled", first).await;
    device.running("never", second).await;
}

#[tokio::test]
async fn a_container_whose_image_was_removed_by_force_is_made_again_from_a_registry() {
    let device = Device::new().await;
    let _registry = crate::registry::Registry::serve(&device.world);
    let image = |image: &str| deployment(&[with(steady("a"), json!({"image": image}))]);
    let revision = device.apply("web", image(crate::registry::OPEN)).await;
    let before = device.lives();
    device.world.podman(&["rmi", "--force", crate::registry::OPEN]);
    let again = |all: &BTreeMap<String, Seen>| {
        all.get("fleet-web.a").is_some_and(|seen| seen.id != before["fleet-web.a"].0 && seen.life.is_some())
    };
    device.seen("it was pulled and made again", again).await;
    device.running("web", revision).await;
}

/// Somebody who listens on a port of the device.
struct Listener(Child);

impl Listener {
    fn on(device: &Device, port: &str) -> Self {
        let mut nc = device.world.inside(crate::podman_world::static_busybox());
        nc.args(["nc", "-ll", "-p", port, "-e", "cat"]).stdin(Stdio::null()).stdout(Stdio::null());
        Self(nc.spawn().unwrap())
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn a_port_that_somebody_has_is_told_and_waited_for_and_disturbs_no_other() {
    let device = Device::new().await;
    device.apply("other", deployment(&[steady("a")])).await;
    let other = device.lives()["fleet-other.a"].clone();
    let somebody = Listener::on(&device, "18080");
    let revision = device.put("web", deployment(&[crate::documents::web("a", "hello"), steady("b")])).await;
    device.running("web", revision).await;
    let with_port = with(crate::documents::web("a", "hello"), json!({"ports": ["18080:80"]}));
    let revision = device.put("web", deployment(&[with_port, steady("b")])).await;
    let told = |state: &Value| {
        state["phase"] == "Degraded"
            && state["last_error"]["code"] == "port-in-use"
            && state["last_error"]["service"] == "a"
            && state["last_error"]["retry_at"].is_string()
    };
    device.state("web", "the port is told", told).await;
    device.several_ticks().await;
    device.state("web", "still so", told).await;
    device.life("fleet-web.b");
    assert_eq!(device.lives()["fleet-other.a"], other);
    drop(somebody);
    device.running("web", revision).await;
    device.answers("http://127.0.0.1:18080/", "hello").await;
}

#[tokio::test]
async fn a_host_path_that_is_not_there_is_refused_and_not_made() {
    let device = Device::new().await;
    let path = device.world.path("card");
    let volumes = json!({"volumes": [format!("{}:/data:ro", path.display())]});
    let revision = device.put("web", deployment(&[with(steady("a"), volumes)])).await;
    let told = |state: &Value| {
        state["phase"] == "Degraded"
            && state["last_error"]["code"] == "start"
            && state["last_error"]["message"].as_str().unwrap().contains(&path.display().to_string())
    };
    device.state("web", "the path is named", told).await;
    assert!(!path.exists(), "nobody made it");
    std::fs::create_dir(&path).unwrap();
    device.running("web", revision).await;
}

/// A mount whose server is gone: who asks for it waits in the kernel.
#[tokio::test]
async fn a_host_path_that_does_not_answer_is_told_and_holds_up_no_other_deployment() {
    let device = Device::new().await;
    let path = device.directory("mount").display().to_string();
    device.arm(&format!("path:{path}"), "block always");
    let service = |name| with(steady(name), json!({"volumes": [format!("{path}:/data")]}));
    device.put("bad", deployment(&[service("a"), service("b"), service("c")])).await;
    device.logged("create fleet-bad.c").await;
    // There are two worker threads.
    device.apply("web", deployment(&[steady("a")])).await;
    let told = |state: &Value| {
        let message = state["last_error"]["message"].as_str().unwrap_or_default();
        state["phase"] == "Degraded" && message.contains(&path) && message.contains("no answer")
    };
    device.state("bad", "the path is named", told).await;
    assert!(device.containers().keys().all(|name| !name.starts_with("fleet-bad")), "podman was not asked");
}

mod long {
    use super::*;
    use crate::documents::{script, with_lifecycle};

    #[tokio::test]
    async fn a_stop_whose_client_was_killed_is_brought_to_its_end_and_the_container_runs_again() {
        let device = Device::new().await;
        let services = [script("a", "trap '' TERM; sleep 86400"), steady("b")];
        let revision = device.apply("web", with_lifecycle(&services, json!({"grace_period_s": 1}))).await;
        let before = device.lives();
        let mut stop = device.world.podman_command(&["stop", "--time=600", "fleet-web.a"]);
        let mut client = stop.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let word = |word: &'static str| {
            let device = &device;
            async move || {
                let inspect = ["inspect", "--format={{.State.Status}}", "fleet-web.a"];
                let said = device.world.podman_command(&inspect).output().unwrap().stdout;
                let said = String::from_utf8(said).unwrap();
                if said.trim() == word { Ok(()) } else { Err(format!("it is {said:?}")) }
            }
        };
        device.eventually("podman calls it stopping", word("stopping")).await;
        client.kill().unwrap();
        client.wait().unwrap();
        device.eventually("it runs again", word("running")).await;
        device.running("web", revision).await;
        let after = device.lives();
        assert_ne!(after["fleet-web.a"], before["fleet-web.a"]);
        assert_eq!(after["fleet-web.b"], before["fleet-web.b"]);
    }
}
