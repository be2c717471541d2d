use super::*;
use crate::actors::tests::{Heard, device, document, pass, probe, run, settle};
use crate::bus::ErrorKind;
use crate::bus::fake::{Call, FakeBus};
use crate::supervision::worker;

fn setup(bus: &FakeBus) -> (Vec<crate::supervision::ChildSpec>, Heard<Deployments>) {
    setup_at(&Address::new(), bus)
}

fn setup_at(
    address: &Address<Message>,
    bus: &FakeBus,
) -> (Vec<crate::supervision::ChildSpec>, Heard<Deployments>) {
    let deployments = Address::new();
    let (child, heard) = probe("deployments", &deployments);
    let args = Args { device: device(), bus: Arc::new(bus.clone()), deployments };
    (vec![child, worker::<KvWatcher>("kv_watcher", "", args, address.clone())], heard)
}

fn calls(bus: &FakeBus, call: &str) -> usize {
    let call = format!("{call} {DESIRED_STATE}");
    bus.journal().iter().filter(|made| **made == call).count()
}

fn has_values(snapshot: &Snapshot) -> bool {
    snapshot.entries.iter().all(|entry| matches!(entry.operation, Operation::Put(_)))
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

/// A watch that is up, with one document.
async fn following() -> (FakeBus, Address<Message>, Heard<Deployments>) {
    let (bus, watcher) = (FakeBus::new(), Address::new());
    bus.put_raw(DESIRED_STATE, "d1.web", document("demo:1"));
    bus.connect();
    let (children, mut heard) = setup_at(&watcher, &bus);
    run(children).await;
    heard.next(snapshot).await;
    (bus, watcher, heard)
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

/// On a slow link it is opened for minutes, in which the timer of the last snapshot fires.
#[tokio::test(start_paused = true)]
async fn while_the_watch_is_opened_no_snapshot_is_taken_beside_it() {
    let (bus, watcher, mut heard) = following().await;
    bus.snapshots_late_by(Duration::from_secs(900));
    bus.fail_next(Call::Snapshot, ErrorKind::Timeout);
    bus.kill_watches();
    pass(300).await;
    watcher.send(Message::Resnapshot);
    pass(300).await;
    assert_eq!((calls(&bus, "follow"), calls(&bus, "snapshot")), (2, 0));
    assert!(has_values(&heard.next(snapshot).await), "it is not begun anew");
    assert_eq!(calls(&bus, "follow"), 2);
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_from_before_the_watch_began_is_not_told_after_it() {
    let (bus, watcher, mut heard) = following().await;
    bus.snapshots_late_by(Duration::from_secs(100));
    watcher.send(Message::Resnapshot);
    settle().await;
    let last = bus.put_raw(DESIRED_STATE, "another.web", document("demo:1"));
    bus.snapshots_late_by(Duration::ZERO);
    bus.kill_watches();
    assert_eq!(heard.next(snapshot).await.last_sequence, last);
    pass(150).await;
    let later: Vec<u64> = heard.all().into_iter().filter_map(snapshot).map(|s| s.last_sequence).collect();
    assert!(later.iter().all(|sequence| *sequence == last), "it looks as if it were reset: {later:?}");
}

/// Hints that only a snapshot can judge come every minute, and it takes five.
#[tokio::test(start_paused = true)]
async fn requests_do_not_starve_the_full_snapshot_under_way_and_one_begins_after_the_last_of_them() {
    let (bus, watcher, mut heard) = following().await;
    bus.snapshots_late_by(Duration::from_secs(300));
    for _ in 0..5 {
        watcher.send(Message::Resnapshot);
        pass(59).await;
    }
    let patience = Duration::from_secs(10);
    assert!(heard.next_within(patience, snapshot).await.is_some_and(|s| has_values(&s)));
    pass(1).await;
    assert_eq!(calls(&bus, "snapshot"), 2);
    assert!(has_values(&heard.next(snapshot).await), "the values again");
    pass(200).await;
    assert_eq!(calls(&bus, "snapshot"), 2, "nobody asked since");
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_that_leaves_out_what_was_told_makes_way_for_one_of_all_values() {
    let (bus, watcher, mut heard) = following().await;
    bus.snapshots_late_by(Duration::from_secs(300));
    pass(361).await;
    assert_eq!(calls(&bus, "snapshot"), 1, "that of the timer");
    watcher.send(Message::Resnapshot);
    settle().await;
    assert_eq!(calls(&bus, "snapshot"), 2);
    assert!(has_values(&heard.next(snapshot).await));
}

/// On a slow link it would begin from nothing, minutes after it began.
#[tokio::test(start_paused = true)]
async fn the_watch_that_begins_when_the_bucket_was_made_is_not_opened_twice() {
    let (bus, watcher) = (FakeBus::new(), Address::new());
    bus.connect();
    let (children, mut heard) = setup_at(&watcher, &bus);
    run(children).await;
    heard.next(|m| matches!(m, Deployments::Ask(Question::MayCreateSource)).then_some(())).await;
    bus.snapshots_late_by(Duration::from_secs(90));
    watcher.send(Message::CreateSource);
    heard.next(snapshot).await;
    pass(100).await;
    assert_eq!(calls(&bus, "follow"), 2, "the bucket was missing, and was not");
}
