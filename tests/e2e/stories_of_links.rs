//! The way to the server, and the watch over it.
use crate::device::{Device, ID};
use crate::documents::{deployment, script, steady, with};
use crate::nats_link::Link;
use serde_json::json;
use std::time::Duration;

/// The cap that docs/operations.md states.
const CAP_KB: u64 = 128 * 1024;
/// When a server deletes what a device could not, and a little.
const FORGOTTEN: Duration = Duration::from_secs(90);

/// Consumers on each bucket, and subscriptions of the agent's connection, as the server counts them.
async fn held_at_the_server(device: &Device) -> Result<(Vec<usize>, u64), String> {
    let mut consumers = Vec::new();
    for bucket in ["desired-state", "device-state", "device-info", "device-heartbeat"] {
        consumers.push(device.operator.consumers(bucket).await?.len());
    }
    let connections = device.nats.monitoring("connz");
    let connections = connections["connections"].as_array().unwrap();
    let name = format!("fleet-agent/{ID}");
    let agents: Vec<u64> = (connections.iter())
        .filter(|connection| connection["name"] == json!(name))
        .map(|connection| connection["subscriptions"].as_u64().unwrap())
        .collect();
    match agents[..] {
        [subscriptions] => Ok((consumers, subscriptions)),
        _ => Err(format!("{} connections of the agent", agents.len())),
    }
}

/// Waits until the server holds of the agent what it held before.
async fn nothing_is_left(device: &Device, before: &(Vec<usize>, u64)) {
    let look = async || match held_at_the_server(device).await? {
        now if now == *before => Ok(()),
        now => Err(format!("the server holds {now:?}, before {before:?}")),
    };
    device.within(FORGOTTEN, "nothing is left at the server", look).await;
}

/// A device that runs something, and what the server holds of it when it is quiet.
async fn quiet() -> (Device, Link, (Vec<usize>, u64)) {
    let (device, link) = Device::behind_a_link().await;
    device.apply("web", deployment(&[steady("a")])).await;
    let look = async || match held_at_the_server(&device).await? {
        held if held.0 == [1, 0, 0, 0] => Ok(held),
        held => Err(format!("{held:?}")),
    };
    let held = device.eventually("one watch, and no other consumer", look).await;
    (device, link, held)
}

async fn reconnects_leave_nothing_behind(times: usize, flaps: usize) {
    let (device, link, held) = quiet().await;
    let lives = device.lives();
    for _ in 0..times {
        link.cut().await;
        link.mend();
        device.beats().await;
    }
    let mut second = tokio::time::interval(Duration::from_secs(1));
    for _ in 0..flaps {
        second.tick().await;
        link.cut().await;
        second.tick().await;
        link.mend();
    }
    device.beats().await;
    nothing_is_left(&device, &held).await;
    assert_eq!(device.lives(), lives);
    let actors = device.operator.ask("actors", json!({})).await.body;
    let restarts = actors["actors"].as_array().unwrap().iter().map(|a| a["restarts"].as_u64().unwrap());
    assert_eq!(restarts.sum::<u64>(), 0, "no actor took it amiss");
    device.apply("web", deployment(&[steady("a"), steady("b")])).await;
}

async fn a_flood(hints: usize) {
    let device = Device::new().await;
    device.apply("calm", deployment(&[steady("a")])).await;
    device.apply("web", deployment(&[steady("a")])).await;
    let calm = device.lives_of("fleet-calm");
    let marked = |mark: usize| {
        let ballast = json!({"env": {"MARK": mark.to_string(), "BALLAST": "x".repeat(1000)}});
        deployment(&[with(script("a", "trap 'exit 0' TERM; sleep 86400 & wait"), ballast)])
    };
    for mark in 0..hints {
        let subject = format!("$KV.desired-state.{ID}.web");
        device.operator.client.publish(subject, marked(mark).into()).await.unwrap();
    }
    device.operator.client.flush().await.unwrap();
    let last = device.put("web", marked(hints)).await;
    let look = async || {
        let key = format!("state.{ID}.web");
        match device.operator.get("device-state", &key).await? {
            Some(state) if state["observed_revision"] == last && state["phase"] == "Running" => Ok(()),
            other => Err(format!("{other:?}")),
        }
    };
    device.within(Duration::from_secs(420), "the last one runs", look).await;
    let pid = device.agent.as_ref().unwrap().pid();
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let peak: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(peak < CAP_KB, "{peak} kB at its highest");
    assert_eq!(device.lives_of("fleet-calm"), calm);
    assert_eq!(device.lives_of("fleet-web").len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watch_that_died_while_the_connection_lives_is_found_and_replaced() {
    let (device, _link, held) = quiet().await;
    let dead = device.operator.consumers("desired-state").await.unwrap();
    let stream = device.operator.js.get_stream("KV_desired-state").await.unwrap();
    stream.delete_consumer(&dead[0]).await.unwrap();
    device.apply("web", deployment(&[steady("a"), steady("b")])).await;
    let connections = device.log.text().matches("connected to NATS").count();
    assert_eq!(connections, 1, "the connection lived");
    nothing_is_left(&device, &held).await;
    assert_ne!(device.operator.consumers("desired-state").await.unwrap(), dead);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reconnects_and_a_link_that_flaps_for_ten_seconds_leave_nothing_behind_and_change_nothing() {
    reconnects_leave_nothing_behind(10, 5).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_ten_thousand_documents_ends_with_the_last_and_leaves_memory_below_its_cap() {
    a_flood(10_000).await;
}

mod long {
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_hundred_reconnects_leave_nothing_behind_at_the_server() {
        super::reconnects_leave_nothing_behind(100, 0).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_link_that_flaps_for_ten_minutes_changes_nothing_and_leaves_nothing_behind() {
        super::reconnects_leave_nothing_behind(0, 300).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_flood_of_a_hundred_thousand_documents_ends_with_the_last_and_leaves_memory_below_its_cap() {
        super::a_flood(100_000).await;
    }
}
