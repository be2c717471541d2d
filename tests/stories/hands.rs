//! Somebody is at work on the device, and podman is cut off in the middle of things.
use crate::documents::{demo, document};
use crate::harness::{Story, TICK, seconds};
use fleet_agent::domain::container::Status;
use fleet_agent::runtime::ErrorKind;
use fleet_agent::runtime::fake::{Op, Program};
use fleet_contracts::state::{Code, Phase};
use serde_json::json;

#[tokio::test(start_paused = true)]
async fn a_start_that_podman_was_cut_off_in_is_made_anew_and_no_other_container_notices() {
    let story = Story::begin().await;
    story.apply_and_run("calm", demo("demo:1")).await;
    let calm = story.runtime.pid("fleet-calm.a");
    story.runtime.cut_off_next_start();
    let revision = story.apply("web", demo("demo:1"));
    story.within(seconds(30), "it runs", |s| s.is_running("web", revision)).await;
    let web = |line: &String| line.contains("fleet-web");
    let done: Vec<String> = story.runtime.journal().into_iter().filter(web).collect();
    assert_eq!(
        done[1..],
        ["create fleet-web.a", "remove fleet-web.a", "create fleet-web.a", "start fleet-web.a"]
    );
    assert_eq!(story.runtime.pid("fleet-calm.a"), calm);
}

/// What can never be started must not be made and removed in a spin.
#[tokio::test(start_paused = true)]
async fn a_container_that_can_never_be_started_is_made_anew_with_a_growing_wait() {
    let story = Story::begin().await;
    for _ in 0..1000 {
        story.runtime.fail_next(Op::Start, ErrorKind::Unstartable, "runc start failed: exit status 1");
    }
    story.apply("web", demo("demo:1"));
    story.pass(seconds(60)).await;
    let tried = story.runtime.calls(Op::Start);
    assert!((4..=9).contains(&tried), "{tried} starts in a minute");
    assert_eq!((story.code("web"), story.phase("web")), (Some(Code::Start), Some(Phase::Degraded)));
}

#[tokio::test(start_paused = true)]
async fn a_paused_container_goes_on_within_a_tick_and_keeps_its_process() {
    let story = Story::begin().await;
    let revision = story.apply_and_run("web", demo("demo:1")).await;
    let pid = story.runtime.pid("fleet-web.a");
    story.runtime.clear_journal();
    story.runtime.pause("fleet-web.a");
    story.within(TICK + seconds(1), "it goes on", |s| !s.runtime.journal().is_empty()).await;
    story.runs("web", revision).await;
    assert_eq!(
        (story.runtime.journal(), story.runtime.pid("fleet-web.a")),
        (vec!["unpause fleet-web.a".into()], pid)
    );
}

#[tokio::test(start_paused = true)]
async fn an_unpause_that_fails_is_told_and_tried_again() {
    let story = Story::begin().await;
    let revision = story.apply_and_run("web", demo("demo:1")).await;
    for _ in 0..4 {
        story.runtime.fail_next(Op::Unpause, ErrorKind::Refused, "freezer: device or resource busy");
    }
    story.runtime.pause("fleet-web.a");
    story.until("it says so", |s| s.code("web") == Some(Code::Start)).await;
    assert_eq!(story.phase("web"), Some(Phase::Degraded));
    story.within(seconds(60), "it goes on", |s| s.is_running("web", revision)).await;
}

#[tokio::test(start_paused = true)]
async fn a_foreign_container_under_the_name_for_the_outgoing_one_is_a_conflict_until_it_goes() {
    let story = Story::begin().await;
    story.apply_and_run("web", demo("demo:1")).await;
    story.runtime.foreign_container("fleet-web.a.old");
    let pids = story.pids();
    let revision = story.apply("web", demo("demo:2"));
    story.until("it says so", |s| s.code("web") == Some(Code::NameConflict)).await;
    assert_eq!(story.phase("web"), Some(Phase::Failed));
    let tried = story.runtime.calls(Op::Rename);
    story.pass(10 * TICK).await;
    let ticks = story.runtime.calls(Op::Rename) - tried;
    assert!((5..=15).contains(&ticks), "looked at each tick, not in a spin: {ticks}");
    assert_eq!(story.pids(), pids);
    story.runtime.user_removes("fleet-web.a.old");
    story.within(2 * TICK, "it is updated", |s| s.is_running("web", revision)).await;
}

#[tokio::test(start_paused = true)]
async fn a_network_that_cannot_be_removed_is_told() {
    let story = Story::begin().await;
    story.apply_and_run("web", demo("demo:1")).await;
    for _ in 0..6 {
        story.runtime.fail_next(Op::RemoveNetwork, ErrorKind::Refused, "network is being used");
    }
    story.delete("web");
    story.until("it says so", |s| s.code("web") == Some(Code::Start)).await;
    let error = story.state("web").unwrap().last_error.unwrap();
    assert!(error.message.contains("network is being used") && error.retry_at.is_some(), "{error:?}");
    assert_eq!(story.phase("web"), Some(Phase::Stopping));
    story.until("it is gone", |s| s.runtime.networks().is_empty() && s.state("web").is_none()).await;
}

#[tokio::test(start_paused = true)]
async fn a_container_of_which_nothing_can_be_learnt_is_told_and_left_alone() {
    let story = Story::begin().await;
    let revision = story.apply_and_run("web", demo("demo:1")).await;
    let (pid, process) = (story.runtime.pid("fleet-web.a"), story.runtime.process("fleet-web.a").unwrap());
    story.runtime.clear_journal();
    story.runtime.set_status("fleet-web.a", Status::Busy);
    story.within(3 * TICK, "it says so", |s| s.code("web") == Some(Code::Timeout)).await;
    assert_eq!((story.runtime.journal(), story.runtime.pid("fleet-web.a")), (vec![], pid));
    story.runtime.set_status("fleet-web.a", Status::Running(process));
    story.within(2 * TICK, "all is well", |s| s.is_running("web", revision)).await;
}

/// The image may go while the container runs; it is missed only when a container has to be made.
#[tokio::test(start_paused = true)]
async fn a_missing_image_is_missed_only_when_a_container_has_to_be_made() {
    let story = Story::begin().await;
    let never = document(json!([{"name": "a", "image": "demo:1", "pull": "never"}]));
    let revision = story.apply_and_run("web", never).await;
    let pids = story.pids();
    story.runtime.remove_image("demo:1");
    story.pass(4 * TICK).await;
    assert_eq!(story.pids(), pids);
    story.runtime.user_removes("fleet-web.a");
    story.until("it says so", |s| s.code("web") == Some(Code::ImageMissing)).await;
    story.runtime.add_image_with("demo:1", Program::polite());
    story.within(seconds(400), "it runs", |s| s.is_running("web", revision)).await;
}
