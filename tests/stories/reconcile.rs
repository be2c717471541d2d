//! From a document to containers, and nothing more than that.
use crate::documents::{demo, document, marked};
use crate::harness::{Story, TICK, seconds};
use serde_json::json;

#[tokio::test(start_paused = true)]
async fn a_document_becomes_a_running_container() {
    let story = Story::begin().await;
    story.apply_and_run("web", demo("demo:1")).await;
    let journal = story.runtime.journal();
    assert_eq!(journal, ["create network fleet-web", "create fleet-web.a", "start fleet-web.a"]);
}

#[tokio::test(start_paused = true)]
async fn a_tick_is_idempotent() {
    let story = Story::begin().await;
    story.apply_and_run("web", demo("demo:1")).await;
    story.runtime.clear_journal();
    let (pids, puts) = (story.pids(), story.puts("device-state/state.d1.web"));
    story.pass(20 * TICK).await;
    assert_eq!(story.runtime.journal(), Vec::<String>::new());
    assert_eq!(story.pids(), pids);
    assert_eq!(story.puts("device-state/state.d1.web"), puts, "nothing changed, nothing is said");
}

#[tokio::test(start_paused = true)]
async fn an_unchanged_document_does_nothing() {
    let story = Story::begin().await;
    story.apply_and_run("web", demo("demo:1")).await;
    story.runtime.clear_journal();
    let pids = story.pids();
    story.apply_and_run("web", demo("demo:1")).await;
    story.pass(2 * TICK).await;
    assert_eq!(story.runtime.journal(), Vec::<String>::new());
    assert_eq!(story.pids(), pids);
}

#[tokio::test(start_paused = true)]
async fn a_replace_goes_by_recorded_id() {
    let story = Story::begin().await;
    story.apply_and_run("web", demo("demo:1")).await;
    let old = story.runtime.container("fleet-web.a").unwrap().id;
    story.runtime.clear_journal();
    let revision = story.apply_and_run("web", demo("demo:2")).await;
    let new = story.runtime.container("fleet-web.a").unwrap().id;
    assert_ne!(new, old);
    let state = story.state("web").unwrap();
    assert_eq!(state.container_ids[&"a".parse().unwrap()], new.as_str());
    assert_eq!(state.observed_revision, Some(revision));
    let replace = [
        "create fleet-web.a.next",
        "rename fleet-web.a -> fleet-web.a.old",
        "rename fleet-web.a.next -> fleet-web.a",
        "signal fleet-web.a.old SIGTERM",
        "start fleet-web.a",
        "remove fleet-web.a.old",
    ];
    assert_eq!(story.runtime.journal(), replace);
}

#[tokio::test(start_paused = true)]
async fn a_service_that_did_not_change_is_not_touched() {
    let story = Story::begin().await;
    let two = |image| document(json!([{"name": "a", "image": image}, {"name": "b", "image": "demo:1"}]));
    story.apply_and_run("web", two("demo:1")).await;
    let pids = story.pids();
    story.apply_and_run("web", two("demo:2")).await;
    assert_eq!(story.pids()["fleet-web.b"], pids["fleet-web.b"]);
    assert_ne!(story.pids()["fleet-web.a"], pids["fleet-web.a"]);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_service_is_stopped_and_removed() {
    let story = Story::begin().await;
    let both = document(json!([{"name": "a", "image": "demo:1"}, {"name": "b", "image": "demo:1"}]));
    story.apply_and_run("web", both).await;
    let pids = story.pids();
    story.runtime.clear_journal();
    story.apply_and_run("web", demo("demo:1")).await;
    assert_eq!(story.runtime.journal(), ["signal fleet-web.b SIGTERM", "remove fleet-web.b"]);
    assert_eq!(story.pids().get("fleet-web.a"), pids.get("fleet-web.a"));
    assert!(!story.state("web").unwrap().services.contains_key(&"b".parse().unwrap()));
}

#[tokio::test(start_paused = true)]
async fn a_delete_removes_everything_but_the_volume() {
    let story = Story::begin().await;
    let with_volume = document(json!([{"name": "a", "image": "demo:1", "volumes": ["data:/data"]}]));
    story.apply_and_run("web", with_volume).await;
    story.delete("web");
    story.until("its state key is deleted", |s| s.state("web").is_none()).await;
    assert_eq!(story.runtime.containers(), vec![]);
    assert_eq!(story.runtime.networks(), Vec::<String>::new());
    assert_eq!(story.runtime.volumes(), ["fleet-web.data"]);
}

#[tokio::test(start_paused = true)]
async fn a_deleted_deployment_can_come_back() {
    let story = Story::begin().await;
    story.apply_and_run("web", demo("demo:1")).await;
    story.delete("web");
    story.until("it is gone", |s| s.state("web").is_none()).await;
    story.apply_and_run("web", demo("demo:1")).await;
}

#[tokio::test(start_paused = true)]
async fn a_document_that_comes_while_its_deployment_is_being_removed_wins() {
    let story = Story::begin().await;
    story.apply_and_run("web", demo("demo:1")).await;
    story.delete("web");
    let revision = story.apply("web", marked("demo:2", 1));
    story.runs("web", revision).await;
    story.always(seconds(120), "it runs", |s| s.is_running("web", revision)).await;
    assert_eq!(story.live(), ["fleet-web.a"]);
}

#[tokio::test(start_paused = true)]
async fn bad_documents_beside_good_ones_disturb_nobody() {
    use fleet_contracts::state::{Code, Phase};
    let story = Story::begin().await;
    story.apply("bad", "{");
    story.apply("strange", r#"{"type": "SystemdV7", "data": {}}"#);
    story.apply_and_run("web", demo("demo:1")).await;
    let refused = |story: &Story, name| (story.phase(name), story.code(name));
    assert_eq!(refused(&story, "bad"), (Some(Phase::Failed), Some(Code::InvalidSpec)));
    assert_eq!(refused(&story, "strange"), (Some(Phase::Failed), Some(Code::UnsupportedType)));
}

#[tokio::test(start_paused = true)]
async fn a_refused_document_leaves_what_runs_running() {
    use fleet_contracts::state::{Code, Phase};
    let story = Story::begin().await;
    let good = story.apply_and_run("web", demo("demo:1")).await;
    let pids = story.pids();
    story.apply("web", "{");
    story.until("it is refused", |s| s.code("web") == Some(Code::InvalidSpec)).await;
    assert_eq!(story.phase("web"), Some(Phase::Failed));
    assert_eq!(story.state("web").unwrap().observed_revision, Some(good));
    assert_eq!(story.pids(), pids);
}
