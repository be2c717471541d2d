//! One process at a time owns a state directory.
//!
//! The lock is flock(2) on `<state_dir>/lock`: the kernel gives it back when the process is gone,
//! however it went. The file's content is only for people and for the message of the one refused.
use super::envelope::Kind;
use super::pair::{self, Copy, Pair};
use super::{StoreError, written};
use fleet_contracts::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

const LOCK: &str = "lock";
const EPOCH: &str = "epoch";
/// The file may be replaced between our open and our lock, but hardly this often.
const ATTEMPTS: usize = 5;

/// Who holds a state directory, as written by the holder itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    pub pid: u32,
    pub instance: String,
    pub since: Timestamp,
    #[serde(default)]
    pub epoch: u64,
    /// Name of the running process of that pid; None when there is none (a holder in another pid
    /// namespace, or one that died a moment ago).
    #[serde(skip)]
    pub comm: Option<String>,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {} ", self.pid)?;
        if let Some(comm) = &self.comm {
            write!(f, "({comm}) ")?;
        }
        write!(f, "of instance {} since {}", self.instance, self.since)
    }
}

#[derive(Debug, thiserror::Error)]
pub enum LockError {
    #[error("{} is owned by {}", state_dir.display(), holder_text(holder.as_ref()))]
    Held { state_dir: PathBuf, holder: Option<Holder> },
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn holder_text(holder: Option<&Holder>) -> String {
    holder.map_or_else(|| "another process, which has not said who it is".to_owned(), Holder::to_string)
}

#[derive(Serialize, Deserialize)]
struct Epoch {
    v: u16,
    epoch: u64,
}

/// Ownership of a state directory until dropped.
#[derive(Debug)]
pub struct StateLock {
    file: File,
    path: PathBuf,
    epoch: u64,
}

impl StateLock {
    /// Creates the directory (0700) if it is missing, takes its lock without waiting, and counts up
    /// the ownership epoch durably.
    pub fn acquire(state_dir: &Path, instance: &str) -> Result<Self, LockError> {
        pair::create_directory(state_dir)?;
        let path = state_dir.join(LOCK);
        let file = lock_file(state_dir, &path)?;
        let mut lock = Self { file, path, epoch: 0 };
        lock.epoch = next_epoch(state_dir, read_holder(&lock.file).map_or(0, |last| last.epoch))?;
        if let Err(error) = lock.write_holder(instance) {
            // The text is a courtesy; a full disk must not keep the owner out.
            tracing::warn!(error = %error, "the lock does not say who holds it");
        }
        Ok(lock)
    }

    /// Rises by at least one with every ownership of this directory, from 1 (on a disk that takes no
    /// writes it rises above the last one that could be written).
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Whether the file under the lock's name is still the one that was locked. False after somebody
    /// removed or replaced it: then another process may own the directory too.
    pub fn still_ours(&self) -> bool {
        same_file(&self.file, &self.path).unwrap_or(false)
    }

    fn write_holder(&self, instance: &str) -> Result<(), StoreError> {
        let holder = Holder {
            pid: std::process::id(),
            instance: instance.to_owned(),
            since: Timestamp::now(),
            epoch: self.epoch,
            comm: None,
        };
        let text = serde_json::to_vec(&holder).map_err(io::Error::other);
        text.and_then(|text| {
            let mut file = OpenOptions::new().write(true).open(&self.path)?;
            // Written over, then cut: on a full disk a truncated file may not get its block back.
            file.write_all(&text)?;
            file.set_len(text.len() as u64)
        })
        .map_err(StoreError::on("write", &self.path))
    }
}

fn lock_file(state_dir: &Path, path: &Path) -> Result<File, LockError> {
    for _ in 0..ATTEMPTS {
        let file = open_lock(path).map_err(StoreError::on("open", path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let holder = read_holder(&file).map(with_comm);
                return Err(LockError::Held { state_dir: state_dir.to_owned(), holder });
            }
            Err(TryLockError::Error(error)) => return Err(StoreError::on("lock", path)(error).into()),
        }
        if same_file(&file, path).map_err(StoreError::on("check", path))? {
            return Ok(file);
        }
    }
    Err(StoreError::on("lock", path)(io::Error::other("it is being replaced over and over")).into())
}

/// For reading, which is enough for a lock: a file that is open for writing would keep an administrator from remounting
/// the filesystem read-only, and one that is read-only already could not be owned.
fn open_lock(path: &Path) -> io::Result<File> {
    match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        opened => return opened,
    }
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o600).open(path)?;
    File::open(path)
}

fn same_file(file: &File, path: &Path) -> io::Result<bool> {
    let locked = file.metadata()?;
    match fs::symlink_metadata(path) {
        Ok(named) => Ok((locked.dev(), locked.ino()) == (named.dev(), named.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// What the file says of its holder; None when it is empty or being written just now.
fn read_holder(mut file: &File) -> Option<Holder> {
    let mut text = Vec::new();
    file.rewind().ok()?;
    file.take(4096).read_to_end(&mut text).ok()?;
    serde_json::from_slice(&text).ok()
}

fn with_comm(holder: Holder) -> Holder {
    let comm = fs::read_to_string(format!("/proc/{}/comm", holder.pid)).ok();
    Holder { comm: comm.map(|comm| comm.trim_end().to_owned()), ..holder }
}

/// `last` is the epoch of the holder before us, from the lock file: the floor should the counter be
/// unreadable in both copies.
fn next_epoch(state_dir: &Path, last: u64) -> Result<u64, StoreError> {
    let counter = Pair::new(state_dir, EPOCH);
    let mut highest = last;
    for copy in [counter.current().to_owned(), counter.previous()] {
        match pair::read_copy(&copy, |bytes| written::open::<Epoch>(Kind::Epoch, bytes))? {
            Copy::Good(found) => highest = highest.max(found.epoch),
            Copy::Bad(reason) => tracing::warn!(file = %copy.display(), reason, "counter copy not readable"),
            Copy::Missing => {}
        }
    }
    let epoch = highest.saturating_add(1);
    let sealed = written::seal(Kind::Epoch, &Epoch { v: 1, epoch });
    let sealed = sealed.map_err(StoreError::on("encode", counter.current()))?;
    match counter.write(Kind::Epoch, &sealed) {
        Ok(()) => Ok(epoch),
        Err(error) if cannot_write(&error.source) => {
            // flock alone keeps others out; after this process the number may be given once more.
            tracing::warn!(error = %error, epoch, "the ownership epoch is not durable");
            Ok(epoch)
        }
        Err(error) => Err(error),
    }
}

/// A disk that is full, read-only or broken keeps no agent from owning its device: the lock is the kernel's.
fn cannot_write(error: &io::Error) -> bool {
    use io::ErrorKind::{QuotaExceeded, ReadOnlyFilesystem, StorageFull};
    let broken = error.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error());
    broken || matches!(error.kind(), StorageFull | QuotaExceeded | ReadOnlyFilesystem)
}

#[cfg(test)]
mod tests;
