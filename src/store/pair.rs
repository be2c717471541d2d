//! A file that is never half written, and the copy before it.
//!
//! `x` is the value, `x.prev` the one before, `x.tmp` and `x.prev.tmp` are being made. `x.lost`
//! remembers that both copies were bad, until the next good one is written.
//!
//! write:  x.tmp written and synced → x.prev.tmp is a second name of x → renamed to x.prev →
//!         x.tmp renamed to x → directory synced. `x` exists at every moment.
//! remove: x.prev, directory synced, x, directory synced: the old copy never outlives the new one.
use super::StoreError;
use super::envelope::{self, Kind};
use crate::faults;
use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Above any record: a document is at most 256 KiB. Keeps a stray huge file from filling memory.
pub(super) const MAX_FILE: u64 = 1024 * 1024;

/// Documents carry secrets in `env`: nobody else reads them.
const FILE_MODE: u32 = 0o600;
const DIR_MODE: u32 = 0o700;

/// errno(3): the device said no.
const EIO: i32 = 5;

/// What one copy on disk turned out to be.
pub(super) enum Copy<T> {
    Good(T),
    Missing,
    Bad(String),
}

pub(super) struct Pair {
    directory: PathBuf,
    current: PathBuf,
}

impl Pair {
    pub fn new(directory: &Path, name: &str) -> Self {
        Self { directory: directory.to_owned(), current: directory.join(name) }
    }

    pub fn current(&self) -> &Path {
        &self.current
    }

    pub fn previous(&self) -> PathBuf {
        self.beside(".prev")
    }

    pub fn lost(&self) -> PathBuf {
        self.beside(".lost")
    }

    fn beside(&self, suffix: &str) -> PathBuf {
        let mut name = OsString::from(&self.current);
        name.push(suffix);
        name.into()
    }

    /// Makes `sealed` the value, durably, and the value until now the previous one.
    pub fn write(&self, kind: Kind, sealed: &[u8]) -> Result<(), StoreError> {
        let temporary = self.beside(".tmp");
        write_synced(&temporary, sealed).inspect_err(|_| {
            // Gives a full disk its bytes back; what cannot be removed is swept at the next start.
            let _ = fs::remove_file(&temporary);
        })?;
        passes("previous", &self.current)?;
        self.keep_previous(kind)?;
        passes("rename", &self.current)?;
        fs::rename(&temporary, &self.current).map_err(StoreError::on("rename onto", &self.current))?;
        remove_if_there(&self.lost())?;
        passes("directory", &self.directory)?;
        sync_directory(&self.directory)
    }

    /// Only a good copy may become the previous one: a damaged value must not push out the last good.
    fn keep_previous(&self, kind: Kind) -> Result<(), StoreError> {
        let Ok(Copy::Good(bytes)) = read_copy(&self.current, |bytes| {
            envelope::open(kind, bytes).map(|_| bytes.to_vec()).map_err(|damage| damage.to_string())
        }) else {
            return Ok(());
        };
        let temporary = self.beside(".prev.tmp");
        remove_if_there(&temporary)?;
        if fs::hard_link(&self.current, &temporary).is_err() {
            // Not every filesystem has hard links.
            write_synced(&temporary, &bytes)?;
        }
        let previous = self.previous();
        fs::rename(&temporary, &previous).map_err(StoreError::on("rename onto", &previous))?;
        // rename(2) of two names of one file does nothing and leaves both: so after a crash right
        // here, when x.prev already is x.
        remove_if_there(&temporary)
    }

    /// Forgets both copies, durably; also when nothing is there, because an earlier call may have
    /// failed after its unlink and before its sync.
    pub fn remove(&self) -> Result<(), StoreError> {
        remove_if_there(&self.previous())?;
        sync_directory(&self.directory)?;
        remove_if_there(&self.current)?;
        remove_if_there(&self.lost())?;
        sync_directory(&self.directory)
    }
}

/// Reads one copy and lets `decode` judge it. EIO is damage, as good as a bad checksum; any other
/// error (too many files, no permission) says nothing about the file and is returned.
pub(super) fn read_copy<T>(
    path: &Path,
    decode: impl FnOnce(&[u8]) -> Result<T, String>,
) -> Result<Copy<T>, StoreError> {
    match read_bounded(path) {
        Ok(Ok(bytes)) => Ok(decode(&bytes).map_or_else(Copy::Bad, Copy::Good)),
        Ok(Err(what)) => Ok(Copy::Bad(what)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Copy::Missing),
        Err(error) if error.raw_os_error() == Some(EIO) => Ok(Copy::Bad(error.to_string())),
        Err(error) => Err(StoreError::on("read", path)(error)),
    }
}

fn read_bounded(path: &Path) -> io::Result<Result<Vec<u8>, String>> {
    let metadata = fs::symlink_metadata(path)?;
    if !metadata.is_file() {
        // A FIFO would block the open, a directory could never be replaced by rename.
        return Ok(Err("not a regular file".into()));
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_FILE + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE {
        return Ok(Err(format!("larger than {MAX_FILE} bytes")));
    }
    Ok(Ok(bytes))
}

fn write_synced(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(FILE_MODE);
    passes("create", path)?;
    let mut file = options.open(path).map_err(StoreError::on("create", path))?;
    passes("write", path)?;
    file.write_all(bytes).map_err(StoreError::on("write", path))?;
    passes("sync", path)?;
    file.sync_all().map_err(StoreError::on("sync", path))
}

/// Each of these is a call that the disk may refuse.
#[cfg(test)]
pub(super) const STEPS: [&str; 6] = ["create", "write", "sync", "previous", "rename", "directory"];

/// Where a test has a step fail.
fn passes(step: &'static str, path: &Path) -> Result<(), StoreError> {
    if faults::hits("disk", step) {
        return Err(StoreError::on(step, path)(io::Error::from_raw_os_error(EIO)));
    }
    Ok(())
}

pub(super) fn sync_directory(path: &Path) -> Result<(), StoreError> {
    File::open(path)
        .and_then(|directory| directory.sync_all())
        .map_err(StoreError::on("sync directory", path))
}

pub(super) fn remove_if_there(path: &Path) -> Result<(), StoreError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(StoreError::on("remove", path)(error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Creates a directory that only the agent may read, with its parents; one that exists is left as
/// it is.
pub(super) fn create_directory(path: &Path) -> Result<(), StoreError> {
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(DIR_MODE);
    builder.create(path).map_err(StoreError::on("create directory", path))
}
