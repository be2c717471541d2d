//! Values that are on the device only.
use crate::documents::document;
use crate::harness::{Story, TICK, seconds};
use fleet_agent::runtime::fake::{Program, Registry};
use fleet_contracts::state::{Code, Phase};
use serde_json::{Value, json};

const PASSWORD: &str = "hunter2hunter2";

fn with_secrets(secrets: Value, more: Value) -> Vec<u8> {
    let mut service = json!({"name": "a", "image": "demo:1", "secrets": secrets});
    service.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    document(json!([service]))
}

fn password(reload: bool) -> Vec<u8> {
    with_secrets(json!([{"name": "db", "env": "PASSWORD", "reload": reload}]), json!({}))
}

/// The variable PASSWORD of the container that is alive.
fn known(story: &Story) -> Option<String> {
    let live = story.live();
    let container = story.runtime.container(live.first()?)?;
    Some(String::from_utf8(container.hidden_env.get("PASSWORD")?.reveal().to_vec()).unwrap())
}

#[tokio::test(start_paused = true)]
async fn a_container_gets_its_secrets_as_variable_and_as_file() {
    let story = Story::begin().await;
    story.vault.put("db", &format!("{PASSWORD}\n"));
    let both = json!([{"name": "db", "env": "PASSWORD"}, {"name": "db", "path": "/run/db"}]);
    story.apply_and_run("web", with_secrets(both, json!({}))).await;
    assert_eq!(known(&story).as_deref(), Some(PASSWORD), "without the end of its line");
    let file = story.runtime.container("fleet-web.a").unwrap().files.remove(0);
    assert_eq!((file.path.as_str(), file.mode), ("/run/db", 0o400));
    assert_eq!(file.content.reveal(), format!("{PASSWORD}\n").as_bytes());
}

#[tokio::test(start_paused = true)]
async fn no_value_is_in_any_label_state_or_heartbeat() {
    let story = Story::begin().await;
    story.vault.put("db", PASSWORD);
    story.apply_and_run("web", password(true)).await;
    let labels = story.runtime.container("fleet-web.a").unwrap().labels;
    assert!(labels.contains_key("io.fleet.secrets-version"), "{labels:?}");
    let told = format!("{labels:?} {:?} {:?}", story.state("web"), story.heartbeat());
    assert!(!told.contains(PASSWORD), "{told}");
    assert!(!format!("{:?}", story.runtime.containers()).contains(PASSWORD), "Debug hides it");
}

#[tokio::test(start_paused = true)]
async fn a_secret_that_is_missing_is_told_by_name_and_waited_for() {
    let story = Story::begin().await;
    let revision = story.apply("web", password(false));
    story.until("it says so", |s| s.code("web") == Some(Code::Start)).await;
    let error = story.state("web").unwrap().last_error.unwrap();
    assert!(error.message.contains("secret db") && error.retry_at.is_some(), "{error:?}");
    assert_eq!(story.phase("web"), Some(Phase::Degraded));
    assert_eq!(story.live(), [""; 0]);
    story.vault.put("db", PASSWORD);
    story.within(seconds(400), "it runs", |s| s.is_running("web", revision)).await;
}

#[tokio::test(start_paused = true)]
async fn without_its_secret_a_new_container_does_not_take_the_place_of_the_one_that_runs() {
    let story = Story::begin().await;
    story.vault.put("db", PASSWORD);
    story.apply_and_run("web", password(false)).await;
    let before = story.pids();
    story.apply("web", with_secrets(json!([{"name": "absent", "path": "/run/key"}]), json!({})));
    story.until("it says so", |s| s.code("web") == Some(Code::Start)).await;
    story.always(10 * TICK, "the old one runs", |s| s.pids() == before).await;
}

#[tokio::test(start_paused = true)]
async fn another_value_makes_the_container_anew_where_the_secret_says_reload() {
    let mut story = Story::begin().await;
    story.vault.put("db", "one");
    let revision = story.apply_and_run("web", password(true)).await;
    let before = story.pids();
    story.pass(5 * TICK).await;
    assert_eq!(story.pids(), before, "the same value");
    story.vault.put("db", "two");
    story.within(2 * TICK, "it has the other value", |s| known(s).as_deref() == Some("two")).await;
    story.runs("web", revision).await;
    // Also when it changes while no agent runs; and not when it does not.
    let before = story.pids();
    story.crash().await;
    story.boot().await;
    story.pass(5 * TICK).await;
    assert_eq!(story.pids(), before);
    story.crash().await;
    story.vault.put("db", "three");
    story.boot().await;
    story.within(2 * TICK, "it has the third value", |s| known(s).as_deref() == Some("three")).await;
    story.runs("web", revision).await;
    assert_eq!(story.runtime.containers().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_lost_key_of_versions_makes_nothing_anew_and_the_next_value_does() {
    let mut story = Story::begin().await;
    story.vault.put("db", "one");
    let revision = story.apply_and_run("web", password(true)).await;
    let before = story.pids();
    for _ in 0..2 {
        story.crash().await;
        story.vault.lose_key();
        story.boot().await;
        story.always(5 * TICK, "it runs on", |s| s.pids() == before).await;
        assert!(story.is_running("web", revision));
    }
    story.vault.put("db", "two");
    story.within(2 * TICK, "it has the other value", |s| known(s).as_deref() == Some("two")).await;
    story.runs("web", revision).await;
    // Its version is of the key of now: what changes while no agent runs is noticed again.
    story.crash().await;
    story.vault.put("db", "three");
    story.boot().await;
    story.within(2 * TICK, "it has the third value", |s| known(s).as_deref() == Some("three")).await;
}

#[tokio::test(start_paused = true)]
async fn another_value_changes_nothing_where_the_secret_does_not_say_reload() {
    let story = Story::begin().await;
    story.vault.put("db", "one");
    story.apply_and_run("web", password(false)).await;
    let before = story.pids();
    story.vault.put("db", "two");
    story.always(5 * TICK, "it runs on", |s| s.pids() == before).await;
}

#[tokio::test(start_paused = true)]
async fn a_reloaded_secret_that_is_gone_stops_nothing() {
    let story = Story::begin().await;
    story.vault.put("db", "one");
    story.apply_and_run("web", password(true)).await;
    let before = story.pids();
    story.vault.take("db");
    story.always(5 * TICK, "it runs on", |s| s.pids() == before).await;
    story.vault.put("db", "two");
    story.within(2 * TICK, "it has the other value", |s| known(s).as_deref() == Some("two")).await;
}

#[tokio::test(start_paused = true)]
async fn a_job_is_not_run_again_because_a_secret_changed() {
    let story = Story::begin().await;
    story.runtime.add_image_with("job:1", Program::exits(seconds(1), 0));
    story.vault.put("db", "one");
    let secrets = json!([{"name": "db", "env": "PASSWORD", "reload": true}]);
    for (name, restart) in [("once", "never"), ("works", "on-failure")] {
        story.apply(name, with_secrets(secrets.clone(), json!({"image": "job:1", "restart": restart})));
        story.until("it is done", |s| s.phase(name) == Some(Phase::Completed)).await;
    }
    story.runtime.clear_journal();
    story.vault.put("db", "two");
    story.pass(5 * TICK).await;
    assert_eq!(story.runtime.journal(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_crash_loop_is_tried_again_at_once_with_another_value() {
    let story = Story::begin().await;
    story.runtime.add_image_with("crash:1", Program::exits(seconds(1), 1));
    story.vault.put("db", "one");
    let secrets = json!([{"name": "db", "env": "PASSWORD", "reload": true}]);
    story.apply("web", with_secrets(secrets, json!({"image": "crash:1"})));
    story.until("it loops", |s| s.code("web") == Some(Code::CrashLoop)).await;
    story.pass(seconds(600)).await;
    story.vault.put("db", "two");
    story.within(2 * TICK, "it is tried", |s| known(s).as_deref() == Some("two")).await;
}

#[tokio::test(start_paused = true)]
async fn a_private_image_is_pulled_once_the_right_credential_is_there() {
    let story = Story::begin().await;
    let registry = Registry::has(Program::polite()).only_for("edge", PASSWORD);
    story.runtime.registry("r.example/web:1", registry);
    let wanted = json!([{"name": "a", "image": "r.example/web:1", "registry_auth": "plant"}]);
    let revision = story.apply("web", document(wanted));
    story.until("it says so", |s| s.code("web") == Some(Code::RegistryAuth)).await;
    assert_eq!(story.phase("web"), Some(Phase::Degraded));
    assert!(story.state("web").unwrap().last_error.unwrap().message.contains("credential plant"));
    story.vault.put_credential("plant", "edge", "wrong");
    story.pass(seconds(400)).await;
    assert_eq!(story.code("web"), Some(Code::RegistryAuth));
    story.vault.put_credential("plant", "edge", PASSWORD);
    story.within(seconds(400), "it runs", |s| s.is_running("web", revision)).await;
}

#[tokio::test(start_paused = true)]
async fn an_archive_that_is_not_there_is_told_as_a_missing_image_and_waited_for() {
    let story = Story::begin().await;
    let archive = "oci-archive:/srv/web.tar";
    let missing = fleet_agent::runtime::ErrorKind::ImageMissing;
    story.runtime.registry(archive, Registry::fails(missing, "No such file"));
    let revision = story.apply("web", document(json!([{"name": "a", "image": archive}])));
    story.until("it says so", |s| s.code("web") == Some(Code::ImageMissing)).await;
    assert!(story.state("web").unwrap().last_error.unwrap().retry_at.is_some());
    story.runtime.registry(archive, Registry::has(Program::polite()));
    story.within(seconds(400), "it runs", |s| s.is_running("web", revision)).await;
}

#[tokio::test(start_paused = true)]
async fn an_archive_is_unpacked_in_silence_for_minutes() {
    let story = Story::begin().await;
    let archive = "oci-archive:/srv/web.tar";
    story.runtime.registry(archive, Registry::has_slowly(Program::polite(), 1, seconds(600)));
    let revision = story.apply("web", document(json!([{"name": "a", "image": archive}])));
    story.within(seconds(700), "it runs", |s| s.is_running("web", revision)).await;
}
