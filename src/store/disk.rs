//! The ledger on a disk: one file per deployment, each with the copy before it.
//!
//! ```text
//! <state_dir>/deployments/<name>  <name>.prev     accepted desired state
//!             followed  followed.prev             the bucket that was followed
//!             images  images.prev                 what was brought here by pulls
//!             quarantine/<n>-<file>               what could not be read, for a person to look at
//! ```
//! Files of other names are left alone.
use super::envelope::Kind;
use super::pair::{self, Copy, Pair};
use super::{LedgerStore, StoreError, written};
use crate::domain::images::Note;
use crate::domain::ledger::{Followed, Ledger, Record};
use fleet_contracts::DeploymentName;
use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Enough to look at what happened; a disk that damages files every day must not be filled by them.
const QUARANTINE_MAX: usize = 16;
const DEPLOYMENTS: &str = "deployments";
const FOLLOWED: &str = "followed";
const IMAGES: &str = "images";
const QUARANTINE: &str = "quarantine";

pub struct DiskLedger {
    state_dir: PathBuf,
    deployments: PathBuf,
    /// Two writers of one file would share its temporary copy.
    writing: Mutex<()>,
}

impl DiskLedger {
    /// Creates what is missing of the directories (mode 0700); reads nothing yet.
    pub fn new(state_dir: &Path) -> Result<Self, StoreError> {
        let deployments = state_dir.join(DEPLOYMENTS);
        if !deployments.is_dir() {
            pair::create_directory(&deployments)?;
            pair::sync_directory(state_dir)?;
            // The entry of the state directory itself must survive as well.
            if let Some(parent) = state_dir.parent().filter(|parent| parent.is_dir()) {
                pair::sync_directory(parent)?;
            }
        }
        Ok(Self { state_dir: state_dir.to_owned(), deployments, writing: Mutex::new(()) })
    }

    /// Names what is unreadable in both copies, and changes nothing: another process may own the
    /// directory.
    pub fn check(state_dir: &Path) -> Result<Vec<String>, StoreError> {
        let deployments = state_dir.join(DEPLOYMENTS);
        let files = if deployments.is_dir() { files_of(&deployments)? } else { Vec::new() };
        let stems = files.iter().filter_map(|file| file.strip_suffix(".prev").unwrap_or(file).parse().ok());
        let names: BTreeSet<DeploymentName> = stems.collect();
        let mut bad = Vec::new();
        for name in names {
            if !is_readable(&Pair::new(&deployments, name.as_str()), |bytes| {
                written::open_record(bytes, &name)
            })? {
                bad.push(format!("{DEPLOYMENTS}/{name}"));
            }
        }
        if !is_readable(&Pair::new(state_dir, FOLLOWED), written::open_followed)? {
            bad.push(FOLLOWED.to_owned());
        }
        Ok(bad)
    }

    fn exclusive(&self) -> MutexGuard<'_, ()> {
        // The lock guards no data: what a panicking writer left behind is a temporary file.
        self.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn record_pair(&self, name: &DeploymentName) -> Pair {
        Pair::new(&self.deployments, name.as_str())
    }

    fn followed_pair(&self) -> Pair {
        Pair::new(&self.state_dir, FOLLOWED)
    }

    fn images_pair(&self) -> Pair {
        Pair::new(&self.state_dir, IMAGES)
    }

    /// The names of which any copy is there, in order; temporary files are swept on the way.
    fn names(&self) -> Result<BTreeSet<DeploymentName>, StoreError> {
        let mut names = BTreeSet::new();
        for file in files_of(&self.deployments)? {
            if file.ends_with(".tmp") {
                sweep(&self.deployments.join(&file));
                continue;
            }
            let stem = file.strip_suffix(".prev").or_else(|| file.strip_suffix(".lost")).unwrap_or(&file);
            match stem.parse() {
                Ok(name) => drop(names.insert(name)),
                Err(_) => tracing::debug!(file, "not a file of the ledger, left alone"),
            }
        }
        Ok(names)
    }

    /// Reads one pair: the current copy, else the one before. Bad in both: moved aside and named.
    fn read<T>(
        &self,
        pair: &Pair,
        label: String,
        decode: impl Fn(&[u8]) -> Result<T, String>,
        quarantined: &mut Vec<String>,
    ) -> Result<Found<T>, StoreError> {
        let current = pair::read_copy(pair.current(), &decode)?;
        let why = match current {
            Copy::Good(value) => {
                // Left by a crash between the rename and this removal.
                sweep(&pair.lost());
                return Ok(Found::Newest(value));
            }
            Copy::Bad(why) => Some(why),
            Copy::Missing => None,
        };
        let previous = pair::read_copy(&pair.previous(), &decode)?;
        if let Copy::Good(value) = previous {
            tracing::warn!(file = label, reason = why.as_deref().unwrap_or("missing"), "previous copy used");
            return Ok(Found::Older(value));
        }
        let both_missing = why.is_none() && matches!(previous, Copy::Missing);
        if !both_missing {
            tracing::error!(file = label, reason = why.as_deref().unwrap_or("missing"), "no readable copy");
            self.quarantine(pair);
            quarantined.push(label);
        } else if pair.lost().exists() {
            quarantined.push(label);
        }
        Ok(Found::Nothing)
    }

    /// Moves both copies aside. A disk that refuses (full, read-only) keeps them where they are: the
    /// next start finds them as bad as they were.
    fn quarantine(&self, pair: &Pair) {
        let aside = self.state_dir.join(QUARANTINE);
        let moved = pair::create_directory(&aside).and_then(|()| {
            let lost = pair.lost();
            fs::write(&lost, []).map_err(StoreError::on("create", &lost))?;
            move_aside(&pair.previous(), &aside)?;
            move_aside(pair.current(), &aside)?;
            pair::sync_directory(&aside)
        });
        if let Err(error) = moved {
            tracing::warn!(error = %error, "a damaged file could not be moved aside");
        }
    }
}

/// What one pair of copies held.
enum Found<T> {
    Newest(T),
    /// The newer copy is there and cannot be read.
    Older(T),
    Nothing,
}

impl<T> Found<T> {
    fn value(self) -> Option<T> {
        match self {
            Found::Newest(value) | Found::Older(value) => Some(value),
            Found::Nothing => None,
        }
    }
}

/// Whether one copy is good, or none is there at all.
fn is_readable<T>(pair: &Pair, decode: impl Fn(&[u8]) -> Result<T, String>) -> Result<bool, StoreError> {
    let current = pair::read_copy(pair.current(), &decode)?;
    let previous = pair::read_copy(&pair.previous(), &decode)?;
    Ok(!matches!(
        (current, previous),
        (Copy::Bad(_), Copy::Bad(_) | Copy::Missing) | (Copy::Missing, Copy::Bad(_))
    ))
}

impl LedgerStore for DiskLedger {
    fn load(&self) -> Result<Ledger, StoreError> {
        let _writing = self.exclusive();
        // What a process before this one renamed and did not live to sync would be read here, acted on, and be gone
        // after a power cut. A disk that refuses keeps nobody from reading.
        for directory in [&self.deployments, &self.state_dir] {
            if let Err(error) = pair::sync_directory(directory) {
                tracing::warn!(%error, "what is read may not be durable yet");
            }
        }
        let mut ledger = Ledger::default();
        for name in self.names()? {
            let decode = |bytes: &[u8]| written::open_record(bytes, &name);
            let label = format!("{DEPLOYMENTS}/{name}");
            let found = self.read(&self.record_pair(&name), label, decode, &mut ledger.quarantined)?;
            if matches!(found, Found::Older(_)) {
                ledger.doubtful.insert(name.clone());
            }
            ledger.records.extend(found.value());
        }
        for (file, temporary) in
            [FOLLOWED, IMAGES].into_iter().flat_map(|file| [(file, ".tmp"), (file, ".prev.tmp")])
        {
            sweep(&self.state_dir.join(format!("{file}{temporary}")));
        }
        // Nothing that runs depends on it: without it nothing is removed, and nobody has to be told.
        let mut unread = Vec::new();
        let images = self.read(&self.images_pair(), IMAGES.to_owned(), written::open_images, &mut unread)?;
        ledger.images = images.value().unwrap_or_default();
        ledger.followed = self
            .read(
                &self.followed_pair(),
                FOLLOWED.to_owned(),
                written::open_followed,
                &mut ledger.quarantined,
            )?
            .value();
        Ok(ledger)
    }

    fn save(&self, record: &Record) -> Result<(), StoreError> {
        let pair = self.record_pair(&record.name);
        let sealed = written::seal_record(record).map_err(StoreError::on("encode", pair.current()))?;
        let _writing = self.exclusive();
        pair.write(Kind::Deployment, &sealed)
    }

    fn forget(&self, name: &DeploymentName) -> Result<(), StoreError> {
        let _writing = self.exclusive();
        self.record_pair(name).remove()
    }

    fn save_followed(&self, followed: &Followed) -> Result<(), StoreError> {
        let pair = self.followed_pair();
        let sealed = written::seal_followed(followed).map_err(StoreError::on("encode", pair.current()))?;
        let _writing = self.exclusive();
        pair.write(Kind::Followed, &sealed)
    }

    fn save_images(&self, images: &Note) -> Result<(), StoreError> {
        let pair = self.images_pair();
        let sealed = written::seal_images(images).map_err(StoreError::on("encode", pair.current()))?;
        let _writing = self.exclusive();
        pair.write(Kind::Images, &sealed)
    }
}

/// File names of a directory, those that are no UTF-8 left out: none of them is ours.
fn files_of(directory: &Path) -> Result<Vec<String>, StoreError> {
    let entries = fs::read_dir(directory).map_err(StoreError::on("list", directory))?;
    let mut files = Vec::new();
    for entry in entries {
        let entry = entry.map_err(StoreError::on("list", directory))?;
        files.extend(entry.file_name().into_string());
    }
    Ok(files)
}

/// Removes what is only litter. A disk that refuses is no reason not to start.
fn sweep(path: &Path) {
    if let Err(error) = pair::remove_if_there(path) {
        tracing::warn!(error = %error, "litter stays");
    }
}

/// Moves a file to `<n>-<name>`, n rising, and drops the oldest above [`QUARANTINE_MAX`].
fn move_aside(file: &Path, aside: &Path) -> Result<(), StoreError> {
    let mut kept: Vec<(u64, String)> =
        files_of(aside)?.into_iter().filter_map(|name| Some((sequence(&name)?, name))).collect();
    kept.sort();
    let next = kept.last().map_or(1, |(last, _)| last.saturating_add(1));
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let target = aside.join(format!("{next}-{name}"));
    match fs::rename(file, &target) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(StoreError::on("move aside", file)(error)),
    }
    let above = (kept.len() + 1).saturating_sub(QUARANTINE_MAX);
    for (_, oldest) in kept.iter().take(above) {
        pair::remove_if_there(&aside.join(oldest))?;
    }
    Ok(())
}

fn sequence(name: &str) -> Option<u64> {
    name.split_once('-')?.0.parse().ok()
}

#[cfg(test)]
mod tests;
