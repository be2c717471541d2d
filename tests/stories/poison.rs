//! Documents that end their reconciler, or the process.
use crate::documents::demo;
use crate::harness::{Story, seconds};
use fleet_agent::actors::Hold;
use fleet_agent::domain::ledger::Fingerprint;
use fleet_agent::faults;
use fleet_agent::watchdog::breadcrumb::LastCrash;
use fleet_contracts::commands::{ActorState, Verb};
use fleet_contracts::state::{Code, Phase, ServicePhase};
use serde_json::json;
use std::path::PathBuf;

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

/// What panics is a task of the actor that all deployments share.
#[tokio::test(start_paused = true)]
async fn a_document_on_whose_operation_the_agent_panics_for_ever_is_quarantined_and_no_other_notices() {
    let dir = tempfile::tempdir().unwrap();
    faults::look_in(dir.path());
    let story = neighbours().await;
    let pids = story.pids();
    std::fs::write(dir.path().join("before:Create"), "panic always").unwrap();
    story.apply("bad", demo("demo:1"));
    story.within(seconds(60), "it is quarantined", |s| s.code("bad") == Some(Code::Quarantined)).await;
    for actor in ["effects", "observer", "runtime", "reconcilers/a", "reconcilers/b"] {
        assert_eq!(story.actor(actor).unwrap().restarts, 0, "{actor}");
    }
    assert_eq!(story.pids(), pids);
    story.runtime.exit("fleet-a.a", 1);
    story.until("others are repaired", |s| s.phase("a") == Some(Phase::Running) && s.pids() != pids).await;
}

#[tokio::test(start_paused = true)]
async fn a_document_that_ended_the_process_twice_is_left_alone_by_the_third_one() {
    let mut story = neighbours().await;
    story.apply_and_run("bad", demo("demo:1")).await;
    let pids = story.pids();
    let crash = LastCrash {
        line: "aborted by SIGABRT".into(),
        deployment: Some("bad".parse().unwrap()),
        reading: None,
    };
    story = story.with(|parts| parts.last_crash = Some(crash));
    story.crash().await;
    let saves = story.disk.effects_before_saves_of("bad").len();
    story.boot().await;
    // Its state says Running from before: that the end was counted is on the disk.
    story.until("its end is counted", |s| s.disk.effects_before_saves_of("bad").len() > saves).await;
    story.until("it is tried again", |s| s.is_up("reconcilers/bad")).await;
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

/// Where faults are armed, for this test's process.
fn faults() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    faults::look_in(dir.path());
    dir
}

/// `bad` runs, and is then in quarantine; from now on its reconciler would panic.
async fn in_quarantine(dir: &tempfile::TempDir) -> (Story, PathBuf) {
    let story = neighbours().await;
    story.apply_and_run("bad", demo("demo:1")).await;
    let fault = dir.path().join("want:bad");
    std::fs::write(&fault, "panic always").unwrap();
    give_up_on_it(&story).await;
    (story, fault)
}

/// Its reconciler is restarted, and panics as often as is borne.
async fn give_up_on_it(story: &Story) {
    // Not answered: it comes up, and goes down at once.
    let _ = story.root().board().restart("fleet-agent/reconcilers/bad").await;
    story.until("it is parked", is_parked).await;
}

fn is_parked(story: &Story) -> bool {
    story.actor("reconcilers/bad").is_some_and(|actor| actor.state == ActorState::Parked)
}

fn is_quarantined(story: &Story) -> bool {
    story.code("bad") == Some(Code::Quarantined)
}

#[tokio::test(start_paused = true)]
async fn the_fifth_crash_of_a_reconciler_is_its_documents_last() {
    let dir = faults();
    let story = neighbours().await;
    std::fs::write(dir.path().join("want:bad"), "panic 4").unwrap();
    story.apply_and_run("bad", demo("demo:1")).await;
    assert_eq!(story.actor("reconcilers/bad").unwrap().restarts, 4);
    // Those crashes were another document's.
    std::fs::write(dir.path().join("want:bad"), "panic 4").unwrap();
    story.apply_and_run("bad", demo("demo:2")).await;
    std::fs::write(dir.path().join("want:bad"), "panic 5").unwrap();
    story.apply("bad", demo("demo:3"));
    story.until("the fifth one parks it", |s| is_parked(s) && is_quarantined(s)).await;
    assert!(dir.path().join("want:bad.done").exists());
}

#[tokio::test(start_paused = true)]
async fn no_restart_ends_a_quarantine_and_what_runs_is_told_after_each() {
    let dir = faults();
    let (mut story, fault) = in_quarantine(&dir).await;
    story.until("it is quarantined", is_quarantined).await;
    let (pids, restarts) = (story.pids(), story.actor("reconcilers/bad").unwrap().restarts);
    for actor in ["fleet-agent/reconcilers", "fleet-agent/deployments", "fleet-agent/runtime/observer"] {
        story.root().board().restart(actor).await.unwrap();
        story.always(seconds(40), "it stays in quarantine", |s| is_quarantined(s) && is_parked(s)).await;
    }
    assert_eq!(story.actor("reconcilers/bad").unwrap().restarts, restarts);
    story.crash().await;
    story.boot().await;
    story.pass(seconds(40)).await;
    assert_eq!((is_quarantined(&story), story.pids()), (true, pids.clone()));
    let told = |s: &Story, phase| {
        let state = s.state("bad").unwrap();
        let service = state.services.values().next().cloned();
        state.container_ids.len() == 1 && service.is_some_and(|service| service.phase == phase)
    };
    assert!(told(&story, ServicePhase::Running), "{:?}", story.state("bad"));
    // It ends, which is told, and nobody starts it again.
    story.runtime.exit("fleet-bad.a", 3);
    story.within(seconds(40), "its end is told", |s| told(s, ServicePhase::Exited)).await;
    assert_eq!((story.phase("bad"), is_quarantined(&story)), (Some(Phase::Failed), true));
    assert_eq!(story.state("bad").unwrap().services.values().next().unwrap().exit_code, Some(3));
    std::fs::remove_file(fault).unwrap();
    story.command(Verb::Reconcile, json!({"deployment": "bad"})).await.unwrap();
    story.until("it is tried again", |s| s.phase("bad") == Some(Phase::Running)).await;
}

/// Its word would be lost with the one that heard it.
#[tokio::test(start_paused = true)]
async fn a_reconciler_that_is_given_up_while_nobody_can_note_it_stays_down_and_is_noted_later() {
    let dir = faults();
    let story = neighbours().await;
    story.apply_and_run("bad", demo("demo:1")).await;
    std::fs::write(dir.path().join("want:bad"), "panic always").unwrap();
    story.disk.is_full(true);
    give_up_on_it(&story).await;
    let restarts = story.actor("reconcilers/bad").unwrap().restarts;
    for actor in ["fleet-agent/deployments", "fleet-agent/reconcilers", "fleet-agent/deployments"] {
        story.root().board().restart(actor).await.unwrap();
        story.always(seconds(20), "it stays down", is_parked).await;
    }
    assert_eq!(story.actor("reconcilers/bad").unwrap().restarts, restarts);
    story.disk.is_full(false);
    story.until("it is quarantined", is_quarantined).await;
    assert!(is_parked(&story));
}

#[tokio::test(start_paused = true)]
async fn a_document_whose_reading_panics_is_objected_to_and_what_runs_runs_on() {
    let dir = faults();
    let story = neighbours().await;
    let first = story.apply_and_run("bad", demo("demo:1")).await;
    let pids = story.pids();
    std::fs::write(dir.path().join("read:bad"), "panic always").unwrap();
    story.apply("bad", demo("demo:2"));
    story.until("it is objected to", is_quarantined).await;
    assert_eq!(story.state("bad").unwrap().observed_revision, Some(first));
    assert_eq!((story.pids(), story.restarts()), (pids, 0));
}

#[tokio::test(start_paused = true)]
async fn a_document_that_ended_the_process_that_read_it_is_not_read_again_until_somebody_asks() {
    let dir = faults();
    let mut story = neighbours().await;
    let first = story.apply_and_run("bad", demo("demo:1")).await;
    let stored = story.apply_and_run("worse", demo("demo:1")).await;
    let pids = story.pids();
    story.crash().await;
    for name in ["bad", "worse"] {
        // It would be read in vain.
        std::fs::write(dir.path().join(format!("read:{name}")), "panic always").unwrap();
    }
    std::fs::remove_file(dir.path().join("read:bad")).unwrap();
    let shunned = [("bad", demo("demo:2")), ("worse", demo("demo:1"))];
    let shunned = shunned.map(|(name, document)| {
        ((name.parse().unwrap(), Fingerprint::of(&document)), "aborted twice".to_owned())
    });
    story = story.with(|parts| parts.shunned = shunned.into_iter().collect());
    story.apply("bad", demo("demo:2"));
    story.boot().await;
    let of = |s: &Story, name| s.state(name).map(|s| (s.phase, s.observed_revision, s.container_ids.len()));
    let so = |s: &Story| {
        of(s, "bad") == Some((Phase::Failed, Some(first), 1))
            && of(s, "worse") == Some((Phase::Failed, Some(stored), 1))
            && ["bad", "worse"].iter().all(|name| s.code(name) == Some(Code::Quarantined))
    };
    story.until("both are quarantined", so).await;
    assert_eq!(story.pids(), pids);
    for name in ["bad", "worse"] {
        let _ = std::fs::remove_file(dir.path().join(format!("read:{name}")));
        story.command(Verb::Reconcile, json!({"deployment": name})).await.unwrap();
        story.until("it is read again", |s| s.phase(name) == Some(Phase::Running)).await;
    }
    assert_eq!((story.pids()["fleet-worse.a"], story.live().len()), (pids["fleet-worse.a"], 4));
}
