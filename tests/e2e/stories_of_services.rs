//! The agent as a service of systemd, whose part a small stand-in plays.
use crate::device::Device;
use crate::documents::{deployment, steady};
use crate::service::{Service, Unit};
use serde_json::Value;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Duration;

/// Short enough for a test, and so long that a busy machine feeds it three times within it.
const WATCHDOG: Duration = Duration::from_secs(3);

async fn running() -> (Device, Service) {
    let mut device = Device::without_agent().await;
    let mut service = Service::new(&device, WATCHDOG);
    service.start(&mut device);
    service.hears("READY=1", 1).await;
    device.apply("web", deployment(&[steady("a")])).await;
    (device, service)
}

#[test]
fn the_unit_starts_the_agent_again_after_every_end_that_an_operator_did_not_ask_for() {
    let unit = Unit::read();
    let exited = |code: i32| unit.restarts_after(ExitStatus::from_raw(code << 8));
    let killed = |signal: i32| unit.restarts_after(ExitStatus::from_raw(signal));
    // Gave up or hung, another owner, failed, an ordered stop by a stray signal.
    for code in [1, 69, 70, 101, 130, 143] {
        assert!(exited(code), "{code}");
    }
    // A successor took over; a configuration that would be as bad the next time.
    for code in [0, 64] {
        assert!(!exited(code), "{code}");
    }
    // HUP, INT, PIPE and TERM before the process listens; ILL, ABRT (also by the watchdog), BUS, KILL (also
    // when memory ends), SEGV.
    for signal in [1, 2, 13, 15, 4, 6, 7, 9, 11] {
        assert!(killed(signal), "{signal}");
    }
    assert_eq!((unit.get("Type"), unit.get("NotifyAccess")), ("notify", "main"));
    assert!(unit.seconds("TimeoutStopSec") > Duration::from_secs(40), "the ordered stop takes up to 40 s");
    assert!(unit.seconds("WatchdogSec") > Duration::from_secs(45), "the agent's own watchdog comes first");
    assert!(unit.seconds("RestartSec") < Duration::from_secs(10));
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/fleet-agent.service"));
    assert!(text.unwrap().contains("\nStartLimitIntervalSec=0\n"), "it never gives up");
}

#[tokio::test]
async fn the_service_is_ready_keeps_alive_three_times_per_interval_and_tells_its_stop() {
    let (mut device, mut service) = running().await;
    let (before, begun) = (service.told("WATCHDOG=1"), tokio::time::Instant::now());
    service.hears("WATCHDOG=1", before + 4).await;
    let each = begun.elapsed() / 4;
    assert!(each < WATCHDOG / 2, "systemd wants one at least every half interval: {each:?}");
    assert!(each > WATCHDOG / 6, "no more than are needed: {each:?}");
    assert_eq!(service.told("STOPPING=1"), 0);
    let lives = device.lives();
    device.agent.as_ref().unwrap().signal("TERM");
    service.hears("STOPPING=1", 1).await;
    let end = service.supervise(&mut device).await;
    assert_eq!(end.code(), Some(143), "a stray SIGTERM; the unit starts it again");
    device.several_ticks().await;
    assert_eq!(device.lives(), lives);
}

#[tokio::test]
async fn a_service_that_is_killed_gives_up_or_has_no_watchdog_is_started_again_and_containers_run_on() {
    let (mut device, mut service) = running().await;
    let lives = device.lives();
    device.agent.as_ref().unwrap().signal("KILL");
    assert_eq!(service.supervise(&mut device).await.signal(), Some(9));

    // Its root panics at the next question whether it is there.
    device.arm("actor:fleet-agent", "panic");
    assert_eq!(service.supervise(&mut device).await.code(), Some(70));
    let told = |beat: &Value| beat["last_crash"].as_str().is_some_and(|told| told.contains("gave up"));
    device.heartbeat("it is told", told).await;

    // Without the thread that watches over it nobody feeds systemd's watchdog, although all actors are well.
    device.arm("watchdog:look", "panic");
    device.happened("watchdog:look").await;
    let instance = device.operator.ask_when_up("ping").await.body["instance"].clone();
    assert_eq!(service.supervise(&mut device).await.signal(), Some(6), "systemd ends it");
    assert_ne!(device.operator.ask_when_up("ping").await.body["instance"], instance);
    device.several_ticks().await;
    assert_eq!(device.lives(), lives);
    device.apply("web", deployment(&[steady("a"), steady("b")])).await;
}
