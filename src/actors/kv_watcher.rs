//! Owns: the watch on the desired-state bucket, and the rhythm of full snapshots.
//! Hears: the link's state, its watch (a hint), its timers, `deployments` (`Resnapshot`, `CreateSource`).
//! Tells: `deployments` snapshots and hints.
//! After a crash: follows again from a full snapshot.
use super::retry_delay;
use crate::bus::{BucketSpec, Bus, BusError, ErrorKind, Followed, LinkState};
use crate::domain::source::{Entry, Incarnation, Operation, Snapshot};
use crate::messages::deployments::{Deployments, Question, SourceNews};
use crate::messages::kv_watcher::{Batch, Changes, KvWatcher as Message};
use crate::supervision::{Address, Context, Fault, TaskId, Worker};
use fleet_contracts::DeviceId;
use fleet_contracts::names::DESIRED_STATE;
use futures_util::{FutureExt, StreamExt};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// How long a silent loss of the watch can go unnoticed: 300 s ± 20 %.
const SNAPSHOT_EVERY: Duration = Duration::from_secs(300);
/// Watches made again in step by a whole fleet are what a server dies of.
const RETRY_CAP: Duration = Duration::from_secs(60);
/// Entries taken at once from a flood; of each key only the last is kept.
const BATCH: usize = 256;
/// Bytes of values that end a batch: sixteen of the largest documents.
const BATCH_BYTES: usize = 4 << 20;

pub const SOURCE: BucketSpec = BucketSpec { name: DESIRED_STATE, history: 8, allow_rollup: true };

#[derive(Clone)]
pub struct Args {
    pub device: DeviceId,
    pub bus: Arc<dyn Bus>,
    pub deployments: Address<Deployments>,
}

pub struct KvWatcher {
    args: Args,
    link: super::LinkWatch,
    /// What runs now: opening the watch, reading it, or waiting to open it again.
    following: Option<TaskId>,
    /// The watch is being opened, with a full snapshot.
    opening: bool,
    /// Never beside that: it would be told after a later one, as if the bucket had gone back.
    snapshotting: Option<TaskId>,
    /// Revisions told to `deployments`: a snapshot need not send these values again.
    told: BTreeMap<String, u64>,
    /// The snapshot under way was asked for every value.
    asks_all: bool,
    /// Every value was asked for since it began.
    again: bool,
    /// The bucket that the watch is of.
    watched: Option<Incarnation>,
    /// What the watch told since the snapshot under way began.
    heard: BTreeMap<String, Entry>,
    failures: u32,
}

impl Worker for KvWatcher {
    type Msg = Message;
    type Args = Args;

    fn start(args: Args, ctx: &mut Context<Message>) -> Result<Self, Fault> {
        let link = super::LinkWatch::new(&*args.bus);
        link.next(None, ctx, Message::Link);
        let (told, heard) = (BTreeMap::new(), BTreeMap::new());
        Ok(Self {
            args,
            link,
            following: None,
            opening: false,
            snapshotting: None,
            told,
            asks_all: false,
            again: false,
            watched: None,
            heard,
            failures: 0,
        })
    }

    fn kind(msg: &Message) -> &'static str {
        msg.into()
    }

    fn handle(&mut self, msg: Message, ctx: &mut Context<Message>) -> Result<(), Fault> {
        match msg {
            Message::Link(state) => self.on_link(&state, ctx),
            Message::Resnapshot => self.on_resnapshot(ctx),
            Message::CreateSource => self.on_create_source(ctx),
            Message::SourceCreated(result) => self.on_source_created(result, ctx),
            Message::Followed(Ok(followed)) => self.on_followed(followed, ctx),
            Message::Followed(Err(error)) => self.on_lost(Some(&error), ctx),
            Message::Changed(batch) => self.on_changed(batch, ctx),
            Message::SnapshotDue => self.snapshot(ctx),
            Message::Snapshotted(result) => self.on_snapshotted(result, ctx),
            Message::RetryDue => self.follow(ctx),
        }
        Ok(())
    }
}

impl KvWatcher {
    fn on_link(&mut self, state: &LinkState, ctx: &mut Context<Message>) {
        self.link.next(Some(state), ctx, Message::Link);
        ctx.waiting_for(super::waiting_text(state));
        // Every connection begins with a full snapshot: what happened meanwhile is not known.
        if let LinkState::Connected { epoch, .. } = state {
            self.failures = 0;
            let wait = if *epoch > 1 { super::spread() } else { Duration::ZERO };
            ctx.after("retry", wait, Message::RetryDue);
        }
    }

    fn filter(&self) -> String {
        format!("{}.>", self.args.device)
    }

    fn follow(&mut self, ctx: &mut Context<Message>) {
        self.drop_watch(ctx);
        self.drop_snapshot(ctx);
        // What it would begin begins now.
        ctx.cancel_timer("retry");
        let (bus, filter) = (self.args.bus.clone(), self.filter());
        // On a slow link this takes minutes. Each of its steps, down to the single entry, has a deadline in the bus.
        let task = ctx.spawn_unlimited("taking a full snapshot and a watch", async move {
            Message::Followed(bus.follow(DESIRED_STATE, &filter).await)
        });
        (self.following, self.opening) = (Some(task), true);
    }

    fn drop_watch(&mut self, ctx: &mut Context<Message>) {
        self.opening = false;
        if let Some(task) = self.following.take() {
            ctx.cancel(task);
        }
    }

    fn drop_snapshot(&mut self, ctx: &mut Context<Message>) {
        self.again = false;
        if let Some(task) = self.snapshotting.take() {
            ctx.cancel(task);
        }
    }

    fn on_followed(&mut self, followed: Followed, ctx: &mut Context<Message>) {
        let Followed { snapshot, changes } = followed;
        (self.failures, self.opening) = (0, false);
        self.watched = Some(snapshot.incarnation.clone());
        self.tell_snapshot(snapshot, ctx);
        self.read(changes, ctx);
    }

    /// A snapshot under way may not know of it.
    fn hear(&mut self, entries: &[Entry]) {
        if self.snapshotting.is_some() {
            self.heard.extend(entries.iter().map(|entry| (entry.key.clone(), entry.told())));
        }
    }

    fn tell_snapshot(&mut self, snapshot: Snapshot, ctx: &mut Context<Message>) {
        ctx.waiting_for(None);
        self.told = snapshot.entries.iter().map(|entry| (entry.key.clone(), entry.revision)).collect();
        if !self.args.deployments.send(Deployments::Source(SourceNews::Snapshot(snapshot))) {
            self.told.clear();
        }
        ctx.after("snapshot", SNAPSHOT_EVERY.mul_f64(0.8 + 0.4 * fastrand::f64()), Message::SnapshotDue);
    }

    fn read(&mut self, changes: Changes, ctx: &mut Context<Message>) {
        let what = format!("watching {DESIRED_STATE} over {}", self.link.describe());
        // The watch tells of its own silence.
        let reading = async move { Message::Changed(next_batch(changes).await) };
        self.following = Some(ctx.spawn_unlimited(what, reading));
    }

    fn on_changed(&mut self, batch: Batch, ctx: &mut Context<Message>) {
        let Batch { entries, rest } = batch;
        self.told.extend(entries.iter().map(|entry| (entry.key.clone(), entry.revision)));
        self.hear(&entries);
        if !entries.is_empty() {
            self.args.deployments.send(Deployments::Source(SourceNews::Hints(entries)));
        }
        match rest {
            Ok(changes) => self.read(changes, ctx),
            Err(error) => self.on_lost(error.as_ref(), ctx),
        }
    }

    /// The watch is lost, or did not come about: from a full snapshot again, a little later.
    fn on_lost(&mut self, error: Option<&BusError>, ctx: &mut Context<Message>) {
        // A failed snapshot ends here too, and its watch may well be alive.
        self.drop_watch(ctx);
        let missing = error.is_some_and(|error| error.kind == ErrorKind::BucketMissing);
        if missing {
            self.args.deployments.send(Deployments::Source(SourceNews::Missing));
            self.args.deployments.send(Deployments::Ask(Question::MayCreateSource));
            ctx.waiting_for(Some(format!("bucket {DESIRED_STATE}, which is missing")));
        }
        if self.failures == 0 {
            let error = error.map(ToString::to_string).unwrap_or_else(|| "it ended".to_owned());
            tracing::info!(error, "the watch on {DESIRED_STATE} is lost: a full snapshot follows");
        }
        ctx.after("retry", retry_delay(self.failures, RETRY_CAP), Message::RetryDue);
        self.failures = self.failures.saturating_add(1);
    }

    fn on_resnapshot(&mut self, ctx: &mut Context<Message>) {
        self.told.clear();
        // Begun anew at each request, one that takes minutes would never end.
        if self.snapshotting.is_some() && self.asks_all {
            self.again = true;
            return;
        }
        // One under way leaves out the values that were told before.
        self.drop_snapshot(ctx);
        self.snapshot(ctx);
    }

    fn snapshot(&mut self, ctx: &mut Context<Message>) {
        // The watch that is being opened begins with every value.
        if self.opening || self.snapshotting.is_some() || !self.link.is_up() {
            return;
        }
        self.heard.clear();
        self.asks_all = self.told.is_empty();
        let (bus, filter, told) = (self.args.bus.clone(), self.filter(), self.told.clone());
        self.snapshotting = Some(ctx.spawn_unlimited("taking a full snapshot", async move {
            Message::Snapshotted(bus.snapshot(DESIRED_STATE, &filter, &told).await)
        }));
    }

    fn on_snapshotted(&mut self, result: Result<Snapshot, BusError>, ctx: &mut Context<Message>) {
        self.snapshotting = None;
        let heard = std::mem::take(&mut self.heard);
        match result {
            // What was heard is of another bucket than what was read: the watch is of one that is gone.
            Ok(snapshot) if !heard.is_empty() && self.watched.as_ref() != Some(&snapshot.incarnation) => {
                self.on_lost(None, ctx);
            }
            Ok(mut snapshot) => {
                // Discarding it instead would let one key that is written all the time hide all others.
                snapshot.overtaken_by(heard);
                self.on_whole(snapshot, ctx);
            }
            Err(error) => self.on_lost(Some(&error), ctx),
        }
    }

    fn on_whole(&mut self, snapshot: Snapshot, ctx: &mut Context<Message>) {
        // A change that the watch did not tell of means that the watch is dead.
        let missed = |entry: &Entry| entry.operation != Operation::Known && !self.asks_all;
        let dead = snapshot.entries.iter().any(|e| missed(e) && self.told.get(&e.key) != Some(&e.revision));
        self.tell_snapshot(snapshot, ctx);
        if dead {
            ctx.after("retry", super::spread(), Message::RetryDue);
        }
        if std::mem::take(&mut self.again) {
            self.on_resnapshot(ctx);
        }
    }

    fn on_create_source(&mut self, ctx: &mut Context<Message>) {
        let bus = self.args.bus.clone();
        ctx.spawn(format!("creating bucket {DESIRED_STATE}"), async move {
            Message::SourceCreated(bus.create(&SOURCE).await)
        });
    }

    fn on_source_created(&mut self, result: Result<(), BusError>, ctx: &mut Context<Message>) {
        match result {
            Ok(()) => self.follow(ctx),
            Err(error) => tracing::warn!(%error, "the bucket is missing and this device may not create it"),
        }
    }
}

/// Waits for a change, then takes what else is there, the last of each key.
async fn next_batch(mut changes: Changes) -> Batch {
    let mut entries: BTreeMap<String, Entry> = BTreeMap::new();
    let mut next = Some(changes.next().await);
    let (mut taken, mut bytes) = (0, 0);
    while let Some(item) = next {
        match item {
            Some(Ok(entry)) => {
                bytes += entry.size();
                drop(entries.insert(entry.key.clone(), entry));
            }
            Some(Err(error)) => return batch(entries, Err(Some(error))),
            None => return batch(entries, Err(None)),
        }
        taken += 1;
        next = if taken < BATCH && bytes < BATCH_BYTES { changes.next().now_or_never() } else { None };
    }
    batch(entries, Ok(changes))
}

fn batch(entries: BTreeMap<String, Entry>, rest: Result<Changes, Option<BusError>>) -> Batch {
    let mut entries: Vec<Entry> = entries.into_values().collect();
    // In the order of the bucket: who reads them knows by the revision what is late.
    entries.sort_unstable_by_key(|entry| entry.revision);
    Batch { entries, rest }
}

#[cfg(test)]
mod tests;
