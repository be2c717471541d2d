//! The agent's own ends and beginnings.
use crate::agent::{Agent, command};
use crate::device::Device;
use crate::documents::{deployment, steady};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::Instant;

#[tokio::test]
async fn neither_crash_nor_ordered_stop_of_the_agent_touches_a_container() {
    let mut device = Device::new().await;
    let revision = device.apply("web", deployment(&[steady("a"), steady("b")])).await;
    let before = device.lives();
    device.crash();
    device.boot();
    device.heartbeat("the new one counts it", |beat| beat["deployments"]["running"] == 1).await;
    device.several_ticks().await;
    assert_eq!(device.lives(), before);

    device.agent.as_ref().unwrap().signal("HUP");
    device.several_ticks().await;
    for (signal, code) in [("TERM", 143), ("INT", 130)] {
        let agent = device.agent.take().unwrap();
        let began = Instant::now();
        agent.signal(signal);
        assert_eq!(agent.ended().await.code(), Some(code), "{}", device.log.tail());
        assert!(began.elapsed() < Duration::from_secs(40));
        assert_eq!(device.lives(), before);
        device.boot();
        let instance = device.operator.ask_when_up("ping").await.body["instance"].clone();
        device.heartbeat("the next one beats", |beat| beat["instance"] == instance).await;
    }
    let state = device.running("web", revision).await;
    assert_eq!(state["services"]["a"]["restarts"], 0);
    assert_eq!(device.lives(), before);
}

#[tokio::test]
async fn a_second_agent_on_the_same_state_directory_ends_with_69_and_says_who_holds_it() {
    let device = Device::new().await;
    device.apply("web", deployment(&[steady("a")])).await;
    let before = device.lives();
    let second = command(&device.config()).arg("run").output().unwrap();
    assert_eq!(second.status.code(), Some(69));
    let said = String::from_utf8_lossy(&[second.stdout, second.stderr].concat()).into_owned();
    let holder = format!("process {} (fleet-agent)", device.agent.as_ref().unwrap().pid());
    assert!(said.contains(&holder), "{said}");
    assert!(said.contains(device.state_dir().to_str().unwrap()), "{said}");
    device.several_ticks().await;
    assert_eq!(device.lives(), before);
}

/// Paths of all actors, in tree order.
fn paths(actors: &Value) -> Vec<String> {
    actors["actors"].as_array().unwrap().iter().map(|a| a["name"].as_str().unwrap().into()).collect()
}

#[tokio::test]
async fn every_actor_can_be_restarted_in_turn_and_no_container_notices() {
    let device = Device::new().await;
    device.apply("web", deployment(&[steady("a")])).await;
    device.apply("other", deployment(&[steady("a")])).await;
    let before = device.lives();
    let actors = device.operator.ask_when_up("actors").await.body;
    let paths = paths(&actors);
    assert!(paths.len() >= 13, "{paths:?}");
    for path in paths.iter().filter(|path| *path != "fleet-agent") {
        let answer = device.operator.ask("actor-restart", json!({"name": path})).await;
        assert_eq!(answer.code, 200, "{answer:?}\n{}", device.log.tail());
        assert_eq!(answer.body["name"], json!(path));
        assert!(answer.body["restarts"].as_u64().unwrap() >= 1, "{answer:?}");
        all_up(&device, &paths).await;
    }
    assert_eq!(device.lives(), before);
    // It still does its work.
    let revision = device.put("other", deployment(&[steady("b")])).await;
    device.running("other", revision).await;
    assert_eq!(device.lives()["fleet-web.a"], before["fleet-web.a"]);
    let state = device.state("web", "web still runs", |state| state["phase"] == "Running").await;
    assert_eq!(state["services"]["a"]["restarts"], 0);
    let actors = device.operator.ask_when_up("actors").await.body;
    for actor in actors["actors"].as_array().unwrap() {
        assert_eq!(
            actor["budget"]["used"].as_u64().unwrap_or(0),
            0,
            "a restart by hand uses no budget: {actor:#}"
        );
    }
}

async fn all_up(device: &Device, paths: &[String]) {
    let look = async || {
        let answer = device.operator.ask_when_up("actors").await.body;
        let up = |actor: &Value| matches!(actor["state"].as_str(), Some("running" | "waiting"));
        let all = answer["actors"].as_array().unwrap();
        let ok = all.iter().all(up) && self::paths(&answer) == paths;
        if ok { Ok(()) } else { Err(format!("{answer:#}")) }
    };
    device.eventually("every actor is up", look).await;
}

#[tokio::test]
async fn without_a_runtime_no_socket_is_needed_and_desired_state_is_dropped() {
    let mut device = Device::without_agent().await;
    device.world.stop_service();
    std::fs::remove_file(device.world.socket()).unwrap();
    let config = std::fs::read_to_string(device.config()).unwrap();
    let config = config.replace("[nats]", "runtime_enabled = false\n[nats]");
    std::fs::write(device.config(), config).unwrap();
    device.boot();
    device.put("web", deployment(&[steady("a")])).await;
    let ping = device.operator.ask_when_up("ping").await;
    assert_eq!((ping.code, &ping.body["role"]), (200, &json!("active")));
    let beat = device.heartbeat("it beats", |beat| beat["instance"] == ping.body["instance"]).await;
    assert_eq!((&beat["health"], &beat["deployments"]["total"]), (&json!("ok"), &json!(0)));
    let dropped = async || {
        let said = device.log.text().contains("desired state dropped");
        if said { Ok(()) } else { Err("it did not say so".into()) }
    };
    device.eventually("desired state is dropped", dropped).await;
    device.several_ticks().await;
    let status = device.operator.ask("status", json!({})).await;
    assert_eq!(status.body["deployments"], json!([]));
    let key = format!("state.{}.web", crate::device::ID);
    assert_eq!(device.operator.get("device-state", &key).await, Ok(None));
    let agent: Agent = device.agent.take().unwrap();
    agent.signal("TERM");
    assert_eq!(agent.ended().await.code(), Some(143));
}
