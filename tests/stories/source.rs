//! What happens to the bucket of desired state, and what the device makes of it.
use crate::documents::{demo, marked};
use crate::harness::{Story, seconds};
use fleet_agent::bus::ErrorKind;
use fleet_agent::bus::fake::{Backup, Call};
use fleet_agent::domain::book::MAX_BYTES;
use fleet_agent::runtime::fake::Op;
use fleet_contracts::commands::Verb;
use fleet_contracts::names::{DESIRED_STATE, MAX_DOCUMENT};
use fleet_contracts::state::{Code, Phase};
use serde_json::json;
use std::time::Duration;

/// Longest time until a full snapshot is taken whatever the watch says.
const SNAPSHOT: Duration = Duration::from_secs(360);

/// A device with these deployments, all running.
async fn running(names: &[&str]) -> Story {
    let story = Story::begin().await;
    for name in names {
        story.apply_and_run(name, demo("demo:1")).await;
    }
    story
}

fn held(story: &Story) -> Vec<&'static str> {
    let all = ["one", "two", "three", "four"];
    all.into_iter().filter(|name| story.code(name) == Some(Code::RemovalHeld)).collect()
}

/// The next connection finds the bucket like this.
async fn after_reconnect(story: &Story, change: impl FnOnce(&Story)) {
    story.bus.disconnect();
    change(story);
    story.pass(seconds(10)).await;
    story.bus.connect();
    story.pass(seconds(10)).await;
}

#[tokio::test(start_paused = true)]
async fn an_emptied_bucket_removes_nothing_until_it_is_confirmed() {
    let story = running(&["one"]).await;
    let pids = story.pids();
    after_reconnect(&story, |s| s.bus.purge(DESIRED_STATE)).await;
    story.until("it is held", |s| held(s) == ["one"] && s.says("removal-held")).await;
    assert_eq!(story.phase("one"), Some(Phase::Running), "the phase stays");
    story.always(2 * SNAPSHOT, "it runs", |s| s.pids() == pids).await;
    let reply = story.command(Verb::Confirm, json!({"removals": ["one"]})).await.unwrap();
    assert_eq!(reply["accepted"], json!(["one"]));
    story.until("it is gone", |s| s.live().is_empty() && s.state("one").is_none()).await;
    story.until("nothing is held", |s| !s.says("removal-held")).await;
}

#[tokio::test(start_paused = true)]
async fn more_than_half_gone_at_once_is_held_and_other_changes_are_not() {
    let story = running(&["one", "two", "three", "four"]).await;
    let pids = story.pids();
    let mut revision = 0;
    after_reconnect(&story, |s| {
        s.bus.purge(DESIRED_STATE);
        revision = s.apply("four", demo("demo:2"));
    })
    .await;
    story.runs("four", revision).await;
    story.until("they are held", |s| held(s) == ["one", "two", "three"]).await;
    story.pass(SNAPSHOT).await;
    for name in ["one", "two", "three"] {
        let container = format!("fleet-{name}.a");
        assert_eq!(story.pids().get(&container), pids.get(&container));
    }
}

#[tokio::test(start_paused = true)]
async fn a_few_gone_from_a_bucket_that_was_followed_are_removed() {
    let story = running(&["one", "two", "three"]).await;
    after_reconnect(&story, |s| {
        s.bus.purge(DESIRED_STATE);
        s.apply("two", demo("demo:1"));
        s.apply("three", demo("demo:1"));
    })
    .await;
    story.until("one is gone", |s| s.live() == ["fleet-three.a", "fleet-two.a"]).await;
}

#[tokio::test(start_paused = true)]
async fn a_held_removal_is_forgotten_when_its_document_is_back() {
    let story = running(&["one"]).await;
    after_reconnect(&story, |s| s.bus.purge(DESIRED_STATE)).await;
    story.until("it is held", |s| held(s) == ["one"]).await;
    let revision = story.apply("one", demo("demo:1"));
    story.runs("one", revision).await;
    let refused = story.command(Verb::Confirm, json!({"removals": ["one"]})).await.unwrap_err();
    assert_eq!(refused.0, 409);
    assert_eq!(story.live(), ["fleet-one.a"]);
}

#[tokio::test(start_paused = true)]
async fn a_delete_marker_is_always_obeyed_also_for_all_and_while_away() {
    let story = running(&["one", "two"]).await;
    after_reconnect(&story, |s| {
        s.delete("one");
        s.delete("two");
    })
    .await;
    story.until("both are gone", |s| s.live().is_empty()).await;
}

#[tokio::test(start_paused = true)]
async fn a_bucket_that_was_made_anew_removes_nothing() {
    let story = running(&["one", "two"]).await;
    let pids = story.pids();
    let mut revision = 0;
    after_reconnect(&story, |s| {
        s.bus.recreate(DESIRED_STATE);
        revision = s.apply("one", marked("demo:1", 2));
    })
    .await;
    story.runs("one", revision).await;
    story.until("it says so", |s| s.says("source-reset")).await;
    story.pass(SNAPSHOT).await;
    assert_eq!(held(&story), ["two"]);
    assert_eq!(story.pids().get("fleet-two.a"), pids.get("fleet-two.a"));
    let revision = story.apply("two", demo("demo:1"));
    story.runs("two", revision).await;
    story.until("all is well", |s| !s.says("source-reset") && !s.says("removal-held")).await;
    assert_eq!(story.pids().get("fleet-two.a"), pids.get("fleet-two.a"));
}

#[tokio::test(start_paused = true)]
async fn a_deleted_bucket_stops_nothing_and_is_not_made_again_by_a_device_that_followed_one() {
    let story = running(&["one"]).await;
    let pids = story.pids();
    let creates = |s: &Story| s.bus.journal().iter().filter(|call| *call == "create desired-state").count();
    let made = creates(&story);
    story.bus.wipe(DESIRED_STATE);
    story.within(SNAPSHOT, "it says so", |s| s.says("source-missing")).await;
    story.always(2 * SNAPSHOT, "it runs", |s| s.pids() == pids).await;
    assert_eq!(creates(&story), made, "an operator's deletion is not undone");
    let revision = story.apply("one", demo("demo:2"));
    story.within(seconds(120), "the new bucket is followed", |s| s.is_running("one", revision)).await;
}

#[tokio::test(start_paused = true)]
async fn a_new_device_makes_the_bucket() {
    let story = Story::begin().await;
    story.until("it is made", |s| s.bus.journal().iter().any(|call| call == "create desired-state")).await;
    story.apply_and_run("web", demo("demo:1")).await;
}

#[tokio::test(start_paused = true)]
async fn a_restored_backup_is_held_as_stale_and_a_later_write_is_accepted() {
    let story = running(&["one"]).await;
    let backup = story.bus.backup(DESIRED_STATE).unwrap();
    for mark in 0..5 {
        story.apply_and_run("one", marked("demo:1", mark)).await;
    }
    let pids = story.pids();
    after_reconnect(&story, |s| s.bus.restore(DESIRED_STATE, backup)).await;
    story.until("it is held", |s| s.code("one") == Some(Code::StaleRevision)).await;
    assert_eq!(story.phase("one"), Some(Phase::Held));
    story.pass(SNAPSHOT).await;
    assert_eq!(story.pids(), pids);
    let revision = story.apply("one", demo("demo:3"));
    assert!(revision < 6, "its revision is lower than what this device acted on");
    story.runs("one", revision).await;
}

#[tokio::test(start_paused = true)]
async fn a_restored_backup_is_held_also_across_a_restart_of_the_agent() {
    let mut story = running(&["one"]).await;
    let backup = story.bus.backup(DESIRED_STATE).unwrap();
    story.apply_and_run("one", demo("demo:2")).await;
    let pids = story.pids();
    story.crash().await;
    story.bus.restore(DESIRED_STATE, backup);
    story.boot().await;
    story.until("it is held", |s| s.code("one") == Some(Code::StaleRevision)).await;
    assert_eq!(story.pids(), pids);
}

/// `gone` was deleted after the backup was made, and nothing is left of it on the device.
async fn with_one_deleted_since_the_backup() -> (Story, Backup) {
    let story = running(&["one", "gone"]).await;
    let backup = story.bus.backup(DESIRED_STATE).unwrap();
    story.apply_and_run("one", demo("demo:2")).await;
    story.delete("gone");
    story.until("it is gone", |s| s.live() == ["fleet-one.a"] && s.state("gone").is_none()).await;
    (story, backup)
}

async fn is_not_brought_back(story: &Story) {
    story.until("it is held", |s| s.code("gone") == Some(Code::StaleRevision)).await;
    story.until("it says so", |s| s.says("source-reset")).await;
    story
        .always(2 * SNAPSHOT, "it does not run", |s| {
            s.live() == ["fleet-one.a"] && s.phase("gone") == Some(Phase::Held)
        })
        .await;
    let (revision, new) = (story.apply("gone", demo("demo:3")), story.apply("new", demo("demo:1")));
    story.runs("gone", revision).await;
    story.runs("new", new).await;
    let one = story.apply("one", demo("demo:3"));
    story.runs("one", one).await;
    story.until("all is well", |s| !s.says("source-reset")).await;
}

#[tokio::test(start_paused = true)]
async fn a_restored_backup_does_not_bring_back_what_was_removed_since() {
    let (story, backup) = with_one_deleted_since_the_backup().await;
    after_reconnect(&story, |s| s.bus.restore(DESIRED_STATE, backup)).await;
    is_not_brought_back(&story).await;
}

#[tokio::test(start_paused = true)]
async fn a_restored_backup_does_not_bring_back_what_was_removed_since_also_across_a_restart_of_the_agent() {
    let (mut story, backup) = with_one_deleted_since_the_backup().await;
    story.crash().await;
    story.bus.restore(DESIRED_STATE, backup);
    story.boot().await;
    is_not_brought_back(&story).await;
}

/// It is removed while its old document is already back: what is told of that stays when it is gone.
#[tokio::test(start_paused = true)]
async fn what_is_held_while_it_is_being_removed_is_still_told_of_when_it_is_gone() {
    let story = running(&["one", "gone"]).await;
    let backup = story.bus.backup(DESIRED_STATE).unwrap();
    story.runtime.delay_next(Op::Remove, seconds(20));
    story.delete("gone");
    story.pass(seconds(2)).await;
    after_reconnect(&story, |s| s.bus.restore(DESIRED_STATE, backup)).await;
    story.until("it is gone", |s| s.live() == ["fleet-one.a"]).await;
    story.pass(seconds(10)).await;
    story.always(SNAPSHOT, "it is held", |s| s.code("gone") == Some(Code::StaleRevision)).await;
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_is_dead_is_noticed_by_the_snapshot() {
    let story = running(&["one"]).await;
    story.bus.mute_watches();
    let revision = story.apply("one", demo("demo:2"));
    story.within(SNAPSHOT, "it is found", |s| s.is_running("one", revision)).await;
    story.pass(seconds(10)).await;
    let revision = story.apply("one", demo("demo:3"));
    story.within(seconds(5), "and the watch is a new one", |s| s.is_running("one", revision)).await;
    assert_eq!(story.bus.watches(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_that_failed_leaves_no_second_watch() {
    let story = running(&["one"]).await;
    story.bus.fail_next(Call::Snapshot, ErrorKind::Timeout);
    story.pass(SNAPSHOT + seconds(10)).await;
    let revision = story.apply("one", demo("demo:2"));
    story.runs("one", revision).await;
    assert_eq!(story.bus.watches(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_written_all_the_time_hides_no_change_of_another() {
    let story = running(&["busy", "other"]).await;
    // Past the watch that is made anew when the bucket is there: it would find the change by itself.
    story.pass(seconds(60)).await;
    story.bus.snapshots_late_by(seconds(3));
    let revision = story.bus.put_unheard(DESIRED_STATE, "d1.other", demo("demo:2"));
    let began = tokio::time::Instant::now();
    let mut written = 0;
    while !story.is_running("other", revision) {
        assert!(began.elapsed() < SNAPSHOT + seconds(10), "not found");
        written += 1;
        story.apply("busy", marked("demo:1", written));
        story.pass(seconds(1)).await;
    }
    let snapshots = story.bus.journal().iter().filter(|call| *call == "snapshot desired-state").count();
    assert!(snapshots <= 3, "{snapshots} snapshots");
    assert!(held(&story).is_empty() && !story.says("source-reset"));
}

#[tokio::test(start_paused = true)]
async fn a_link_on_which_a_snapshot_takes_minutes_brings_the_desired_state() {
    let mut story = Story::new();
    let revision = story.apply("web", demo("demo:1"));
    story.bus.snapshots_late_by(seconds(300));
    story.bus.connect();
    story.boot().await;
    story.within(seconds(330), "it runs", |s| s.is_running("web", revision)).await;
    story.pass(3 * SNAPSHOT).await;
    assert_eq!(story.restarts(), 0);
    let calls = story.bus.journal();
    assert_eq!(calls.iter().filter(|call| *call == "follow desired-state").count(), 1);
}

/// The documents of a device that has more than it takes, each as large as one may be.
fn crowd() -> Vec<String> {
    (0..MAX_BYTES / MAX_DOCUMENT + 2).map(|n| format!("n{n:03}")).collect()
}

fn is_refused(story: &Story, name: &str) -> bool {
    let error = story.state(name).and_then(|state| state.last_error);
    error.is_some_and(|error| error.code == Code::InvalidSpec && error.message.contains("no room"))
}

#[tokio::test(start_paused = true)]
async fn more_than_a_device_takes_is_refused_by_name_and_taken_when_there_is_room() {
    let mut story = Story::begin().await;
    let names = crowd();
    let mut large = demo("demo:1");
    large.resize(MAX_DOCUMENT, b' ');
    for name in &names {
        story.apply(name, large.clone());
        story.pass(Duration::from_millis(10)).await;
    }
    let fit = names.len() - 2;
    let so = |s: &Story| s.live().len() == fit && names[fit..].iter().all(|name| is_refused(s, name));
    story.until("as many run as fit", so).await;
    let pids = story.pids();
    story.crash().await;
    story.boot().await;
    story.until("the same are refused", so).await;
    story.always(SNAPSHOT, "the same run", |s| s.pids() == pids && so(s)).await;
    story.delete(&names[0]);
    story
        .until("the first of them is taken", |s| {
            let state = s.state(&names[fit]);
            state.is_some_and(|state| state.phase == Phase::Running) && is_refused(s, &names[fit + 1])
        })
        .await;
}

/// `deployments`, restarted, asks for a snapshot: it is taken now, and arrives five seconds later.
async fn with_a_snapshot_under_way(story: &Story) {
    story.bus.snapshots_late_by(seconds(5));
    story.command(Verb::ActorRestart, json!({"name": "deployments"})).await.unwrap();
    story.pass(seconds(1)).await;
}

#[tokio::test(start_paused = true)]
async fn what_was_written_after_a_snapshot_was_taken_is_not_absent_from_it() {
    let story = running(&["one", "two"]).await;
    with_a_snapshot_under_way(&story).await;
    let (new, changed) = (story.apply("three", demo("demo:1")), story.apply("one", demo("demo:2")));
    story.runs("three", new).await;
    story.runs("one", changed).await;
    let pids = story.pids();
    story
        .always(seconds(60), "it stays so", |s| {
            s.pids() == pids && held(s).is_empty() && s.is_running("one", changed) && !s.says("source-reset")
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn what_deployments_lost_is_told_again_although_a_snapshot_was_under_way() {
    let story = running(&["one"]).await;
    with_a_snapshot_under_way(&story).await;
    let calls = || story.bus.journal().iter().filter(|call| **call == "snapshot desired-state").count();
    let before = calls();
    story.command(Verb::ActorRestart, json!({"name": "deployments"})).await.unwrap();
    story.pass(seconds(6)).await;
    assert_eq!(calls(), before + 1, "the one under way does not count, and is not in vain");
}

#[tokio::test(start_paused = true)]
async fn a_delete_that_only_the_snapshot_tells_of_is_obeyed() {
    let story = running(&["one", "two", "three"]).await;
    story.bus.mute_watches();
    story.delete("one");
    story.within(SNAPSHOT, "it is gone", |s| s.live() == ["fleet-three.a", "fleet-two.a"]).await;
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_changes_is_coalesced() {
    let story = running(&["one"]).await;
    story.runtime.clear_journal();
    let saves = story.disk.effects_before_saves_of("one").len();
    let mut last = 0;
    for round in 0..20 {
        for mark in 0..500 {
            last = story.apply("one", marked("demo:1", round * 1000 + mark));
        }
        story.pass(Duration::from_millis(10)).await;
    }
    story.within(SNAPSHOT, "the last one runs", |s| s.is_running("one", last)).await;
    let creates = story.runtime.journal().iter().filter(|line| line.starts_with("create ")).count();
    let saved = story.disk.effects_before_saves_of("one").len() - saves;
    // 10 000 documents, 500 at a time into a watch that reads 256 at a time.
    assert!(creates <= 20 && saved <= 80, "{creates} creates, {saved} saves");
    assert_eq!(story.live(), ["fleet-one.a"]);
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_no_name_is_told_of_and_disturbs_nobody() {
    let story = running(&["one"]).await;
    story.bus.put_raw(DESIRED_STATE, "d1.Not_A.Name", demo("demo:1"));
    story.until("it says so", |s| s.says("invalid-key")).await;
    story.apply_and_run("one", demo("demo:2")).await;
    story.bus.delete_raw(DESIRED_STATE, "d1.Not_A.Name");
    story.within(SNAPSHOT, "all is well", |s| !s.says("invalid-key")).await;
}

#[tokio::test(start_paused = true)]
async fn documents_of_other_devices_are_none_of_its_business() {
    let story = running(&["one"]).await;
    story.runtime.clear_journal();
    story.bus.put_raw(DESIRED_STATE, "d2.web", demo("demo:1"));
    story.bus.put_raw(DESIRED_STATE, "d10.web", demo("demo:1"));
    story.bus.delete_raw(DESIRED_STATE, "d2.one");
    story.pass(SNAPSHOT).await;
    assert_eq!(story.runtime.journal(), Vec::<String>::new());
}
