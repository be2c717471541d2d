//! Documents that cannot be carried out, beside those that can.
use crate::device::{Device, ID};
use crate::documents::{deployment, script, steady, with};
use serde_json::{Value, json};

async fn refused(device: &Device, name: &str, code: &str) -> String {
    let is_so = |state: &Value| state["phase"] == "Failed" && state["last_error"]["code"] == code;
    let state = device.state(name, &format!("{name} is refused as {code}"), is_so).await;
    assert!(state["last_error"]["retry_at"].is_null(), "{state:#}");
    state["last_error"]["message"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn bad_documents_are_refused_by_name_and_disturb_no_other() {
    let device = Device::new().await;
    let good = device.apply("good", deployment(&[steady("a")])).await;
    let was_good = device.apply("was-good", deployment(&[steady("a")])).await;
    let before = device.lives();

    device.put("no-json", b"{\"type\": ".to_vec()).await;
    device.put("no-type", b"{\"type\": \"PodmanV9\", \"data\": 1}".to_vec()).await;
    let waits = json!({"depends_on": [{"service": "absent"}]});
    device.put("waits", deployment(&[with(steady("a"), waits)])).await;
    let document = deployment(&[with(steady("a"), json!({"ports": ["80"], "image": ""}))]);
    let bad = device.put("was-good", document).await;
    let note = "x".repeat(256 * 1024);
    device.put("too-big", deployment(&[with(steady("a"), json!({"note": note}))])).await;
    refused(&device, "no-json", "invalid-spec").await;
    refused(&device, "too-big", "invalid-spec").await;
    assert!(refused(&device, "no-type", "unsupported-type").await.contains("PodmanV9"));
    let message = refused(&device, "waits", "invalid-spec").await;
    assert!(message.contains("data.services[0].depends_on[0]: this document has no service"), "{message}");
    let message = refused(&device, "was-good", "invalid-spec").await;
    for path in ["data.services[0].ports[0]", "data.services[0].image", &format!("revision {bad}")] {
        assert!(message.contains(path), "{message}");
    }

    // A key whose last part is no name.
    device.put("Not_A_Name", deployment(&[steady("a")])).await;
    device.put("too.deep", deployment(&[steady("a")])).await;
    let beat = device.heartbeat("bad keys are told", |beat| beat["reasons"] == json!(["invalid-key"])).await;
    assert_eq!(beat["health"], "degraded");
    let counts = json!({"total": 6, "running": 1, "failed": 5});
    device.heartbeat("all are counted", |beat| beat["deployments"] == counts).await;

    device.several_ticks().await;
    assert_eq!(device.lives(), before);
    device.running("good", good).await;
    let key = format!("state.{ID}.was-good");
    let state = device.operator.get("device-state", &key).await.unwrap().unwrap();
    assert_eq!(state["observed_revision"], json!(was_good), "the refused one was not acted on");

    // Taken back, and made good.
    device.operator.delete("no-json").await;
    let gone = async || match device.operator.get("device-state", &format!("state.{ID}.no-json")).await? {
        None => Ok(()),
        Some(state) => Err(state.to_string()),
    };
    device.eventually("nothing is left of a refused document", gone).await;
    device.apply("was-good", deployment(&[steady("a")])).await;
    device.apply("waits", deployment(&[steady("a")])).await;
    assert_eq!(device.lives()["fleet-was-good.a"], before["fleet-was-good.a"]);
}

#[tokio::test]
async fn unknown_fields_are_warned_of_and_a_container_that_keeps_failing_is_a_crash_loop() {
    let device = Device::new().await;
    let mut document: Value = serde_json::from_slice(&deployment(&[steady("a")])).unwrap();
    document["data"]["services"][0]["colour"] = json!("red");
    document["note"] = json!("from somebody");
    let revision = device.apply("web", serde_json::to_vec(&document).unwrap()).await;
    let state = device.running("web", revision).await;
    let mut warnings: Vec<&str> =
        state["warnings"].as_array().unwrap().iter().flat_map(Value::as_str).collect();
    warnings.sort_unstable();
    assert_eq!(warnings, ["data.services[0].colour", "note"]);
    let healthy = device.life("fleet-web.a");

    device.put("loop", deployment(&[script("bad", "echo no luck; exit 3"), steady("sibling")])).await;
    let loops = |state: &Value| {
        let (error, bad) = (&state["last_error"], &state["services"]["bad"]);
        let says = error["message"].as_str().is_some_and(|text| text.contains("; it said last: no luck"));
        says && error["code"] == "crash-loop" && bad["exit_code"] == 3 && bad["restarts"].as_u64() >= Some(4)
    };
    device
        .seen("its sibling runs", |all| all.get("fleet-loop.sibling").is_some_and(|s| s.life.is_some()))
        .await;
    let sibling = device.life("fleet-loop.sibling");
    let state = device.state("loop", "it is called a crash loop", loops).await;
    assert_eq!((&state["phase"], &state["last_error"]["service"]), (&json!("Degraded"), &json!("bad")));
    assert!(state["last_error"]["retry_at"].is_string(), "{state:#}");
    let job = with(script("job", "exit 3"), json!({"restart": "never"}));
    device.put("job", deployment(&[job])).await;
    let state = device.state("job", "the job failed", |state| state["phase"] == "Failed").await;
    assert_eq!(state["last_error"]["code"], "exited");
    assert_eq!(state["services"]["job"]["exit_code"], 3);
    assert_eq!(device.life("fleet-loop.sibling"), sibling);
    assert_eq!(device.life("fleet-web.a"), healthy);
}
