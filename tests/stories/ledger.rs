//! Durable before acted on.
use crate::documents::{demo, document};
use crate::harness::{Story, TICK, seconds};
use fleet_agent::store::LedgerStore;
use fleet_contracts::names::DESIRED_STATE;
use fleet_contracts::state::Phase;
use serde_json::json;

#[tokio::test(start_paused = true)]
async fn the_ledger_write_comes_before_the_first_effect() {
    let story = Story::begin().await;
    // A disk that takes nothing for a while: what does not wait for it is seen.
    story.disk.is_full(true);
    let revision = story.apply("web", demo("demo:1"));
    story.always(seconds(60), "nothing is done", |s| s.runtime.journal().is_empty()).await;
    story.disk.is_full(false);
    story.runs("web", revision).await;
    assert_eq!(story.disk.effects_before_saves_of("web"), [Vec::<String>::new()]);
    let so_far = story.runtime.journal();
    story.apply_and_run("web", demo("demo:2")).await;
    assert_eq!(story.disk.effects_before_saves_of("web")[1], so_far);
}

#[tokio::test(start_paused = true)]
async fn a_removal_is_durable_before_anything_is_stopped() {
    let story = Story::begin().await;
    story.apply_and_run("web", demo("demo:1")).await;
    let so_far = story.runtime.journal();
    story.disk.is_full(true);
    story.delete("web");
    story.always(seconds(60), "nothing is stopped", |s| s.runtime.journal() == so_far).await;
    story.disk.is_full(false);
    story.until("it is gone", |s| s.state("web").is_none()).await;
    assert_eq!(story.disk.effects_before_saves_of("web")[1], so_far);
}

#[tokio::test(start_paused = true)]
async fn while_the_disk_is_full_nothing_new_is_done_and_what_runs_goes_on() {
    let story = Story::begin().await;
    story.apply_and_run("web", demo("demo:1")).await;
    story.disk.is_full(true);
    story.runtime.clear_journal();
    let web = story.apply("web", demo("demo:2"));
    let new = story.apply("new", demo("demo:1"));
    story.until("it says so", |s| s.says("state-not-writable")).await;
    story.always(seconds(300), "nothing is done", |s| s.runtime.journal().is_empty()).await;
    story.runtime.kill("fleet-web.a");
    story.until("what was accepted goes on", |s| s.live() == ["fleet-web.a"]).await;
    assert_ne!(story.phase("new"), Some(Phase::Running));

    story.disk.is_full(false);
    story.runs("web", web).await;
    story.runs("new", new).await;
    story.until("it no longer says so", |s| !s.says("state-not-writable")).await;
}

#[tokio::test(start_paused = true)]
async fn a_restart_with_a_full_disk_keeps_everything() {
    let mut story = Story::begin().await;
    story.apply_and_run("web", demo("demo:1")).await;
    let pids = story.pids();
    story.disk.is_full(true);
    story.crash().await;
    story.boot().await;
    story.pass(4 * TICK).await;
    assert_eq!(story.pids(), pids);
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_lost_its_state_directory_changes_nothing_until_it_is_its_own_again() {
    let story = Story::begin().await;
    story.apply_and_run("web", demo("demo:1")).await;
    story.runtime.clear_journal();
    story.lock.is_ours(false);
    let revision = story.apply("web", demo("demo:2"));
    story.runtime.kill("fleet-web.a");
    story.always(seconds(120), "it is not its business", |s| s.runtime.journal().is_empty()).await;
    story.lock.is_ours(true);
    story.runs("web", revision).await;
}

#[tokio::test(start_paused = true)]
async fn a_restarted_agent_leaves_every_pid() {
    let mut story = Story::begin().await;
    story.apply_and_run("web", demo("demo:1")).await;
    story.apply_and_run("shop", demo("demo:2")).await;
    let pids = story.pids();
    story.runtime.clear_journal();
    for _ in 0..3 {
        story.crash().await;
        story.boot().await;
        story.pass(2 * TICK).await;
    }
    assert_eq!((story.pids(), story.runtime.journal()), (pids, vec![]));
}

/// Both copies of its record were bad, say, and its key is gone meanwhile: nobody knows what it was.
#[tokio::test(start_paused = true)]
async fn containers_of_a_deployment_of_which_nothing_is_known_are_left_alone() {
    let mut story = Story::begin().await;
    story.apply_and_run("web", demo("demo:1")).await;
    story.apply_and_run("other", demo("demo:1")).await;
    let pids = story.pids();
    story.crash().await;
    story.disk.forget(&"web".parse().unwrap()).unwrap();
    story.bus.purge(DESIRED_STATE);
    story.apply("other", demo("demo:1"));
    story.boot().await;
    story.always(seconds(1200), "it runs on", |s| s.pids() == pids).await;
}

#[tokio::test(start_paused = true)]
async fn a_sync_that_fails_is_no_success() {
    let story = Story::begin().await;
    story.apply_and_run("web", demo("demo:1")).await;
    let so_far = story.runtime.journal();
    story.disk.fails_the_next_sync();
    story.apply_and_run("web", demo("demo:2")).await;
    // The second one, which succeeded.
    assert_eq!(story.disk.effects_before_saves_of("web")[1], so_far, "nothing is acted on before");
    assert!(story.disk.writes().len() >= 3, "it was written twice");
}

/// The older document must not bring back what the newer one replaced, dropped or added.
#[tokio::test(start_paused = true)]
async fn a_record_older_than_what_runs_replaces_nothing_while_no_server_is_there() {
    let mut story = Story::begin().await;
    let services = |names: &[(&str, &str)]| {
        let service = |(name, image): &(&str, &str)| json!({"name": name, "image": image});
        document(names.iter().map(service).collect())
    };
    story.apply_and_run("web", services(&[("a", "demo:1"), ("b", "demo:1")])).await;
    let revision = story.apply_and_run("web", services(&[("b", "demo:2"), ("c", "demo:2")])).await;
    let pids = story.pids();
    story.crash().await;
    story.bus.disconnect();
    story.disk.loses_all_but_the_first_record_of("web");
    story.boot().await;
    story.always(4 * TICK, "nothing goes back", |s| s.pids() == pids).await;
    story.runtime.clear_journal();
    story.runtime.exit("fleet-web.b", 1);
    story.until("what dies is started again", |s| s.live().len() == 2).await;
    assert!(
        story.runtime.journal().iter().all(|line| line.starts_with("start ")),
        "{:?}",
        story.runtime.journal()
    );
    assert_eq!(story.live(), ["fleet-web.b", "fleet-web.c"]);
    let pids = story.pids();
    story.bus.connect();
    story.runs("web", revision).await;
    assert_eq!(story.pids(), pids);
}

#[tokio::test(start_paused = true)]
async fn an_older_record_that_the_bucket_confirms_is_brought_about_again() {
    let mut story = Story::begin().await;
    let revision = story.apply_and_run("web", demo("demo:1")).await;
    story.crash().await;
    story.disk.loses_all_but_the_first_record_of("web");
    story.runtime.user_removes("fleet-web.a");
    story.bus.disconnect();
    story.boot().await;
    story.always(4 * TICK, "nothing is made", |s| s.live().is_empty()).await;
    story.bus.connect();
    story.until("it is made again", |s| s.live() == ["fleet-web.a"]).await;
    story.runs("web", revision).await;
}
