//! A NATS server and the device's connection to it, in memory. For tests.
//!
//! Works in paused time: nothing in here waits but what a test lets wait. Starts disconnected.
mod service;
mod world;

pub use service::Reply;
pub use world::{Backup, Call};

use crate::bus::offered::Offered;
use crate::bus::{BucketSpec, Bus, BusError, ErrorKind, Followed, LinkState, Request, Result, ServiceSpec};
use crate::domain::source::{Operation, Snapshot};
use async_trait::async_trait;
use bytes::Bytes;
use fleet_contracts::Timestamp;
use fleet_contracts::commands::Verb;
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use world::{Lost, World};

/// The bus, and the hand that moves its world. Clones share everything.
#[derive(Clone)]
pub struct FakeBus {
    world: Arc<Mutex<World>>,
    link: watch::Sender<LinkState>,
    service: Offered<Request>,
}

impl Default for FakeBus {
    fn default() -> Self {
        Self::new()
    }
}

/// What a test does to the world.
impl FakeBus {
    /// A server without buckets, not yet reached.
    pub fn new() -> Self {
        let link = watch::Sender::new(LinkState::Connecting { attempts: 0, last_error: None });
        Self { world: Arc::default(), link, service: Offered::default() }
    }

    pub fn connect(&self) {
        let epoch = self.world().next_epoch();
        self.link.send_replace(LinkState::Connected { server: "fake".into(), epoch });
    }

    /// Watches end with `WatchLost`, as they do on the real bus.
    pub fn disconnect(&self) {
        let last_error = Some("disconnected by the test".into());
        self.link.send_replace(LinkState::Connecting { attempts: 1, last_error });
        self.kill_watches();
    }

    /// Deletes a bucket. Its watches fall silent, and say so when their heartbeats are missed.
    pub fn wipe(&self, bucket: &str) {
        self.world().wipe(bucket);
    }

    /// Deletes a bucket and makes it again: another incarnation, revisions from 1.
    pub fn recreate(&self, bucket: &str) {
        let mut world = self.world();
        world.wipe(bucket);
        world.create(bucket);
    }

    /// Empties a bucket without markers: the same incarnation, revisions go on.
    pub fn purge(&self, bucket: &str) {
        self.world().purge(bucket);
    }

    /// A copy of the bucket as it is; `None` when it is not there.
    pub fn backup(&self, bucket: &str) -> Option<Backup> {
        self.world().backup(bucket)
    }

    /// Puts the copy in the place of the bucket: the same incarnation, older revisions.
    pub fn restore(&self, bucket: &str, backup: Backup) {
        self.world().restore(bucket, backup);
    }

    /// What an operator does, connected or not. Makes the bucket when it is missing.
    pub fn put_raw(&self, bucket: &str, key: &str, value: impl Into<Vec<u8>>) -> u64 {
        self.world().write(bucket, key, Operation::Put(value.into().into()))
    }

    /// A put that no watch tells of.
    pub fn put_unheard(&self, bucket: &str, key: &str, value: impl Into<Vec<u8>>) -> u64 {
        self.world().written(bucket, key, Operation::Put(value.into().into())).revision
    }

    /// An operator's delete marker, connected or not.
    pub fn delete_raw(&self, bucket: &str, key: &str) -> u64 {
        self.world().write(bucket, key, Operation::Removed)
    }

    /// The value of a key, as an operator sees it.
    pub fn get_raw(&self, bucket: &str, key: &str) -> Option<Vec<u8>> {
        self.world().get(bucket, key)
    }

    /// Keys of a bucket that have a value.
    pub fn keys(&self, bucket: &str) -> Vec<String> {
        self.world().keys(bucket)
    }

    /// The server's clock for the next write; each write moves it by a second.
    pub fn set_clock(&self, to: Timestamp) {
        self.world().clock = to.unix_seconds();
    }

    /// All watches end with `WatchLost`.
    pub fn kill_watches(&self) {
        self.world().kill_watches();
    }

    /// The watches there are now stay alive and never say anything again.
    pub fn mute_watches(&self) {
        self.world().mute_watches();
    }

    /// Watches that somebody still reads.
    pub fn watches(&self) -> usize {
        self.world().watches()
    }

    /// From now on a snapshot, also that of a watch, arrives so much later than it was taken, when it is
    /// one of desired state.
    pub fn snapshots_late_by(&self, late: Duration) {
        self.world().snapshots_late_by = late;
    }

    /// The next such call fails and does nothing. Several wait in line.
    pub fn fail_next(&self, call: Call, error: ErrorKind) {
        self.world().fail_next(call, Lost::Call(error));
    }

    /// From now on puts to this object are refused, as `bucket/key`; None: to none.
    pub fn refuse(&self, object: Option<&str>) {
        self.world().refused = object.map(str::to_owned);
    }

    /// The next such call does what it should, and fails with `Timeout`.
    pub fn lose_next_answer(&self, call: Call) {
        self.world().fail_next(call, Lost::Answer);
    }

    /// Payloads published on `subject`, oldest first.
    pub fn published(&self, subject: &str) -> Vec<Bytes> {
        self.world().published(subject)
    }

    /// Sends a command through `serve`. None: no responder, or the request was dropped.
    pub async fn request(&self, verb: Verb, payload: impl Into<Bytes>) -> Option<Reply> {
        self.connected("request", verb.as_str()).ok()?;
        let requests = self.world().service.clone()?;
        service::request(requests, verb, payload.into()).await
    }

    /// Every call of the agent, oldest first: `put device-info/info.d1`.
    pub fn journal(&self) -> Vec<String> {
        self.world().journal.clone()
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn connected(&self, operation: &'static str, object: &str) -> Result<()> {
        match &*self.link.borrow() {
            LinkState::Connected { .. } => Ok(()),
            LinkState::Connecting { .. } => {
                Err(error(operation, object, ErrorKind::Disconnected, "not connected"))
            }
        }
    }

    /// One call: journal, connection, the failure a test asked for, then the deed.
    fn call<T>(&self, call: Call, object: &str, deed: impl FnOnce(&mut World) -> Result<T>) -> Result<T> {
        let mut world = self.world();
        world.journal.push(format!("{} {object}", call.as_str()));
        self.connected(call.as_str(), object)?;
        if call == Call::Put && world.refused.as_deref() == Some(object) {
            return Err(error(call.as_str(), object, ErrorKind::Refused, "refused by the test"));
        }
        match world.failure(call) {
            Some(Lost::Call(kind)) => Err(error(call.as_str(), object, kind, "failed by the test")),
            Some(Lost::Answer) => {
                deed(&mut world)?;
                Err(error(call.as_str(), object, ErrorKind::Timeout, "answer lost by the test"))
            }
            None => deed(&mut world),
        }
    }
}

fn error(operation: &'static str, object: &str, kind: ErrorKind, message: &str) -> BusError {
    BusError { operation, object: object.into(), kind, message: message.into() }
}

#[async_trait]
impl Bus for FakeBus {
    fn link(&self) -> watch::Receiver<LinkState> {
        self.link.subscribe()
    }

    async fn open(&self, bucket: &str) -> Result<()> {
        self.call(Call::Open, bucket, |world| world.open("open", bucket))
    }

    async fn create(&self, bucket: &BucketSpec) -> Result<()> {
        self.call(Call::Create, bucket.name, |world| {
            world.create(bucket.name);
            Ok(())
        })
    }

    async fn snapshot(&self, bucket: &str, filter: &str, known: &BTreeMap<String, u64>) -> Result<Snapshot> {
        let (snapshot, late) = {
            let taken = |world: &mut World| world.snapshot("snapshot", bucket, filter, known);
            (self.call(Call::Snapshot, bucket, taken), self.world().late(bucket))
        };
        tokio::time::sleep(late).await;
        snapshot
    }

    async fn follow(&self, bucket: &str, filter: &str) -> Result<Followed> {
        let (followed, late) = {
            let taken = |world: &mut World| {
                let snapshot = world.snapshot("follow", bucket, filter, &BTreeMap::new())?;
                let changes = world.watch(bucket, filter);
                Ok(Followed { snapshot, changes: receive(changes) })
            };
            (self.call(Call::Follow, bucket, taken), self.world().late(bucket))
        };
        tokio::time::sleep(late).await;
        followed
    }

    async fn put(&self, bucket: &str, key: &str, value: Bytes) -> Result<u64> {
        self.call(Call::Put, &format!("{bucket}/{key}"), |world| {
            world.open("put", bucket)?;
            Ok(world.write(bucket, key, Operation::Put(value[..].into())))
        })
    }

    async fn put_over(&self, bucket: &str, key: &str, value: Bytes, last: u64) -> Result<u64> {
        let object = format!("{bucket}/{key}");
        self.call(Call::Put, &object, |world| {
            world.open("put", bucket)?;
            if world.revision(bucket, key) != last {
                return Err(error("put", &object, ErrorKind::Overtaken, "wrong last sequence"));
            }
            Ok(world.write(bucket, key, Operation::Put(value[..].into())))
        })
    }

    async fn delete(&self, bucket: &str, key: &str) -> Result<()> {
        self.call(Call::Delete, &format!("{bucket}/{key}"), |world| {
            world.open("delete", bucket)?;
            world.write(bucket, key, Operation::Removed);
            Ok(())
        })
    }

    async fn publish(&self, subject: &str, payload: Bytes) -> Result<()> {
        self.call(Call::Publish, subject, |world| {
            world.publish(subject, payload);
            Ok(())
        })
    }

    async fn serve(&self, service: &ServiceSpec) -> Result<BoxStream<'static, Request>> {
        // A call first: a bus without a connection refuses, whatever is still offered.
        self.call(Call::Serve, service.device.as_str(), |_| Ok(()))?;
        self.service
            .read(async {
                let (sender, receiver) = mpsc::channel(service::CAPACITY);
                self.world().service = Some(sender);
                Ok(receive(receiver))
            })
            .await
    }

    async fn close(&self, _budget: Duration) {
        let last_error = Some("closed".into());
        self.link.send_replace(LinkState::Connecting { attempts: 0, last_error });
        self.world().journal.push("close".into());
        self.kill_watches();
    }
}

fn receive<T: Send + 'static>(receiver: mpsc::Receiver<T>) -> BoxStream<'static, T> {
    stream::unfold(receiver, |mut receiver| async move { Some((receiver.recv().await?, receiver)) }).boxed()
}
