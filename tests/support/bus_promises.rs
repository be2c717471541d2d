//! What every bus promises, whatever is behind it.
use crate::eventually;
use bytes::Bytes;
use fleet_agent::bus::{BucketSpec, Bus, BusError, ErrorKind, LinkState, ServiceSpec};
use fleet_agent::domain::source::{Entry, Operation, Snapshot};
use fleet_contracts::commands::Verb;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

pub const BUCKET: BucketSpec = BucketSpec { name: "desired-state", history: 8, allow_rollup: true };

/// An answer to a command: the body, and the error headers.
pub type Answer = (Bytes, Option<(u16, String)>);

/// A server, one bus on it, and what others than the agent do to it.
pub trait World {
    /// With the server up, and the bus on its way to it.
    async fn new() -> Self;
    fn bus(&self) -> Arc<dyn Bus>;
    async fn down(&mut self);
    async fn up(&mut self);
    async fn delete_bucket(&mut self);
    async fn recreate_bucket(&mut self);
    /// Begins to listen on a subject.
    async fn listen(&mut self, subject: &'static str);
    fn heard(&self) -> Vec<Bytes>;
    async fn request(&mut self, verb: Verb, payload: &'static str) -> Option<Answer>;
}

pub async fn connected(bus: &Arc<dyn Bus>) -> u64 {
    let mut link = bus.link();
    let state = link.wait_for(|s| matches!(s, LinkState::Connected { .. })).await.unwrap().clone();
    match state {
        LinkState::Connected { epoch, .. } => epoch,
        LinkState::Connecting { .. } => unreachable!("waited for"),
    }
}

pub async fn disconnected(bus: &Arc<dyn Bus>) {
    bus.link().wait_for(|s| matches!(s, LinkState::Connecting { .. })).await.unwrap();
}

async fn ready<W: World>() -> (W, Arc<dyn Bus>) {
    let world = W::new().await;
    let bus = world.bus();
    connected(&bus).await;
    bus.create(&BUCKET).await.unwrap();
    (world, bus)
}

async fn put(bus: &Arc<dyn Bus>, key: &str, value: &'static str) -> u64 {
    bus.put(BUCKET.name, key, value.into()).await.unwrap()
}

pub async fn snapshot(bus: &Arc<dyn Bus>, known: &[(&str, u64)]) -> Snapshot {
    let known = known.iter().map(|(k, r)| (k.to_string(), *r)).collect();
    bus.snapshot(BUCKET.name, "d1.>", &known).await.unwrap()
}

fn entry<'a>(snapshot: &'a Snapshot, key: &str) -> &'a Entry {
    snapshot.entries.iter().find(|e| e.key == key).unwrap_or_else(|| panic!("{key} is in {snapshot:?}"))
}

fn value(text: &str) -> Operation {
    Operation::Put(text.as_bytes().into())
}

pub async fn a_put_is_in_the_next_snapshot<W: World>() {
    let (_world, bus) = ready::<W>().await;
    put(&bus, "d1.web", "one").await;
    let revision = put(&bus, "d1.web", "two").await;
    let snapshot = snapshot(&bus, &[]).await;
    assert_eq!(snapshot.entries.len(), 1);
    assert_eq!(entry(&snapshot, "d1.web").operation, value("two"));
    assert_eq!(entry(&snapshot, "d1.web").revision, revision);
    assert_eq!(snapshot.last_sequence, revision);
    assert!(entry(&snapshot, "d1.web").written_at.unix_seconds() > 1_700_000_000);
}

pub async fn revisions_grow_with_every_write<W: World>() {
    let (_world, bus) = ready::<W>().await;
    let first = put(&bus, "d1.web", "one").await;
    let second = put(&bus, "d1.db", "one").await;
    let third = put(&bus, "d1.web", "two").await;
    assert!(first < second && second < third, "{first} {second} {third}");
}

pub async fn a_known_revision_comes_without_its_value<W: World>() {
    let (_world, bus) = ready::<W>().await;
    let web = put(&bus, "d1.web", "one").await;
    let db = put(&bus, "d1.db", "one").await;
    let all_known = snapshot(&bus, &[("d1.web", web), ("d1.db", db)]).await;
    assert_eq!(entry(&all_known, "d1.web").operation, Operation::Known);
    assert_eq!(entry(&all_known, "d1.db").operation, Operation::Known);

    put(&bus, "d1.db", "two").await;
    let one_new = snapshot(&bus, &[("d1.web", web), ("d1.db", db)]).await;
    assert_eq!(entry(&one_new, "d1.web").operation, Operation::Known);
    assert_eq!(entry(&one_new, "d1.db").operation, value("two"));
}

pub async fn a_key_that_was_known_and_is_gone_is_not_in_the_snapshot<W: World>() {
    let (_world, bus) = ready::<W>().await;
    let web = put(&bus, "d1.web", "one").await;
    let snapshot = snapshot(&bus, &[("d1.web", web), ("d1.old", 1)]).await;
    assert_eq!(snapshot.entries.len(), 1);
}

pub async fn an_empty_snapshot_ends<W: World>() {
    let (_world, bus) = ready::<W>().await;
    let empty = snapshot(&bus, &[]).await;
    assert_eq!((empty.entries.len(), empty.last_sequence), (0, 0));
    assert_eq!(snapshot(&bus, &[("d1.web", 1)]).await.entries, []);
    let followed = bus.follow(BUCKET.name, "d1.>").await.unwrap();
    assert_eq!(followed.snapshot.entries, []);
}

pub async fn a_put_over_a_revision_is_refused_when_the_key_was_written_since<W: World>() {
    let (_world, bus) = ready::<W>().await;
    let first = put(&bus, "d1.web", "one").await;
    put(&bus, "d2.web", "of no concern").await;
    let second = bus.put_over(BUCKET.name, "d1.web", "two".into(), first).await.unwrap();
    assert!(second > first);
    let refused = bus.put_over(BUCKET.name, "d1.web", "three".into(), first).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Overtaken);
    assert_eq!(entry(&snapshot(&bus, &[]).await, "d1.web").operation, value("two"));
}

pub async fn delete_markers_are_seen<W: World>() {
    let (_world, bus) = ready::<W>().await;
    let written = put(&bus, "d1.web", "one").await;
    bus.delete(BUCKET.name, "d1.web").await.unwrap();
    for known in [&[][..], &[("d1.web", written)], &[("d1.web", written + 1)]] {
        let snapshot = snapshot(&bus, known).await;
        assert_eq!(entry(&snapshot, "d1.web").operation, Operation::Removed);
        assert!(entry(&snapshot, "d1.web").revision > written);
    }
}

pub async fn deleting_a_missing_key_succeeds<W: World>() {
    let (_world, bus) = ready::<W>().await;
    bus.delete(BUCKET.name, "d1.never").await.unwrap();
}

pub async fn keys_of_two_devices_do_not_mix<W: World>() {
    let (_world, bus) = ready::<W>().await;
    let mut followed = bus.follow(BUCKET.name, "d1.>").await.unwrap();
    put(&bus, "d10.web", "other").await;
    put(&bus, "d1.web", "mine").await;
    let snapshot = snapshot(&bus, &[]).await;
    assert_eq!(snapshot.entries.len(), 1);
    assert_eq!(entry(&snapshot, "d1.web").operation, value("mine"));
    let change = followed.changes.next().await.unwrap().unwrap();
    assert_eq!((change.key.as_str(), change.operation), ("d1.web", value("mine")));
}

pub async fn following_hands_over_without_a_gap<W: World>() {
    const WRITES: usize = 150;
    let (_world, bus) = ready::<W>().await;
    let writer = bus.clone();
    let writing = tokio::spawn(async move {
        for n in 0..WRITES {
            writer.put(BUCKET.name, &format!("d1.k{n}"), Bytes::from("v")).await.unwrap();
            tokio::task::yield_now().await;
        }
    });
    tokio::task::yield_now().await;
    let mut followed = bus.follow(BUCKET.name, "d1.>").await.unwrap();
    writing.await.unwrap();
    let mut seen: BTreeSet<_> = followed.snapshot.entries.iter().map(|e| e.key.clone()).collect();
    while seen.len() < WRITES {
        let change = tokio::time::timeout(Duration::from_secs(10), followed.changes.next()).await;
        let change = change.unwrap_or_else(|_| panic!("only {} of {WRITES} came", seen.len()));
        seen.insert(change.unwrap().unwrap().key);
    }
}

pub async fn changes_and_markers_follow_the_snapshot<W: World>() {
    let (_world, bus) = ready::<W>().await;
    put(&bus, "d1.web", "one").await;
    let mut followed = bus.follow(BUCKET.name, "d1.>").await.unwrap();
    assert_eq!(entry(&followed.snapshot, "d1.web").operation, value("one"));
    let second = put(&bus, "d1.web", "two").await;
    bus.delete(BUCKET.name, "d1.web").await.unwrap();
    let change = followed.changes.next().await.unwrap().unwrap();
    assert_eq!((change.revision, change.operation), (second, value("two")));
    assert_eq!(followed.changes.next().await.unwrap().unwrap().operation, Operation::Removed);
}

pub async fn a_recreated_bucket_is_another_incarnation<W: World>() {
    let (mut world, bus) = ready::<W>().await;
    put(&bus, "d1.web", "one").await;
    let first = snapshot(&bus, &[]).await;
    assert_eq!(snapshot(&bus, &[]).await.incarnation, first.incarnation);
    world.recreate_bucket().await;
    let second = snapshot(&bus, &[]).await;
    assert_ne!(first.incarnation, second.incarnation);
    assert_eq!(second.entries, []);
}

pub async fn a_missing_bucket_is_told_as_such<W: World>() {
    let world = W::new().await;
    let bus = world.bus();
    connected(&bus).await;
    let none = BTreeMap::new();
    let kind = |error: BusError| error.kind;
    assert_eq!(bus.open("nothing").await.map_err(kind), Err(ErrorKind::BucketMissing));
    let snapshot = bus.snapshot("nothing", "d1.>", &none).await;
    assert_eq!(snapshot.map_err(kind), Err(ErrorKind::BucketMissing));
    let follow = bus.follow("nothing", "d1.>").await.map(|_| ());
    assert_eq!(follow.map_err(kind), Err(ErrorKind::BucketMissing));
    assert_eq!(bus.put("nothing", "a", Bytes::new()).await.map_err(kind), Err(ErrorKind::BucketMissing));
    assert_eq!(bus.delete("nothing", "a").await.map_err(kind), Err(ErrorKind::BucketMissing));
}

pub async fn a_bucket_deleted_under_the_agent_is_missing<W: World>() {
    let (mut world, bus) = ready::<W>().await;
    bus.open(BUCKET.name).await.unwrap();
    world.delete_bucket().await;
    assert_eq!(bus.open(BUCKET.name).await.unwrap_err().kind, ErrorKind::BucketMissing);
}

/// Whoever hears every subject takes the place of the stream that would: the server has somebody to give the
/// write to, and says nothing.
pub async fn a_missing_bucket_is_told_to_a_writer_beside_somebody_who_hears_everything<W: World>() {
    let (mut world, bus) = ready::<W>().await;
    world.listen(">").await;
    put(&bus, "d1.web", "one").await;
    world.delete_bucket().await;
    let kind = |error: BusError| error.kind;
    let (value, name) = (|| Bytes::from("two"), BUCKET.name);
    let (put, over, delete) = tokio::join!(
        bus.put(name, "d1.web", value()),
        bus.put_over(name, "d1.web", value(), 1),
        bus.delete(name, "d1.web"),
    );
    assert_eq!(put.map_err(kind), Err(ErrorKind::BucketMissing));
    assert_eq!(over.map_err(kind), Err(ErrorKind::BucketMissing));
    assert_eq!(delete.map_err(kind), Err(ErrorKind::BucketMissing));
    bus.create(&BUCKET).await.unwrap();
    bus.put(name, "d1.web", value()).await.unwrap();
}

pub async fn creating_a_bucket_again_changes_nothing<W: World>() {
    let (_world, bus) = ready::<W>().await;
    put(&bus, "d1.web", "one").await;
    let before = snapshot(&bus, &[]).await;
    bus.create(&BUCKET).await.unwrap();
    bus.create(&BucketSpec { history: 1, ..BUCKET }).await.unwrap();
    bus.open(BUCKET.name).await.unwrap();
    assert_eq!(snapshot(&bus, &[]).await, before);
}

/// How a watch ends; within 20 s, for that is how long the agent may believe in it.
async fn end(changes: &mut BoxStream<'static, Result<Entry, BusError>>) -> ErrorKind {
    let end = tokio::time::timeout(Duration::from_secs(20), changes.next()).await.expect("within 20 s");
    end.unwrap().unwrap_err().kind
}

pub async fn a_deleted_bucket_ends_its_watches<W: World>() {
    let (mut world, bus) = ready::<W>().await;
    let mut followed = bus.follow(BUCKET.name, "d1.>").await.unwrap();
    world.delete_bucket().await;
    assert_eq!(end(&mut followed.changes).await, ErrorKind::WatchLost);
    assert!(followed.changes.next().await.is_none());
}

pub async fn a_recreated_bucket_ends_its_watches<W: World>() {
    let (mut world, bus) = ready::<W>().await;
    let mut followed = bus.follow(BUCKET.name, "d1.>").await.unwrap();
    world.recreate_bucket().await;
    put(&bus, "d1.web", "one").await;
    assert_eq!(end(&mut followed.changes).await, ErrorKind::WatchLost);
}

pub async fn a_lost_connection_ends_watches_at_once<W: World>() {
    let (mut world, bus) = ready::<W>().await;
    let mut followed = bus.follow(BUCKET.name, "d1.>").await.unwrap();
    world.down().await;
    let end = tokio::time::timeout(Duration::from_secs(2), followed.changes.next()).await.expect("at once");
    assert_eq!(end.unwrap().unwrap_err().kind, ErrorKind::WatchLost);
    assert!(followed.changes.next().await.is_none());
}

pub async fn a_publish_reaches_a_subscriber<W: World>() {
    let (mut world, bus) = ready::<W>().await;
    world.listen("device-state.d1").await;
    bus.publish("device-state.d1", Bytes::from("pulse")).await.unwrap();
    eventually("the publish arrives", async || (world.heard() == [Bytes::from("pulse")]).then_some(())).await;
}

pub fn service() -> ServiceSpec {
    ServiceSpec {
        device: "d1".parse().unwrap(),
        version: "1.2.3".into(),
        description: "the agent of d1".into(),
        metadata: BTreeMap::from([("arch".into(), "aarch64".into())]),
    }
}

pub async fn a_command_is_answered_with_body_and_error<W: World>() {
    let (mut world, bus) = ready::<W>().await;
    let mut requests = bus.serve(&service()).await.unwrap();
    tokio::spawn(async move {
        while let Some(request) = requests.next().await {
            assert!(request.reply_to.is_some());
            let body = Bytes::from(format!("{} {}", request.verb.as_str(), request.payload.len()));
            let error = (request.verb == Verb::Reconcile).then(|| (404, "no such\ndeployment".to_owned()));
            request.responder.respond(body, error).await.unwrap();
        }
    });
    for verb in Verb::ALL.into_iter().filter(|v| *v != Verb::Reconcile) {
        let (body, error) = world.request(verb, "abc").await.unwrap();
        assert_eq!((body, error), (Bytes::from(format!("{} 3", verb.as_str())), None));
    }
    let (body, error) = world.request(Verb::Reconcile, "").await.unwrap();
    assert_eq!(body, "reconcile 0", "the body of a failed command is kept");
    assert_eq!(error.unwrap().0, 404);
}

pub async fn a_service_that_is_dropped_answers_no_more<W: World>() {
    let (mut world, bus) = ready::<W>().await;
    assert_eq!(world.request(Verb::Ping, "").await, None, "nobody serves yet");
    let mut requests = bus.serve(&service()).await.unwrap();
    let serving = tokio::spawn(async move {
        let request = requests.next().await.unwrap();
        request.responder.respond("pong".into(), None).await.unwrap();
    });
    assert!(world.request(Verb::Ping, "").await.is_some());
    serving.await.unwrap();
    let stopped = async || world.request(Verb::Ping, "").await.is_none().then_some(());
    eventually("no responder is left", stopped).await;
}

pub async fn a_request_that_is_dropped_disturbs_nobody<W: World>() {
    let (mut world, bus) = ready::<W>().await;
    let mut requests = bus.serve(&service()).await.unwrap();
    tokio::spawn(async move {
        drop(requests.next().await);
        let request = requests.next().await.unwrap();
        request.responder.respond("pong".into(), None).await.unwrap();
        requests.next().await
    });
    assert_eq!(world.request(Verb::Ping, "").await, None);
    assert!(world.request(Verb::Ping, "").await.is_some());
}

pub async fn every_connection_is_a_new_epoch<W: World>() {
    let (mut world, bus) = ready::<W>().await;
    assert_eq!(connected(&bus).await, 1);
    for epoch in 2..=3 {
        world.down().await;
        disconnected(&bus).await;
        world.up().await;
        assert_eq!(connected(&bus).await, epoch);
    }
}

pub async fn the_bus_starts_before_the_server<W: World>() {
    let mut world = W::new().await;
    world.down().await;
    let bus = world.bus();
    assert_eq!(bus.open(BUCKET.name).await.unwrap_err().kind, ErrorKind::Disconnected);
    world.up().await;
    connected(&bus).await;
    bus.create(&BUCKET).await.unwrap();
}

pub async fn calls_without_a_connection_fail_at_once<W: World>() {
    let (mut world, bus) = ready::<W>().await;
    world.down().await;
    disconnected(&bus).await;
    let begin = tokio::time::Instant::now();
    // More than the client would queue before it blocks.
    for _ in 0..3000 {
        let failed = bus.publish("device-state.d1", Bytes::from("pulse")).await.unwrap_err();
        assert_eq!(failed.kind, ErrorKind::Disconnected);
    }
    let none = BTreeMap::new();
    let kinds = [
        bus.open(BUCKET.name).await.unwrap_err().kind,
        bus.create(&BUCKET).await.unwrap_err().kind,
        bus.put(BUCKET.name, "d1.web", Bytes::new()).await.unwrap_err().kind,
        bus.delete(BUCKET.name, "d1.web").await.unwrap_err().kind,
        bus.snapshot(BUCKET.name, "d1.>", &none).await.unwrap_err().kind,
        bus.follow(BUCKET.name, "d1.>").await.err().unwrap().kind,
        bus.serve(&service()).await.err().unwrap().kind,
    ];
    assert_eq!(kinds, [ErrorKind::Disconnected; 7]);
    assert!(begin.elapsed() < Duration::from_secs(1), "{:?}", begin.elapsed());
}

pub async fn what_failed_without_a_connection_is_not_sent_later<W: World>() {
    let (mut world, bus) = ready::<W>().await;
    put(&bus, "d1.web", "before").await;
    world.down().await;
    disconnected(&bus).await;
    bus.put(BUCKET.name, "d1.web", "during".into()).await.unwrap_err();
    world.up().await;
    connected(&bus).await;
    let last = put(&bus, "d1.db", "after").await;
    let snapshot = snapshot(&bus, &[]).await;
    assert_eq!(entry(&snapshot, "d1.web").operation, value("before"));
    assert_eq!(last, 2, "nothing was written in between");
}

pub async fn a_service_goes_on_after_a_reconnect<W: World>() {
    let (mut world, bus) = ready::<W>().await;
    let mut requests = bus.serve(&service()).await.unwrap();
    tokio::spawn(async move {
        while let Some(request) = requests.next().await {
            request.responder.respond("pong".into(), None).await.ok();
        }
    });
    world.down().await;
    disconnected(&bus).await;
    world.up().await;
    connected(&bus).await;
    assert!(world.request(Verb::Ping, "").await.is_some());
}

pub async fn a_closed_bus_refuses_at_once<W: World>() {
    let (_world, bus) = ready::<W>().await;
    let budget = Duration::from_secs(5);
    let begin = tokio::time::Instant::now();
    bus.close(budget).await;
    assert!(begin.elapsed() < budget, "it closed by itself");
    assert_eq!(bus.open(BUCKET.name).await.unwrap_err().kind, ErrorKind::Disconnected);
}

pub async fn what_was_sent_before_closing_arrives<W: World>() {
    let (mut world, bus) = ready::<W>().await;
    world.listen("device-state.d1").await;
    bus.publish("device-state.d1", Bytes::from("last")).await.unwrap();
    bus.close(Duration::from_secs(5)).await;
    eventually("the last publish arrives", async || (world.heard().len() == 1).then_some(())).await;
}
