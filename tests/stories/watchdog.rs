//! What the watchdog must bear, and what is told of a crash.
use crate::documents::demo;
use crate::harness::Story;
use fleet_agent::runtime::fake::Op;
use fleet_agent::watchdog::breadcrumb::LastCrash;
use fleet_agent::watchdog::{Limits, Vitals, Watchdog};
use fleet_contracts::commands::ActorState;
use serde_json::Value;

#[tokio::test(start_paused = true)]
async fn a_runtime_and_a_network_that_hang_for_an_hour_are_no_hang_of_the_agent() {
    let story = Story::begin().await;
    story.apply_and_run("web", demo("demo:1")).await;
    story.apply("web", demo("demo:2"));
    for op in [Op::List, Op::Look, Op::Create, Op::Start, Op::Signal] {
        story.runtime.hang(op);
    }
    story.bus.disconnect();
    let (vitals, limits) = (Vitals::default(), Limits::default());
    vitals.board(story.root().board());
    vitals.root(story.root().clone());
    tokio::spawn(vitals.clone().beat(limits.every));
    let mut dog = Watchdog::new(vitals, limits.patience);
    for _ in 0..1200 {
        story.pass(limits.every).await;
        assert_eq!(dog.look(), None);
    }
    let stuck = |actor: &fleet_contracts::commands::Actor| actor.state == ActorState::Stuck;
    assert_eq!(story.root().board().actors().into_iter().find(stuck), None);
    assert_eq!(story.restarts(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_heartbeat_tells_of_the_former_processes_end() {
    let crash = LastCrash { line: format!("why {}", "x".repeat(200)), deployment: None, reading: None };
    let mut story = Story::new().with(|parts| parts.last_crash = Some(crash));
    story.bus.connect();
    story.boot().await;
    let told = |story: &Story| {
        let beat = story.bus.get_raw("device-heartbeat", "heartbeat.d1")?;
        let beat: Value = serde_json::from_slice(&beat).ok()?;
        beat["last_crash"].as_str().map(str::to_owned)
    };
    story.until("it beats", |story| told(story).is_some()).await;
    let told = told(&story).unwrap();
    assert!(told.starts_with("why xxx") && told.len() == 120, "{told}");
}
