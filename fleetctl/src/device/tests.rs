use super::{Attention, devices};
use crate::fixtures::{NOW, entry, heartbeat, info};
use time::OffsetDateTime;

fn now() -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(NOW).unwrap()
}

#[test]
fn a_device_is_stale_after_90_seconds_by_the_servers_clock() {
    let seen = |seconds: i64| {
        let beats = [entry("heartbeat.a", seconds, Some(heartbeat("a", 0, &[])))];
        devices(&[], &beats, now()).remove(0)
    };
    assert!(!seen(90).stale);
    assert!(seen(91).stale);
    assert_eq!(seen(-5).last_seen_s, Some(0));
}

#[test]
fn what_needs_attention_comes_first() {
    let beats = [
        entry("heartbeat.a-good", 1, Some(heartbeat("a-good", 0, &[]))),
        entry("heartbeat.b-degraded", 1, Some(heartbeat("b-degraded", 0, &["source-missing"]))),
        entry("heartbeat.c-failing", 1, Some(heartbeat("c-failing", 1, &[]))),
        entry("heartbeat.d-stale", 300, Some(heartbeat("d-stale", 0, &[]))),
        entry("heartbeat.e-torn", 1, Some(serde_json::json!("?"))),
    ];
    let infos = [entry("info.f-silent", 1, Some(info("f-silent")))];
    let order: Vec<_> =
        devices(&infos, &beats, now()).iter().map(|d| (d.device_id.to_string(), d.attention())).collect();
    let expected = [
        ("d-stale", Attention::Away),
        ("f-silent", Attention::Away),
        ("c-failing", Attention::Failing),
        ("b-degraded", Attention::Degraded),
        ("e-torn", Attention::Degraded),
        ("a-good", Attention::Nothing),
    ];
    assert_eq!(order, expected.map(|(id, attention)| (id.to_string(), attention)));
}

#[test]
fn deleted_keys_and_keys_of_candidates_are_no_devices() {
    let beats =
        [entry("heartbeat.gone", 1, None), entry("heartbeat.a.candidate", 1, Some(heartbeat("a", 0, &[])))];
    assert!(devices(&[], &beats, now()).is_empty());
}
