//! Documents for tests.
use crate::kv::Entry;
use fleet_contracts::Timestamp;
use fleet_contracts::commands::ActorsReply;
use fleet_contracts::state::DeploymentState;
use serde_json::{Value, json};
use time::OffsetDateTime;

/// The moment at which all tests look.
pub const NOW: i64 = 1_770_000_000;

pub fn now() -> Timestamp {
    Timestamp::from_unix_seconds(NOW).unwrap()
}

/// A moment before now, as documents write it.
pub fn ago(seconds: i64) -> Value {
    json!(Timestamp::from_unix_seconds(NOW - seconds).unwrap())
}

pub fn entry(key: &str, seconds_ago: i64, value: Option<Value>) -> Entry {
    Entry {
        key: key.into(),
        revision: 1,
        written: OffsetDateTime::from_unix_timestamp(NOW - seconds_ago).unwrap(),
        value: value.map(|value| value.to_string().into()),
    }
}

pub fn heartbeat(device: &str, failed: u32, reasons: &[&str]) -> Value {
    let health = if reasons.is_empty() { "ok" } else { "degraded" };
    json!({"device_id": device, "at": ago(0), "seq": 9, "agent_version": "0.1.0", "instance": "i", "role": "active",
        "uptime_s": 7300, "deployments": {"total": 3, "running": 3 - failed, "failed": failed}, "health": health,
        "reasons": reasons, "last_crash": null, "clock_synced": true})
}

pub fn info(device: &str) -> Value {
    json!({"device_id": device, "labels": {"device-id": device}, "agent_version": "0.1.0", "instance": "i",
        "inventory": {"hostname": "h", "arch": "aarch64", "os": "linux", "os_release": "Debian 12", "kernel": "6.1",
            "cpu_cores": 4, "memory_mb": 1024, "disk_total_mb": 16000, "agent_version": "0.1.0",
            "runtime": {"name": "podman", "version": "4.3.1"}, "boot_id": "b"},
        "config_digest": "d", "updated_at": ago(0)})
}

/// A state of deployment `shop` on `dev-1`; fields are replaced by those given.
pub fn state(fields: Value) -> DeploymentState {
    let mut state = json!({"device_id": "dev-1", "deployment": "shop", "phase": "Running", "last_event_at": ago(3),
        "last_error": null, "observed_revision": 12});
    state.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    serde_json::from_value(state).unwrap()
}

pub fn service(phase: &str) -> Value {
    json!({"phase": phase, "container_id": "0123456789abcdef", "image_id": "i", "restarts": 0, "exit_code": null,
        "started_at": ago(200), "health": null})
}

/// A tree in which something of everything is wrong.
pub fn actors() -> ActorsReply {
    let actor = |name: &str, parent: Option<&str>, kind: &str, fields: Value| {
        let mut actor = json!({"name": name, "parent": parent, "kind": kind, "state": "running", "waiting_for": null,
            "retry_in_ms": null, "restarts": 0, "since": ago(200), "last_error": null, "last_progress_ms": 5,
            "mailbox": 0, "doing": null, "strategy": null, "budget": null});
        actor.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        actor
    };
    let budget = |max: u32, used: u32| json!({"max": max, "within_s": 300, "used": used});
    let error = json!({"at": ago(60), "cause": "panic", "message": "boom\u{1b}[2J"});
    let root = "fleet-agent";
    let link = "fleet-agent/link";
    let actors = json!([
        actor(root, None, "supervisor", json!({"strategy": "one_for_one", "budget": budget(5, 0)})),
        actor(
            "fleet-agent/runtime",
            Some(root),
            "supervisor",
            json!({"strategy": "rest_for_one", "budget": budget(4, 1)})
        ),
        actor(
            "fleet-agent/runtime/effects",
            Some("fleet-agent/runtime"),
            "worker",
            json!({"doing": {"what": "pull web", "for_ms": 4200}, "mailbox": 3})
        ),
        actor("fleet-agent/reconcilers", Some(root), "keyed", json!({"strategy": "keyed"})),
        actor(
            "fleet-agent/reconcilers/web",
            Some("fleet-agent/reconcilers"),
            "worker",
            json!({"state": "parked", "restarts": 6, "last_error": error})
        ),
        actor(link, Some(root), "supervisor", json!({"strategy": "one_for_one", "budget": budget(8, 2)})),
        actor(
            "fleet-agent/link/reporter",
            Some(link),
            "worker",
            json!({"state": "backing-off", "restarts": 2, "retry_in_ms": 1500, "since": ago(1)})
        ),
        actor(
            "fleet-agent/link/heartbeat",
            Some(link),
            "worker",
            json!({"state": "waiting", "waiting_for": "connection"})
        ),
        actor("fleet-agent/link/kv_watcher", Some(link), "worker", json!({"state": "stuck"})),
    ]);
    let reply = json!({"device_id": "dev-1", "instance": "i", "at": ago(0), "actors": actors});
    serde_json::from_value(reply).unwrap()
}
