//! A device that is switched off and on.
use crate::device::Device;
use crate::documents::{deployment, steady};

#[tokio::test]
async fn after_a_reboot_without_network_everything_runs_once() {
    let mut device = Device::new().await;
    device.apply("web", deployment(&[steady("a"), steady("b")])).await;
    device.apply("other", deployment(&[steady("a")])).await;
    let before = device.containers();
    device.crash();
    device.nats.down().await;
    device.world.reboot();
    assert!(device.containers().values().all(|seen| seen.life.is_none()), "{:#?}", device.containers());
    device.boot();
    let all_live = |all: &std::collections::BTreeMap<String, crate::observe::Seen>| {
        all.keys().eq(before.keys()) && all.values().all(|seen| seen.life.is_some())
    };
    device.seen("all of them run", all_live).await;
    let ids = |all: &std::collections::BTreeMap<String, crate::observe::Seen>| {
        all.values().map(|seen| seen.id.clone()).collect::<Vec<_>>()
    };
    assert_eq!(
        ids(&device.containers()),
        ids(&before),
        "the same containers, started again\n{}",
        device.log.tail()
    );
    let lives = device.lives();
    device.nats.up().await;
    device.heartbeat("it is told when the network is back", |beat| beat["deployments"]["running"] == 2).await;
    assert_eq!(device.lives(), lives);
}
