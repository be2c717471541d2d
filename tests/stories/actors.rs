//! Actors that die: their work goes on, containers do not notice.
use crate::documents::{demo, marked};
use crate::harness::{Story, TICK, seconds};
use fleet_agent::runtime::fake::{Op, Program, Registry};
use fleet_contracts::commands::Verb;
use fleet_contracts::state::Phase;
use serde_json::json;
use std::time::Duration;

/// All that can be restarted; `web` is the reconciler of that deployment.
const ACTORS: [&str; 12] = [
    "ownership",
    "runtime",
    "effects",
    "observer",
    "reconcilers",
    "web",
    "deployments",
    "link",
    "kv_watcher",
    "reporter",
    "heartbeat",
    "command_server",
];

#[tokio::test(start_paused = true)]
async fn any_actor_may_be_restarted_while_containers_keep_their_pids() {
    let story = Story::begin().await;
    story.apply_and_run("web", demo("demo:1")).await;
    story.apply_and_run("shop", demo("demo:2")).await;
    let pids = story.pids();
    story.runtime.clear_journal();
    for name in ACTORS {
        story.restart_actor(name).await;
        story.pass(2 * TICK).await;
        assert_eq!(story.actor(name).unwrap().restarts, 1 + inherited(name), "{name}");
    }
    assert_eq!((story.pids(), story.runtime.journal()), (pids, vec![]));
}

/// Restarts that came with those of actors before it in [`ACTORS`].
fn inherited(name: &str) -> u64 {
    match name {
        "effects" | "web" | "kv_watcher" | "reporter" | "heartbeat" | "command_server" => 1,
        // Once with `runtime`, once after `effects`: rest_for_one.
        "observer" => 2,
        _ => 0,
    }
}

/// After the restart of each, the agent still does everything.
#[tokio::test(start_paused = true)]
async fn after_the_restart_of_any_actor_the_whole_agent_works() {
    for name in ACTORS {
        let story = Story::begin().await;
        story.apply_and_run("web", demo("demo:1")).await;
        story.restart_actor(name).await;
        story.apply_and_run("web", demo("demo:2")).await;
        story.runtime.kill("fleet-web.a");
        story.until("it is repaired", |s| s.runtime.pid("fleet-web.a").is_some()).await;
        story.apply_and_run("new", demo("demo:1")).await;
        story.delete("new");
        story.until("it is gone", |s| s.live() == ["fleet-web.a"] && s.state("new").is_none()).await;
        let before = story.heartbeat().unwrap().seq;
        story.until("it beats", |s| s.heartbeat().is_some_and(|h| h.seq > before)).await;
        story.command(Verb::Ping, json!({})).await.unwrap();
    }
}

/// Any actor, at any step of an update: it ends with the new one, and the other keeps its pid.
#[tokio::test(start_paused = true)]
async fn any_actor_may_be_restarted_at_any_step_of_an_update() {
    for name in ACTORS {
        for step in 0..14 {
            let story = Story::begin().await;
            story.apply_and_run("web", demo("demo:1")).await;
            story.apply_and_run("shop", demo("demo:1")).await;
            let shop = story.runtime.pid("fleet-shop.a");
            let revision = story.apply("web", demo("demo:2"));
            story.pass(step * Duration::from_millis(7)).await;
            story.restart_actor(name).await;
            story.runs("web", revision).await;
            assert_eq!(story.live(), ["fleet-shop.a", "fleet-web.a"], "{name} at {step}");
            assert_eq!(story.runtime.containers().len(), 2, "{name} at {step}");
            assert_eq!(story.runtime.pid("fleet-shop.a"), shop, "{name} at {step}");
        }
    }
}

/// The whole process, at any step of an update.
#[tokio::test(start_paused = true)]
async fn the_agent_may_be_killed_at_any_step_of_an_update() {
    for step in 0..40 {
        let mut story = Story::begin().await;
        story.apply_and_run("web", demo("demo:1")).await;
        story.apply_and_run("shop", demo("demo:1")).await;
        let shop = story.runtime.pid("fleet-shop.a");
        let revision = story.apply("web", demo("demo:2"));
        story.pass(step * Duration::from_millis(4)).await;
        story.crash().await;
        story.boot().await;
        story.runs("web", revision).await;
        assert_eq!(story.live(), ["fleet-shop.a", "fleet-web.a"], "step {step}");
        assert_eq!(story.runtime.containers().len(), 2, "step {step}");
        assert_eq!(story.runtime.pid("fleet-shop.a"), shop, "step {step}");
    }
}

/// The whole process, at any step of a removal.
#[tokio::test(start_paused = true)]
async fn the_agent_may_be_killed_at_any_step_of_a_removal() {
    for step in 0..25 {
        let mut story = Story::begin().await;
        story.apply_and_run("web", demo("demo:1")).await;
        story.apply_and_run("shop", demo("demo:1")).await;
        story.delete("web");
        story.pass(step * Duration::from_millis(4)).await;
        story.crash().await;
        story.boot().await;
        story.until("it is gone", |s| s.live() == ["fleet-shop.a"] && s.state("web").is_none()).await;
        assert_eq!(story.runtime.networks(), ["fleet-shop"], "step {step}");
    }
}

#[tokio::test(start_paused = true)]
async fn effects_restarted_in_the_middle_of_an_operation_recovers() {
    for op in [Op::Create, Op::Start, Op::Signal, Op::Rename, Op::Remove] {
        let story = Story::begin().await;
        story.apply_and_run("web", demo("demo:1")).await;
        story.runtime.hang(op);
        let calls = story.runtime.calls(op);
        let revision = story.apply("web", demo("demo:2"));
        story.until("it hangs", |s| s.runtime.calls(op) > calls).await;
        story.restart_actor("effects").await;
        story.runtime.release(op);
        story.within(seconds(10), "it goes on", |s| s.is_running("web", revision)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_reconciler_restarted_in_the_middle_of_an_operation_starts_no_second() {
    for op in [Op::Create, Op::Start, Op::Signal, Op::Rename, Op::Remove] {
        let story = Story::begin().await;
        story.apply_and_run("web", demo("demo:1")).await;
        story.runtime.hang(op);
        let calls = story.runtime.calls(op);
        let revision = story.apply("web", demo("demo:2"));
        story.until("it hangs", |s| s.runtime.calls(op) > calls).await;
        for _ in 0..3 {
            story.restart_actor("web").await;
            story.pass(Duration::from_millis(500)).await;
        }
        assert_eq!(story.runtime.calls(op), calls + 1, "{op:?}: the one that runs is waited for");
        story.runtime.release(op);
        story.runs("web", revision).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_reconciler_restarted_during_a_pull_does_not_pull_again() {
    let story = Story::begin().await;
    story.runtime.registry("big:1", Registry::has_slowly(Program::polite(), 20, seconds(5)));
    let revision = story.apply("web", demo("big:1"));
    story.until("it pulls", |s| s.phase("web") == Some(Phase::Pulling)).await;
    story.restart_actor("web").await;
    story.runs("web", revision).await;
    assert_eq!(story.runtime.calls(Op::Pull), 1);
}

#[tokio::test(start_paused = true)]
async fn a_stop_in_its_grace_period_survives_the_restart_of_its_reconciler() {
    let story = Story::begin().await;
    story.runtime.add_image_with("deaf:1", Program::deaf());
    story.apply_and_run("web", demo("deaf:1")).await;
    let revision = story.apply("web", demo("demo:1"));
    story.pass(seconds(10)).await;
    story.restart_actor("web").await;
    // The stop began within the first second, and has 30 s; a new one would need 10 s more than are left here.
    story
        .within(seconds(25), "the grace goes on, it does not begin again", |s| s.is_running("web", revision))
        .await;
}

#[tokio::test(start_paused = true)]
async fn deployments_restarted_between_accepting_and_acting_acts() {
    for step in 0..10 {
        let story = Story::begin().await;
        story.apply_and_run("web", demo("demo:1")).await;
        let revision = story.apply("web", marked("demo:1", 5));
        story.pass(step * Duration::from_millis(1)).await;
        story.restart_actor("deployments").await;
        story.runs("web", revision).await;
    }
}

#[tokio::test(start_paused = true)]
async fn every_restart_is_told_with_its_cause() {
    let story = Story::begin().await;
    story.apply_and_run("web", demo("demo:1")).await;
    let reply = story.command(Verb::ActorRestart, json!({"name": "observer"})).await.unwrap();
    assert_eq!(reply["name"], "fleet-agent/runtime/observer");
    assert_eq!(reply["restarts"], 1);
    let actors = story.command(Verb::Actors, json!({})).await.unwrap();
    let find = |name: &str| {
        actors["actors"].as_array().unwrap().iter().find(|actor| actor["name"] == name).unwrap().clone()
    };
    assert_eq!(find("fleet-agent/runtime/observer")["last_error"]["cause"], "requested");
    assert_eq!(find("fleet-agent/reconcilers/web")["restarts"], 0);
    let unknown = story.command(Verb::ActorRestart, json!({"name": "nobody"})).await.unwrap_err();
    let root = story.command(Verb::ActorRestart, json!({"name": "fleet-agent"})).await.unwrap_err();
    assert_eq!((unknown.0, root.0), (404, 409));
}
