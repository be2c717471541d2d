//! Writing desired state, against a real nats-server.
#![allow(clippy::unwrap_used, clippy::panic)] // A failed assumption ends the test.
mod support;
use async_nats::jetstream;
use serde_json::{Value, json};
use support::{Device, Run, Server};

const GOOD: &str = r#"{"type": "PodmanV0",
  "data": {"services": [{"name": "web", "image": "registry.example/web:1", "note": 1}]}}
"#;
const APPLY: &str = "apply --device dev-1 --name web -f -";

fn error(code: &str, message: String) -> Value {
    json!({"code": code, "service": null, "message": message, "retry_at": null})
}

#[tokio::test]
async fn a_document_is_written_byte_for_byte_and_the_missing_bucket_is_made() {
    let server = Server::start().await;
    let ended = server.fleetctl(APPLY).stdin(GOOD).end().await;
    assert_eq!((ended.code, ended.out.as_str()), (0, "web on dev-1: revision 1 written\n"), "{}", ended.err);
    assert!(ended.err.contains("warning: data.services[0].note is not known"), "{}", ended.err);
    assert!(ended.err.contains("dev-1 has never reported to this server"), "{}", ended.err);
    let js = jetstream::new(server.client().await);
    let store = js.get_key_value("desired-state").await.unwrap();
    assert_eq!(store.get("dev-1.web").await.unwrap().unwrap(), GOOD);
    assert_eq!(store.status().await.unwrap().history(), 8);
    let json: Value =
        serde_json::from_str(&server.fleetctl(&format!("{APPLY} -o json")).stdin(GOOD).ok().await).unwrap();
    assert_eq!((&json["revision"], &json["warnings"][0]), (&json!(2), &json!("data.services[0].note")));
}

#[tokio::test]
async fn what_was_written_can_be_read_edited_and_applied_again() {
    let server = Server::start().await;
    server.fleetctl(APPLY).stdin(GOOD).ok().await;
    assert_eq!(server.fleetctl("get --device dev-1 --name web").ok().await, GOOD);
    let list = server.fleetctl("get dev-1").ok().await;
    assert!(list.contains("web (registry.example/web:1)"), "{list}");
    let json: Value = serde_json::from_str(&server.fleetctl("get dev-1 -o json").ok().await).unwrap();
    assert_eq!(json[0]["document"]["type"], json!("PodmanV0"));
    let error = server.fleetctl("get --device dev-1 --name other").fails(1).await;
    assert!(error.contains("no desired state for other"), "{error}");
}

#[tokio::test]
async fn a_bad_document_is_refused_before_a_server_is_even_asked() {
    let folder = tempfile::tempdir().unwrap();
    let bad = r#"{"type": "PodmanV0", "data": {"services": [{"name": "Web", "image": ""}]}}"#;
    let error = Run::new(APPLY, Some("nats://127.0.0.1:1"), folder.path()).stdin(bad).fails(65).await;
    for part in ["nothing was written", "\n  data.services[0].name: ", "\n  data.services[0].image: "] {
        assert!(error.contains(part), "{error}");
    }
    let none = Run::new("apply --device d --name web -f none.json", None, folder.path()).fails(65).await;
    assert!(none.contains("none.json"), "{none}");
}

#[tokio::test]
async fn a_wait_ends_well_when_the_device_runs_our_revision() {
    let server = Server::start().await;
    let device = Device::new(&server, "dev-1").await;
    // Of an earlier life of the bucket: it names a later revision than ours, and must not count.
    device.report(&json!({"phase": "Running", "observed_revision": 999})).await;
    support::create_bucket(&device.js, "desired-state").await;
    let device = device.answers_with(|revision| {
        let pulling = json!({"phase": "Pulling", "observed_revision": revision,
            "services": {"web": {"phase": "Pulling", "container_id": null}}});
        vec![pulling, json!({"phase": "Running", "observed_revision": revision})]
    });
    let ended = server.fleetctl(&format!("{APPLY} --wait --timeout 15")).stdin(GOOD).end().await;
    assert_eq!(
        (ended.code, ended.out.as_str()),
        (0, "web on dev-1 is Running at revision 1\n"),
        "{}",
        ended.err
    );
    assert!(!ended.err.contains("999") && ended.err.contains("Running"), "{}", ended.err);
    device.await.unwrap();
}

#[tokio::test]
async fn a_wait_fails_when_the_device_refuses_the_document() {
    let server = Server::start().await;
    let device = Device::new(&server, "dev-1").await;
    device.report(&json!({"phase": "Running", "observed_revision": 1})).await;
    support::create_bucket(&device.js, "desired-state").await;
    let device = device.answers_with(|revision| {
        let error = error("invalid-spec", format!("revision {revision}: data: newer rules"));
        vec![json!({"phase": "Failed", "observed_revision": null, "last_error": error})]
    });
    let ended = server.fleetctl(&format!("{APPLY} --wait -o json --timeout 15")).stdin(GOOD).end().await;
    assert_eq!(ended.code, 1, "{}", ended.err);
    assert!(
        ended.err.contains("refuses the document: invalid-spec: revision 1: data: newer rules"),
        "{}",
        ended.err
    );
    let json: Value = serde_json::from_str(&ended.out).unwrap();
    assert_eq!((&json["result"], &json["state"]["phase"]), (&json!("failed"), &json!("Failed")));
    device.await.unwrap();
}

#[tokio::test]
async fn a_wait_that_is_not_over_in_time_says_where_it_stands() {
    let server = Server::start().await;
    let device = Device::new(&server, "dev-1").await;
    support::create_bucket(&device.js, "desired-state").await;
    let device = device.answers_with(|revision| {
        let error = error("image-pull", "no route".into());
        vec![json!({"phase": "Degraded", "observed_revision": revision, "last_error": error})]
    });
    let error = server.fleetctl(&format!("{APPLY} --wait --timeout 2")).stdin(GOOD).fails(124).await;
    assert!(error.contains("not there after 2 s: Degraded: image-pull: no route"), "{error}");
    device.await.unwrap();
}

#[tokio::test]
async fn a_wait_for_a_device_that_never_was_says_so() {
    let server = Server::start().await;
    let error = server.fleetctl(&format!("{APPLY} --wait --timeout 1")).stdin(GOOD).fails(124).await;
    assert!(error.contains("never reported") && error.contains("nothing reported"), "{error}");
}

#[tokio::test]
async fn a_delete_sets_a_marker_and_waits_until_the_state_is_gone() {
    let server = Server::start().await;
    let device = Device::new(&server, "dev-1").await;
    server.fleetctl(APPLY).stdin(GOOD).ok().await;
    device.report(&json!({"phase": "Running", "observed_revision": 1})).await;
    let device = device.answers_with(|_| vec![json!({"phase": "Stopping"})]);
    let gone = tokio::spawn(server.fleetctl("delete --device dev-1 --name web --wait").end());
    let device = device.await.unwrap();
    assert!(!gone.is_finished(), "the device still reports it");
    device.js.get_key_value("device-state").await.unwrap().delete("state.dev-1.web").await.unwrap();
    let ended = gone.await.unwrap();
    assert_eq!((ended.code, ended.out.as_str()), (0, "web is gone from dev-1\n"), "{}", ended.err);
    let store = device.js.get_key_value("desired-state").await.unwrap();
    let marker = store.entry("dev-1.web").await.unwrap().unwrap();
    assert_eq!(marker.operation, jetstream::kv::Operation::Delete);
    let error = server.fleetctl("delete --device dev-1 --name web").fails(1).await;
    assert!(error.contains("dev-1 has no deployment web"), "{error}");
}
