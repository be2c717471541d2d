use super::{AgentHealth, AgentRole, DeploymentCounts, Heartbeat};
use crate::Timestamp;
use crate::codec::Encoding;

/// Everything as long as it can be.
fn worst() -> Heartbeat {
    let counts = DeploymentCounts { total: u32::MAX, running: u32::MAX, failed: u32::MAX };
    Heartbeat {
        device_id: "d".repeat(64).parse().unwrap(),
        at: Timestamp::now(),
        seq: u64::MAX,
        agent_version: "10.20.30-rc.1".into(),
        instance: "0123456789abcdef0123456789abcdef".into(),
        role: AgentRole::Candidate,
        uptime_s: u64::MAX,
        deployments: counts,
        health: AgentHealth::Degraded,
        reasons: vec![
            "runtime-unreachable".into(),
            "duplicate-identity".into(),
            "state-quarantined".into(),
            "source-missing".into(),
            "source-reset".into(),
        ],
        last_crash: Some("x".repeat(4000)),
        clock_synced: false,
    }
}

fn lengths(heartbeat: &Heartbeat) -> [usize; 2] {
    [Encoding::Json, Encoding::MessagePack].map(|encoding| encoding.encode(heartbeat).unwrap().len())
}

#[test]
fn a_bounded_heartbeat_is_under_512_bytes_in_every_encoding() {
    for crash in ["x", "\"", "\\", "\u{1}", "ü", "😀"] {
        let heartbeat = Heartbeat { last_crash: Some(crash.repeat(4000)), ..worst() }.bounded();
        let crash = heartbeat.last_crash.clone().unwrap();
        assert!(lengths(&heartbeat).iter().all(|length| *length < 512), "{:?}", lengths(&heartbeat));
        assert!(crash.len() <= 120, "{crash}");
        assert_eq!(heartbeat.reasons.len(), 4);
    }
}

#[test]
fn an_ordinary_heartbeat_keeps_its_whole_last_crash() {
    let device_id = "pump-7".parse().unwrap();
    let crash = "c".repeat(120);
    let ordinary = Heartbeat {
        device_id,
        reasons: vec![],
        last_crash: Some(crash),
        seq: 7,
        uptime_s: 86_400,
        ..worst()
    };
    assert_eq!(ordinary.clone().bounded(), ordinary);
}

#[test]
fn json_is_never_shorter_than_message_pack() {
    let [json, message_pack] = lengths(&worst());
    assert!(json >= message_pack, "{json} < {message_pack}");
}
