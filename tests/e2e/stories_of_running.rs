//! Documents become containers, and go again.
use crate::device::{Device, ID};
use crate::documents::{deployment, script, steady, web, with};
use crate::observe;
use serde_json::json;

#[tokio::test]
async fn an_applied_deployment_runs_and_answers_http() {
    let device = Device::new().await;
    let front = with(web("web", "hello"), json!({"ports": ["127.0.0.1:18080:80"]}));
    // Services find each other by name.
    let asks = "trap 'exit 0' TERM; until nc web 80 </dev/null; do sleep 0.1; done; sleep 86400 & wait";
    let revision = device.apply("shop", deployment(&[front, script("asker", asks)])).await;
    device.answers("http://127.0.0.1:18080/", "hello").await;

    let containers = device.containers();
    let names: Vec<&str> = containers.keys().map(String::as_str).collect();
    assert_eq!(names, ["fleet-shop.asker", "fleet-shop.web"]);
    let seen = &containers["fleet-shop.web"];
    let label = |name: &str| seen.labels[&format!("io.fleet.{name}")].as_str();
    assert_eq!((label("device"), label("deployment"), label("service")), (ID, "shop", "web"));
    assert_eq!(label("revision"), revision.to_string());
    assert_eq!(label("spec-digest").len(), 64);
    assert_eq!(observe::ours(&device.world, "network"), ["fleet-shop"]);

    let state = device.running("shop", revision).await;
    assert_eq!(state["container_ids"]["web"], json!(seen.id));
    assert_eq!(state["services"]["web"]["phase"], "Running");
    assert_eq!((&state["last_error"], &state["warnings"]), (&json!(null), &json!([])));
    let counts = json!({"total": 1, "running": 1, "failed": 0});
    let beat = device.heartbeat("it counts what runs", |beat| beat["deployments"] == counts).await;
    assert_eq!((&beat["health"], &beat["reasons"]), (&json!("ok"), &json!([])));
    let info = format!("info.{ID}");
    let podman = |info: &serde_json::Value| info["inventory"]["runtime"]["name"] == "podman";
    let info = device.document("device-info", &info, "the runtime is known", podman).await;
    assert_eq!(info["labels"], json!({"device-id": ID}));
    assert_eq!(info["instance"], beat["instance"]);
}

#[tokio::test]
async fn a_byte_equal_document_over_several_ticks_does_nothing_and_a_job_runs_once() {
    let device = Device::new().await;
    let document = deployment(&[steady("a"), steady("b")]);
    let first = device.apply("web", document.clone()).await;
    let job = deployment(&[with(script("once", "exit 0"), json!({"restart": "never"}))]);
    device.put("job", job).await;
    device.state("job", "the job is done", |state| state["phase"] == "Completed").await;
    let (mut expected, before) = (device.running("web", first).await, device.lives());
    let revision = device.put("web", document).await;
    assert!(revision > first);
    device.running("web", revision).await;
    device.several_ticks().await;
    assert_eq!(device.lives(), before);
    // All of the state but the revision, and when that was written.
    let state = device.running("web", revision).await;
    expected["observed_revision"] = json!(revision);
    expected["last_event_at"] = state["last_event_at"].clone();
    assert_eq!(state, expected);
    // podman's own memory of what was done to it.
    let made =
        device.world.podman(&["events", "--stream=false", "--filter=event=create", "--format={{.ID}}"]);
    assert_eq!(made.lines().count(), 3, "{made}");
    let started =
        device.world.podman(&["events", "--stream=false", "--filter=event=start", "--format={{.ID}}"]);
    assert_eq!(started.lines().count(), 3, "{started}");
}

#[tokio::test]
async fn a_dropped_service_goes_alone_and_a_deleted_deployment_leaves_only_its_volume() {
    let device = Device::new().await;
    let keeper = with(steady("keeper"), json!({"volumes": ["data:/data"]}));
    device.apply("web", deployment(&[keeper.clone(), steady("extra")])).await;
    device.apply("other", deployment(&[steady("a")])).await;
    let before = device.lives();

    let revision = device.put("web", deployment(&[keeper])).await;
    let state = device.running("web", revision).await;
    let kept = |name: &String| name != "fleet-web.extra";
    let without: Vec<_> = before.clone().into_iter().filter(|(name, _)| kept(name)).collect();
    assert_eq!(device.lives().into_iter().collect::<Vec<_>>(), without);
    assert_eq!(state["services"].as_object().unwrap().len(), 1);

    device.operator.delete("web").await;
    let key = format!("state.{ID}.web");
    let gone = async || match device.operator.get("device-state", &key).await? {
        None => Ok(()),
        Some(state) => Err(state.to_string()),
    };
    device.eventually("its state is gone", gone).await;
    let left: Vec<_> = before.into_iter().filter(|(name, _)| name == "fleet-other.a").collect();
    assert_eq!(device.lives().into_iter().collect::<Vec<_>>(), left);
    assert_eq!(observe::ours(&device.world, "network"), ["fleet-other"]);
    assert_eq!(observe::ours(&device.world, "volume"), ["fleet-web.data"]);
}
