//! Images.
use crate::documents::{demo, document};
use crate::harness::{Story, TICK, seconds};
use fleet_agent::runtime::ErrorKind;
use fleet_agent::runtime::fake::{Op, Program, Registry};
use fleet_contracts::state::{Code, Phase};
use serde_json::json;

fn pulling(story: &Story) -> Option<(u64, u64)> {
    let pull = story.state("web")?.services.get(&"a".parse().unwrap())?.pull?;
    Some((pull.current, pull.total))
}

#[tokio::test(start_paused = true)]
async fn the_progress_of_a_pull_is_shown() {
    let story = Story::begin().await;
    story.runtime.registry("big:1", Registry::has_slowly(Program::polite(), 10, seconds(10)));
    let revision = story.apply("web", demo("big:1"));
    story.until("it pulls", |s| s.phase("web") == Some(Phase::Pulling)).await;
    story.until("a part is there", |s| pulling(s) == Some((3_000_000, 10_000_000))).await;
    story.until("more is there", |s| pulling(s) == Some((7_000_000, 10_000_000))).await;
    story.runs("web", revision).await;
    assert_eq!(pulling(&story), None);
}

#[tokio::test(start_paused = true)]
async fn a_pull_without_progress_for_a_minute_is_ended_and_tried_again() {
    let story = Story::begin().await;
    story.runtime.registry("big:1", Registry::stalls_after(3, seconds(50)));
    story.apply("web", demo("big:1"));
    // Slow is not stalled.
    story.always(seconds(200), "it pulls", |s| s.runtime.calls(Op::Pull) <= 1).await;
    story.runtime.registry("big:1", Registry::has(Program::polite()));
    story.within(seconds(20), "it is ended and tried again", |s| s.runtime.calls(Op::Pull) == 2).await;
    story.until("it runs", |s| s.phase("web") == Some(Phase::Running)).await;
}

#[tokio::test(start_paused = true)]
async fn a_pull_that_always_stalls_is_degraded_with_a_growing_wait() {
    let story = Story::begin().await;
    story.runtime.registry("big:1", Registry::stalls_after(0, seconds(1)));
    story.apply("web", demo("big:1"));
    story.until("it says so", |s| s.code("web") == Some(Code::ImagePull)).await;
    story.pass(seconds(3600)).await;
    // 60 s each, with 0, 1, 2 … 256, 300, 300 … s between them: 12 in the first hour, 16 without growth.
    assert!((9..=17).contains(&story.runtime.calls(Op::Pull)), "{}", story.runtime.calls(Op::Pull));
}

#[tokio::test(start_paused = true)]
async fn an_image_that_is_there_is_not_pulled_unless_it_should_always_be() {
    let story = Story::begin().await;
    story.runtime.registry("demo:1", Registry::has(Program::polite()));
    story.apply_and_run("web", demo("demo:1")).await;
    assert_eq!(story.runtime.calls(Op::Pull), 0);
    story.apply_and_run("fresh", document(json!([{"name": "a", "image": "demo:1", "pull": "always"}]))).await;
    assert_eq!(story.runtime.calls(Op::Pull), 1);
    story.pass(10 * TICK).await;
    assert_eq!(story.runtime.calls(Op::Pull), 1, "once per document");
}

#[tokio::test(start_paused = true)]
async fn an_image_that_must_not_be_pulled_is_waited_for() {
    let story = Story::begin().await;
    story.runtime.registry("local:1", Registry::has(Program::polite()));
    let revision = story.apply("web", document(json!([{"name": "a", "image": "local:1", "pull": "never"}])));
    story.until("it says so", |s| s.code("web") == Some(Code::ImageMissing)).await;
    story.pass(10 * TICK).await;
    assert_eq!(story.runtime.calls(Op::Pull), 0);
    assert_eq!(story.phase("web"), Some(Phase::Degraded));
    story.runtime.add_image("local:1");
    story.within(seconds(400), "it runs", |s| s.is_running("web", revision)).await;
}

#[tokio::test(start_paused = true)]
async fn a_refusal_of_the_registry_is_told_as_such() {
    let story = Story::begin().await;
    story.runtime.registry("secret:1", Registry::fails(ErrorKind::RegistryAuth, "unauthorized"));
    story.apply("web", demo("secret:1"));
    story.until("it says so", |s| s.code("web") == Some(Code::RegistryAuth)).await;
    assert_eq!(story.phase("web"), Some(Phase::Degraded));
}

#[tokio::test(start_paused = true)]
async fn a_slow_pull_ends_when_a_new_document_wants_another_image() {
    let story = Story::begin().await;
    story.runtime.registry("big:1", Registry::has_slowly(Program::polite(), 1000, seconds(30)));
    story.apply("web", demo("big:1"));
    story.until("it pulls", |s| s.phase("web") == Some(Phase::Pulling)).await;
    let revision = story.apply("web", demo("demo:1"));
    story.within(seconds(5), "it runs", |s| s.is_running("web", revision)).await;
    let lanes = || story.actor("effects").unwrap().doing;
    story.until("nothing is pulled any more", |_| lanes().is_none()).await;
}

#[tokio::test(start_paused = true)]
async fn an_image_that_was_removed_behind_our_back_is_pulled_again_when_it_is_needed() {
    let story = Story::begin().await;
    story.runtime.registry("demo:1", Registry::has(Program::polite()));
    story.apply_and_run("web", demo("demo:1")).await;
    story.runtime.remove_image("demo:1");
    story.runtime.user_removes("fleet-web.a");
    story.until("it runs again", |s| s.live() == ["fleet-web.a"]).await;
    assert_eq!(story.runtime.calls(Op::Pull), 1);
}
