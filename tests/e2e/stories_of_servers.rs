//! The NATS server has its accidents.
use crate::device::Device;
use crate::documents::{deployment, steady};
use serde_json::json;

#[tokio::test]
async fn an_agent_that_starts_while_the_server_is_away_brings_everything_up_from_its_ledger() {
    let mut device = Device::new().await;
    let web = device.apply("web", deployment(&[steady("a")])).await;
    let other = device.apply("other", deployment(&[steady("b")])).await;
    device.crash();
    device.nats.down().await;
    // As after a cold boot of a device whose storage was made anew.
    device.world.podman(&["rm", "--all", "--force", "--time=0"]);
    device.boot();
    let names = ["fleet-other.b", "fleet-web.a"];
    let all_run = |all: &std::collections::BTreeMap<String, crate::observe::Seen>| {
        all.keys().eq(names.iter()) && all.values().all(|seen| seen.life.is_some())
    };
    device.seen("both run without a server", all_run).await;
    let before = device.lives();
    device.nats.up().await;
    let state = device.running("web", web).await;
    let id = &before["fleet-web.a"].0;
    device.running("other", other).await;
    device.state("web", "the new container is told", |s| s["container_ids"]["a"] == json!(id)).await;
    assert_eq!(state["services"]["a"]["restarts"], 0);
    device.apply("web", deployment(&[steady("a"), steady("c")])).await;
    assert_eq!(device.lives()["fleet-web.a"], before["fleet-web.a"]);
}

#[tokio::test]
async fn a_server_that_dies_and_returns_changes_nothing_and_is_followed_again() {
    let mut device = Device::new().await;
    let revision = device.apply("web", deployment(&[steady("a")])).await;
    let before = device.lives();
    let beat = device.heartbeat("a heartbeat", |_| true).await["seq"].clone();
    device.nats.down().await;
    device.nats.up().await;
    let later = |now: &serde_json::Value| now["seq"].as_u64() > beat.as_u64();
    device.heartbeat("it is connected again", later).await;
    device.several_ticks().await;
    device.running("web", revision).await;
    assert_eq!(device.lives(), before);
    device.apply("web", deployment(&[steady("a"), steady("b")])).await;
    assert_eq!(device.lives()["fleet-web.a"], before["fleet-web.a"]);
}

/// The server tells a writer of a missing bucket only where nobody hears the subject.
#[tokio::test]
async fn buckets_that_are_missing_are_made_although_somebody_hears_every_subject() {
    let mut device = Device::without_agent().await;
    let _everything = device.operator.client.subscribe(">").await.unwrap();
    device.operator.client.flush().await.unwrap();
    device.boot();
    device.heartbeat("it beats", |_| true).await;
    let info = format!("info.{}", crate::device::ID);
    device.document("device-info", &info, "the device is told", |_| true).await;
    device.apply("web", deployment(&[steady("a")])).await;
    for bucket in ["KV_device-heartbeat", "KV_device-state"] {
        device.operator.js.delete_stream(bucket).await.unwrap();
    }
    device.beats().await;
    device.apply("web", deployment(&[steady("a"), steady("b")])).await;
}

#[tokio::test]
async fn a_desired_state_bucket_that_went_away_stops_nothing_and_is_not_made_again() {
    let mut device = Device::new().await;
    device.apply("web", deployment(&[steady("a")])).await;
    device.apply("other", deployment(&[steady("a")])).await;
    let before = device.lives();
    device.operator.js.delete_stream("KV_desired-state").await.unwrap();
    let missing = |beat: &serde_json::Value| {
        beat["health"] == "degraded" && beat["reasons"] == json!(["source-missing"])
    };
    device.heartbeat("the loss is told", missing).await;
    // An agent that begins knows from its ledger that it followed one.
    device.crash();
    device.boot();
    let instance = device.operator.ask_when_up("ping").await.body["instance"].clone();
    device.heartbeat("also by the next", |beat| beat["instance"] == instance && missing(beat)).await;
    device.several_ticks().await;
    assert_eq!(device.lives(), before);
    assert!(device.operator.js.get_stream("KV_desired-state").await.is_err());
}
