//! From one document to the next: forward only, the old one kept until the new one is ready.
use crate::documents::{demo, document, marked};
use crate::harness::{Story, TICK, seconds};
use fleet_agent::runtime::ErrorKind;
use fleet_agent::runtime::fake::{Op, Program, Registry};
use fleet_contracts::state::{Code, Phase};
use serde_json::json;
use std::time::Duration;

#[tokio::test(start_paused = true)]
async fn a_failed_update_does_not_revert() {
    let story = Story::begin().await;
    story.runtime.add_image_with("broken:1", Program::exits(seconds(1), 3));
    story.apply_and_run("web", demo("demo:1")).await;
    let revision = story.apply("web", demo("broken:1"));
    story.until("it is a crash loop", |s| s.code("web") == Some(Code::CrashLoop)).await;
    let broken = story.runtime.container("fleet-web.a").unwrap().id;
    story
        .always(20 * TICK, "the new one stands, degraded", |s| {
            s.runtime.containers().len() == 1
                && s.runtime.container("fleet-web.a").is_some_and(|c| c.id == broken)
                && s.phase("web") == Some(Phase::Degraded)
        })
        .await;
    assert_eq!(story.state("web").unwrap().observed_revision, Some(revision));
}

#[tokio::test(start_paused = true)]
async fn the_old_container_runs_until_its_successors_image_is_there() {
    let story = Story::begin().await;
    story.runtime.registry("absent:1", Registry::fails(ErrorKind::Pull, "no route to host"));
    story.apply_and_run("web", demo("demo:1")).await;
    let pids = story.pids();
    story.apply("web", demo("absent:1"));
    story.until("the pull failed", |s| s.code("web") == Some(Code::ImagePull)).await;
    assert_eq!(story.phase("web"), Some(Phase::Degraded));
    story.always(20 * TICK, "the old one runs", |s| s.pids() == pids).await;
    story.runtime.registry("absent:1", Registry::has(Program::polite()));
    story.within(seconds(360), "it goes on by itself", |s| s.phase("web") == Some(Phase::Running)).await;
}

#[tokio::test(start_paused = true)]
async fn while_its_successor_is_not_ready_the_old_container_is_repaired() {
    let story = Story::begin().await;
    story.runtime.registry("absent:1", Registry::fails(ErrorKind::Pull, "no route to host"));
    story.apply_and_run("web", demo("demo:1")).await;
    story.apply("web", demo("absent:1"));
    story.until("the pull failed", |s| s.code("web") == Some(Code::ImagePull)).await;
    let pid = story.runtime.pid("fleet-web.a");
    story.runtime.kill("fleet-web.a");
    story.until("it runs again", |s| s.runtime.pid("fleet-web.a").is_some()).await;
    assert_ne!(story.runtime.pid("fleet-web.a"), pid);
}

#[tokio::test(start_paused = true)]
async fn a_container_is_stopped_by_its_own_signal_and_grace() {
    let story = Story::begin().await;
    story.runtime.add_image_with("slow:1", Program::deaf().on("SIGINT", seconds(7), 0));
    let spec = json!({"type": "PodmanV0", "data": {
        "services": [{"name": "a", "image": "slow:1"}],
        "lifecycle": {"stop_signal": "SIGINT", "grace_period_s": 10}}});
    story.apply_and_run("web", spec.to_string()).await;
    story.runtime.clear_journal();
    story.apply_and_run("web", demo("demo:1")).await;
    let journal = story.runtime.journal();
    assert!(journal.contains(&"signal fleet-web.a.old SIGINT".to_owned()), "{journal:?}");
    assert!(!journal.iter().any(|line| line.contains("SIGKILL")), "{journal:?}");
}

#[tokio::test(start_paused = true)]
async fn a_deaf_container_is_killed_after_its_grace_and_not_before() {
    let story = Story::begin().await;
    story.runtime.add_image_with("deaf:1", Program::deaf());
    story.apply_and_run("web", demo("deaf:1")).await;
    let revision = story.apply("web", demo("demo:1"));
    let signalled =
        |s: &Story, signal: &str| s.runtime.journal().contains(&format!("signal fleet-web.a.old {signal}"));
    story.until("it is asked to stop", |s| signalled(s, "SIGTERM")).await;
    story.always(Duration::from_millis(29_900), "it has its 30 s", |s| !signalled(s, "SIGKILL")).await;
    story.within(seconds(1), "it is killed", |s| signalled(s, "SIGKILL")).await;
    story.runs("web", revision).await;
}

#[tokio::test(start_paused = true)]
async fn two_updates_in_quick_succession_end_with_the_last() {
    let story = Story::begin().await;
    story.apply_and_run("web", demo("demo:1")).await;
    story.apply("web", demo("demo:2"));
    let last = story.apply_and_run("web", demo("demo:3")).await;
    story.always(4 * TICK, "it stays so", |s| s.is_running("web", last)).await;
    assert_eq!(story.live(), ["fleet-web.a"]);
    assert_eq!(story.runtime.containers().len(), 1);
}

/// Whatever step of the replace the second document meets, it ends with the second.
#[tokio::test(start_paused = true)]
async fn an_update_may_meet_another_one_at_every_step() {
    for step in 0..30 {
        let story = Story::begin().await;
        story.apply_and_run("web", demo("demo:1")).await;
        story.apply("web", demo("demo:2"));
        story.pass(step * Duration::from_millis(7)).await;
        story.apply_and_run("web", demo("demo:3")).await;
        assert_eq!(story.live(), ["fleet-web.a"], "step {step}");
        assert_eq!(story.runtime.containers().len(), 1, "step {step}");
    }
}

#[tokio::test(start_paused = true)]
async fn going_back_while_the_new_image_is_pulled_keeps_the_old_container() {
    let story = Story::begin().await;
    story.runtime.registry("big:1", Registry::has_slowly(Program::polite(), 50, seconds(5)));
    story.apply_and_run("web", demo("demo:1")).await;
    let pids = story.pids();
    story.apply("web", demo("big:1"));
    story.until("it pulls", |s| s.phase("web") == Some(Phase::Pulling)).await;
    story.apply_and_run("web", demo("demo:1")).await;
    story.always(20 * TICK, "nothing else happens", |s| s.pids() == pids).await;
}

/// What was never finished of the second document leaves no trace, and the old one goes once.
#[tokio::test(start_paused = true)]
async fn a_third_document_does_not_wait_for_the_pull_of_the_second_whose_image_never_comes() {
    let story = Story::begin().await;
    story.runtime.registry("big:1", Registry::stalls_after(3, seconds(1)));
    story.runtime.registry("demo:4", Registry::has_slowly(Program::polite(), 3, seconds(1)));
    for last in ["demo:3", "demo:4"] {
        story.apply_and_run("web", demo("demo:1")).await;
        let pids = story.pids();
        story.runtime.clear_journal();
        story.apply("web", demo("big:1"));
        story.until("it pulls", |s| s.phase("web") == Some(Phase::Pulling)).await;
        story.always(seconds(20), "it stalls, and the old one runs", |s| s.pids() == pids).await;
        let revision = story.apply("web", demo(last));
        story.within(seconds(5), "the third runs", |s| s.is_running("web", revision)).await;
        let did = |verb: &str| story.runtime.journal().iter().filter(|line| line.starts_with(verb)).count();
        assert_eq!([did("create"), did("start"), did("signal"), did("remove")], [1, 1, 1, 1], "{last}");
    }
}

/// At the next safe point: a create that is under way comes to its end.
#[tokio::test(start_paused = true)]
async fn a_successor_that_was_prepared_for_the_second_document_is_never_started_for_the_third() {
    let story = Story::begin().await;
    for (last, is_first) in [("demo:3", false), ("demo:1", true)] {
        story.apply_and_run("web", demo("demo:1")).await;
        story.runtime.clear_journal();
        story.runtime.delay_next(Op::Create, seconds(10));
        let made = story.runtime.calls(Op::Create);
        story.apply("web", demo("demo:2"));
        story.until("the second is being made", |s| s.runtime.calls(Op::Create) > made).await;
        story.pass(seconds(5)).await;
        let revision = story.apply("web", demo(last));
        story.runs("web", revision).await;
        let journal = story.runtime.journal();
        let started = journal.iter().filter(|line| line.starts_with("start")).count();
        let renamed = journal.iter().filter(|line| line.starts_with("rename")).count();
        // Made, cleared away, and for another one: made, swapped, started.
        assert_eq!((started, renamed), if is_first { (0, 0) } else { (1, 2) }, "{last}: {journal:?}");
        assert_eq!(story.runtime.containers().len(), 1);
    }
}

/// As long as the old one was not stopped yet, it is the one that stays.
#[tokio::test(start_paused = true)]
async fn going_back_in_the_middle_of_a_replace_keeps_the_old_container() {
    for step in 0..30 {
        let story = Story::begin().await;
        story.apply_and_run("web", demo("demo:1")).await;
        let pids = story.pids();
        story.runtime.clear_journal();
        story.apply("web", demo("demo:2"));
        story.pass(step * Duration::from_millis(3)).await;
        let stopped = story.runtime.journal().iter().any(|line| line.starts_with("signal"));
        story.apply_and_run("web", demo("demo:1")).await;
        assert_eq!(story.runtime.containers().len(), 1, "step {step}");
        let about_to_stop = story.runtime.journal().iter().any(|line| line.starts_with("signal"));
        assert!(stopped || about_to_stop || story.pids() == pids, "step {step}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_update_that_meets_a_hanging_stop_waits_and_goes_on() {
    let story = Story::begin().await;
    story.apply_and_run("web", demo("demo:1")).await;
    story.runtime.hang(Op::Signal);
    let revision = story.apply("web", demo("demo:2"));
    story.until("it says so", |s| s.code("web") == Some(Code::Timeout)).await;
    story.runtime.release(Op::Signal);
    story.runs("web", revision).await;
}

#[tokio::test(start_paused = true)]
async fn a_changed_lifecycle_replaces_and_a_changed_order_of_services_does_not() {
    let story = Story::begin().await;
    let services = |first: &str, second: &str| {
        document(json!([{"name": first, "image": "demo:1"}, {"name": second, "image": "demo:1"}]))
    };
    story.apply_and_run("web", services("a", "b")).await;
    let pids = story.pids();
    story.apply_and_run("web", services("b", "a")).await;
    assert_eq!(story.pids(), pids);
    story.apply_and_run("web", marked("demo:1", 1)).await;
    assert_ne!(story.pids(), pids);
}
