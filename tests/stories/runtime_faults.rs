//! What podman does to an agent.
use crate::documents::demo;
use crate::harness::{Story, TICK, seconds};
use fleet_agent::domain::container::Status;
use fleet_agent::runtime::ErrorKind;
use fleet_agent::runtime::fake::{Op, Program};
use fleet_contracts::state::{Code, Phase};
use std::time::Duration;

#[tokio::test(start_paused = true)]
async fn a_runtime_that_is_down_is_a_state_and_no_reason_to_restart_anything() {
    let story = Story::begin().await;
    story.apply_and_run("web", demo("demo:1")).await;
    let pids = story.pids();
    story.runtime.down();
    let unreachable = |s: &Story| s.code("web") == Some(Code::RuntimeUnreachable);
    story.until("it says so", |s| unreachable(s) && s.says("runtime-unreachable")).await;
    assert_eq!(story.phase("web"), Some(Phase::Degraded));
    let revision = story.apply("web", demo("demo:2"));
    story.pass(seconds(3600)).await;
    assert_eq!((story.restarts(), story.pids()), (0, pids));
    story.runtime.up();
    story.within(seconds(30), "it converges", |s| s.is_running("web", revision)).await;
    story.until("all is well", |s| !s.says("runtime-unreachable")).await;
}

#[tokio::test(start_paused = true)]
async fn a_list_that_hangs_kills_no_actor_and_ends() {
    let story = Story::begin().await;
    let revision = story.apply_and_run("web", demo("demo:1")).await;
    story.runtime.hang(Op::List);
    story.until("it says so", |s| s.says("runtime-unreachable")).await;
    assert_eq!(story.restarts(), 0);
    story.runtime.release(Op::List);
    story.runs("web", revision).await;
}

#[tokio::test(start_paused = true)]
async fn the_running_lie_is_repaired() {
    let story = Story::begin().await;
    let revision = story.apply_and_run("web", demo("demo:1")).await;
    story.runtime.clear_journal();
    story.runtime.kill_with_conmon("fleet-web.a");
    story.within(2 * TICK, "it lives", |s| s.runtime.pid("fleet-web.a").is_some()).await;
    assert_eq!(story.runtime.journal(), ["remove fleet-web.a", "create fleet-web.a", "start fleet-web.a"]);
    story.runs("web", revision).await;
}

#[tokio::test(start_paused = true)]
async fn an_orphan_in_storage_is_removed_and_the_create_tried_again() {
    let story = Story::begin().await;
    story.runtime.orphan_next_create();
    story.apply_and_run("web", demo("demo:1")).await;
    assert_eq!(story.live(), ["fleet-web.a"]);
    let removed = story.runtime.journal().iter().filter(|line| line.starts_with("remove orphan")).count();
    assert_eq!(removed, 1);
}

#[tokio::test(start_paused = true)]
async fn a_create_whose_answer_is_lost_is_one_container() {
    for kind in [ErrorKind::Timeout, ErrorKind::Unreachable] {
        let story = Story::begin().await;
        story.runtime.lose_answer(Op::Create, kind);
        story.apply_and_run("web", demo("demo:1")).await;
        let creates = story.runtime.journal().iter().filter(|line| *line == "create fleet-web.a").count();
        assert_eq!((creates, story.runtime.containers().len()), (1, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn a_create_that_happens_long_after_we_gave_up_is_one_container() {
    let story = Story::begin().await;
    story.runtime.delay_next(Op::Create, seconds(75));
    story.apply_and_run("web", demo("demo:1")).await;
    story.pass(4 * TICK).await;
    assert_eq!(story.live(), ["fleet-web.a"]);
    assert_eq!(story.runtime.containers().len(), 1);
}

/// Whichever answer of a replace gets lost, it ends well.
#[tokio::test(start_paused = true)]
async fn a_replace_survives_the_loss_of_any_answer() {
    for op in [Op::Create, Op::Start, Op::Signal, Op::Rename, Op::Remove, Op::Holder, Op::Look] {
        let story = Story::begin().await;
        story.apply_and_run("web", demo("demo:1")).await;
        story.runtime.lose_answer(op, ErrorKind::Timeout);
        story.runtime.lose_answer(op, ErrorKind::Unreachable);
        story.apply_and_run("web", demo("demo:2")).await;
        assert_eq!(story.runtime.containers().len(), 1, "{op:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_foreign_container_with_our_name_is_never_touched() {
    let story = Story::begin().await;
    story.runtime.foreign_container("fleet-web.a");
    let pids = story.pids();
    let revision = story.apply("web", demo("demo:1"));
    story.until("it says so", |s| s.code("web") == Some(Code::NameConflict)).await;
    assert_eq!(story.phase("web"), Some(Phase::Failed));
    story.pass(10 * TICK).await;
    assert_eq!(story.pids(), pids);
    story.runtime.user_removes("fleet-web.a");
    story.within(2 * TICK, "it is looked at again", |s| s.is_running("web", revision)).await;
}

#[tokio::test(start_paused = true)]
async fn a_container_that_was_killed_is_back_at_once() {
    let story = Story::begin().await;
    story.apply_and_run("web", demo("demo:1")).await;
    story.pass(seconds(1)).await;
    let pid = story.runtime.pid("fleet-web.a");
    story.runtime.kill("fleet-web.a");
    let is_back = |s: &Story| s.runtime.pid("fleet-web.a").is_some_and(|new| Some(new) != pid);
    story.within(Duration::from_millis(200), "it is back", is_back).await;
}

#[tokio::test(start_paused = true)]
async fn a_container_that_was_removed_by_hand_is_made_again() {
    let story = Story::begin().await;
    let revision = story.apply_and_run("web", demo("demo:1")).await;
    story.runtime.user_removes("fleet-web.a");
    story.within(TICK, "it is back", |s| s.live() == ["fleet-web.a"]).await;
    story.runs("web", revision).await;
}

/// A label that podman lost, or a death that no stream told of: the list finds it.
#[tokio::test(start_paused = true)]
async fn what_the_event_stream_lost_is_found_by_the_list_within_a_tick() {
    let story = Story::begin().await;
    story.runtime.hang(Op::Hints);
    let revision = story.apply_and_run("web", demo("demo:1")).await;
    story.pass(2 * TICK).await;
    // Nobody waits for the end of a process that was never seen.
    story.runtime.set_status("fleet-web.a", Status::Exited { code: 9 });
    story
        .within(TICK + seconds(1), "it is started", |s| {
            s.runtime.container("fleet-web.a").is_some_and(|c| c.status.is_alive())
        })
        .await;
    story.runs("web", revision).await;
}

#[tokio::test(start_paused = true)]
async fn a_container_that_somebody_else_stops_is_left_until_it_has_stopped() {
    let story = Story::begin().await;
    story.apply_and_run("web", demo("demo:1")).await;
    story.runtime.clear_journal();
    story.runtime.being_stopped("fleet-web.a");
    story.always(TICK, "hands off", |s| s.runtime.journal().is_empty()).await;
    story.runtime.exit("fleet-web.a", 0);
    story.until("it runs again", |s| s.runtime.pid("fleet-web.a").is_some()).await;
    assert_eq!(story.runtime.journal(), ["start fleet-web.a"]);
}

#[tokio::test(start_paused = true)]
async fn a_stop_that_nobody_brings_to_its_end_is_ended_after_the_grace_period_and_not_before() {
    let story = Story::begin().await;
    story.runtime.add_image_with("deaf:1", Program::deaf());
    story.apply_and_run("web", demo("deaf:1")).await;
    story.runtime.clear_journal();
    story.runtime.being_stopped("fleet-web.a");
    // The grace period of the document's default is 30 s.
    story.always(seconds(39), "hands off", |s| s.runtime.journal().is_empty()).await;
    story.until("it runs again", |s| s.runtime.pid("fleet-web.a").is_some()).await;
}

#[tokio::test(start_paused = true)]
async fn a_delete_of_a_deaf_container_in_a_down_runtime_ends_when_it_can() {
    let story = Story::begin().await;
    story.runtime.add_image_with("deaf:1", Program::deaf());
    story.apply_and_run("web", demo("deaf:1")).await;
    story.delete("web");
    story.pass(seconds(5)).await;
    assert_eq!(story.phase("web"), Some(Phase::Stopping));
    story.runtime.down();
    story.pass(seconds(600)).await;
    story.runtime.up();
    story.until("it is gone", |s| s.runtime.containers().is_empty() && s.state("web").is_none()).await;
}

#[tokio::test(start_paused = true)]
async fn after_a_reboot_every_container_is_started_again_and_none_created() {
    let mut story = Story::begin().await;
    story.apply_and_run("web", demo("demo:1")).await;
    story.crash().await;
    story.runtime.reboot();
    story.runtime.clear_journal();
    story.boot().await;
    story.until("it runs", |s| s.live() == ["fleet-web.a"]).await;
    assert_eq!(story.runtime.journal(), ["start fleet-web.a"]);
}

#[tokio::test(start_paused = true)]
async fn a_network_that_cannot_be_removed_is_not_tried_in_a_spin() {
    let story = Story::begin().await;
    story.apply_and_run("web", demo("demo:1")).await;
    for _ in 0..6 {
        story.runtime.fail_next(Op::RemoveNetwork, ErrorKind::Refused, "network is in use");
    }
    story.delete("web");
    story.pass(seconds(10)).await;
    let tried = story.runtime.calls(Op::RemoveNetwork);
    assert!((2..=5).contains(&tried), "{tried} times in 10 s");
    story.until("it is gone", |s| s.runtime.networks().is_empty() && s.state("web").is_none()).await;
}
