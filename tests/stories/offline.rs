//! Without a network: what was accepted runs, and is told later.
use crate::documents::{demo, marked};
use crate::harness::{Story, TICK, seconds};
use fleet_contracts::state::Phase;

#[tokio::test(start_paused = true)]
async fn a_document_that_was_accepted_runs_on_without_the_link_and_is_told_of_after_it_is_back() {
    let story = Story::begin().await;
    let revision = story.apply_and_run("web", demo("demo:1")).await;
    story.bus.disconnect();
    story.runtime.kill("fleet-web.a");
    story.until("it runs again", |s| s.runtime.pid("fleet-web.a").is_some()).await;
    assert_eq!(story.state("web").unwrap().services[&"a".parse().unwrap()].restarts, 0, "not told yet");
    story.bus.connect();
    story
        .until("the restart is told", |s| {
            s.is_running("web", revision)
                && s.state("web").unwrap().services[&"a".parse().unwrap()].restarts == 1
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn many_changes_while_offline_are_one_put_per_key() {
    let story = Story::begin().await;
    for name in ["one", "two"] {
        story.apply_and_run(name, demo("demo:1")).await;
    }
    story.pass(TICK).await;
    story.bus.disconnect();
    let puts = |s: &Story| ["one", "two"].map(|name| s.puts(&format!("device-state/state.d1.{name}")));
    let before = puts(&story);
    for _ in 0..5 {
        for name in ["one", "two"] {
            story.runtime.kill(&format!("fleet-{name}.a"));
        }
        story.pass(seconds(30)).await;
    }
    story.until("both run again", |s| s.live().len() == 2).await;
    story.pass(seconds(30)).await;
    story.bus.connect();
    story.pass(TICK).await;
    assert_eq!(puts(&story), before.map(|puts| puts + 1));
}

#[tokio::test(start_paused = true)]
async fn a_boot_without_nats_runs_the_ledger() {
    let mut story = Story::begin().await;
    story.apply_and_run("web", demo("demo:1")).await;
    story.apply_and_run("shop", demo("demo:2")).await;
    story.crash().await;
    story.bus.disconnect();
    story.runtime.reboot();
    assert_eq!(story.live(), Vec::<String>::new());
    story.boot().await;
    story.within(seconds(30), "both run", |s| s.live().len() == 2).await;
}

#[tokio::test(start_paused = true)]
async fn a_boot_without_nats_and_without_podman_runs_the_ledger_when_podman_comes() {
    let mut story = Story::begin().await;
    story.apply_and_run("web", demo("demo:1")).await;
    story.crash().await;
    story.bus.disconnect();
    story.runtime.reboot();
    story.runtime.down();
    story.boot().await;
    story.pass(seconds(600)).await;
    story.runtime.up();
    story.within(seconds(30), "it runs", |s| s.live() == ["fleet-web.a"]).await;
}

#[tokio::test(start_paused = true)]
async fn what_changed_while_the_device_was_away_is_seen_when_it_is_back() {
    let story = Story::begin().await;
    story.apply_and_run("web", demo("demo:1")).await;
    story.apply_and_run("shop", demo("demo:1")).await;
    story.apply_and_run("till", demo("demo:1")).await;
    story.bus.disconnect();
    let web = story.apply("web", marked("demo:1", 7));
    story.delete("shop");
    let new = story.apply("new", demo("demo:3"));
    story.pass(seconds(3600)).await;
    assert_eq!(story.phase("web"), Some(Phase::Running));
    story.bus.connect();
    story.runs("web", web).await;
    story.runs("new", new).await;
    story.until("shop is gone", |s| s.state("shop").is_none()).await;
    assert_eq!(story.live(), ["fleet-new.a", "fleet-till.a", "fleet-web.a"]);
}

#[tokio::test(start_paused = true)]
async fn a_flapping_link_changes_nothing() {
    let story = Story::begin().await;
    story.apply_and_run("web", demo("demo:1")).await;
    story.runtime.clear_journal();
    let pids = story.pids();
    for _ in 0..300 {
        story.bus.disconnect();
        story.pass(seconds(1)).await;
        story.bus.connect();
        story.pass(seconds(1)).await;
    }
    assert_eq!((story.pids(), story.runtime.journal()), (pids, vec![]));
    assert!(story.bus.watches() <= 1, "{} watches", story.bus.watches());
    assert_eq!(story.restarts(), 0);
}
