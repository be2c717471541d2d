//! Services that depend on each other, and services that say how they are.
use crate::device::Device;
use crate::documents::{deployment, script, steady, with};
use serde_json::{Value, json};

/// Runs until it is asked to stop, and tells when it began and when it was asked.
fn telling(name: &str) -> Value {
    let run = format!(
        "echo {name} begins >> /told/log; trap 'echo {name} ends >> /told/log; exit 0' TERM; sleep 86400 & wait"
    );
    script(name, &run)
}

fn told(device: &Device) -> (std::path::PathBuf, Value) {
    let directory = device.directory("told");
    let volume = json!([format!("{}:/told", directory.display())]);
    (directory.join("log"), volume)
}

/// The same as examples/shop.json with programs of this test's own, and started in the wrong order.
fn shop(volumes: &Value, version: u32) -> Vec<u8> {
    let check = json!({"test": ["CMD", "busybox", "test", "-e", "/told/ready"], "interval_s": 1, "timeout_s": 5,
        "retries": 3, "start_period_s": 600});
    let all = |fields: Value| {
        let mut fields = fields;
        fields["volumes"] = volumes.clone();
        fields["env"] = json!({"VERSION": version.to_string()});
        fields
    };
    deployment(&[
        with(telling("web"), all(json!({"depends_on": [{"service": "migrate", "condition": "completed"}]}))),
        with(
            script("migrate", "echo migrate runs >> /told/log"),
            all(json!({"restart": "never", "depends_on": [{"service": "db", "condition": "healthy"}]})),
        ),
        with(telling("db"), all(json!({"healthcheck": check}))),
    ])
}

#[tokio::test]
async fn a_database_its_migration_and_what_needs_both_come_in_order_and_go_in_reverse() {
    let device = Device::new().await;
    let (log, volumes) = told(&device);
    let revision = device.put("shop", shop(&volumes, 1)).await;
    device.lines(&log, "the database begins", |lines| lines == ["db begins"]).await;
    device.state("shop", "it is starting", |state| state["services"]["db"]["health"] == "starting").await;
    device.several_ticks().await;
    device.lines(&log, "nothing else does", |lines| lines == ["db begins"]).await;
    std::fs::write(log.with_file_name("ready"), "").unwrap();
    let state = device.running("shop", revision).await;
    assert_eq!(state["services"]["db"]["health"], "healthy", "{state:#}");
    assert_eq!(state["services"]["migrate"]["phase"], "Completed");
    let begun = ["db begins", "migrate runs", "web begins"];
    device.lines(&log, "all begin in order", |lines| lines == begun).await;

    // An update goes the same way, one after the other.
    let revision = device.apply("shop", shop(&volumes, 2)).await;
    let replaced = ["db ends", "db begins", "migrate runs", "web ends", "web begins"];
    device.lines(&log, "all are replaced in order", |lines| lines[begun.len()..] == replaced).await;
    device.running("shop", revision).await;

    device.operator.delete("shop").await;
    let gone = ["web ends", "db ends"];
    device.lines(&log, "all end in reverse", |lines| lines[begun.len() + replaced.len()..] == gone).await;
    device.seen("nothing is left", |all| all.is_empty()).await;
}

/// After the kill, its exit looks like that of a service which did its work.
#[tokio::test]
async fn a_service_that_leaves_well_when_it_is_stopped_for_its_health_is_started_again_by_the_next_agent() {
    let mut device = Device::new().await;
    let (log, volumes) = told(&device);
    let well = log.with_file_name("well");
    std::fs::write(&well, "").unwrap();
    let leaves = "echo begins >> /told/log; trap 'echo told to end >> /told/log; sleep 1; exit 0' TERM; \
                  while :; do sleep 0.1; done";
    let check =
        json!({"test": ["CMD-SHELL", "test -e /told/well"], "interval_s": 1, "timeout_s": 5, "retries": 2});
    let fields = json!({"volumes": volumes, "healthcheck": check, "restart": "on-failure"});
    device.apply("web", deployment(&[with(script("ill", leaves), fields)])).await;
    device.state("web", "it is well", |state| state["services"]["ill"]["health"] == "healthy").await;
    std::fs::remove_file(&well).unwrap();
    device.lines(&log, "it is stopped", |lines| lines == ["begins", "told to end"]).await;
    device.crash();
    device.seen("it left", |all| all.values().all(|seen| seen.life.is_none())).await;
    std::fs::write(&well, "").unwrap();
    device.boot();
    device.lines(&log, "it is started", |lines| lines == ["begins", "told to end", "begins"]).await;
    let well_again = |s: &Value| s["phase"] == "Running" && s["services"]["ill"]["health"] == "healthy";
    device.state("web", "it is well again", well_again).await;
}

#[tokio::test]
async fn a_service_that_fails_its_check_is_restarted_and_its_neighbour_is_not() {
    let device = Device::new().await;
    let (log, volumes) = told(&device);
    let well = log.with_file_name("well");
    std::fs::write(&well, "").unwrap();
    let shell = "test -e /told/well || { echo the well is dry; exit 7; }";
    let check = json!({"test": ["CMD-SHELL", shell], "interval_s": 1, "timeout_s": 5, "retries": 2});
    let ill = with(telling("ill"), json!({"volumes": volumes, "healthcheck": check}));
    let revision = device.apply("web", deployment(&[ill, steady("other")])).await;
    let healthy = |state: &Value| state["services"]["ill"]["health"] == "healthy";
    device.state("web", "it is well", healthy).await;
    let before = device.lives();
    device.several_ticks().await;
    assert_eq!(device.lives(), before, "checks touch nothing");

    std::fs::remove_file(&well).unwrap();
    let told = |state: &Value| state["phase"] == "Degraded" && state["last_error"]["code"] == "unhealthy";
    let state = device.state("web", "it is told", told).await;
    let message = state["last_error"]["message"].as_str().unwrap();
    assert!(message.contains("2 times in a row: exit code 7, \"the well is dry\""), "{message}");
    assert_eq!(state["last_error"]["service"], "ill");
    device.lines(&log, "it is restarted", |lines| lines.ends_with(&["ill ends", "ill begins"])).await;
    std::fs::write(&well, "").unwrap();
    device.state("web", "it is well again", healthy).await;
    device.running("web", revision).await;
    assert_eq!(device.life("fleet-web.other"), before["fleet-web.other"].1.unwrap());
}
