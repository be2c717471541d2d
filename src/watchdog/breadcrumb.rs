//! `last-crash` in the state directory: why a process ended that could not go on, for the next one.
use super::atomic;
use super::last_words::{self, Words};
use crate::domain::ledger::Fingerprint;
use fleet_contracts::{DeploymentName, Timestamp};
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

pub const FILE: &str = "last-crash";
/// The one that was told of last.
pub const PREVIOUS: &str = "last-crash.prev";
/// Names and a reason fit; a file that nobody limits would grow with the longest error.
const LONGEST_TEXT: usize = 1000;
const LONGEST_FILE: u64 = 16 * 1024;
/// A disk that does not answer must not keep a hanging process alive.
const WITHIN: Duration = Duration::from_secs(3);
/// sysexits(3) EX_SOFTWARE.
const EXIT: i32 = 70;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Breadcrumb {
    pub at: Timestamp,
    pub agent_version: String,
    pub pid: u32,
    /// At most 1000 bytes.
    pub reason: String,
    /// Which deployment was being worked on, when it is known; with `#` and a fingerprint, which document was read.
    #[serde(default)]
    pub deployment: Option<String>,
}

/// What the process before this one left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastCrash {
    pub line: String,
    pub deployment: Option<DeploymentName>,
    /// The document of it that was being read; None: it was being worked on.
    pub reading: Option<Fingerprint>,
}

impl LastCrash {
    /// `working_on` is what the thread had said that it works on.
    fn new(line: String, working_on: Option<&str>) -> Self {
        let (name, document) = match working_on.and_then(|text| text.split_once('#')) {
            Some((name, document)) => (Some(name), Some(document)),
            None => (working_on, None),
        };
        let reading = document.map(Fingerprint::parse);
        // Half a word accuses nobody.
        let name = name.filter(|_| reading != Some(None));
        Self { line, deployment: name.and_then(|name| name.parse().ok()), reading: reading.flatten() }
    }
}

impl Breadcrumb {
    /// Of this process, now.
    pub fn new(agent_version: &str, reason: impl Into<String>) -> Self {
        let mut reason = reason.into();
        reason.truncate(reason.floor_char_boundary(LONGEST_TEXT));
        Self {
            at: Timestamp::now(),
            agent_version: agent_version.to_owned(),
            pid: std::process::id(),
            reason,
            deployment: None,
        }
    }

    /// The deployment that is to blame, if one is.
    pub fn blaming(self, deployment: Option<String>) -> Self {
        Self { deployment, ..self }
    }

    /// Leaves it in the state directory, over an older one.
    ///
    /// # Errors
    /// The disk does not take it.
    pub fn leave(&self, state_dir: &Path) -> io::Result<()> {
        let mut text = serde_json::to_vec(self).map_err(io::Error::other)?;
        text.push(b'\n');
        atomic::write(&state_dir.join(FILE), &text)
    }
}

/// Why the former process ended by a fault of its own, and logs it; told once: the file is renamed. None when
/// it did not.
pub fn collect(state_dir: &Path) -> Option<LastCrash> {
    let found = left(state_dir).or_else(|| aborted(last_words::collect(state_dir)?))?;
    tracing::warn!(last_crash = %found.line, "the process before this one ended itself");
    Some(found)
}

fn left(state_dir: &Path) -> Option<LastCrash> {
    let path = state_dir.join(FILE);
    let unreadable = |line: String| LastCrash::new(line, None);
    let found = match read(&path) {
        Ok(text) => match serde_json::from_slice::<Breadcrumb>(&text) {
            Ok(left) => LastCrash::new(format!("{} {}", left.at, left.reason), left.deployment.as_deref()),
            Err(_) => unreadable("it left a word that cannot be read".to_owned()),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
        Err(error) => unreadable(format!("it left a word that cannot be read: {error}")),
    };
    if let Err(error) = fs::rename(&path, state_dir.join(PREVIOUS)) {
        tracing::warn!(%error, file = %path.display(), "will be told again: it cannot be renamed");
    }
    Some(found)
}

/// When it aborted nobody knows: a signal handler has no calendar.
fn aborted(words: Words) -> Option<LastCrash> {
    let Words { signal, worked_on } = words;
    let found = LastCrash::new(String::new(), Some(&worked_on));
    let what = if found.reading.is_some() { "read a document of" } else { "worked on" };
    let at = found.deployment.as_ref().map(|name| format!(" while it {what} {name}")).unwrap_or_default();
    Some(LastCrash { line: format!("aborted by {signal}{at}"), ..found })
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    File::open(path)?.take(LONGEST_FILE).read_to_end(&mut text)?;
    Ok(text)
}

/// Leaves a breadcrumb and ends the process with exit code 70, whatever other threads hold or do.
pub fn end_process(state_dir: &Path, breadcrumb: Breadcrumb) -> ! {
    let (done, is_done) = mpsc::channel();
    let state_dir = state_dir.to_owned();
    // The disk, and whoever reads the log, may be what hangs.
    let last_words = thread::Builder::new().spawn(move || {
        let left = breadcrumb.leave(&state_dir);
        tracing::error!(reason = %breadcrumb.reason, ?left, "the process hangs and ends itself");
        done.send(())
    });
    if last_words.is_ok() {
        let _ = is_done.recv_timeout(WITHIN);
    }
    // SAFETY: takes a number and does not return. `std::process::exit` runs what was registered for the
    // end, which may wait for what hangs.
    #[allow(unsafe_code)]
    unsafe {
        libc::_exit(EXIT)
    }
}

#[cfg(test)]
mod tests;
