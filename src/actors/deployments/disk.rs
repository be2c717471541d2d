//! The ledger: read at the start, written before anything is acted on.
use super::*;
use crate::domain::ledger::{Ledger, Record};
use crate::store::StoreError;

/// A full or read-only disk is tried again this often: nothing new is accepted meanwhile.
const DISK_RETRY: Duration = Duration::from_secs(10);
/// How long what is told of a job waits for the note of its end: a disk that hangs neither takes nor refuses it.
const NOTED_WITHIN: Duration = Duration::from_secs(10);

impl Deployments {
    pub(super) fn load(&self, ctx: &mut Context<Message>) {
        let store = self.args.store.clone();
        ctx.spawn_blocking("reading the ledger", move || Message::Disk(DiskNews::Loaded(store.load())));
    }

    pub(super) fn on_disk(&mut self, news: DiskNews, ctx: &mut Context<Message>) {
        match news {
            DiskNews::Loaded(Ok(ledger)) => self.on_loaded(ledger, ctx),
            DiskNews::Loaded(Err(error)) => self.on_not_loaded(&error, ctx),
            DiskNews::LoadAgain => self.load(ctx),
            DiskNews::Saved(record) => {
                let name = record.name.clone();
                self.written(&file_of(&name));
                if let Some(book) = &mut self.book {
                    let before = book.task(&name);
                    let duty = book.saved(record);
                    let is_another = book.task(&name) != before;
                    if let Some(duty) = duty {
                        self.on_duty(&name, duty, is_another);
                    }
                }
                // A removal that was taken back at once may have dropped them.
                self.note_ends(&name, ctx);
                self.counted();
            }
            DiskNews::FollowedSaved(_) => self.written("followed"),
            DiskNews::ImagesSaved => self.written("images"),
            DiskNews::Forgotten(name) => {
                self.written(&file_of(&name));
                let is_objected = self.book.as_ref().is_some_and(|book| book.objects_to(&name));
                if self.book.as_mut().is_some_and(|book| book.forgotten(&name)) {
                    // Its document is not carried out, and still there: to be told of again.
                    if is_objected {
                        self.args.kv_watcher.send(KvWatcher::Resnapshot);
                    }
                    tracing::info!(deployment = %name, "gone");
                    self.room_was_made();
                    self.args.reconcilers.retire(&name);
                    self.logged.remove(&name);
                    self.on_images_of_nobody(&name, ctx);
                    self.args.reporter.send(Reporter::Gone(name));
                }
            }
            DiskNews::Failed(error) => self.on_write_failed(&error, ctx),
            DiskNews::NotNoted => self.book.iter_mut().for_each(Book::not_noted),
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
        self.reasons.lost = ledger.quarantined.iter().cloned().collect();
        for name in &ledger.doubtful {
            tracing::error!(deployment = %name, "its newest record cannot be read: kept as it is until the bucket was asked");
        }
        tracing::info!(deployments = ledger.records.len(), "the ledger is read");
        self.images.begin(ledger.images.clone());
        let mut book = Book::new(self.args.device.clone(), ledger, self.args.reading.clone());
        if let Some((name, how)) = self.args.blamed.take() {
            tracing::error!(deployment = %name, how, "its document ended the process before this one");
            let record = book.blame(&name, &how);
            self.counting = record.is_some();
            self.write(record);
        }
        // Told to nobody, if this actor was down or had not read the ledger.
        for (name, how) in self.args.reconcilers.parked() {
            let record = book.parked_before(&name, &how);
            self.write(record);
        }
        self.book = Some(book);
        self.on_images_known(ctx);
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

    pub(super) fn assign(&self, name: &DeploymentName, duty: Duty) {
        self.args.reconcilers.ensure(name.clone());
        // One that is not up yet asks when it is.
        self.args.reconcilers.send(name, order(duty));
    }

    /// What it did with another task is forgiven. A note of its own is none.
    fn on_duty(&self, name: &DeploymentName, duty: Duty, is_another: bool) {
        if is_another {
            self.args.reconcilers.renew(name.clone());
            self.assign(name, duty);
        } else {
            self.args.reconcilers.send(name, order(duty));
        }
    }

    pub(super) fn note_ends(&mut self, name: &DeploymentName, ctx: &mut Context<Message>) {
        let record = self.book.as_mut().and_then(|book| book.note_ends(name, Timestamp::now()));
        if record.is_some() && !ctx.has_timer("noting") {
            ctx.after("noting", NOTED_WITHIN, Message::Disk(DiskNews::NotNoted));
        }
        self.write(record);
    }

    pub(super) fn write(&mut self, record: Option<Record>) {
        record.into_iter().for_each(|record| self.writes.push(Write::Save(record)));
    }

    fn written(&mut self, file: &str) {
        self.writes.done();
        self.reasons.lost.remove(file);
        if !self.writes.is_failing() && std::mem::take(&mut self.reasons.disk_failing) {
            tracing::info!("the state directory can be written again");
        }
    }

    fn on_write_failed(&mut self, error: &StoreError, ctx: &mut Context<Message>) {
        self.writes.failed();
        self.book.iter_mut().for_each(Book::not_noted);
        self.counted();
        if !std::mem::replace(&mut self.reasons.disk_failing, true) {
            tracing::error!(%error, "the ledger cannot be written: what is new in it is accepted when it can");
        }
        ctx.after("disk", DISK_RETRY, Message::Disk(DiskNews::Retry));
    }

    /// Makes the next write. While the disk fails, only the timer tries again.
    pub(super) fn write_on(&mut self, ctx: &mut Context<Message>) {
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
}

/// As the ledger names what it could not read.
fn file_of(name: &DeploymentName) -> String {
    format!("deployments/{name}")
}

fn describe(write: &Write) -> String {
    match write {
        Write::Save(record) => format!("writing the record of {}", record.name),
        Write::Forget(name) => format!("forgetting {name}"),
        Write::Followed(_) => "writing which bucket is followed".to_owned(),
        Write::Images(_) => "writing which images were brought here".to_owned(),
    }
}

fn perform(store: &dyn LedgerStore, write: Write) -> DiskNews {
    let done = match &write {
        Write::Save(record) => store.save(record),
        Write::Forget(name) => store.forget(name),
        Write::Followed(followed) => store.save_followed(followed),
        Write::Images(images) => store.save_images(images),
    };
    match (done, write) {
        (Err(error), _) => DiskNews::Failed(error),
        (Ok(()), Write::Save(record)) => DiskNews::Saved(record),
        (Ok(()), Write::Forget(name)) => DiskNews::Forgotten(name),
        (Ok(()), Write::Followed(followed)) => DiskNews::FollowedSaved(followed),
        (Ok(()), Write::Images(_)) => DiskNews::ImagesSaved,
    }
}
