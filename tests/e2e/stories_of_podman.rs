//! Podman fails in all the ways it was seen to: it goes, hangs, answers too late, dies in the middle.
use crate::device::{Device, Lives};
use crate::documents::{deployment, steady, with};
use crate::observe;
use crate::podman_proxy::{Fate, PodmanProxy};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::process::Command;
use std::time::Duration;
use tokio::time::Instant;

pub fn kill(pids: &[u64]) {
    let status = Command::new("kill").arg("-9").args(pids.iter().map(u64::to_string)).status();
    assert!(status.unwrap().success());
}

/// A device whose agent speaks to podman by way of a proxy.
pub async fn behind_a_proxy() -> (Device, PodmanProxy) {
    let mut device = Device::without_agent().await;
    let proxy = PodmanProxy::before(device.world.socket(), device.world.path("proxy.sock"));
    configure(&device, &device.world.socket().display().to_string(), &proxy.socket().display().to_string());
    device.boot();
    (device, proxy)
}

/// Changes one word of the configuration, for agents that start from now on.
fn configure(device: &Device, from: &str, to: &str) {
    let text = std::fs::read_to_string(device.config()).unwrap();
    assert!(text.contains(from), "{text}");
    std::fs::write(device.config(), text.replace(from, to)).unwrap();
}

/// The ordinary intervals of 30 s.
fn with_default_intervals(device: &Device) {
    configure(device, "reconcile_s = 1\nheartbeat_s = 1\n", "");
}

fn has_code(code: &str) -> impl Fn(&Value) -> bool {
    move |state| state["last_error"]["code"] == code
}

/// Whoever lived before lives on.
fn unchanged(device: &Device, before: &Lives) {
    let now = device.lives();
    for (name, life) in before {
        assert_eq!(now.get(name), Some(life), "{name}\n{}", device.log.tail());
    }
}

#[tokio::test]
async fn a_podman_whose_socket_is_gone_for_several_ticks_is_told_with_a_next_attempt_and_kills_nothing() {
    let mut device = Device::new().await;
    device.apply("web", deployment(&[steady("a")])).await;
    let (before, agent) = (device.lives(), device.agent.as_ref().unwrap().pid());
    device.world.stop_service();
    std::fs::remove_file(device.world.socket()).unwrap();
    let told =
        |state: &Value| has_code("runtime-unreachable")(state) && state["last_error"]["retry_at"].is_string();
    let state = device.state("web", "podman's absence is told", told).await;
    assert_eq!(state["phase"], "Degraded");
    let later = device.put("web", deployment(&[steady("a"), steady("b")])).await;
    device.several_ticks().await;
    device.several_ticks().await;
    unchanged(&device, &before);
    device.world.start_service();
    let since = Instant::now();
    device.running("web", later).await;
    assert!(since.elapsed() < Duration::from_secs(30), "{:?}", since.elapsed());
    unchanged(&device, &before);
    assert_eq!(device.agent.as_ref().unwrap().pid(), agent);
    let tree = device.operator.ask("actors", json!({})).await.body;
    let restarts: u64 =
        tree["actors"].as_array().unwrap().iter().map(|a| a["restarts"].as_u64().unwrap()).sum();
    assert_eq!(restarts, 0, "{tree:#}");
}

#[tokio::test]
async fn a_podman_that_hangs_on_one_container_delays_no_other_deployment() {
    let (device, proxy) = behind_a_proxy().await;
    device.apply("bad", deployment(&[steady("a")])).await;
    device.apply("good", deployment(&[steady("a"), steady("b")])).await;
    let before = device.lives();
    let id = before["fleet-bad.a"].0.clone();
    for method in ["GET", "POST", "DELETE"] {
        proxy.do_to(method, &id, Fate::Held, None);
    }
    let stuck = device.put("bad", deployment(&[with(steady("a"), json!({"env": {"V": "2"}}))])).await;
    device
        .eventually("podman hangs", async || if proxy.met() > 0 { Ok(()) } else { Err("not yet".into()) })
        .await;
    for version in ["2", "3"] {
        let since = Instant::now();
        device
            .apply("good", deployment(&[with(steady("a"), json!({"env": {"V": version}})), steady("b")]))
            .await;
        assert!(since.elapsed() < Duration::from_secs(20), "{:?}", since.elapsed());
    }
    kill(&[device.life("fleet-good.a").pid]);
    device
        .state("good", "it is repaired", |state| {
            state["phase"] == "Running" && state["services"]["a"]["restarts"] == 1
        })
        .await;
    assert_eq!(device.lives()["fleet-good.b"], before["fleet-good.b"]);
    device.state("bad", "that one's trouble is told", has_code("timeout")).await;
    proxy.let_through();
    device.running("bad", stuck).await;
}

#[tokio::test]
async fn a_podman_that_hangs_on_its_list_is_unreachable_and_kills_neither_actor_nor_process() {
    let (device, proxy) = behind_a_proxy().await;
    let revision = device.apply("web", deployment(&[steady("a")])).await;
    let (before, agent) = (device.lives(), device.agent.as_ref().unwrap().pid());
    proxy.do_to("GET", "/containers/json", Fate::Held, None);
    device.state("web", "it is told", has_code("runtime-unreachable")).await;
    device.several_ticks().await;
    assert_eq!(device.agent.as_ref().unwrap().pid(), agent);
    proxy.let_through();
    device.running("web", revision).await;
    unchanged(&device, &before);
    assert_eq!(device.operator.ask("ping", json!({})).await.code, 200);
}

#[tokio::test]
async fn an_operation_whose_answer_is_lost_or_cut_off_happens_once() {
    let (device, proxy) = behind_a_proxy().await;
    let calls = [
        ("POST", "/containers/create"),
        ("POST", "/start"),
        ("POST", "/rename"),
        ("POST", "/kill"),
        ("DELETE", "/containers/"),
    ];
    device.apply("web", deployment(&[steady("a"), steady("b")])).await;
    let other = device.lives()["fleet-web.b"].clone();
    for (n, (method, part)) in calls.into_iter().enumerate() {
        proxy.do_to(method, part, Fate::Cut, Some(1));
        let changed = with(steady("a"), json!({"env": {"V": n.to_string()}}));
        device.apply("web", deployment(&[changed, steady("b")])).await;
        assert_eq!(proxy.met(), n + 1, "{method} {part} was cut off");
        assert_eq!(device.containers().len(), 2);
    }
    assert_eq!(device.lives()["fleet-web.b"], other);
}

#[tokio::test]
async fn a_container_whose_monitor_died_is_kept_and_its_own_death_repaired() {
    let device = Device::new().await;
    let revision = device.apply("web", deployment(&[steady("a"), steady("b")])).await;
    let before = device.lives();
    let pid = device.life("fleet-web.a").pid;
    kill(&[observe::parent(pid)]);
    device.several_ticks().await;
    unchanged(&device, &before);
    device.running("web", revision).await;
    // Nobody is left who would tell podman.
    kill(&[pid]);
    let again = |all: &BTreeMap<String, observe::Seen>| {
        all.get("fleet-web.a").is_some_and(|seen| seen.life.is_some_and(|life| life.pid != pid))
    };
    device.seen("it runs again", again).await;
    device.running("web", revision).await;
    assert_eq!(device.lives()["fleet-web.b"], before["fleet-web.b"]);
    assert_eq!(device.containers().len(), 2);
}

#[tokio::test]
async fn a_death_that_podman_never_hears_of_is_repaired_within_20_s_with_the_default_intervals() {
    let mut device = Device::without_agent().await;
    with_default_intervals(&device);
    device.boot();
    let revision = device.apply("web", deployment(&[steady("a")])).await;
    let (id, life) = device.lives()["fleet-web.a"].clone();
    let pid = life.unwrap().pid;
    let since = Instant::now();
    kill(&[observe::parent(pid), pid]);
    let anew = |all: &BTreeMap<String, observe::Seen>| {
        all.get("fleet-web.a").is_some_and(|seen| seen.id != id && seen.life.is_some())
    };
    device.seen("a new one in its place", anew).await;
    assert!(since.elapsed() < Duration::from_secs(20), "{:?}", since.elapsed());
    device.running("web", revision).await;
    assert_eq!(device.containers().len(), 1);
}

#[tokio::test]
async fn a_dozen_slow_stops_delay_neither_the_start_nor_the_replace_nor_the_repair_of_another() {
    let device = Device::new().await;
    let slow = crate::documents::script("s", "trap '' TERM; while :; do sleep 1; done");
    let services: Vec<Value> =
        (0..12).map(|n| with(slow.clone(), json!({"name": format!("s{n}")}))).collect();
    device.apply("slow", crate::documents::with_lifecycle(&services, json!({"grace_period_s": 300}))).await;
    device.apply("good", deployment(&[steady("a")])).await;
    device.operator.delete("slow").await;
    device.state("slow", "it stops", |state| state["phase"] == "Stopping").await;
    device.apply("good", deployment(&[with(steady("a"), json!({"env": {"V": "2"}}))])).await;
    kill(&[device.life("fleet-good.a").pid]);
    device.state("good", "it is repaired", |state| state["services"]["a"]["restarts"] == 1).await;
    device.operator.delete("good").await;
    device.seen("and is removed", |all| !all.contains_key("fleet-good.a")).await;
    let live = device.containers().values().filter(|seen| seen.life.is_some()).count();
    assert_eq!(live, 12, "the slow ones have their time");
}

mod long {
    use super::*;
    use crate::patience::patiently;

    /// The agent waits for a create for 60 s.
    #[tokio::test]
    async fn a_create_that_happens_although_its_answer_never_comes_is_one_container() {
        let (device, proxy) = behind_a_proxy().await;
        device.apply("web", deployment(&[steady("a")])).await;
        proxy.do_to("POST", "/containers/create", Fate::Unanswered, Some(1));
        device.put("new", deployment(&[steady("a")])).await;
        device.seen("podman made it all the same", |all| all.contains_key("fleet-new.a")).await;
        let made = device.lives()["fleet-new.a"].0.clone();
        let runs = async || {
            let lives = device.lives();
            if lives["fleet-new.a"].1.is_some() { Ok(lives) } else { Err("not yet".to_owned()) }
        };
        let lives = match patiently(runs).await {
            Ok(lives) => lives,
            Err(_) => patiently(runs).await.unwrap(),
        };
        assert_eq!((lives["fleet-new.a"].0.clone(), lives.len(), proxy.met()), (made, 2, 1));
    }
}
