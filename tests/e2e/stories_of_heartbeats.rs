//! What a device says by itself.
use crate::device::{Device, ID};
use crate::documents::{deployment, steady};
use fleet_agent::watchdog::breadcrumb::Breadcrumb;
use futures_util::StreamExt;
use serde_json::{Value, json};

/// The contract's limit for every encoding.
const LIMIT: usize = 512;

#[tokio::test]
async fn heartbeats_and_phases_come_in_the_bucket_and_on_the_pulse() {
    let device = Device::without_agent().await;
    let mut pulse = device.operator.client.subscribe(format!("device-state.{ID}")).await.unwrap();
    device.operator.client.flush().await.unwrap();
    let mut device = device;
    device.boot();
    device.apply("web", deployment(&[steady("a")])).await;
    let (mut beats, mut phases) = (Vec::new(), Vec::new());
    while beats.len() < 3 || phases.last() != Some(&json!("Running")) {
        let message = tokio::time::timeout(crate::patience::PATIENCE, pulse.next()).await.unwrap().unwrap();
        assert!((0x80..=0x8f).contains(&message.payload[0]), "a MessagePack map");
        let heard: Value = rmp_serde::from_slice(&message.payload).unwrap();
        assert_eq!(heard["device_id"], ID);
        match heard["kind"].as_str().unwrap() {
            "heartbeat" => {
                let packed = rmp_serde::to_vec_named(&heard["heartbeat"]).unwrap();
                assert!(packed.len() < LIMIT, "{}", packed.len());
                beats.push(heard["heartbeat"]["seq"].as_u64().unwrap());
            }
            "state" => phases.push(heard["state"]["phase"].clone()),
            other => panic!("{other}"),
        }
    }
    let counted: Vec<u64> = (1..=beats.len() as u64).collect();
    assert_eq!(beats, counted, "from 1, each once");
    assert_eq!(phases[0], "Pending");

    device.heartbeat("it beats in the bucket", |beat| beat["seq"].as_u64().unwrap() >= 3).await;
    let (document, _) = device.operator.entry("device-heartbeat", &format!("heartbeat.{ID}")).await;
    assert!(document.len() < LIMIT, "{}", document.len());
    let info = format!("info.{ID}");
    let podman = |info: &Value| info["inventory"]["runtime"]["name"] == "podman";
    device.document("device-info", &info, "the runtime is known", podman).await;
    let (_, revision) = device.operator.entry("device-info", &info).await;
    device.several_ticks().await;
    assert_eq!(device.operator.entry("device-info", &info).await.1, revision, "only when it changed");
}

#[tokio::test]
async fn the_end_of_the_former_process_is_told_by_the_next_one_only() {
    let mut device = Device::without_agent().await;
    std::fs::create_dir_all(device.state_dir()).unwrap();
    let left = Breadcrumb::new("0", "stuck: somebody");
    left.leave(&device.state_dir()).unwrap();
    device.boot();
    let tells = |beat: &Value| beat["last_crash"] == format!("{} stuck: somebody", left.at);
    device.heartbeat("it tells", tells).await;
    assert!(device.state_dir().join("last-crash.prev").exists());
    device.crash();
    device.boot();
    device.heartbeat("it tells nothing", |beat| beat["last_crash"].is_null()).await;
}
