//! Documents that end their reconciler, or the process.
use crate::documents::demo;
use crate::harness::{Story, seconds};
use fleet_agent::actors::Hold;
use fleet_agent::faults;
use fleet_agent::watchdog::breadcrumb::LastCrash;
use fleet_contracts::state::{Code, Phase};

async fn neighbours() -> Story {
    let mut story = Story::new();
    story.bus.connect();
    story.boot().await;
    story.apply_and_run("a", demo("demo:1")).await;
    story.apply_and_run("b", demo("demo:1")).await;
    story
}

#[tokio::test(start_paused = true)]
async fn a_document_whose_reconciler_panics_for_ever_is_quarantined_and_another_one_ends_that() {
    let dir = tempfile::tempdir().unwrap();
    faults::look_in(dir.path());
    let story = neighbours().await;
    let pids = story.pids();
    let fault = dir.path().join("want:bad");
    std::fs::write(&fault, "panic always").unwrap();
    story.apply("bad", demo("demo:1"));
    story.within(seconds(60), "it is quarantined", |s| s.code("bad") == Some(Code::Quarantined)).await;
    assert_eq!((story.phase("bad"), story.pids()), (Some(Phase::Failed), pids));
    assert_eq!(story.actor("reconcilers/a").unwrap().restarts, 0);
    std::fs::remove_file(&fault).unwrap();
    // The same bytes are the same document.
    let again = story.apply("bad", demo("demo:1"));
    story.until("it is seen", |s| s.state("bad").unwrap().observed_revision == Some(again)).await;
    assert_eq!(story.code("bad"), Some(Code::Quarantined));
    story.apply_and_run("bad", demo("demo:2")).await;
}

#[tokio::test(start_paused = true)]
async fn a_document_that_ended_the_process_twice_is_left_alone_by_the_third_one() {
    let mut story = neighbours().await;
    story.apply_and_run("bad", demo("demo:1")).await;
    let pids = story.pids();
    let crash = LastCrash { line: "aborted by SIGABRT".into(), deployment: Some("bad".parse().unwrap()) };
    story = story.with(|parts| parts.last_crash = Some(crash));
    story.crash().await;
    let saves = story.disk.effects_before_saves_of("bad").len();
    story.boot().await;
    // What the bucket says is of the process before: that it was counted is on the disk.
    story.until("its end is counted", |s| s.disk.effects_before_saves_of("bad").len() > saves).await;
    story.until("it is tried again", |s| s.phase("bad") == Some(Phase::Running)).await;
    story.crash().await;
    story.boot().await;
    story.until("it is quarantined", |s| s.code("bad") == Some(Code::Quarantined)).await;
    story.runtime.exit("fleet-a.a", 1);
    story.until("others are repaired", |s| s.phase("a") == Some(Phase::Running) && s.pids() != pids).await;
    assert_eq!(story.pids()["fleet-bad.a"], pids["fleet-bad.a"]);
}

#[tokio::test(start_paused = true)]
async fn a_process_that_follows_ends_in_a_row_only_looks_until_its_time_is_over() {
    let mut story = neighbours().await;
    let pids = story.pids();
    story = story.with(|parts| parts.hold = Some(Hold(seconds(40))));
    story.crash().await;
    story.boot().await;
    story.until("it says so", |s| s.says("crash-loop")).await;
    story.runtime.exit("fleet-a.a", 1);
    let new = story.apply("new", demo("demo:1"));
    let untouched = |s: &Story| s.live() == ["fleet-b.a"] && s.pids()["fleet-b.a"] == pids["fleet-b.a"];
    story.always(seconds(30), "nothing is changed", untouched).await;
    story.runs("new", new).await;
    story.until("the dead one is back", |s| s.live().len() == 3).await;
    story.within(seconds(60), "all is well", |s| !s.says("crash-loop")).await;
}
