use super::*;
use crate::actors::tests::{identity, pass, run, settle};
use crate::bus::fake::{Call, FakeBus};
use crate::supervision::{Root, worker};

/// A heartbeat whose `deployments` is not there.
async fn alone(bus: &FakeBus) -> Root {
    let args = Args {
        identity: identity(),
        bus: Arc::new(bus.clone()),
        deployments: Address::new(),
        every: Duration::from_secs(30),
        clock: Clock::start(),
        clock_synced: || false,
        last_crash: None,
        sequence: Arc::new(AtomicU64::new(0)),
    };
    run(vec![worker::<Heartbeat>("heartbeat", "", args, Address::new())]).await
}

fn last(bus: &FakeBus) -> Document {
    Encoding::Json.decode(&bus.get_raw(DEVICE_HEARTBEAT, "heartbeat.d1").expect("it beat")).unwrap()
}

#[tokio::test(start_paused = true)]
async fn without_deployments_it_beats_and_says_so() {
    let bus = FakeBus::new();
    bus.connect();
    alone(&bus).await;
    pass(100).await;
    let heartbeat = last(&bus);
    assert_eq!((heartbeat.seq, heartbeat.health), (4, AgentHealth::Degraded));
    assert_eq!(heartbeat.reasons, ["deployments-unavailable"]);
    assert!(!heartbeat.clock_synced);
}

#[tokio::test(start_paused = true)]
async fn after_a_restart_it_beats_at_once_and_counts_on() {
    let bus = FakeBus::new();
    bus.connect();
    let root = alone(&bus).await;
    pass(40).await;
    let before = last(&bus).seq;
    root.board().restart("heartbeat").await.unwrap();
    settle().await;
    assert_eq!(last(&bus).seq, before + 1);
}

#[tokio::test(start_paused = true)]
async fn a_device_that_came_back_is_seen_at_once_and_not_before() {
    let bus = FakeBus::new();
    alone(&bus).await;
    pass(300).await;
    assert!(bus.journal().is_empty(), "nothing is tried without a connection");
    bus.connect();
    settle().await;
    assert_eq!(last(&bus).seq, 1);
}

#[tokio::test(start_paused = true)]
async fn a_lost_heartbeat_is_not_made_up_for() {
    let bus = FakeBus::new();
    bus.connect();
    alone(&bus).await;
    settle().await;
    bus.fail_next(Call::Put, ErrorKind::Timeout);
    pass(31).await;
    assert_eq!(last(&bus).seq, 1);
    pass(30).await;
    assert_eq!(last(&bus).seq, 3);
}
