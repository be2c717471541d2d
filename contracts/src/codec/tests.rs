use super::Encoding;
use crate::commands::*;
use crate::device::*;
use crate::state::*;
use crate::{DeviceId, Timestamp};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::fmt::Debug;

const BOTH: [Encoding; 2] = [Encoding::Json, Encoding::MessagePack];
const AT: &str = "2026-02-03T04:05:06.789Z";

fn at() -> Timestamp {
    serde_json::from_value(json!(AT)).unwrap()
}

fn device() -> DeviceId {
    "dev-1".parse().unwrap()
}

fn heartbeat() -> Heartbeat {
    Heartbeat {
        device_id: device(),
        at: at(),
        seq: 300,
        agent_version: "0.1.0".into(),
        instance: "i".into(),
        role: AgentRole::Active,
        uptime_s: u64::MAX,
        deployments: DeploymentCounts { total: 3, running: 2, failed: 1 },
        health: AgentHealth::Degraded,
        reasons: vec!["runtime-unreachable".into()],
        last_crash: Some("reporter: boom".into()),
        clock_synced: true,
    }
}

fn state() -> DeploymentState {
    let service = ServiceState {
        phase: ServicePhase::Exited,
        container_id: Some("c1".into()),
        image_id: None,
        restarts: 4,
        exit_code: Some(-1),
        started_at: Some(at()),
        health: Some(Health::Healthy),
        pull: Some(PullProgress { current: 10, total: 20 }),
    };
    let error = LastError {
        code: Code::CrashLoop,
        service: Some("web".parse().unwrap()),
        message: "exited with 3".into(),
        retry_at: Some(at()),
    };
    DeploymentState {
        device_id: device(),
        deployment: "shop".parse().unwrap(),
        phase: Phase::Degraded,
        last_event_at: at(),
        last_error: Some(error),
        container_ids: [("web".parse().unwrap(), "c1".to_string())].into(),
        observed_revision: Some(12),
        spec_digest: None,
        warnings: vec!["note".into()],
        services: [("web".parse().unwrap(), service)].into(),
    }
}

fn info() -> DeviceInfo {
    let inventory = Inventory {
        hostname: "h".into(),
        arch: "aarch64".into(),
        os: "linux".into(),
        os_release: "Debian 12".into(),
        kernel: "6.1".into(),
        cpu_cores: 4,
        memory_mb: 1024,
        disk_total_mb: 16_000,
        agent_version: "0.1.0".into(),
        runtime: Some(RuntimeInfo { name: "podman".into(), version: "4.3.1".into() }),
        boot_id: "b".into(),
    };
    DeviceInfo {
        device_id: device(),
        labels: [("device-id".to_string(), "dev-1".to_string())].into(),
        agent_version: "0.1.0".into(),
        instance: "i".into(),
        inventory,
        config_digest: "d".into(),
        updated_at: at(),
    }
}

fn actors() -> ActorsReply {
    let actor = Actor {
        name: "fleet-agent/link".into(),
        parent: Some("fleet-agent".into()),
        kind: ActorKind::Supervisor,
        state: ActorState::BackingOff,
        waiting_for: Some("network".into()),
        retry_in_ms: Some(1500),
        restarts: 2,
        since: at(),
        last_error: Some(ActorError { at: at(), cause: Cause::Panic, message: "boom".into() }),
        last_progress_ms: 12,
        mailbox: 1,
        doing: Some(Doing { what: "connect".into(), for_ms: 3 }),
        strategy: Some("one_for_one".into()),
        budget: Some(BudgetUse { max: 8, within_s: 300, used: 1 }),
    };
    ActorsReply { device_id: device(), instance: "i".into(), at: at(), actors: vec![actor] }
}

/// Reads what it wrote in both encodings, also with a field of a newer version; gives the JSON.
fn round_trip<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: &T) -> Value {
    for encoding in BOTH {
        let bytes = encoding.encode(value).unwrap();
        assert_eq!(Encoding::of(&bytes), encoding, "{value:?}");
        assert_eq!(&encoding.decode::<T>(&bytes).unwrap(), value);
        let mut newer: Value = encoding.decode(&bytes).unwrap();
        newer.as_object_mut().unwrap().insert("newer".into(), json!({"deep": [1, {"a": null}]}));
        let bytes = encoding.encode(&newer).unwrap();
        assert_eq!(&encoding.decode::<T>(&bytes).unwrap(), value, "with an unknown field");
    }
    let [json, message_pack] =
        BOTH.map(|encoding| encoding.decode::<Value>(&encoding.encode(value).unwrap()).unwrap());
    assert_eq!(json, message_pack, "both encodings spell the same document");
    json
}

#[test]
fn every_document_reads_back_in_both_encodings_and_times_and_names_are_strings() {
    let json = round_trip(&heartbeat());
    assert_eq!((&json["at"], &json["device_id"]), (&json!(AT), &json!("dev-1")));
    let json = round_trip(&state());
    assert_eq!(json["services"]["web"]["started_at"], json!(AT));
    assert_eq!(json["last_error"]["code"], json!("crash-loop"));
    assert_eq!(round_trip(&info())["updated_at"], json!(AT));
    let pulse = Pulse { device_id: device(), at: at(), kind: PulseKind::State { state: Box::new(state()) } };
    let json = round_trip(&pulse);
    assert_eq!(
        (&json["kind"], &json["state"]["phase"], &json["at"]),
        (&json!("state"), &json!("Degraded"), &json!(AT))
    );
    let kind = PulseKind::Heartbeat { heartbeat: Box::new(heartbeat()) };
    assert_eq!(round_trip(&Pulse { device_id: device(), at: at(), kind })["kind"], json!("heartbeat"));
}

#[test]
fn every_command_and_reply_reads_back_in_both_encodings() {
    let name = || "shop".parse().unwrap();
    let ping = PingReply { device_id: "dev-1".into(), role: Some(AgentRole::Active), ..PingReply::default() };
    round_trip(&ping);
    round_trip(&StatusReply { device: heartbeat(), deployments: vec![state()] });
    assert_eq!(round_trip(&actors())["actors"][0]["state"], json!("backing-off"));
    round_trip(&ActorRestartRequest { name: "link".into() });
    round_trip(&ActorRestartReply { name: "fleet-agent/link".into(), restarts: 3 });
    round_trip(&ReconcileRequest { deployment: Some(name()) });
    round_trip(&ConfirmRequest { removals: vec![name()] });
    round_trip(&AcceptedReply { accepted: vec![name()] });
    let json = round_trip(&CommandError::new(ErrorCode::WrongState, "no"));
    assert_eq!(json, json!({"code": 409, "message": "no"}));
}

#[test]
fn the_first_byte_decides_the_encoding() {
    for byte in 0..=u8::MAX {
        let message_pack = (0x80..=0x8f).contains(&byte) || byte == 0xde || byte == 0xdf;
        let expected = if message_pack { Encoding::MessagePack } else { Encoding::Json };
        assert_eq!(Encoding::of(&[byte, 0]), expected, "{byte:#x}");
    }
    assert_eq!(Encoding::of(&[]), Encoding::Json);
}

#[test]
fn an_empty_request_is_the_request_with_nothing_in_it() {
    assert_eq!(
        Encoding::of(b"").decode_request::<ReconcileRequest>(b"").unwrap(),
        ReconcileRequest::default()
    );
    assert!(Encoding::Json.decode_request::<ReconcileRequest>(b"{").is_err());
}

/// The value in both encodings, with one word replaced.
fn with_word<T: Serialize + DeserializeOwned>(value: &T, pointer: &str, word: &str) -> [T; 2] {
    let mut json = serde_json::to_value(value).unwrap();
    *json.pointer_mut(pointer).unwrap() = json!(word);
    BOTH.map(|encoding| encoding.decode(&encoding.encode(&json).unwrap()).unwrap())
}

#[test]
fn words_of_a_newer_agent_read_as_unknown() {
    for read in with_word(&state(), "/phase", "Frozen") {
        assert_eq!(read.phase, Phase::Unknown);
    }
    for read in with_word(&state(), "/last_error/code", "new-code") {
        assert_eq!(read.last_error.unwrap().code, Code::Unknown);
    }
    for read in with_word(&state(), "/services/web/phase", "Frozen") {
        assert_eq!(read.services.values().next().unwrap().phase, ServicePhase::Unknown);
    }
    for read in with_word(&state(), "/services/web/health", "odd") {
        assert_eq!(read.services.values().next().unwrap().health, Some(Health::Unknown));
    }
    for read in with_word(&heartbeat(), "/role", "spare") {
        assert_eq!(read.role, AgentRole::Unknown);
    }
    for read in with_word(&heartbeat(), "/health", "poor") {
        assert_eq!(read.health, AgentHealth::Unknown);
    }
    for read in with_word(&actors(), "/actors/0/state", "asleep") {
        assert_eq!(read.actors[0].state, ActorState::Unknown);
    }
    for read in with_word(&actors(), "/actors/0/kind", "pool") {
        assert_eq!(read.actors[0].kind, ActorKind::Unknown);
    }
    for read in with_word(&actors(), "/actors/0/last_error/cause", "oom") {
        assert_eq!(read.actors[0].last_error.as_ref().unwrap().cause, Cause::Unknown);
    }
    let pulse = Pulse { device_id: device(), at: at(), kind: PulseKind::State { state: Box::new(state()) } };
    for read in with_word(&pulse, "/kind", "logs") {
        assert_eq!(read.kind, PulseKind::Unknown);
    }
}

#[test]
fn missing_optional_fields_have_their_default() {
    let json = json!({"device_id": "dev-1", "deployment": "shop", "phase": "Pending", "last_event_at": AT});
    let read: DeploymentState = serde_json::from_value(json).unwrap();
    assert!(read.services.is_empty() && read.last_error.is_none() && read.observed_revision.is_none());
}

#[test]
fn a_time_with_an_offset_reads_as_the_same_moment_in_utc() {
    let read: Timestamp = serde_json::from_value(json!("2026-02-03T05:05:06.789+01:00")).unwrap();
    assert_eq!(read, at());
}

#[test]
fn names_are_validated_where_they_enter() {
    let request = br#"{"removals": ["no_name"]}"#;
    assert!(Encoding::Json.decode::<ConfirmRequest>(request).is_err());
}

#[test]
fn depth_bombs_are_refused_in_both_encodings() {
    // {"a": {"a": … and [[[[…, in a field that the reader knows and in one that it does not.
    for field in ["a", "deployment"] {
        let json = format!("{}1", format!("{{\"{field}\":").repeat(100_000));
        assert!(Encoding::Json.decode::<ReconcileRequest>(json.as_bytes()).is_err());
        let key = [&[0x81, 0xa0 | field.len() as u8], field.as_bytes()].concat();
        let maps = key.repeat(100_000);
        assert!(Encoding::MessagePack.decode::<ReconcileRequest>(&maps).is_err());
        let lists = [key, vec![0x91; 100_000]].concat();
        assert!(Encoding::MessagePack.decode::<ReconcileRequest>(&lists).is_err());
    }
}
