//! The server, or the bucket of desired state, is not what it was.
use crate::device::{Device, ID};
use crate::documents::{deployment, steady};
use serde_json::{Value, json};

fn held(state: &Value) -> bool {
    state["last_error"]["code"] == "removal-held"
}

fn stale(state: &Value) -> bool {
    state["last_error"]["code"] == "stale-revision"
}

fn has(beat: &Value, reason: &str) -> bool {
    beat["health"] == "degraded" && beat["reasons"].as_array().unwrap().contains(&json!(reason))
}

#[tokio::test]
async fn a_bucket_that_was_made_anew_under_the_agent_is_noticed_and_takes_documents() {
    let device = Device::new().await;
    device.apply("web", deployment(&[steady("a")])).await;
    let other = deployment(&[steady("a")]);
    device.apply("other", other.clone()).await;
    let before = device.lives();
    device.operator.js.delete_stream("KV_desired-state").await.unwrap();
    device.operator.make_source().await;
    let revision = device.operator.put("web", deployment(&[steady("a"), steady("b")])).await.unwrap();
    assert_eq!(revision, 1, "lower than what the device acted on");
    device.running("web", revision).await;
    device.state("other", "what is not there is held", held).await;
    device.heartbeat("it is told", |beat| has(beat, "source-reset") && has(beat, "removal-held")).await;
    device.several_ticks().await;
    for name in ["fleet-web.a", "fleet-other.a"] {
        assert_eq!(device.lives()[name], before[name]);
    }
    device.apply("other", other).await;
    device.heartbeat("all is well", |beat| beat["health"] == "ok").await;
    assert_eq!(device.lives()["fleet-other.a"], before["fleet-other.a"]);
}

#[tokio::test]
async fn a_server_whose_disk_was_lost_is_told_everything_again_and_removes_nothing() {
    let mut device = Device::new().await;
    let web = deployment(&[steady("a")]);
    device.apply("web", web.clone()).await;
    device.apply("other", deployment(&[steady("a")])).await;
    let before = device.lives();
    device.nats.down().await;
    device.nats.wipe();
    device.nats.up().await;
    device.heartbeat("the loss is told", |beat| has(beat, "source-missing")).await;
    let runs = |state: &Value| state["phase"] == "Running";
    device.state("web", "an unchanged state is told again", runs).await;
    device.state("other", "the other one too", runs).await;
    let podman = |info: &Value| info["inventory"]["runtime"]["name"] == "podman";
    device.document("device-info", &format!("info.{ID}"), "device info is told again", podman).await;
    device.several_ticks().await;
    assert!(device.operator.js.get_stream("KV_desired-state").await.is_err(), "that is the operator's");
    device.operator.make_source().await;
    device.apply("web", web).await;
    device.state("other", "what was not published again is held", held).await;
    device.heartbeat("it is told", |beat| has(beat, "source-reset") && has(beat, "removal-held")).await;
    device.several_ticks().await;
    assert_eq!(device.lives(), before, "the same document again changes nothing");
}

#[tokio::test]
async fn a_restored_backup_is_held_as_stale_and_what_is_written_then_is_taken() {
    let mut device = Device::new().await;
    device.apply("gone", deployment(&[steady("a")])).await;
    let first = device.apply("web", deployment(&[steady("a")])).await;
    device.nats.down().await;
    let backup = device.nats.backup();
    device.nats.up().await;
    device.operator.delete("gone").await;
    let (mut last, mut documents) = (first, 2..=4);
    for services in documents.by_ref().map(|n| ["a", "b", "c", "d"].map(steady)[..n].to_vec()) {
        last = device.apply("web", deployment(&services)).await;
    }
    device.seen("what was deleted is gone", |all| !all.contains_key("fleet-gone.a")).await;
    let before = device.lives();
    device.nats.down().await;
    device.nats.restore(&backup);
    device.nats.up().await;
    let state = device.state("web", "the old document is held", stale).await;
    assert_eq!((&state["phase"], &state["observed_revision"]), (&json!("Held"), &json!(last)));
    device.heartbeat("it is told", |beat| has(beat, "source-reset")).await;
    device.state("gone", "what was removed since is held too", |state| state["phase"] == "Held").await;
    device.several_ticks().await;
    assert_eq!(device.lives(), before);
    let later = device.put("web", deployment(&[steady("a"), steady("e")])).await;
    assert!(later < last, "{later} {last}");
    device.running("web", later).await;
    device.operator.delete("gone").await;
    device.heartbeat("all is well", |beat| beat["health"] == "ok").await;
    assert_eq!(device.lives()["fleet-web.a"], before["fleet-web.a"]);
}

#[tokio::test]
async fn an_acknowledged_document_that_the_server_lost_shows_by_the_revision_and_is_published_again() {
    let (mut device, link) = Device::behind_a_link().await;
    let first = device.apply("web", deployment(&[steady("a")])).await;
    device.nats.down().await;
    let disk = device.nats.backup();
    device.nats.up().await;
    device.beats().await;
    link.cut().await;
    let lost = device.put("web", deployment(&[steady("a"), steady("b")])).await;
    assert!(lost > first);
    device.nats.down().await;
    device.nats.restore(&disk);
    device.nats.up().await;
    let before = device.lives();
    link.mend();
    device.beats().await;
    device.several_ticks().await;
    // What the operator was told and what the device says differ: that is how the loss shows.
    device.running("web", first).await;
    assert_eq!(device.lives(), before);
    let again = device.put("web", deployment(&[steady("a"), steady("b")])).await;
    device.running("web", again).await;
    assert!(device.lives().contains_key("fleet-web.b"));
}
