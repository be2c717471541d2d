//! A job runs once per spec.
use crate::documents::document;
use crate::harness::{Story, TICK, seconds};
use fleet_agent::runtime::fake::Program;
use fleet_contracts::state::{Code, DeploymentState, Phase};
use serde_json::{Value, json};
use std::time::Duration;

fn job(image: &str) -> Value {
    json!({"name": "a", "image": image, "restart": "never"})
}

/// Images of jobs that take five seconds: `job:good` ends well, `job:bad` with 4.
async fn begin() -> Story {
    let story = Story::begin().await;
    story.runtime.add_image_with("job:good", Program::exits(seconds(5), 0));
    story.runtime.add_image_with("job:better", Program::exits(seconds(5), 0));
    story.runtime.add_image_with("job:bad", Program::exits(seconds(5), 4));
    story
}

fn starts(story: &Story, name: &str) -> usize {
    let line = format!("start fleet-{name}.a");
    story.runtime.journal().iter().filter(|said| **said == line).count()
}

/// What is told of it, without the time and the container.
fn told(story: &Story, name: &str) -> DeploymentState {
    let mut state = story.state(name).unwrap();
    state.last_event_at = fleet_contracts::Timestamp::from_unix_seconds(0).unwrap();
    state.container_ids.clear();
    for service in state.services.values_mut() {
        (service.container_id, service.image_id, service.started_at) = (None, None, None);
    }
    state
}

async fn both_end(story: &Story) {
    story.runtime.says("fleet-bad.a", "bad input");
    story.apply("good", document(json!([job("job:good")])));
    story.apply("bad", document(json!([job("job:bad")])));
    let words = |s: &Story| s.state("bad").and_then(|s| Some(s.last_error?.message.ends_with("bad input")));
    story.until("both ended", |s| s.phase("good") == Some(Phase::Completed) && words(s) == Some(true)).await;
}

#[tokio::test(start_paused = true)]
async fn a_job_whose_container_somebody_removed_is_told_as_before_and_not_run_again() {
    let mut story = begin().await;
    both_end(&story).await;
    let before = [told(&story, "good"), told(&story, "bad")];
    assert_eq!((before[1].phase, story.code("bad")), (Phase::Failed, Some(Code::Exited)));
    story.runtime.clear_journal();
    let left_alone = async |story: &Story, when: &str| {
        let so = |s: &Story| s.runtime.journal().is_empty();
        story.always(3 * TICK, &format!("nothing is done {when}"), so).await;
        assert_eq!([told(story, "good"), told(story, "bad")], before, "{when}");
    };
    story.runtime.user_removes("fleet-good.a");
    story.runtime.user_removes("fleet-bad.a");
    left_alone(&story, "after the removal").await;
    for actor in ["deployments", "reconcilers", "effects"] {
        story.restart_actor(actor).await;
        left_alone(&story, actor).await;
    }
    story.crash().await;
    story.boot().await;
    left_alone(&story, "after a crash of the agent").await;
    story.crash().await;
    story.runtime.reboot();
    story.boot().await;
    left_alone(&story, "after a reboot").await;
}

#[tokio::test(start_paused = true)]
async fn a_job_whose_container_is_removed_while_the_agent_is_down_is_not_run_again() {
    let mut story = begin().await;
    both_end(&story).await;
    let before = [told(&story, "good"), told(&story, "bad")];
    story.crash().await;
    story.runtime.user_removes("fleet-good.a");
    story.runtime.user_removes("fleet-bad.a");
    story.runtime.clear_journal();
    story.boot().await;
    story.always(3 * TICK, "nothing is done", |s| s.runtime.journal().is_empty()).await;
    assert_eq!([told(&story, "good"), told(&story, "bad")], before);
}

/// podman 4.3.1 calls every container `created` after a reboot.
#[tokio::test(start_paused = true)]
async fn after_a_reboot_a_job_that_was_done_stays_so_and_one_that_was_not_runs() {
    let mut story = begin().await;
    story.runtime.add_image_with("job:long", Program::exits(seconds(60), 0));
    both_end(&story).await;
    story.apply("long", document(json!([job("job:long")])));
    story.until("the long one runs", |s| starts(s, "long") == 1).await;
    story.crash().await;
    story.runtime.reboot();
    story.boot().await;
    story.until("the interrupted one is done", |s| s.phase("long") == Some(Phase::Completed)).await;
    assert_eq!([starts(&story, "good"), starts(&story, "bad"), starts(&story, "long")], [1, 1, 2]);
    assert_eq!((story.phase("good"), story.phase("bad")), (Some(Phase::Completed), Some(Phase::Failed)));
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_job_is_durable_before_it_is_told_and_told_all_the_same_when_the_disk_is_full() {
    let mut story = begin().await;
    story.apply("good", document(json!([job("job:good")])));
    let notes = |s: &Story| s.disk.effects_before_saves_of("good").len() - 1;
    story.until("it is told", |s| s.phase("good") == Some(Phase::Completed)).await;
    assert_eq!(notes(&story), 1);
    story.pass(20 * TICK).await;
    assert_eq!(notes(&story), 1, "once is enough");

    story.apply("full", document(json!([job("job:good")])));
    story.until("it runs", |s| starts(s, "full") == 1).await;
    story.disk.is_full(true);
    story.within(seconds(20), "it is told", |s| s.phase("full") == Some(Phase::Completed)).await;
    story.disk.is_full(false);
    story.pass(TICK).await;
    story.crash().await;
    story.runtime.user_removes("fleet-full.a");
    story.boot().await;
    story.pass(TICK).await;
    assert_eq!((starts(&story, "full"), story.phase("full")), (1, Some(Phase::Completed)));
}

/// Its container is there and tells its end.
#[tokio::test(start_paused = true)]
async fn an_agent_killed_at_any_moment_around_the_end_of_a_job_does_not_run_it_again() {
    for step in 0..25 {
        let mut story = begin().await;
        story.apply("good", document(json!([job("job:good")])));
        story.until("it runs", |s| starts(s, "good") == 1).await;
        story.pass(Duration::from_millis(4_900) + step * Duration::from_millis(8)).await;
        story.crash().await;
        story.boot().await;
        story.until("it is done", |s| s.phase("good") == Some(Phase::Completed)).await;
        story.runtime.user_removes("fleet-good.a");
        story.pass(2 * TICK).await;
        assert_eq!(starts(&story, "good"), 1, "step {step}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_job_runs_anew_for_another_spec_and_after_a_delete_and_not_because_its_neighbour_changed() {
    let story = begin().await;
    let with =
        |image: &str, neighbour: &str| document(json!([job(image), {"name": "b", "image": neighbour}]));
    story.apply_and_run("web", with("job:good", "demo:1")).await;
    story.until("it ran", |s| starts(s, "web") == 1).await;
    let done =
        |s: &Story| s.state("web").is_some_and(|s| s.services[&"a".parse().unwrap()].exit_code == Some(0));
    story.until("it is done", done).await;
    story.runtime.user_removes("fleet-web.a");
    story.apply_and_run("web", with("job:good", "demo:2")).await;
    story.pass(TICK).await;
    assert_eq!(starts(&story, "web"), 1, "the neighbour changed");

    story.apply("web", with("job:better", "demo:2"));
    story.until("another spec runs", |s| starts(s, "web") == 2).await;
    story.pass(seconds(1)).await;
    let revision = story.apply("web", with("job:good", "demo:2"));
    story.runs("web", revision).await;
    assert_eq!((starts(&story, "web"), done(&story)), (2, true), "the former one was done");
    assert_eq!(story.live(), ["fleet-web.b"], "the other one is not wanted any more");

    story.delete("web");
    story.until("it is gone", |s| s.state("web").is_none()).await;
    story.apply_and_run("web", with("job:good", "demo:2")).await;
    story.until("it runs anew", |s| starts(s, "web") == 3).await;
}

/// The device may only ever see the last of it.
#[tokio::test(start_paused = true)]
async fn a_delete_that_is_taken_back_before_it_was_carried_out_does_not_forget_the_job() {
    let mut story = begin().await;
    both_end(&story).await;
    story.disk.is_full(true);
    story.delete("good");
    story.pass(seconds(1)).await;
    let revision = story.apply("good", document(json!([job("job:good")])));
    story.pass(seconds(1)).await;
    story.disk.is_full(false);
    story.until("it is known", |s| s.state("good").unwrap().observed_revision == Some(revision)).await;
    story.pass(TICK).await;
    story.crash().await;
    story.runtime.user_removes("fleet-good.a");
    story.boot().await;
    story.pass(TICK).await;
    assert_eq!((starts(&story, "good"), story.phase("good")), (1, Some(Phase::Completed)));
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_a_job_is_restarted_also_when_the_jobs_container_is_gone() {
    let mut story = begin().await;
    let revision = story
        .apply_and_run(
            "web",
            document(json!([job("job:good"),
        {"name": "b", "image": "demo:1", "depends_on": [{"service": "a", "condition": "completed"}]}])),
        )
        .await;
    story.crash().await;
    story.runtime.user_removes("fleet-web.a");
    story.runtime.kill("fleet-web.b");
    story.boot().await;
    story.runs("web", revision).await;
    story.until("it runs", |s| s.live() == ["fleet-web.b"]).await;
    let changed = document(json!([job("job:good"), {"name": "b", "image": "demo:2",
        "depends_on": [{"service": "a", "condition": "completed"}]}]));
    story.apply_and_run("web", changed).await;
    assert_eq!(starts(&story, "web"), 1);
}
