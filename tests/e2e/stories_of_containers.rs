//! Containers and podman itself have their accidents.
use crate::device::Device;
use crate::documents::{deployment, steady, web, with};
use crate::observe;
use serde_json::json;
use std::collections::BTreeMap;
use std::process::Command;

fn kill(pids: &[u64]) {
    let status = Command::new("kill").arg("-9").args(pids.iter().map(u64::to_string)).status();
    assert!(status.unwrap().success());
}

#[tokio::test]
async fn a_container_that_was_killed_or_removed_by_hand_comes_back() {
    let device = Device::new().await;
    let revision = device.apply("web", deployment(&[steady("a"), steady("b")])).await;
    let (first, other) = (device.lives()["fleet-web.a"].clone(), device.life("fleet-web.b"));
    kill(&[device.life("fleet-web.a").pid]);
    let restarted =
        |state: &serde_json::Value| state["services"]["a"]["restarts"] == 1 && state["phase"] == "Running";
    device.state("web", "its restart is counted", restarted).await;
    let again = device.lives()["fleet-web.a"].clone();
    assert_eq!(again.0, first.0, "the same container is started again");
    assert_ne!(device.life("fleet-web.a"), first.1.unwrap());

    // Podman goes on saying that it runs.
    let pid = device.life("fleet-web.a").pid;
    kill(&[observe::parent(pid), pid]);
    let is_new = |all: &BTreeMap<String, observe::Seen>, old: &str| {
        all.get("fleet-web.a").is_some_and(|seen| seen.id != old && seen.life.is_some())
    };
    device.seen("a new one in its place", |all| is_new(all, &again.0)).await;
    device.running("web", revision).await;

    let third = device.lives()["fleet-web.a"].clone();
    device.world.podman(&["rm", "--force", "--time=0", "fleet-web.a"]);
    device.seen("a new one in its place", |all| is_new(all, &third.0)).await;
    let state = device.running("web", revision).await;
    let id = device.lives()["fleet-web.a"].0.clone();
    assert_eq!(state["container_ids"]["a"], json!(id));
    assert_eq!(device.life("fleet-web.b"), other);
    assert_eq!(device.containers().len(), 2);
}

/// It is started before podman has cleaned up after it.
#[tokio::test]
async fn a_container_that_was_killed_keeps_its_port_and_its_name_for_others() {
    let device = Device::new().await;
    let port = |n: u16| 18080 + n;
    let page = |n: u16| {
        with(web(&format!("w{n}"), "hello"), json!({"ports": [format!("127.0.0.1:{}:80", port(n))]}))
    };
    device.apply("web", deployment(&[page(0), page(1), page(2)])).await;
    for n in 0..3 {
        let (name, url) = (format!("fleet-web.w{n}"), format!("http://127.0.0.1:{}/", port(n)));
        device.answers(&url, "hello").await;
        let (id, before) = device.lives()[&name].clone();
        kill(&[device.life(&name).pid]);
        let is_again = |all: &BTreeMap<String, observe::Seen>| {
            all.get(&name).is_some_and(|seen| seen.id == id && seen.life.is_some() && seen.life != before)
        };
        device.seen("it runs again", is_again).await;
        device.answers(&url, "hello").await;
    }
    // Podman's cleanups are over by now, and did no harm.
    device.several_ticks().await;
    for n in 0..3 {
        device.answers(&format!("http://127.0.0.1:{}/", port(n)), "hello").await;
        let other = format!("w{}", (n + 1) % 3);
        device.world.podman(&[
            "exec",
            &format!("fleet-web.w{n}"),
            "sh",
            "-c",
            &format!("nc {other} 80 </dev/null"),
        ]);
    }
}

#[tokio::test]
async fn a_foreign_container_with_our_name_is_left_alone_and_its_removal_ends_the_conflict() {
    let device = Device::new().await;
    let run = ["run", "--detach", "--network=none", "--name=fleet-web.a", crate::podman_world::DEMO_IMAGE];
    device.world.podman(&[&run[..], &["sleep", "86400"]].concat());
    let foreign = device.lives()["fleet-web.a"].clone();
    let revision = device.put("web", deployment(&[steady("a"), steady("b")])).await;
    let conflict = |state: &serde_json::Value| {
        state["phase"] == "Failed" && state["last_error"]["code"] == "name-conflict"
    };
    let state = device.state("web", "the conflict is told", conflict).await;
    assert_eq!(state["last_error"]["service"], "a");
    let message = state["last_error"]["message"].as_str().unwrap();
    assert!(message.contains(&foreign.0[..12]), "{message}");
    device.several_ticks().await;
    assert_eq!(device.lives()["fleet-web.a"], foreign);
    device.life("fleet-web.b");

    device.world.podman(&["rm", "--force", "--time=0", "fleet-web.a"]);
    device.running("web", revision).await;
    assert_ne!(device.lives()["fleet-web.a"].0, foreign.0);
}

#[tokio::test]
async fn podman_may_go_away_and_come_back_and_no_container_notices() {
    let mut device = Device::new().await;
    let revision = device.apply("web", deployment(&[steady("a")])).await;
    let before = device.lives();
    device.world.stop_service();
    let unreachable = |state: &serde_json::Value| state["last_error"]["code"] == "runtime-unreachable";
    let state = device.state("web", "podman's absence is told", unreachable).await;
    assert_eq!(state["phase"], "Degraded");
    let reasons = json!(["runtime-unreachable"]);
    device.heartbeat("the heartbeat says it", |beat| beat["reasons"] == reasons).await;
    // A document that comes meanwhile is taken, and done later.
    let update = deployment(&[steady("a"), steady("b")]);
    let later = device.put("web", update).await;
    device.state("web", "it is accepted", |state| state["observed_revision"] == later).await;
    assert_eq!(device.lives(), before);
    device.world.start_service();
    let state = device.running("web", later).await;
    assert!(later > revision && state["last_error"].is_null());
    assert_eq!(device.lives()["fleet-web.a"], before["fleet-web.a"]);
    device.heartbeat("all is well", |beat| beat["health"] == "ok").await;
}

#[tokio::test]
async fn a_container_that_podman_removed_by_half_blinds_nobody_and_is_made_anew() {
    let mut device = Device::new().await;
    let revision = device.apply("web", deployment(&[steady("a"), steady("b")])).await;
    let other = device.apply("other", deployment(&[steady("a")])).await;
    let before = device.lives();
    device.crash();
    device.world.podman(&["stop", "--time=5", "fleet-web.a"]);
    device.world.remove_by_half("fleet-web.a");
    device.boot();
    let (id, _) = &before["fleet-web.a"];
    let anew = |all: &BTreeMap<String, observe::Seen>| {
        all.get("fleet-web.a").is_some_and(|seen| seen.id != *id && seen.life.is_some())
    };
    device.seen("a new one in its place", anew).await;
    device.running("web", revision).await;
    device.running("other", other).await;
    for name in ["fleet-web.b", "fleet-other.a"] {
        assert_eq!(device.lives()[name], before[name]);
    }
    device.heartbeat("all is well", |beat| beat["health"] == "ok").await;
}
