//! Owns: the ledger: what should run, and what was told of it.
//! Hears: `kv_watcher` (`Source`), the disk, reconcilers (`Child`), `observer` (`Runtime`), questions.
//! Tells: reconcilers their duty, `reporter` every changed state.
//! After a crash: reads the ledger again; reconcilers tell their state again when asked.
use super::{Clock, Hold};
use crate::domain::book::{Book, Duty, Judged, NotConfirmed};
use crate::domain::ledger::{Ledger, Record};
use crate::domain::source::Snapshot;
use crate::messages::deployments::{
    ChildNews, Deployments as Message, DiskNews, Overview, Question, RuntimeNews, SourceNews, Write,
};
use crate::messages::kv_watcher::KvWatcher;
use crate::messages::observer::Observer;
use crate::messages::reconcilers::Reconciler;
use crate::messages::reporter::Reporter;
use crate::store::{LedgerStore, OwnershipView, StoreError};
use crate::supervision::{Address, Context, Fault, Keyed, Worker};
use fleet_contracts::state::{DeploymentState, Phase};
use fleet_contracts::{DeploymentName, DeviceId, Timestamp};
use reasons::Reasons;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use writes::Writes;

mod reasons;
mod writes;

/// A full or read-only disk is tried again this often: nothing new is accepted meanwhile.
const DISK_RETRY: Duration = Duration::from_secs(10);

#[derive(Clone)]
pub struct Args {
    pub device: DeviceId,
    pub store: Arc<dyn LedgerStore>,
    pub ownership: OwnershipView,
    pub reconcilers: Keyed<DeploymentName, Reconciler>,
    pub reporter: Address<Reporter>,
    pub kv_watcher: Address<KvWatcher>,
    pub observer: Address<Observer>,
    /// False: desired state is logged and dropped.
    pub runtime_enabled: bool,
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
            Message::Child(name, news) => self.on_child(name, news),
            Message::Runtime(news) => self.on_runtime(news),
            Message::Ask(question) => self.on_question(question),
        }
        self.publish();
        self.write_on(ctx);
        Ok(())
    }
}

impl Deployments {
    fn load(&self, ctx: &mut Context<Message>) {
        let store = self.args.store.clone();
        ctx.spawn_blocking("reading the ledger", move || Message::Disk(DiskNews::Loaded(store.load())));
    }

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
        for key in judged.bad_keys {
            if self.reasons.bad_keys.insert(key.clone()) {
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

    fn on_disk(&mut self, news: DiskNews, ctx: &mut Context<Message>) {
        match news {
            DiskNews::Loaded(Ok(ledger)) => self.on_loaded(ledger, ctx),
            DiskNews::Loaded(Err(error)) => self.on_not_loaded(&error, ctx),
            DiskNews::LoadAgain => self.load(ctx),
            DiskNews::Saved(record) => {
                self.written();
                let name = record.name.clone();
                let duty = self.book.as_mut().and_then(|book| book.saved(record));
                if let Some(duty) = duty {
                    self.assign(&name, duty);
                }
                self.counted();
            }
            DiskNews::FollowedSaved(_) => self.written(),
            DiskNews::Forgotten(name) => {
                self.written();
                if self.book.as_mut().is_some_and(|book| book.forgotten(&name)) {
                    tracing::info!(deployment = %name, "gone");
                    self.args.reconcilers.retire(&name);
                    self.logged.remove(&name);
                    self.args.reporter.send(Reporter::Gone(name));
                }
            }
            DiskNews::Failed(error) => self.on_write_failed(&error, ctx),
            DiskNews::Retry => {}
        }
    }

    /// Nothing can be judged without the ledger, and nothing is lost by waiting: containers run on.
    fn on_not_loaded(&mut self, error: &StoreError, ctx: &mut Context<Message>) {
        if !std::mem::replace(&mut self.reasons.disk_failing, true) {
            tracing::error!(%error, "the ledger cannot be read: nothing is changed until it can");
        }
        ctx.waiting_for(Some(format!("the ledger ({error})")));
        ctx.after("load", DISK_RETRY, Message::Disk(DiskNews::LoadAgain));
    }

    fn on_loaded(&mut self, ledger: Ledger, ctx: &mut Context<Message>) {
        self.reasons.disk_failing = false;
        ctx.waiting_for(None);
        for file in &ledger.quarantined {
            tracing::error!(file, "unreadable in both copies: moved aside; what it described keeps running");
        }
        self.reasons.quarantined = !ledger.quarantined.is_empty();
        tracing::info!(deployments = ledger.records.len(), "the ledger is read");
        let mut book = Book::new(self.args.device.clone(), ledger);
        if let Some((name, how)) = self.args.blamed.take() {
            tracing::error!(deployment = %name, how, "its document ended the process before this one");
            let record = book.blame(&name, &how);
            self.counting = record.is_some();
            self.write(record);
        }
        self.book = Some(book);
        // Another document might end the process before the count of this one is on the disk.
        if !self.counting {
            self.assign_all();
        }
        self.args.reconcilers.broadcast(|_| Reconciler::Retell);
        self.args.kv_watcher.send(KvWatcher::Resnapshot);
    }

    /// Reconcilers that lived on, and one that asked in vain while this actor was down, are told again; those that
    /// are not up yet ask.
    fn assign_all(&self) {
        let Some(book) = &self.book else { return };
        let duties = book.duties().filter_map(|name| Some((name.clone(), book.duty(name)?)));
        duties.for_each(|(name, duty)| self.assign(&name, duty));
    }

    /// The count of an end is on the disk, or cannot be: only the one that is to blame waits for it then.
    fn counted(&mut self) {
        if std::mem::take(&mut self.counting) {
            self.assign_all();
        }
    }

    fn assign(&self, name: &DeploymentName, duty: Duty) {
        self.args.reconcilers.ensure(name.clone());
        // One that is not up yet asks when it is.
        self.args.reconcilers.send(name, order(duty));
    }

    fn write(&mut self, record: Option<Record>) {
        record.into_iter().for_each(|record| self.writes.push(Write::Save(record)));
    }

    fn written(&mut self) {
        self.writes.done();
        if !self.writes.is_failing() && std::mem::take(&mut self.reasons.disk_failing) {
            tracing::info!("the state directory can be written again");
        }
    }

    fn on_write_failed(&mut self, error: &StoreError, ctx: &mut Context<Message>) {
        self.writes.failed();
        self.counted();
        if !std::mem::replace(&mut self.reasons.disk_failing, true) {
            tracing::error!(%error, "the ledger cannot be written: what is new in it is accepted when it can");
        }
        ctx.after("disk", DISK_RETRY, Message::Disk(DiskNews::Retry));
    }

    /// Makes the next write. While the disk fails, only the timer tries again.
    fn write_on(&mut self, ctx: &mut Context<Message>) {
        if self.reasons.disk_failing && ctx.has_timer("disk") {
            return;
        }
        let Some(write) = self.writes.next() else { return };
        let (store, ownership) = (self.args.store.clone(), self.args.ownership.clone());
        let epoch = ownership.epoch();
        ctx.spawn_blocking(describe(&write), move || {
            Message::Disk(if epoch.is_some_and(|epoch| ownership.goes_on(epoch)) {
                perform(&*store, write)
            } else {
                DiskNews::Failed(StoreError::not_owner())
            })
        });
    }

    fn on_child(&mut self, name: DeploymentName, news: ChildNews) {
        let Some(book) = &mut self.book else { return };
        match news {
            ChildNews::Started if book.is_quarantined(&name) => self.release(&name),
            ChildNews::Parked(how) => {
                let record = book.parked(&name, &how);
                self.write(record);
            }
            ChildNews::Started => match book.duty(&name) {
                Some(duty) => drop(self.args.reconcilers.send(&name, order(duty))),
                None if book.is_new(&name) => {}
                None => self.args.reconcilers.retire(&name),
            },
            ChildNews::Reports(report) => book.reported(&name, report),
            ChildNews::Gone => {
                if book.may_forget(&name) {
                    self.writes.push(Write::Forget(name));
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
            RuntimeNews::Reachable { deployments } => {
                self.reasons.runtime_unreachable = false;
                let first = self.labelled.replace(deployments.into_iter().collect()).is_none();
                if first {
                    self.prune();
                }
            }
            RuntimeNews::Unreachable(_) => self.reasons.runtime_unreachable = true,
        }
    }

    fn on_question(&mut self, question: Question) {
        match question {
            Question::Overview(reply) => reply.send(self.overview()),
            Question::Confirm(names, reply) => reply.send(self.confirm(&names)),
            Question::Reconcile(name, reply) => reply.send(self.reconcile(name)),
            Question::Retell => {
                let states = self.book.iter().flat_map(Book::states);
                states.for_each(|state| {
                    _ = self.args.reporter.send(Reporter::State(Box::new(state.clone())));
                });
                self.prune();
            }
            Question::MayCreateSource => {
                if self.book.as_ref().is_some_and(|book| !book.has_followed()) {
                    self.args.kv_watcher.send(KvWatcher::CreateSource);
                }
            }
        }
    }

    fn overview(&self) -> Overview {
        let book = self.book.as_ref();
        Overview {
            states: book.map(|book| book.states().cloned().collect()).unwrap_or_default(),
            counts: book.map(Book::counts).unwrap_or_default(),
            reasons: self.reasons.words(book, Hold::left(self.args.hold, self.args.clock).is_some()),
        }
    }

    fn confirm(&mut self, names: &[DeploymentName]) -> Result<Vec<DeploymentName>, NotConfirmed> {
        let book = self.book.as_mut().ok_or(NotConfirmed::Starting)?;
        let records = book.confirm(names)?;
        records.into_iter().for_each(|record| self.writes.push(Write::Save(record)));
        Ok(names.to_vec())
    }

    fn reconcile(&mut self, name: Option<DeploymentName>) -> Option<Vec<DeploymentName>> {
        if let Some(name) =
            name.as_ref().filter(|name| self.book.as_ref().is_some_and(|b| b.is_quarantined(name)))
        {
            self.release(name);
            return Some(vec![name.clone()]);
        }
        let all: Vec<DeploymentName> = self.book.as_ref()?.duties().cloned().collect();
        let chosen = match name {
            Some(name) => vec![all.into_iter().find(|known| *known == name)?],
            None => all,
        };
        self.args.observer.send(Observer::Relist);
        Some(chosen)
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

/// What is worth a line in the log: a state changes more often than its meaning does.
type Gist = (Phase, Option<u64>, Option<String>);

fn log_state(logged: &mut BTreeMap<DeploymentName, Gist>, state: &DeploymentState) {
    let error = state.last_error.as_ref().map(|error| format!("{}: {}", error.code, error.message));
    let gist: Gist = (state.phase, state.observed_revision, error.clone());
    if logged.insert(state.deployment.clone(), gist.clone()) == Some(gist) {
        return;
    }
    let (deployment, phase, revision) = (&state.deployment, state.phase, state.observed_revision);
    match error {
        Some(error) => tracing::warn!(%deployment, %phase, revision, "{error}"),
        None => tracing::info!(%deployment, %phase, revision, "state"),
    }
}

fn log_dropped(entries: usize) {
    if entries > 0 {
        tracing::info!(entries, "desired state dropped: [agent] runtime_enabled is false");
    }
}

fn describe(write: &Write) -> String {
    match write {
        Write::Save(record) => format!("writing the record of {}", record.name),
        Write::Forget(name) => format!("forgetting {name}"),
        Write::Followed(_) => "writing which bucket is followed".to_owned(),
    }
}

fn perform(store: &dyn LedgerStore, write: Write) -> DiskNews {
    let done = match &write {
        Write::Save(record) => store.save(record),
        Write::Forget(name) => store.forget(name),
        Write::Followed(followed) => store.save_followed(followed),
    };
    match (done, write) {
        (Err(error), _) => DiskNews::Failed(error),
        (Ok(()), Write::Save(record)) => DiskNews::Saved(record),
        (Ok(()), Write::Forget(name)) => DiskNews::Forgotten(name),
        (Ok(()), Write::Followed(followed)) => DiskNews::FollowedSaved(followed),
    }
}

#[cfg(test)]
mod tests;
