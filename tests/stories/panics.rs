//! Actors that panic in the middle of their work.
use crate::bombs::Fuse;
use crate::documents::{demo, document};
use crate::harness::{Story, TICK, seconds};
use fleet_contracts::commands::{Cause, Verb};
use serde_json::json;

/// Every actor with a call that only it makes. (`effects` makes none itself: what panics in a lane is put down to the
/// reconciler of its deployment.)
const BOMBS: [(&str, &str); 8] = [
    ("ownership", "check the lock"),
    ("reconcilers/new", "create"),
    ("observer", "list"),
    ("deployments", "save"),
    ("kv_watcher", "follow"),
    ("reporter", "put device-state"),
    ("heartbeat", "put device-heartbeat"),
    ("command_server", "serve"),
];

#[tokio::test(start_paused = true)]
async fn a_panic_in_any_actor_is_told_and_healed_and_touches_no_container() {
    for (name, call) in BOMBS {
        let fuse = Fuse::default();
        let mut story = Story::new().with(|parts| fuse.wire(parts));
        story.bus.connect();
        story.boot().await;
        story.apply_and_run("web", demo("demo:1")).await;
        let pids = story.pids();
        fuse.light(call);
        // Each of the calls comes by itself within a tick, after a reconnect, or with a new document.
        story.bus.disconnect();
        story.bus.connect();
        // Whoever acts asks the lock too: while nothing is to be done, only its own actor does.
        let mut new = (name != "ownership").then(|| story.apply("new", demo("demo:2")));
        if name == "command_server" {
            story.restart_actor("command_server").await;
        }
        let panicked = |s: &Story| {
            let error = s.actor(name).and_then(|actor| actor.last_error);
            let cause = if name.starts_with("reconcilers/") { Cause::Error } else { Cause::Panic };
            error.is_some_and(|error| error.cause == cause && error.message.contains(call))
        };
        story.until(&format!("{name} panics at {call}"), panicked).await;
        let new = *new.get_or_insert_with(|| story.apply("new", demo("demo:2")));
        story.within(seconds(60), "all is done", |s| s.is_running("new", new)).await;
        story.until("it is up", |s| s.is_up(name)).await;
        story.delete("new");
        story.until("new is gone", |s| s.pids() == pids).await;
        story.command(Verb::Ping, json!({})).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_leaves_its_siblings_running() {
    let fuse = Fuse::default();
    let mut story = Story::new().with(|parts| fuse.wire(parts));
    story.bus.connect();
    story.boot().await;
    story.apply_and_run("web", document(json!([{"name": "a", "image": "demo:1"}]))).await;
    fuse.light("put device-heartbeat");
    let restarts = |s: &Story, name| s.actor(name).unwrap().restarts;
    story.within(2 * TICK, "it panics", |s| restarts(s, "heartbeat") == 1).await;
    assert_eq!(story.restarts(), 1);
}

/// Patience is counted: an actor that always panics ends the process, and nothing else ends with it.
#[tokio::test(start_paused = true)]
async fn when_patience_ends_the_tree_gives_up_and_containers_run_on() {
    use fleet_agent::supervision::Ended;
    let fuse = Fuse::default();
    let mut story = Story::new().with(|parts| fuse.wire(parts));
    story.bus.connect();
    story.boot().await;
    story.apply_and_run("web", demo("demo:1")).await;
    let pids = story.pids();
    let root = story.root().clone();
    let ended = tokio::spawn(async move { root.wait().await });
    for n in 0..1000 {
        if ended.is_finished() {
            break;
        }
        fuse.light("save");
        story.apply(&format!("new{n}"), demo("demo:1"));
        story.pass(seconds(1)).await;
    }
    assert!(matches!(ended.await.unwrap(), Ended::GaveUp(_)), "exit 70, never 0");
    for (name, pid) in pids {
        assert_eq!(story.runtime.pid(&name), Some(pid));
    }
}
