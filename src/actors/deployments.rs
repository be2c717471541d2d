//! Owns: the ledger: what should run, and what was told of it.
//! Hears: `kv_watcher` (`Source`), the disk, reconcilers (`Child`), `observer` (`Runtime`), questions.
//! Tells: reconcilers their duty, `reporter` every changed state.
//! After a crash: reads the ledger again; reconcilers tell their state again when asked.
use super::{Clock, Hold};
use crate::domain::book::{Book, Duty, Judged, Reading, room};
use crate::domain::ledger::Record;
use crate::domain::source::Snapshot;
use crate::messages::deployments::{
    ChildNews, Deployments as Message, DiskNews, RuntimeNews, SourceNews, Write,
};
use crate::messages::effects::Effects;
use crate::messages::kv_watcher::KvWatcher;
use crate::messages::observer::Observer;
use crate::messages::reconcilers::Reconciler;
use crate::messages::reporter::Reporter;
use crate::store::{LedgerStore, OwnershipView};
use crate::supervision::{Address, Context, Fault, Keyed, Worker};
use fleet_contracts::{DeploymentName, DeviceId, Timestamp};
use images::Images;
use log::{Gist, log_state};
pub use reading::reading;
use reasons::Reasons;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use writes::Writes;

/// Keys that are no names and are remembered, so that each is logged once: enough to see what somebody does.
const BAD_KEYS: usize = 64;

mod disk;
mod images;
mod log;
mod questions;
mod reading;
mod reasons;
mod writes;

#[derive(Clone)]
pub struct Args {
    pub device: DeviceId,
    pub store: Arc<dyn LedgerStore>,
    pub ownership: OwnershipView,
    pub reconcilers: Keyed<DeploymentName, Reconciler>,
    pub reporter: Address<Reporter>,
    pub kv_watcher: Address<KvWatcher>,
    pub observer: Address<Observer>,
    pub effects: Address<Effects>,
    /// False: desired state is logged and dropped.
    pub runtime_enabled: bool,
    pub reading: Reading,
    pub blamed: Blamed,
    pub hold: Option<Hold>,
    pub clock: Clock,
}

/// The deployment whose document ended the process before this one, until it was told of once.
#[derive(Debug, Clone, Default)]
pub struct Blamed(Arc<Mutex<Option<(DeploymentName, String)>>>);

impl Blamed {
    pub fn new(blamed: Option<(DeploymentName, String)>) -> Self {
        Self(Arc::new(Mutex::new(blamed)))
    }

    fn take(&self) -> Option<(DeploymentName, String)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

pub struct Deployments {
    args: Args,
    /// None until the ledger is read: nothing is judged before.
    book: Option<Book>,
    writes: Writes,
    reasons: Reasons,
    /// Deployments whose containers the runtime listed.
    labelled: Option<BTreeSet<DeploymentName>>,
    snapshot_seen: bool,
    /// An end of the process is being counted.
    counting: bool,
    logged: BTreeMap<DeploymentName, Gist>,
    images: Images,
}

impl Worker for Deployments {
    type Msg = Message;
    type Args = Args;

    fn start(args: Args, ctx: &mut Context<Message>) -> Result<Self, Fault> {
        let deployments = Self {
            book: None,
            writes: Writes::default(),
            reasons: Reasons::default(),
            labelled: None,
            snapshot_seen: false,
            counting: false,
            logged: BTreeMap::new(),
            images: Images::default(),
            args,
        };
        deployments.load(ctx);
        Ok(deployments)
    }

    fn kind(msg: &Message) -> &'static str {
        msg.into()
    }

    fn handle(&mut self, msg: Message, ctx: &mut Context<Message>) -> Result<(), Fault> {
        match msg {
            Message::Source(news) => self.on_source(news),
            Message::Disk(news) => self.on_disk(news, ctx),
            Message::Child(name, news) => self.on_child(name, news, ctx),
            Message::Runtime(news) => self.on_runtime(news),
            Message::Images(news) => self.on_images(news, ctx),
            Message::Ask(question) => self.on_question(question),
        }
        self.publish();
        self.write_on(ctx);
        Ok(())
    }
}

impl Deployments {
    fn on_source(&mut self, news: SourceNews) {
        match news {
            SourceNews::Missing => self.reasons.source_missing = true,
            SourceNews::Snapshot(snapshot) => {
                self.reasons.source_missing = false;
                self.on_snapshot(&snapshot);
            }
            SourceNews::Hints(entries) => {
                if !self.args.runtime_enabled {
                    return log_dropped(entries.len());
                }
                let Some(book) = &mut self.book else { return };
                let judged: Vec<Option<Judged>> = entries.iter().map(|entry| book.hint(entry)).collect();
                if judged.iter().any(Option::is_none) {
                    self.args.kv_watcher.send(KvWatcher::Resnapshot);
                }
                judged.into_iter().flatten().for_each(|judged| self.carry_out(judged));
            }
        }
    }

    fn on_snapshot(&mut self, snapshot: &Snapshot) {
        if !self.args.runtime_enabled {
            return log_dropped(snapshot.entries.len());
        }
        let Some(book) = &mut self.book else { return };
        let judged = book.snapshot(snapshot);
        self.reasons.bad_keys.clear();
        self.carry_out(judged);
        self.snapshot_seen = true;
        self.prune();
    }

    /// Queues what was judged. Nothing else happens before it is durable.
    fn carry_out(&mut self, judged: Judged) {
        self.fill_room(&judged);
        for key in judged.bad_keys {
            if self.reasons.bad_keys.len() < BAD_KEYS && self.reasons.bad_keys.insert(key.clone()) {
                tracing::warn!(key, "the key's last part is no deployment name (a-z 0-9 -): ignored");
            }
        }
        self.look_meanwhile(&judged.records);
        let followed = judged.followed.map(Write::Followed);
        let records = judged.records.into_iter().map(Write::Save);
        followed.into_iter().chain(records).for_each(|write| self.writes.push(write));
        for name in judged.gone {
            self.args.reporter.send(Reporter::Gone(name));
        }
    }

    /// What was refused for want of room is only in the bucket.
    fn fill_room(&mut self, judged: &Judged) {
        if room::makes_room(judged) {
            self.room_was_made();
        }
    }

    fn room_was_made(&mut self) {
        if self.book.as_mut().is_some_and(Book::was_crowded) {
            self.args.kv_watcher.send(KvWatcher::Resnapshot);
        }
    }

    /// Reconcilers of new deployments look at what is there while the disk works. They do nothing before they
    /// are told what is wanted.
    fn look_meanwhile(&self, records: &[Record]) {
        let is_new = |name: &&DeploymentName| self.book.as_ref().is_some_and(|book| book.is_new(name));
        let new = records.iter().map(|record| &record.name).filter(is_new);
        new.for_each(|name| self.args.reconcilers.ensure(name.clone()));
    }

    /// State keys of deployments that are in neither ledger, labels nor snapshot are from the past.
    fn prune(&self) {
        if let (Some(book), Some(labelled), true) = (&self.book, &self.labelled, self.snapshot_seen) {
            let keep = book.names().union(labelled).cloned().collect();
            self.args.reporter.send(Reporter::Keep(keep));
        }
    }

    fn on_child(&mut self, name: DeploymentName, news: ChildNews, ctx: &mut Context<Message>) {
        let Some(book) = &mut self.book else { return };
        match news {
            ChildNews::Started if book.is_quarantined(&name) => self.release(&name),
            ChildNews::Owes(service, start) => {
                let record = book.owes(&name, service, start);
                self.write(record);
            }
            ChildNews::Parked(how) => {
                let record = book.parked(&name, &how);
                self.write(record);
            }
            ChildNews::Started => match book.duty(&name) {
                Some(duty) => drop(self.args.reconcilers.send(&name, order(duty))),
                None if book.is_new(&name) => {}
                None => self.args.reconcilers.retire(&name),
            },
            ChildNews::Reports(report) => {
                book.reported(&name, report);
                self.note_ends(&name, ctx);
                self.on_images_in_use(&name, ctx);
            }
            ChildNews::Brought(arrival) => self.on_brought(&name, arrival),
            ChildNews::Gone => {
                if book.may_forget(&name) {
                    // With the record goes what it tells of how far the bucket was acted on.
                    let followed = book.followed().cloned().map(Write::Followed);
                    followed
                        .into_iter()
                        .chain([Write::Forget(name)])
                        .for_each(|write| self.writes.push(write));
                }
            }
        }
    }

    /// Somebody had its reconciler restarted, or asked for a reconcile: once more, with a clean record.
    fn release(&mut self, name: &DeploymentName) {
        let record = self.book.as_mut().and_then(|book| book.release(name));
        self.write(record);
    }

    fn on_runtime(&mut self, news: RuntimeNews) {
        match news {
            RuntimeNews::Reachable { deployments, alone } => {
                self.reasons.runtime_unreachable = false;
                let labelled = deployments.into_iter().collect();
                self.book.iter_mut().for_each(|book| book.listed(&alone, &labelled));
                let first = self.labelled.replace(labelled).is_none();
                if first {
                    self.prune();
                }
            }
            RuntimeNews::Alone(name, containers) => {
                self.book.iter_mut().for_each(|book| book.looked(&name, &containers));
            }
            RuntimeNews::Unreachable(_) => {
                self.reasons.runtime_unreachable = true;
                self.book.iter_mut().for_each(Book::blinded);
            }
        }
    }

    fn publish(&mut self) {
        let Some(book) = &mut self.book else { return };
        for state in book.changes(Timestamp::now()) {
            log_state(&mut self.logged, &state);
            self.args.reporter.send(Reporter::State(Box::new(state)));
        }
    }
}

fn order(duty: Duty) -> Reconciler {
    match duty {
        Duty::Run(wanted) => Reconciler::Want(wanted),
        Duty::Vanish => Reconciler::Vanish,
    }
}

fn log_dropped(entries: usize) {
    if entries > 0 {
        tracing::info!(entries, "desired state dropped: [agent] runtime_enabled is false");
    }
}

#[cfg(test)]
mod tests;
