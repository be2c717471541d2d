use super::*;
use crate::actors::tests::{device, document, pass, probe, run, settle};
use crate::bus::fake::FakeBus;
use crate::supervision::worker;

fn setup(bus: &FakeBus) -> (Vec<crate::supervision::ChildSpec>, crate::actors::tests::Heard<Deployments>) {
    let deployments = Address::new();
    let (child, heard) = probe("deployments", &deployments);
    let args = Args { device: device(), bus: Arc::new(bus.clone()), deployments };
    (vec![child, worker::<KvWatcher>("kv_watcher", "", args, Address::new())], heard)
}

fn snapshot(message: Deployments) -> Option<Snapshot> {
    match message {
        Deployments::Source(SourceNews::Snapshot(snapshot)) => Some(snapshot),
        _ => None,
    }
}

fn hints(message: Deployments) -> Option<Vec<Entry>> {
    match message {
        Deployments::Source(SourceNews::Hints(entries)) => Some(entries),
        _ => None,
    }
}

#[tokio::test(start_paused = true)]
async fn every_connection_begins_with_a_full_snapshot() {
    let bus = FakeBus::new();
    bus.put_raw(DESIRED_STATE, "d1.web", document("demo:1"));
    let (children, mut heard) = setup(&bus);
    run(children).await;
    for _ in 0..3 {
        bus.connect();
        assert_eq!(heard.next(snapshot).await.entries.len(), 1);
        bus.disconnect();
    }
}

#[tokio::test(start_paused = true)]
async fn of_a_flood_only_the_last_entry_of_each_key_is_told() {
    let bus = FakeBus::new();
    bus.put_raw(DESIRED_STATE, "d1.web", document("demo:1"));
    bus.connect();
    let (children, mut heard) = setup(&bus);
    run(children).await;
    heard.next(snapshot).await;
    let mut last = 0;
    for _ in 0..100 {
        last = bus.put_raw(DESIRED_STATE, "d1.web", document("demo:2"));
    }
    let entries = heard.next(hints).await;
    assert_eq!(entries.iter().map(|entry| entry.revision).collect::<Vec<_>>(), [last]);
}

#[tokio::test(start_paused = true)]
async fn a_missing_bucket_is_told_of_and_asked_about_and_not_made_without_an_answer() {
    let bus = FakeBus::new();
    bus.connect();
    let (children, mut heard) = setup(&bus);
    run(children).await;
    heard.next(|m| matches!(m, Deployments::Source(SourceNews::Missing)).then_some(())).await;
    heard.next(|m| matches!(m, Deployments::Ask(Question::MayCreateSource)).then_some(())).await;
    pass(600).await;
    assert!(!bus.journal().iter().any(|call| call.starts_with("create")));
}

#[tokio::test(start_paused = true)]
async fn a_silent_watch_costs_one_snapshot_in_five_minutes_and_no_value_twice() {
    let bus = FakeBus::new();
    bus.put_raw(DESIRED_STATE, "d1.web", document("demo:1"));
    bus.connect();
    let (children, mut heard) = setup(&bus);
    run(children).await;
    heard.next(snapshot).await;
    pass(3600).await;
    let snapshots: Vec<Snapshot> = heard.all().into_iter().filter_map(snapshot).collect();
    assert!((10..=15).contains(&snapshots.len()), "{}", snapshots.len());
    let values = snapshots.iter().flat_map(|snapshot| &snapshot.entries);
    assert!(values.clone().all(|entry| entry.operation == Operation::Known));
}

#[tokio::test(start_paused = true)]
async fn watches_that_die_at_once_are_made_again_with_a_growing_wait() {
    use crate::bus::ErrorKind;
    use crate::bus::fake::Call;
    let bus = FakeBus::new();
    for _ in 0..200 {
        bus.fail_next(Call::Follow, ErrorKind::Timeout);
    }
    bus.connect();
    let (children, _heard) = setup(&bus);
    run(children).await;
    settle().await;
    pass(600).await;
    let tried = bus.journal().iter().filter(|call| call.starts_with("follow")).count();
    assert!((12..=30).contains(&tried), "{tried} times in ten minutes");
}
