//! What the agent's world can do to it that the fakes alone cannot: a disk that fails for a while and
//! tells what had happened before each write.
use fleet_agent::domain::images::Note;
use fleet_agent::domain::ledger::{Followed, Ledger, Record};
use fleet_agent::runtime::fake::FakeRuntime;
use fleet_agent::store::fake::{Fail, FakeLedger, Write};
use fleet_agent::store::{LedgerStore, StoreError};
use fleet_contracts::DeploymentName;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

pub struct Disk {
    ledger: FakeLedger,
    is_full: AtomicBool,
    is_unreadable: AtomicBool,
    is_forgetful: AtomicBool,
    runtime: FakeRuntime,
    /// The name in each durable record, with the effects on the runtime that came before it.
    saved: Mutex<Vec<(DeploymentName, Vec<String>)>>,
}

impl Disk {
    pub fn new(runtime: FakeRuntime) -> Self {
        let ledger = FakeLedger::default();
        Self {
            ledger,
            is_full: AtomicBool::new(false),
            is_unreadable: AtomicBool::new(false),
            is_forgetful: AtomicBool::new(false),
            runtime,
            saved: Mutex::default(),
        }
    }

    /// From now on every write fails, or none.
    pub fn is_full(&self, full: bool) {
        self.is_full.store(full, Ordering::SeqCst);
    }

    /// The next write stands, yet its sync fails.
    pub fn fails_the_next_sync(&self) {
        self.ledger.fail_next(Fail::After(ErrorKind::Other));
    }

    /// From now on no read succeeds, or each.
    pub fn is_unreadable(&self, unreadable: bool) {
        self.is_unreadable.store(unreadable, Ordering::SeqCst);
    }

    /// Whatever was written is not there when it is read.
    pub fn forget_everything(&self) {
        self.is_forgetful.store(true, Ordering::SeqCst);
    }

    /// The newest record of this deployment cannot be read any more: the first one is what is left.
    pub fn loses_all_but_the_first_record_of(&self, name: &str) {
        let first = self.ledger.journal().into_iter().find_map(|write| match write {
            Write::Saved(record) if record.name.as_str() == name => Some(record),
            _ => None,
        });
        let first = first.expect("it was saved");
        self.ledger.save(&first).unwrap();
        self.ledger.damage_the_newer_copy(&first.name);
    }

    pub fn writes(&self) -> Vec<Write> {
        self.ledger.journal()
    }

    /// The effects that came before each durable record of this deployment.
    pub fn effects_before_saves_of(&self, name: &str) -> Vec<Vec<String>> {
        let saved = self.saved.lock().unwrap();
        saved.iter().filter(|(of, _)| of.as_str() == name).map(|(_, effects)| effects.clone()).collect()
    }

    fn ready(&self) -> Result<(), StoreError> {
        if !self.is_full.load(Ordering::SeqCst) {
            return Ok(());
        }
        Err(failed("write", ErrorKind::StorageFull))
    }
}

fn failed(operation: &'static str, kind: ErrorKind) -> StoreError {
    StoreError { operation, path: PathBuf::from("/fake"), source: kind.into() }
}

impl LedgerStore for Disk {
    fn load(&self) -> Result<Ledger, StoreError> {
        if self.is_unreadable.load(Ordering::SeqCst) {
            return Err(failed("read", ErrorKind::PermissionDenied));
        }
        if self.is_forgetful.load(Ordering::SeqCst) {
            return Ok(Ledger::default());
        }
        self.ledger.load()
    }

    fn save(&self, record: &Record) -> Result<(), StoreError> {
        self.ready()?;
        self.ledger.save(record)?;
        self.saved.lock().unwrap().push((record.name.clone(), self.runtime.journal()));
        Ok(())
    }

    fn forget(&self, name: &DeploymentName) -> Result<(), StoreError> {
        self.ready()?;
        self.ledger.forget(name)
    }

    fn save_followed(&self, followed: &Followed) -> Result<(), StoreError> {
        self.ready()?;
        self.ledger.save_followed(followed)
    }

    fn save_images(&self, images: &Note) -> Result<(), StoreError> {
        self.ready()?;
        self.ledger.save_images(images)
    }
}
