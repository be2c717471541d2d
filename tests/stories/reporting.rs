//! What the device tells, when, and how often.
use crate::documents::demo;
use crate::harness::{Story, TICK, seconds};
use fleet_agent::bus::ErrorKind;
use fleet_agent::bus::fake::Call;
use fleet_contracts::codec::Encoding;
use fleet_contracts::commands::Verb;
use fleet_contracts::device::{AgentHealth, DeviceInfo, Pulse, PulseKind};
use fleet_contracts::names::{DEVICE_INFO, DEVICE_STATE};
use fleet_contracts::state::{Code, Phase};
use serde_json::json;

fn info(story: &Story) -> Option<DeviceInfo> {
    serde_json::from_slice(&story.bus.get_raw(DEVICE_INFO, "info.d1")?).ok()
}

#[tokio::test(start_paused = true)]
async fn a_heartbeat_comes_every_thirty_seconds() {
    let story = Story::begin().await;
    story.until("the first", |s| s.heartbeat().is_some()).await;
    let first = story.heartbeat().unwrap().seq;
    story.pass(seconds(301)).await;
    let heartbeat = story.heartbeat().unwrap();
    assert_eq!(heartbeat.seq - first, 10);
    assert_eq!((heartbeat.health, heartbeat.reasons), (AgentHealth::Ok, vec![]));
    assert_eq!(story.bus.published("device-state.d1").len() as u64, heartbeat.seq, "and as a pulse");
}

#[tokio::test(start_paused = true)]
async fn while_the_ledger_cannot_be_read_everything_else_goes_on() {
    let mut story = Story::new().with(|parts| parts.heartbeat_every = seconds(5));
    story.disk.is_unreadable(true);
    story.bus.connect();
    story.boot().await;
    let revision = story.apply("web", demo("demo:1"));
    story.until("it says so", |s| s.says("state-not-writable")).await;
    let before = story.heartbeat().unwrap().seq;
    story.pass(seconds(3600)).await;
    assert!(story.heartbeat().unwrap().seq >= before + 700);
    assert!(story.is_up("deployments") && story.live().is_empty());
    story.disk.is_unreadable(false);
    story.runs("web", revision).await;
}

#[tokio::test(start_paused = true)]
async fn device_info_is_written_at_the_start_and_then_only_when_its_content_changed() {
    let story = Story::begin().await;
    let has_runtime = |s: &Story| info(s).is_some_and(|info| info.inventory.runtime.is_some());
    story.until("it is complete", has_runtime).await;
    let puts = story.puts("device-info/info.d1");
    // The first finds no bucket, the second is made before the runtime was asked for its name.
    assert!(puts <= 3, "{puts} puts");
    story.apply_and_run("web", demo("demo:1")).await;
    story.bus.disconnect();
    story.pass(seconds(60)).await;
    story.bus.connect();
    story.restart_actor("reporter").await;
    story.restart_actor("observer").await;
    story.runtime.down();
    story.pass(seconds(120)).await;
    story.runtime.up();
    story.pass(seconds(3600)).await;
    assert_eq!(story.puts("device-info/info.d1"), puts, "nothing in it changed");
}

#[tokio::test(start_paused = true)]
async fn a_new_process_writes_its_device_info() {
    let mut story = Story::begin().await;
    let instance = |s: &Story| info(s).map(|info| info.instance);
    story.until("the first", |s| instance(s) == Some("i1".into())).await;
    story.crash().await;
    story.boot().await;
    story.until("the second", |s| instance(s) == Some("i2".into())).await;
}

#[tokio::test(start_paused = true)]
async fn every_change_of_phase_is_pulsed_at_once() {
    let story = Story::begin().await;
    story.apply_and_run("web", demo("demo:1")).await;
    let phases: Vec<Phase> = (story.bus.published("device-state.d1").iter())
        .filter_map(|payload| match Encoding::MessagePack.decode::<Pulse>(payload).unwrap().kind {
            PulseKind::State { state } => Some(state.phase),
            PulseKind::Heartbeat { .. } | PulseKind::Unknown => None,
        })
        .collect();
    assert_eq!(phases.first(), Some(&Phase::Pending), "{phases:?}");
    assert_eq!(phases.last(), Some(&Phase::Running), "{phases:?}");
}

#[tokio::test(start_paused = true)]
async fn the_state_of_an_unknown_deployment_is_deleted_after_the_first_complete_snapshot_and_not_before() {
    let mut story = Story::new();
    let left_over = |s: &Story| s.bus.get_raw(DEVICE_STATE, "state.d1.ghost").is_some();
    story.bus.put_raw(DEVICE_STATE, "state.d1.ghost", "{}");
    story.bus.put_raw(DEVICE_STATE, "state.d2.other", "{}");
    story.apply("web", demo("demo:1"));
    for _ in 0..3 {
        story.bus.fail_next(Call::Follow, ErrorKind::Timeout);
        story.bus.fail_next(Call::Snapshot, ErrorKind::Timeout);
        story.bus.fail_next(Call::Snapshot, ErrorKind::Timeout);
    }
    story.bus.connect();
    story.boot().await;
    while story.state("web").is_none() {
        assert!(left_over(&story), "before the snapshot nothing is known of what is left over");
        story.pass(std::time::Duration::from_millis(20)).await;
    }
    story.until("it is deleted", |s| !left_over(s)).await;
    assert!(story.bus.get_raw(DEVICE_STATE, "state.d2.other").is_some(), "another device's is not ours");
}

/// Containers are there, the ledger is lost: what runs is not left over.
#[tokio::test(start_paused = true)]
async fn the_state_of_a_deployment_whose_containers_are_there_is_kept() {
    let mut story = Story::begin().await;
    story.apply_and_run("web", demo("demo:1")).await;
    let pids = story.pids();
    story.crash().await;
    story.bus.purge("desired-state");
    story.disk.forget_everything();
    story.boot().await;
    story.pass(4 * TICK).await;
    assert_eq!(story.pids(), pids);
    assert!(story.state("web").is_some());
}

#[tokio::test(start_paused = true)]
async fn a_disabled_runtime_drops_desired_state_and_does_everything_else() {
    let mut story = Story::new().with(|parts| parts.runtime = None);
    story.bus.connect();
    story.boot().await;
    story.apply("web", demo("demo:1"));
    story.pass(seconds(400)).await;
    assert_eq!(story.disk.writes(), vec![]);
    assert_eq!(story.runtime.journal(), Vec::<String>::new());
    assert_eq!(story.state("web"), None);
    assert!(story.heartbeat().is_some() && info(&story).is_some());
    story.command(Verb::Status, json!({})).await.unwrap();
    assert!(story.actor("runtime").is_none() && story.actor("reconcilers").is_none());
}

#[tokio::test(start_paused = true)]
async fn what_could_not_be_written_is_written_later() {
    let story = Story::begin().await;
    story.pass(seconds(5)).await;
    for _ in 0..5 {
        story.bus.fail_next(Call::Put, ErrorKind::Timeout);
    }
    story.apply_and_run("web", demo("demo:1")).await;
}

#[tokio::test(start_paused = true)]
async fn buckets_that_went_missing_are_made_again_and_filled() {
    let story = Story::begin().await;
    let revision = story.apply_and_run("web", demo("demo:1")).await;
    story.bus.wipe(DEVICE_STATE);
    story.runtime.kill("fleet-web.a");
    story.until("it is told again", |s| s.is_running("web", revision)).await;
}

/// The bucket then says what the agent believes it never said.
#[tokio::test(start_paused = true)]
async fn a_state_that_was_written_although_its_answer_was_lost_is_corrected() {
    let story = Story::begin().await;
    let revision = story.apply_and_run("web", demo("demo:1")).await;
    story.pass(seconds(20)).await;
    let running = story.state("web").unwrap();
    story.bus.lose_next_answer(Call::Put);
    story.runtime.down();
    story.until("the loss is written", |s| s.code("web") == Some(Code::RuntimeUnreachable)).await;
    story.runtime.up();
    story.runs("web", revision).await;
    assert_eq!(story.state("web").unwrap().container_ids, running.container_ids);
}

/// As after a server's disk was lost.
#[tokio::test(start_paused = true)]
async fn after_the_whole_store_was_lost_everything_is_told_again_although_nothing_changed() {
    let story = Story::begin().await;
    let revision = story.apply_and_run("web", demo("demo:1")).await;
    story.until("the device is told", |s| info(s).is_some()).await;
    let (before, pids) = (info(&story).unwrap(), story.pids());
    story.bus.disconnect();
    for bucket in [DEVICE_STATE, DEVICE_INFO, "device-heartbeat", "desired-state"] {
        story.bus.wipe(bucket);
    }
    story.pass(seconds(10)).await;
    story.bus.connect();
    story.until("the state is told", |s| s.is_running("web", revision)).await;
    let again = |s: &Story| info(s).is_some_and(|info| info.inventory == before.inventory);
    story.until("the device is told", again).await;
    story.until("a heartbeat is there", |s| s.says("source-missing")).await;
    assert_eq!(story.pids(), pids);
}

#[tokio::test(start_paused = true)]
async fn a_bucket_of_states_that_is_made_again_gets_also_those_that_did_not_change() {
    let story = Story::begin().await;
    let web = story.apply_and_run("web", demo("demo:1")).await;
    let shop = story.apply_and_run("shop", demo("demo:1")).await;
    story.pass(TICK).await;
    story.bus.wipe(DEVICE_STATE);
    story.runtime.kill("fleet-web.a");
    story.until("both are told", |s| s.is_running("web", web) && s.is_running("shop", shop)).await;
}

/// A reader may have seen `Running` for weeks; nothing happened to the container.
#[tokio::test(start_paused = true)]
async fn a_restart_of_the_agent_is_no_change_of_a_deployment() {
    let mut story = Story::begin().await;
    story.apply_and_run("web", demo("demo:1")).await;
    story.pass(TICK).await;
    let (puts, pulses) =
        (story.puts("device-state/state.d1.web"), story.bus.published("device-state.d1").len());
    story.crash().await;
    story.boot().await;
    story.pass(4 * TICK).await;
    story.restart_actor("deployments").await;
    story.pass(4 * TICK).await;
    let told: Vec<Phase> = (story.bus.published("device-state.d1")[pulses..].iter())
        .filter_map(|payload| match Encoding::MessagePack.decode::<Pulse>(payload).unwrap().kind {
            PulseKind::State { state } => Some(state.phase),
            PulseKind::Heartbeat { .. } | PulseKind::Unknown => None,
        })
        .collect();
    assert!(!told.is_empty() && told.iter().all(|phase| *phase == Phase::Running), "{told:?}");
    assert_eq!(story.puts("device-state/state.d1.web"), puts);
}
