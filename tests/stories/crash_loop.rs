//! Containers that do not stay up.
use crate::documents::{demo, document};
use crate::harness::{Story, seconds};
use fleet_agent::runtime::ErrorKind;
use fleet_agent::runtime::fake::{Op, Program};
use fleet_contracts::state::{Code, Phase};
use serde_json::json;
use std::time::Duration;
use tokio::time::Instant;

/// When each start happens, until there are so many.
async fn starts(story: &Story, wanted: usize) -> Vec<Instant> {
    let mut at = Vec::new();
    let count = |s: &Story| s.runtime.journal().iter().filter(|line| line.starts_with("start ")).count();
    while at.len() < wanted {
        let n = at.len();
        story.within(seconds(600), "it is started once more", |s| count(s) > n).await;
        at.resize(count(story), Instant::now());
    }
    at
}

#[tokio::test(start_paused = true)]
async fn a_crash_loop_backs_off_from_nothing_to_five_minutes() {
    let story = Story::begin().await;
    story.runtime.add_image_with("broken:1", Program::exits(Duration::ZERO, 1));
    story.apply("web", demo("broken:1"));
    let starts = starts(&story, 13).await;
    let waits: Vec<f64> = starts.windows(2).map(|pair| (pair[1] - pair[0]).as_secs_f64()).collect();
    let wanted = [0.0, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 300.0, 300.0];
    for (wait, wanted) in waits.iter().zip(wanted) {
        // The rest is what calls take, and how finely this test looks.
        assert!((wanted * 0.8..=wanted * 1.2 + 0.7).contains(wait), "{wanted} s: {waits:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn from_the_third_failure_on_it_is_called_a_crash_loop() {
    let story = Story::begin().await;
    story.runtime.add_image_with("broken:1", Program::exits(Duration::from_millis(100), 1));
    story.apply("web", demo("broken:1"));
    let deaths = |s: &Story| s.state("web").and_then(|s| Some(s.services.values().next()?.restarts));
    let mut codes = Vec::new();
    story
        .until("it is a crash loop", |s| {
            if s.phase("web") == Some(Phase::Degraded) {
                assert!(s.state("web").unwrap().last_error.unwrap().retry_at.is_some());
            }
            s.code("web") == Some(Code::CrashLoop)
        })
        .await;
    codes.extend(deaths(&story));
    assert_eq!(codes, [2], "two restarts went before the third failure");
}

#[tokio::test(start_paused = true)]
async fn what_a_container_said_last_is_told_with_its_end() {
    let story = Story::begin().await;
    story.runtime.add_image_with("broken:1", Program::exits(Duration::from_millis(100), 1));
    story.runtime.says("fleet-web.a", "panic: no database");
    story.apply("web", demo("broken:1"));
    story.until("it is a crash loop", |s| s.code("web") == Some(Code::CrashLoop)).await;
    story
        .until("its words are told", |s| {
            let error = s.state("web").and_then(|state| state.last_error);
            error.is_some_and(|e| {
                e.message == "the container exited with code 1; it said last: panic: no database"
            })
        })
        .await;
    story.apply("job", document(json!([{"name": "a", "image": "broken:1", "restart": "never"}])));
    story.runtime.says("fleet-job.a", "bad input");
    story
        .until("the job's too", |s| {
            let error = s.state("job").and_then(|state| state.last_error);
            error.is_some_and(|e| e.message.ends_with("leaves it so; it said last: bad input"))
        })
        .await;
    assert_eq!(story.phase("job"), Some(Phase::Failed));
    let puts = story.puts("device-state/state.d1.job");
    story.pass(seconds(600)).await;
    assert_eq!(story.puts("device-state/state.d1.job"), puts, "once is enough");
}

#[tokio::test(start_paused = true)]
async fn a_start_that_is_refused_is_no_crash_loop() {
    let story = Story::begin().await;
    story.runtime.occupy_port(8080);
    let revision =
        story.apply("web", document(json!([{"name": "a", "image": "demo:1", "ports": ["8080:80"]}])));
    story.until("it says so", |s| s.code("web") == Some(Code::PortInUse)).await;
    story.pass(seconds(60)).await;
    assert_eq!(story.code("web"), Some(Code::PortInUse));
    assert_eq!(story.phase("web"), Some(Phase::Degraded));
    story.runtime.free_port(8080);
    story.within(seconds(150), "it is tried again", |s| s.is_running("web", revision)).await;
}

#[tokio::test(start_paused = true)]
async fn ten_minutes_of_running_make_the_next_failure_a_first_one() {
    let story = Story::begin().await;
    let revision = story.apply_and_run("web", demo("demo:1")).await;
    for _ in 0..5 {
        story.runtime.kill("fleet-web.a");
        story.until("it is back", |s| s.runtime.pid("fleet-web.a").is_some()).await;
    }
    story.pass(seconds(601)).await;
    assert!(story.is_running("web", revision));
    story.runtime.kill("fleet-web.a");
    story.within(Duration::from_millis(500), "at once", |s| s.runtime.pid("fleet-web.a").is_some()).await;
}

#[tokio::test(start_paused = true)]
async fn a_container_that_ends_after_eleven_minutes_again_and_again_is_started_again_at_once_each_time() {
    let story = Story::begin().await;
    story.runtime.add_image_with("leaks:1", Program::exits(seconds(660), 1));
    story.apply_and_run("web", demo("leaks:1")).await;
    story.apply_and_run("other", demo("demo:1")).await;
    let other = story.pids()["fleet-other.a"];
    // Far beyond the third in a row, from which on it would be a crash loop.
    for end in 1..=8 {
        let pid = story.runtime.pid("fleet-web.a");
        let ended = |s: &Story| s.runtime.pid("fleet-web.a") != pid;
        story.within(seconds(661), "it ends", ended).await;
        let runs = |s: &Story| s.runtime.pid("fleet-web.a").is_some();
        story
            .within(Duration::from_millis(500), &format!("it is started at once, the {end}th time"), runs)
            .await;
        assert_ne!(story.code("web"), Some(Code::CrashLoop), "{end}");
    }
    story.pass(seconds(15)).await;
    let state = story.state("web").unwrap();
    assert_eq!((state.phase, state.services.values().next().unwrap().restarts), (Phase::Running, 8));
    assert_eq!(story.pids()["fleet-other.a"], other);
}

#[tokio::test(start_paused = true)]
async fn without_ten_minutes_of_running_the_wait_goes_on_growing() {
    let story = Story::begin().await;
    story.apply_and_run("web", demo("demo:1")).await;
    for _ in 0..5 {
        story.runtime.kill("fleet-web.a");
        story.until("it is back", |s| s.runtime.pid("fleet-web.a").is_some()).await;
    }
    story.pass(seconds(500)).await;
    story.runtime.kill("fleet-web.a");
    story.always(seconds(10), "it waits", |s| s.runtime.pid("fleet-web.a").is_none()).await;
}

#[tokio::test(start_paused = true)]
async fn a_new_document_ends_the_wait() {
    let story = Story::begin().await;
    story.runtime.add_image_with("broken:1", Program::exits(Duration::ZERO, 1));
    story.apply("web", demo("broken:1"));
    story.pass(seconds(1000)).await;
    let revision = story.apply("web", demo("demo:1"));
    story.within(seconds(5), "it runs", |s| s.is_running("web", revision)).await;
}

#[tokio::test(start_paused = true)]
async fn a_job_that_succeeded_is_completed_and_one_that_failed_is_failed() {
    let story = Story::begin().await;
    story.runtime.add_image_with("job:good", Program::exits(seconds(5), 0));
    story.runtime.add_image_with("job:bad", Program::exits(seconds(5), 4));
    let job = |image| document(json!([{"name": "a", "image": image, "restart": "never"}]));
    story.apply("good", job("job:good"));
    story.apply("bad", job("job:bad"));
    story
        .until("both ended", |s| {
            s.phase("good") == Some(Phase::Completed) && s.phase("bad") == Some(Phase::Failed)
        })
        .await;
    assert_eq!(story.code("bad"), Some(Code::Exited));
    story.runtime.clear_journal();
    story.always(seconds(3600), "they are left alone", |s| s.runtime.journal().is_empty()).await;
}

#[tokio::test(start_paused = true)]
async fn a_failing_create_is_retried_and_its_error_shown() {
    let story = Story::begin().await;
    story.runtime.fail_next(Op::Create, ErrorKind::DiskFull, "no space left on device");
    story.runtime.fail_next(Op::Create, ErrorKind::DiskFull, "no space left on device");
    let revision = story.apply("web", demo("demo:1"));
    story.until("it says so", |s| s.code("web") == Some(Code::DiskFull)).await;
    story.runs("web", revision).await;
}
