//! What only a real server can show.
use crate::bus_promises::{BUCKET, connected, disconnected, service, snapshot};
use crate::bus_worlds::{Real, RealWorld, settings};
use crate::nats_world::{NatsServer, eventually};
use async_nats::HeaderMap;
use async_nats::jetstream::stream::Config;
use bytes::Bytes;
use fleet_agent::bus::nats::NatsBus;
use fleet_agent::bus::{BucketSpec, Bus, ErrorKind, LinkState};
use fleet_agent::credentials::{CredentialSettings, SecretSource};
use fleet_agent::domain::source::{Entry, Operation, SNAPSHOT_BYTES};
use fleet_contracts::commands::Verb;
use futures_util::StreamExt;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

const OF_DEVICES: BucketSpec = BucketSpec { name: "device-state", history: 1, allow_rollup: false };

async fn ready<W: RealWorld>() -> (W, Arc<dyn Bus>) {
    let world = W::new().await;
    let bus = world.bus();
    connected(&bus).await;
    bus.create(&BUCKET).await.unwrap();
    (world, bus)
}

async fn config(real: &Real, bucket: &str) -> Config {
    real.jetstream().await.get_stream(format!("KV_{bucket}")).await.unwrap().cached_info().config.clone()
}

/// A purge of a key as the KV clients do it: a marker that rolls its subject up.
async fn purge(real: &Real, bucket: &str, key: &str, rollup: &str) -> Result<(), String> {
    let mut headers = HeaderMap::new();
    headers.insert("KV-Operation", "PURGE");
    headers.insert("Nats-Rollup", rollup);
    let js = real.jetstream().await;
    let subject = format!("$KV.{bucket}.{key}");
    let publishing = js.publish_with_headers(subject, headers, Bytes::new()).await.unwrap();
    publishing.await.map(drop).map_err(|e| e.to_string())
}

pub async fn a_bucket_of_devices_refuses_rollup_and_purge<W: RealWorld>() {
    let (mut world, bus) = ready::<W>().await;
    bus.create(&OF_DEVICES).await.unwrap();
    bus.put(OF_DEVICES.name, "state.d2.web", "other's".into()).await.unwrap();
    let refused = purge(world.real(), OF_DEVICES.name, "state.d1.web", "all").await.unwrap_err();
    assert!(refused.contains("rollup"), "{refused}");
    let stream = world.real().jetstream().await.get_stream("KV_device-state").await.unwrap();
    stream.purge().await.unwrap_err();
    stream.delete_message(1).await.unwrap_err();
    let left = bus.snapshot(OF_DEVICES.name, ">", &BTreeMap::new()).await.unwrap();
    assert_eq!(left.entries.len(), 1);
}

pub async fn a_bucket_of_operators_takes_a_purge<W: RealWorld>() {
    let (mut world, bus) = ready::<W>().await;
    let config = config(world.real(), BUCKET.name).await;
    assert_eq!((config.max_messages_per_subject, config.allow_rollup, config.deny_delete), (8, true, true));
    assert!(config.allow_direct);
    bus.put(BUCKET.name, "d1.web", "one".into()).await.unwrap();
    purge(world.real(), BUCKET.name, "d1.web", "sub").await.unwrap();
}

pub async fn an_existing_bucket_keeps_its_settings<W: RealWorld>() {
    let mut world = W::new().await;
    let bus = world.bus();
    connected(&bus).await;
    let theirs = Config {
        name: format!("KV_{}", BUCKET.name),
        subjects: vec![format!("$KV.{}.>", BUCKET.name)],
        max_messages_per_subject: 3,
        max_bytes: 1_000_000,
        ..Default::default()
    };
    world.real().jetstream().await.create_stream(theirs).await.unwrap();
    bus.create(&BUCKET).await.unwrap();
    let kept = config(world.real(), BUCKET.name).await;
    assert_eq!((kept.max_messages_per_subject, kept.max_bytes, kept.allow_direct), (3, 1_000_000, false));
    bus.put(BUCKET.name, "d1.web", "one".into()).await.unwrap();
    assert_eq!(snapshot(&bus, &[]).await.entries.len(), 1);
}

async fn consumers(real: &Real) -> usize {
    let stream = real.jetstream().await.get_stream(format!("KV_{}", BUCKET.name)).await.unwrap();
    stream.consumer_names().count().await
}

pub async fn snapshots_and_dropped_watches_leave_no_consumer<W: RealWorld>() {
    let (mut world, bus) = ready::<W>().await;
    let revision = bus.put(BUCKET.name, "d1.web", "one".into()).await.unwrap();
    let mut watches = Vec::new();
    for _ in 0..10 {
        watches.push(bus.follow(BUCKET.name, "d1.>").await.unwrap());
    }
    assert_eq!(consumers(world.real()).await, 10, "the check sees consumers");
    for n in 0..30 {
        let known = if n % 2 == 0 { vec![] } else { vec![("d1.web", revision)] };
        snapshot(&bus, &known).await;
    }
    assert_eq!(consumers(world.real()).await, 10, "a snapshot deletes its consumer before it returns");
    drop(watches);
    // Far below the 30 s after which the server would have deleted them itself.
    let begin = tokio::time::Instant::now();
    let real = world.real();
    eventually("no consumer is left", async || (consumers(real).await == 0).then_some(())).await;
    assert!(begin.elapsed() < Duration::from_secs(20), "{:?}", begin.elapsed());
}

pub async fn a_value_whose_key_was_purged_is_a_marker<W: RealWorld>() {
    let (mut world, bus) = ready::<W>().await;
    let mut followed = bus.follow(BUCKET.name, "d1.>").await.unwrap();
    bus.put(BUCKET.name, "d1.web", "one".into()).await.unwrap();
    purge(world.real(), BUCKET.name, "d1.web", "sub").await.unwrap();
    let operation = snapshot(&bus, &[]).await.entries.remove(0).operation;
    assert_eq!(operation, Operation::Removed);
    let first = followed.changes.next().await.unwrap().unwrap();
    let last = match first.operation {
        Operation::Put(_) => followed.changes.next().await.unwrap().unwrap().operation,
        other => other,
    };
    assert_eq!(last, Operation::Removed);
}

/// From 2.11 on, in a bucket whose operator wants marks of it.
pub async fn a_value_whose_time_ran_out_is_a_marker<W: RealWorld>() {
    let mut world = W::new().await;
    let bus = world.bus();
    connected(&bus).await;
    let client = world.real().server.client().await;
    let config = serde_json::json!({
        "name": format!("KV_{}", BUCKET.name), "subjects": [format!("$KV.{}.>", BUCKET.name)],
        "max_msgs_per_subject": 1, "allow_msg_ttl": true, "allow_rollup_hdrs": true,
        "subject_delete_marker_ttl": 3_600_000_000_000_u64,
    });
    let making =
        client.request(format!("$JS.API.STREAM.CREATE.KV_{}", BUCKET.name), config.to_string().into());
    let made = String::from_utf8(making.await.unwrap().payload.to_vec()).unwrap();
    assert!(!made.contains("error"), "{made}");
    let mut followed = bus.follow(BUCKET.name, "d1.>").await.unwrap();
    let mut headers = HeaderMap::new();
    headers.insert("Nats-TTL", "1s");
    let subject = format!("$KV.{}.d1.web", BUCKET.name);
    client.publish_with_headers(subject, headers, "one".into()).await.unwrap();
    let first = followed.changes.next().await.unwrap().unwrap();
    assert_eq!(first.operation, Operation::Put((*b"one").into()));
    let second = followed.changes.next().await.unwrap().unwrap();
    assert_eq!(second.operation, Operation::Removed);
    assert_eq!(snapshot(&bus, &[]).await.entries[0].operation, Operation::Removed);
}

const FLEET: usize = 200;

/// A bus of one of many devices, and the watch that it holds.
async fn follow(bus: &Arc<dyn Bus>) -> fleet_agent::bus::Followed {
    loop {
        match bus.follow(BUCKET.name, "d1.>").await {
            Ok(followed) => return followed,
            // What all of them do at once may take the server longer than the deadline.
            Err(_) => drop(connected(bus).await),
        }
    }
}

pub async fn two_hundred_agents_come_back_spread_over_twenty_seconds() {
    let mut real = Real::start(crate::nats_world::Version::Installed).await;
    let mut fleet: Vec<Arc<dyn Bus>> = Vec::new();
    for _ in 0..FLEET {
        let none = CredentialSettings::None;
        fleet.push(Arc::new(NatsBus::new(settings(&real.server), none.build()).await.unwrap()));
    }
    connected(&fleet[0]).await;
    fleet[0].create(&BUCKET).await.unwrap();
    let mut watches = Vec::new();
    for bus in &fleet {
        connected(bus).await;
        watches.push(follow(bus).await);
    }
    real.server.down().await;
    for bus in &fleet {
        disconnected(bus).await;
    }
    drop(watches);
    tokio::time::sleep(Duration::from_secs(1)).await;
    real.server.up().await;
    let back: Vec<_> = (fleet.iter().cloned())
        .map(|bus| {
            tokio::spawn(async move {
                let mut link = bus.link();
                let up = link.wait_for(|state| matches!(state, LinkState::Connected { .. }));
                // The widest wait is 30 s.
                tokio::time::timeout(Duration::from_secs(90), up).await.unwrap().unwrap();
                let at = tokio::time::Instant::now();
                (at, follow(&bus).await)
            })
        })
        .collect();
    let (mut times, mut watches) = (Vec::new(), Vec::new());
    for device in back {
        let (at, followed) = device.await.unwrap();
        times.push(at);
        watches.push(followed);
    }
    let spread = *times.iter().max().unwrap() - *times.iter().min().unwrap();
    assert!(spread >= Duration::from_secs(20), "all were back within {spread:?}");
    eventually("one consumer each is left", async || (consumers(&real).await == FLEET).then_some(())).await;
}

/// 40 MB: more than the server sends without hearing from the client, so flow control takes part.
pub async fn many_and_large_values_arrive_whole<W: RealWorld>() {
    let (_world, bus) = ready::<W>().await;
    let large = Bytes::from(vec![b'x'; 800_000]);
    for n in 10..50 {
        bus.put(BUCKET.name, &format!("d1.k{n}"), large.clone()).await.unwrap();
    }
    let whole = |e: &Entry| matches!(&e.operation, Operation::Put(v) if v.len() == large.len());
    let fit = SNAPSHOT_BYTES / large.len();
    let read = snapshot(&bus, &[]).await.entries;
    assert_eq!(read.len(), 40);
    assert!(read[..fit].iter().all(whole));
    // More than a snapshot keeps: what was written last is there without its value.
    assert!(read[fit..].iter().all(|entry| entry.operation == Operation::LeftOut));
}

pub async fn the_service_is_found_by_its_name<W: RealWorld>() {
    let (mut world, bus) = ready::<W>().await;
    let mut requests = bus.serve(&service()).await.unwrap();
    tokio::spawn(async move {
        while let Some(request) = requests.next().await {
            request.responder.respond("{}".into(), Some((503, "not ready".into()))).await.unwrap();
        }
    });
    world.request(Verb::Ping, "").await.unwrap();
    let client = world.real().server.client().await;
    let ask = async |subject: &'static str| -> serde_json::Value {
        serde_json::from_slice(&client.request(subject, Bytes::new()).await.unwrap().payload).unwrap()
    };
    let info = ask("$SRV.INFO.fleet-agent").await;
    assert_eq!((&info["name"], &info["version"]), (&"fleet-agent".into(), &"1.2.3".into()));
    assert_eq!(info["description"], "the agent of d1");
    assert_eq!(info["metadata"], serde_json::json!({"device": "d1", "arch": "aarch64"}));
    let endpoints = info["endpoints"].as_array().unwrap();
    let offered: BTreeMap<_, _> = endpoints.iter().map(|e| (text(&e["name"]), text(&e["subject"]))).collect();
    let expected = Verb::ALL.map(|v| (v.as_str(), format!("device-command.d1.{}", v.as_str())));
    assert_eq!(offered, expected.iter().map(|(n, s)| (*n, s.as_str())).collect());
    let stats = ask("$SRV.STATS.fleet-agent").await;
    let requests = stats["endpoints"].as_array().unwrap().iter().map(|e| e["num_requests"].as_u64().unwrap());
    assert_eq!(requests.sum::<u64>(), 1);
}

/// A restarted actor reads on where the last one ended.
pub async fn a_service_whose_reader_is_replaced_after_every_request_answers_each<W: RealWorld>() {
    let (mut world, bus) = ready::<W>().await;
    let readers = tokio::spawn(async move {
        loop {
            let mut requests = bus.serve(&service()).await.unwrap();
            let request = requests.next().await.unwrap();
            tokio::spawn(request.responder.respond("pong".into(), None));
        }
    });
    eventually("it is offered", async || world.request(Verb::Ping, "").await).await;
    let client = world.real().server.client().await;
    let asking = (0..100).map(|_| client.request("device-command.d1.ping", Bytes::new()));
    for (n, reply) in futures_util::future::join_all(asking).await.into_iter().enumerate() {
        assert_eq!(reply.unwrap_or_else(|error| panic!("request {n}: {error}")).payload, "pong");
    }
    readers.abort();
}

pub async fn a_request_that_wants_no_answer_has_no_reply_subject<W: RealWorld>() {
    let (mut world, bus) = ready::<W>().await;
    let mut requests = bus.serve(&service()).await.unwrap();
    let client = world.real().server.client().await;
    client.publish("device-command.d1.reconcile", "x".into()).await.unwrap();
    let request = requests.next().await.unwrap();
    assert_eq!((request.verb, request.reply_to), (Verb::Reconcile, None));
    request.responder.respond("nobody hears it".into(), None).await.unwrap();
}

fn text(value: &serde_json::Value) -> &str {
    value.as_str().unwrap()
}

async fn trouble(bus: &dyn Bus, part: &str) {
    let mut link = bus.link();
    let told = link.wait_for(|state| match state {
        LinkState::Connecting { last_error: Some(error), .. } => error.contains(part),
        LinkState::Connecting { .. } | LinkState::Connected { .. } => false,
    });
    tokio::time::timeout(Duration::from_secs(20), told).await.expect(part).unwrap();
}

pub async fn a_rotated_token_is_picked_up<W: RealWorld>() {
    let server = NatsServer::with_token(W::VERSION, "right").await;
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "wrong\n").unwrap();
    let token = CredentialSettings::Token(SecretSource::File(file.path().into()));
    let bus: Arc<dyn Bus> = Arc::new(NatsBus::new(settings(&server), token.build()).await.unwrap());
    trouble(&*bus, "authorization violation").await;
    std::fs::write(file.path(), "right\n").unwrap();
    assert_eq!(connected(&bus).await, 1);
}

pub async fn a_missing_token_file_is_told<W: RealWorld>() {
    let server = NatsServer::with_token(W::VERSION, "right").await;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("token");
    let token = CredentialSettings::Token(SecretSource::File(path.clone()));
    let bus: Arc<dyn Bus> = Arc::new(NatsBus::new(settings(&server), token.build()).await.unwrap());
    trouble(&*bus, "token").await;
    std::fs::write(&path, "right").unwrap();
    connected(&bus).await;
}

pub async fn a_wiped_server_is_another_incarnation<W: RealWorld>() {
    let (mut world, bus) = ready::<W>().await;
    for _ in 0..5 {
        bus.put(BUCKET.name, "d1.web", "one".into()).await.unwrap();
    }
    let before = snapshot(&bus, &[]).await;
    world.down().await;
    disconnected(&bus).await;
    world.real().server.wipe();
    world.up().await;
    connected(&bus).await;
    assert_eq!(bus.open(BUCKET.name).await.unwrap_err().kind, ErrorKind::BucketMissing);
    bus.create(&BUCKET).await.unwrap();
    bus.put(BUCKET.name, "d1.web", "two".into()).await.unwrap();
    let after = snapshot(&bus, &[]).await;
    assert_ne!(before.incarnation, after.incarnation);
    assert_eq!((before.last_sequence, after.last_sequence), (5, 1));
}

pub async fn a_server_that_stops_answering_is_a_timeout<W: RealWorld>() {
    let (mut world, bus) = ready::<W>().await;
    let server = &world.real().server;
    server.signal("STOP");
    let begin = tokio::time::Instant::now();
    let failed = bus.put(BUCKET.name, "d1.web", "one".into()).await.unwrap_err();
    server.signal("CONT");
    assert_eq!(failed.kind, ErrorKind::Timeout);
    assert!(begin.elapsed() < Duration::from_secs(8), "{:?}", begin.elapsed());
    eventually("it answers again", async || bus.open(BUCKET.name).await.ok()).await;
}
