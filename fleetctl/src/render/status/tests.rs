use super::render;
use crate::device::{Device, devices};
use crate::fixtures::{NOW, entry, heartbeat, now, service, state};
use crate::output::Style;
use fleet_contracts::Timestamp;
use fleet_contracts::state::DeploymentState;
use serde_json::{Value, json};
use time::OffsetDateTime;

fn device() -> Device {
    let beats = [entry("heartbeat.dev-1", 4, Some(heartbeat("dev-1", 0, &[])))];
    devices(&[], &beats, OffsetDateTime::from_unix_timestamp(NOW).unwrap()).remove(0)
}

fn page(states: &[DeploymentState]) -> String {
    render(&device(), states, now(), Style::PLAIN)
}

fn with(mut service: Value, fields: Value) -> Value {
    service.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    service
}

#[test]
fn a_device_whose_deployments_run() {
    let web = with(service("Running"), json!({"health": "healthy", "restarts": 2}));
    let expected = "\
dev-1   ok   agent 0.1.0   up 2h   last seen 4s ago

DEPLOYMENT  PHASE    REVISION  SERVICE  STATE             FOR  RESTARTS  CONTAINER
shop        Running  12        db       Running           3m   0         0123456789ab
                               web      Running, healthy  3m   2         0123456789ab
";
    assert_eq!(page(&[state(json!({"services": {"web": web, "db": service("Running")}}))]), expected);
}

#[test]
fn what_is_wrong_is_said_below_with_the_next_step() {
    let retry_at = json!(Timestamp::from_unix_seconds(NOW + 8));
    let exited = with(service("Exited"), json!({"exit_code": 3}));
    let degraded = state(json!({"phase": "Degraded", "services": {"web": exited},
        "last_error": {"code": "crash-loop", "service": "web", "message": "exited with 3", "retry_at": retry_at}}));
    let refused = state(json!({"deployment": "till", "phase": "Failed", "observed_revision": null,
        "last_error": {"code": "invalid-spec", "service": null, "message": "revision 14: data: required", "retry_at": null}}));
    let held = state(json!({"deployment": "work", "warnings": ["data.v"],
        "last_error": {"code": "removal-held", "service": null, "message": "3 of 4 would go", "retry_at": null}}));
    let expected = "\
dev-1   ok   agent 0.1.0   up 2h   last seen 4s ago

DEPLOYMENT  PHASE     REVISION  SERVICE  STATE       FOR  RESTARTS  CONTAINER
shop        Degraded  12        web      Exited (3)  -    0         0123456789ab
till        Failed    -
work        Running   12

shop: crash-loop (web): exited with 3; tried again in 8s
till: invalid-spec: revision 14: data: required
  next: correct the document and apply it again; till runs on as before
work: removal-held: 3 of 4 would go
  next: `fleetctl confirm --device dev-1 work` lets it go
work: unknown field data.v is ignored
";
    assert_eq!(page(&[degraded, refused, held]), expected);
}

#[test]
fn a_device_without_deployments() {
    assert_eq!(page(&[]), "dev-1   ok   agent 0.1.0   up 2h   last seen 4s ago\n\nno deployments\n");
}

#[test]
fn a_device_cannot_move_the_cursor_of_the_terminal() {
    let message =
        json!({"code": "start", "service": null, "message": "x\u{1b}[2J\r\nevil", "retry_at": null});
    let text = page(&[state(json!({"phase": "Degraded", "last_error": message}))]);
    assert!(!text.contains('\x1b') && !text.contains('\r') && text.contains("x [2J  evil"), "{text:?}");
}
