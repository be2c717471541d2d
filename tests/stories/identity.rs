//! Two devices that were given one id.
use crate::documents::demo;
use crate::harness::{Story, seconds};
use fleet_agent::bus::ErrorKind;
use fleet_agent::bus::fake::Call;
use fleet_contracts::commands::Verb;
use fleet_contracts::device::AgentHealth;
use serde_json::json;
use std::time::Duration;

const REASON: &str = "duplicate-identity";
/// Heartbeats come every 30 s, and what somebody else does counts from the second one on.
const NOTICED: Duration = Duration::from_secs(120);

fn is_told_by(story: &Story, process: &str) -> bool {
    story.heartbeat().is_some_and(|beat| {
        beat.instance == process
            && beat.health == AgentHealth::Degraded
            && beat.reasons.iter().any(|reason| reason == REASON)
    })
}

#[tokio::test(start_paused = true)]
async fn two_devices_with_one_identity_both_say_so_and_both_go_on_until_one_is_gone() {
    let story = Story::begin().await;
    story.apply_and_run("web", demo("demo:1")).await;
    let before = story.pids();
    let mut clone = Story::clone_of(&story);
    clone.boot().await;
    clone.until("it runs the same", |s| s.live() == ["fleet-web.a"]).await;
    let there = clone.pids();
    story.within(NOTICED, "the one says so", |s| is_told_by(s, "i1")).await;
    story.within(NOTICED, "the other says so", |s| is_told_by(s, "clone1")).await;
    story.pass(seconds(3600)).await;
    assert_eq!((story.pids(), clone.pids()), (before, there));
    story.until("still the one", |s| is_told_by(s, "i1")).await;
    story.until("still the other", |s| is_told_by(s, "clone1")).await;

    clone.crash().await;
    story.within(seconds(360), "it is over", |s| !s.says(REASON)).await;
    let status = story.command(Verb::Status, json!({})).await.unwrap();
    assert_eq!(status["device"]["health"], json!("ok"), "{status}");
}

#[tokio::test(start_paused = true)]
async fn a_process_takes_neither_its_former_one_nor_a_lost_answer_nor_a_lost_bucket_for_another_device() {
    let mut story = Story::begin().await;
    for _ in 0..5 {
        story.pass(seconds(70)).await;
        story.crash().await;
        story.boot().await;
    }
    for _ in 0..5 {
        story.bus.lose_next_answer(Call::Put);
        story.bus.fail_next(Call::Put, ErrorKind::Timeout);
        story.pass(seconds(100)).await;
    }
    let backup = story.bus.backup("device-heartbeat").unwrap();
    story.pass(seconds(100)).await;
    story.bus.wipe("device-heartbeat");
    story.pass(seconds(100)).await;
    story.bus.restore("device-heartbeat", backup);
    story.always(seconds(600), "nobody else is seen", |s| !s.says(REASON)).await;
}
