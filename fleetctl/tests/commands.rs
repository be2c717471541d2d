//! Questions to devices, against a real nats-server and a scripted device.
#![allow(clippy::unwrap_used, clippy::panic)] // A failed assumption ends the test.
mod support;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use support::{Device, Run, Server, settle};

fn pong() -> Value {
    json!({"device_id": "dev-1", "agent_version": "0.1.0", "instance": "i1", "role": "active", "uptime_s": 30,
        "command_id": null, "newer": true})
}

#[tokio::test]
async fn a_ping_is_answered() {
    let server = Server::start().await;
    let device = Device::new(&server, "dev-1").await;
    let asked = device.offers("ping", Ok(pong())).await;
    let text = server.fleetctl("ping dev-1").ok().await;
    assert!(
        text.starts_with("dev-1 answered in ") && text.contains("agent 0.1.0, up 30s, instance i1"),
        "{text}"
    );
    assert_eq!(asked.await.unwrap(), "", "no request is an empty one");
}

#[tokio::test]
async fn json_is_what_the_device_said_and_nothing_else() {
    let server = Server::start().await;
    let device = Device::new(&server, "dev-1").await;
    let _asked = device.offers("ping", Ok(pong())).await;
    let json: Value = serde_json::from_str(&server.fleetctl("ping dev-1 -o json").ok().await).unwrap();
    assert_eq!(json, pong());
}

#[tokio::test]
async fn a_device_that_is_away_is_named_with_the_next_step() {
    let server = Server::start().await;
    let error = server.fleetctl("actors dev-1").fails(69).await;
    assert!(
        error.contains("device dev-1 is not connected (no agent answers on device-command.dev-1.actors)"),
        "{error}"
    );
    assert!(error.contains("next: `fleetctl devices`"), "{error}");
}

#[tokio::test]
async fn a_verb_that_an_agent_does_not_offer_is_told_from_a_device_that_is_away() {
    let server = Server::start().await;
    let device = Device::new(&server, "dev-1").await;
    let _asked = device.offers("ping", Ok(pong())).await;
    let error = server.fleetctl("reconcile dev-1").fails(1).await;
    assert!(error.contains("the agent of dev-1 does not offer reconcile"), "{error}");
}

#[tokio::test]
async fn an_answer_that_does_not_come_is_a_timeout() {
    let server = Server::start().await;
    let client = server.client().await;
    let _subscribed = client.subscribe("device-command.dev-1.ping").await.unwrap();
    settle(&client).await;
    let error = server.fleetctl("ping dev-1 --timeout 1").fails(124).await;
    assert!(error.contains("dev-1 did not answer ping within 1s"), "{error}");
}

#[tokio::test]
async fn a_refused_command_shows_the_devices_words_and_code() {
    let server = Server::start().await;
    let device = Device::new(&server, "dev-1").await;
    let asked = device.offers("actor-restart", Err((404, "no actor nobody"))).await;
    let error = server.fleetctl("restart-actor dev-1 nobody").fails(1).await;
    assert!(error.contains("dev-1 refused actor-restart: no actor nobody (code 404)"), "{error}");
    assert!(error.contains("next: "), "{error}");
    assert_eq!(asked.await.unwrap(), r#"{"name":"nobody"}"#);
}

#[tokio::test]
async fn confirm_names_what_may_go() {
    let server = Server::start().await;
    let device = Device::new(&server, "dev-1").await;
    let asked = device.offers("confirm", Ok(json!({"accepted": ["web", "db"]}))).await;
    assert_eq!(server.fleetctl("confirm --device dev-1 web db").ok().await, "dev-1 removes web, db\n");
    assert_eq!(asked.await.unwrap(), r#"{"removals":["web","db"]}"#);
}

#[tokio::test]
async fn the_live_tree_is_drawn() {
    let server = Server::start().await;
    let device = Device::new(&server, "dev-1").await;
    let actor = |name: &str, parent: Value| {
        json!({"name": name, "parent": parent, "kind": "worker", "state": "running", "restarts": 0,
            "since": "2026-01-01T00:00:00Z", "last_progress_ms": 0, "mailbox": 0})
    };
    let actors = json!([actor("fleet-agent", Value::Null), actor("fleet-agent/link", json!("fleet-agent"))]);
    let reply =
        json!({"device_id": "dev-1", "instance": "i", "at": "2026-01-01T00:05:00Z", "actors": actors});
    let _asked = device.offers("actors", Ok(reply)).await;
    let drawing = server.fleetctl("actors dev-1").ok().await;
    let expected = "fleet-agent                  running          5m        0\n\
                    └─ link                      running          5m        0\n";
    assert!(drawing.ends_with(expected), "{drawing}");
}

#[tokio::test]
async fn devices_are_listed_and_a_fleet_without_any_is_no_error() {
    let server = Server::start().await;
    let ended = server.fleetctl("devices").end().await;
    assert_eq!((ended.code, ended.out.as_str()), (0, ""));
    assert!(ended.err.contains("no device has reported"), "{}", ended.err);
    assert_eq!(server.fleetctl("devices -o json").ok().await, "[]\n");
    let device = Device::new(&server, "dev-1").await;
    device.beat().await;
    let list = server.fleetctl("devices").ok().await;
    assert!(list.contains("dev-1   ok      1/1 running"), "{list}");
    assert!(!list.contains('\x1b'), "no colours in a pipe");
}

#[tokio::test]
async fn status_shows_what_was_reported_last_and_an_unknown_device_is_an_error() {
    let server = Server::start().await;
    let device = Device::new(&server, "dev-1").await;
    device.beat().await;
    device.report(&json!({"phase": "Running", "observed_revision": 3})).await;
    let page = server.fleetctl("status dev-1").ok().await;
    assert!(page.contains("web         Running  3"), "{page}");
    let error = server.fleetctl("status dev-2").fails(1).await;
    assert!(error.contains("dev-2 has never reported"), "{error}");
}

#[tokio::test]
async fn a_watched_status_shows_every_change() {
    let server = Server::start().await;
    let device = Device::new(&server, "dev-1").await;
    device.beat().await;
    device.report(&json!({"phase": "Starting"})).await;
    let mut child = server.fleetctl("status dev-1 --watch -o json").spawn();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut phase = move || {
        let line: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
        line["deployments"][0]["phase"].clone()
    };
    assert_eq!(phase(), json!("Starting"));
    let (told, seen) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || told.send(phase()));
    device.report(&json!({"phase": "Running"})).await;
    let seen = tokio::time::timeout(std::time::Duration::from_secs(20), seen).await;
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(seen.expect("the change is shown").unwrap(), json!("Running"));
}

#[tokio::test]
async fn without_a_server_the_error_says_where_it_was_looked_for() {
    let home = tempfile::tempdir().unwrap();
    let error = Run::new("devices", Some("nats://127.0.0.1:1"), home.path()).fails(69).await;
    assert!(error.contains("cannot connect to nats://127.0.0.1:1") && error.contains("--server"), "{error}");
}

#[tokio::test]
async fn bad_usage_is_64_and_help_is_an_answer() {
    let home = tempfile::tempdir().unwrap();
    let run = |line: &str| Run::new(line, None, home.path());
    run("apply --device dev-1").fails(64).await;
    run("ping no.device").fails(64).await;
    run("nonsense").fails(64).await;
    assert!(run("--help").ok().await.contains("Exit codes"));
    assert!(run("apply --help").ok().await.contains("Examples"));
    assert!(run("completions bash").ok().await.contains("restart-actor"));
}

#[tokio::test]
async fn credentials_come_from_the_environment_or_a_context() {
    let server = Server::start_with(&["--user", "op", "--pass", "pw"]).await;
    let error = server.fleetctl("devices").fails(69).await;
    assert!(error.contains("NATS_PASSWORD"), "{error}");
    server.fleetctl("devices").env("NATS_USER", "op").env("NATS_PASSWORD", "pw").ok().await;
    let home = tempfile::tempdir().unwrap();
    let contexts = home.path().join("nats/context");
    std::fs::create_dir_all(&contexts).unwrap();
    let context = json!({"url": server.url, "user": "op", "password": "pw"}).to_string();
    std::fs::write(contexts.join("field.json"), context).unwrap();
    let run = Run::new("devices --context field", None, home.path());
    run.env("XDG_CONFIG_HOME", home.path().to_str().unwrap()).ok().await;
}

#[tokio::test]
async fn a_list_is_whole_while_devices_keep_writing() {
    let server = Server::start().await;
    let device = Device::new(&server, "dev-1").await;
    let ids: Vec<String> = (0..200).map(|n| format!("dev-{n:03}")).collect();
    for id in &ids {
        device.put("device-heartbeat", &format!("heartbeat.{id}"), &support::heartbeat(id)).await;
    }
    let writer = tokio::spawn(async move {
        let store = device.js.get_key_value("device-heartbeat").await.unwrap();
        for id in ids.iter().cycle() {
            let value = support::heartbeat(id).to_string().into();
            store.put(format!("heartbeat.{id}"), value).await.unwrap();
        }
    });
    for _ in 0..5 {
        let list: Value = serde_json::from_str(&server.fleetctl("devices -o json").ok().await).unwrap();
        assert_eq!(list.as_array().unwrap().len(), 200);
    }
    assert!(!writer.is_finished());
    writer.abort();
}

#[tokio::test]
async fn a_log_filter_is_changed_for_a_while_and_brought_back() {
    let server = Server::start().await;
    let device = Device::new(&server, "dev-1").await;
    let until = "2026-01-01T00:01:00Z";
    let asked = device.offers("log-level", Ok(json!({"filter": "debug", "until": until}))).await;
    let text = server.fleetctl("log-level dev-1 debug --for 60").ok().await;
    assert_eq!(text, format!("dev-1 logs debug until {until}\n"));
    assert_eq!(asked.await.unwrap(), r#"{"filter":"debug","for_s":60}"#);
    let asked = device.offers("log-level", Ok(json!({"filter": "info", "until": until}))).await;
    assert_eq!(server.fleetctl("log-level dev-1 --reset").ok().await, "dev-1 logs info\n");
    assert_eq!(asked.await.unwrap(), r#"{"filter":"info","for_s":0}"#);
    server.fleetctl("log-level dev-1").fails(64).await;
    server.fleetctl("log-level dev-1 debug --for 86401").fails(64).await;
}
