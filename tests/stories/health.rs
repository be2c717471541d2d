//! Services whose check fails.
use crate::documents::document;
use crate::harness::{Story, seconds};
use fleet_agent::runtime::fake::{Op, Program};
use fleet_agent::runtime::{ErrorKind, Run};
use fleet_contracts::state::{Code, Health, Phase};
use serde_json::{Value, json};

const NAME: &str = "fleet-web.a";

fn checked(more: Value) -> Vec<u8> {
    let mut service = json!({"name": "a", "image": "demo:1",
        "healthcheck": {"test": ["CMD", "check"], "interval_s": 10, "timeout_s": 3, "retries": 3}});
    service.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    document(json!([service]))
}

fn fails(story: &Story) {
    story.runtime.set_run(NAME, Run::Ended { code: 1, said: "no route".into() });
}

fn passes(story: &Story) {
    story.runtime.set_run(NAME, Run::Ended { code: 0, said: String::new() });
}

fn health(story: &Story) -> Option<Health> {
    story.state("web")?.services.values().next()?.health
}

async fn healthy(more: Value) -> Story {
    let story = Story::begin().await;
    story.apply_and_run("web", checked(more)).await;
    story.until("it is healthy", |s| health(s) == Some(Health::Healthy)).await;
    story
}

#[tokio::test(start_paused = true)]
async fn health_is_told_from_starting_to_healthy() {
    let story = Story::begin().await;
    fails(&story);
    story.apply_and_run("web", checked(json!({}))).await;
    story.until("it starts", |s| health(s) == Some(Health::Starting)).await;
    passes(&story);
    story.within(seconds(6), "it is healthy", |s| health(s) == Some(Health::Healthy)).await;
    assert_eq!(story.phase("web"), Some(Phase::Running));
}

#[tokio::test(start_paused = true)]
async fn a_service_without_a_check_has_no_health_and_is_not_checked() {
    let story = Story::begin().await;
    story.apply_and_run("web", document(json!([{"name": "a", "image": "demo:1"}]))).await;
    fails(&story);
    let pid = story.runtime.pid(NAME);
    story
        .always(seconds(600), "it is left alone", |s| s.runtime.pid(NAME) == pid && health(s).is_none())
        .await;
}

#[tokio::test(start_paused = true)]
async fn an_unhealthy_service_is_restarted_and_says_why_until_its_check_passes() {
    let story = healthy(json!({})).await;
    let pid = story.runtime.pid(NAME);
    fails(&story);
    story.always(seconds(19), "two failures are no illness", |s| s.runtime.pid(NAME) == pid).await;
    story
        .within(seconds(15), "it is restarted", |s| s.runtime.pid(NAME).is_some_and(|now| Some(now) != pid))
        .await;
    story.until("it is told", |s| s.code("web") == Some(Code::Unhealthy)).await;
    let error = story.state("web").unwrap().last_error.unwrap();
    assert!(error.message.contains("failed 3 times in a row: exit code 1, \"no route\""), "{error:?}");
    assert_eq!(story.phase("web"), Some(Phase::Degraded));
    assert!(error.retry_at.is_some());
    passes(&story);
    story
        .within(seconds(15), "it is well again", |s| {
            s.phase("web") == Some(Phase::Running) && health(s) == Some(Health::Healthy)
        })
        .await;
    assert_eq!(story.state("web").unwrap().services.values().next().unwrap().restarts, 1);
}

#[tokio::test(start_paused = true)]
async fn one_that_stays_unhealthy_is_restarted_under_the_containers_backoff() {
    let story = healthy(json!({})).await;
    fails(&story);
    story.pass(seconds(3600)).await;
    let restarts = story.state("web").unwrap().services.values().next().unwrap().restarts;
    // An attempt takes half a minute to fail, then the waits grow to 300 s: not one a minute for ever.
    assert!((8..=22).contains(&restarts), "{restarts}");
    assert_eq!(story.live(), [NAME], "it is left running while it waits");
}

#[tokio::test(start_paused = true)]
async fn a_service_that_ends_well_when_it_is_stopped_for_its_health_is_started_again() {
    let story = Story::begin().await;
    story.runtime.add_image_with("demo:1", Program::deaf().on("SIGTERM", seconds(1), 0));
    story.apply_and_run("web", checked(json!({"restart": "on-failure"}))).await;
    story.until("it is healthy", |s| health(s) == Some(Health::Healthy)).await;
    let pid = story.runtime.pid(NAME);
    fails(&story);
    story
        .within(seconds(60), "it is restarted", |s| s.runtime.pid(NAME).is_some_and(|now| Some(now) != pid))
        .await;
}

/// Leaves well, and slowly, when it is told to.
async fn leaves_well() -> Story {
    let story = Story::begin().await;
    story.runtime.add_image_with("demo:1", Program::deaf().on("SIGTERM", seconds(3), 0));
    story.apply_and_run("web", checked(json!({"restart": "on-failure"}))).await;
    story.until("it is healthy", |s| health(s) == Some(Health::Healthy)).await;
    story
}

/// How it exits, and whether the next agent sees it before that, must make no difference.
#[tokio::test(start_paused = true)]
async fn a_start_that_is_owed_after_a_stop_for_its_health_survives_a_kill_at_any_moment() {
    for (n, away) in [0, 1, 3, 5, 7].into_iter().flat_map(|n| [(n, seconds(0)), (n, seconds(10))]) {
        let mut story = leaves_well().await;
        let pid = story.runtime.pid(NAME);
        fails(&story);
        story.within(seconds(60), "it is ill", |s| s.code("web") == Some(Code::Unhealthy)).await;
        story.pass(std::time::Duration::from_millis(500) * n).await;
        story.crash().await;
        story.pass(away).await;
        let was_stopped = story.runtime.pid(NAME).is_none();
        story.boot().await;
        let is_never_done = |s: &Story| s.phase("web") != Some(Phase::Completed);
        story.always(seconds(10), "it is not taken for done", is_never_done).await;
        story.within(seconds(60), "it runs", |s| s.runtime.pid(NAME).is_some()).await;
        assert!(!was_stopped || story.runtime.pid(NAME) != pid, "{n} {away:?}");
        passes(&story);
        story.within(seconds(60), "it is well", |s| s.phase("web") == Some(Phase::Running)).await;
        assert_eq!(story.runtime.containers().len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn the_end_of_its_work_after_a_stop_for_its_health_is_the_end_also_for_the_next_agent() {
    let mut story = leaves_well().await;
    let pid = story.runtime.pid(NAME);
    fails(&story);
    let is_another = |s: &Story| s.runtime.pid(NAME).is_some_and(|now| Some(now) != pid);
    story.within(seconds(60), "it is restarted", is_another).await;
    passes(&story);
    story.until("it is healthy", |s| health(s) == Some(Health::Healthy)).await;
    story.crash().await;
    // Its own doing.
    story.runtime.exit(NAME, 0);
    story.boot().await;
    story.within(seconds(60), "it is done", |s| s.phase("web") == Some(Phase::Completed)).await;
    story.always(seconds(60), "it stays so", |s| s.runtime.pid(NAME).is_none()).await;
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_takes_no_note_delays_the_restart_of_what_is_ill_and_does_not_prevent_it() {
    let story = leaves_well().await;
    let pid = story.runtime.pid(NAME);
    story.disk.is_full(true);
    fails(&story);
    let is_another = |s: &Story| s.runtime.pid(NAME).is_some_and(|now| Some(now) != pid);
    story.within(seconds(90), "it is restarted", is_another).await;
}

#[tokio::test(start_paused = true)]
async fn a_job_is_not_restarted_for_its_health() {
    let story = healthy(json!({"restart": "never"})).await;
    let pid = story.runtime.pid(NAME);
    fails(&story);
    story.always(seconds(600), "it goes on", |s| s.runtime.pid(NAME) == pid).await;
    assert_eq!(story.code("web"), Some(Code::Unhealthy));
}

#[tokio::test(start_paused = true)]
async fn a_check_that_hangs_has_failed_and_holds_up_nothing() {
    let story = healthy(json!({})).await;
    story.runtime.set_run(NAME, Run::TooLong);
    let others = story.apply("other", document(json!([{"name": "a", "image": "demo:1"}])));
    story.within(seconds(5), "another one starts", |s| s.is_running("other", others)).await;
    story.within(seconds(60), "it is told", |s| s.code("web") == Some(Code::Unhealthy)).await;
    let message = story.state("web").unwrap().last_error.unwrap().message;
    assert!(message.contains("no end within 3 s"), "{message}");
}

#[tokio::test(start_paused = true)]
async fn checks_that_the_runtime_cannot_run_end_no_container() {
    let story = healthy(json!({})).await;
    let pid = story.runtime.pid(NAME);
    for _ in 0..100 {
        story.runtime.fail_next(Op::Exec, ErrorKind::Refused, "no exec today");
    }
    story.always(seconds(600), "it goes on", |s| s.runtime.pid(NAME) == pid).await;
    assert_eq!((health(&story), story.phase("web")), (Some(Health::Healthy), Some(Phase::Running)));
}

#[tokio::test(start_paused = true)]
async fn a_restart_of_the_agent_leaves_a_checked_service_alone() {
    let mut story = healthy(json!({})).await;
    let pid = story.runtime.pid(NAME);
    story.crash().await;
    story.boot().await;
    story.until("it is healthy again", |s| health(s) == Some(Health::Healthy)).await;
    assert_eq!(story.runtime.pid(NAME), pid);
}

#[tokio::test(start_paused = true)]
async fn a_removal_does_not_wait_for_a_check() {
    let story =
        healthy(json!({"healthcheck": {"test": ["CMD", "check"], "interval_s": 5, "timeout_s": 3600}})).await;
    story.runtime.set_run(NAME, Run::TooLong);
    story.pass(seconds(20)).await;
    story.delete("web");
    story.within(seconds(10), "it is gone", |s| s.state("web").is_none() && s.live().is_empty()).await;
}
