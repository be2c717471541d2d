//! Which images are safely on the disk: a power cut within seconds of a pull leaves one that is listed and whose
//! containers fail.
//!
//! What has landed and is not synced is known to this process. That there is something at all is also known to the
//! next one, by a file that is there from before a pull until the sync after it: who finds it syncs before it uses an
//! image. The file need not outlive a power cut, after which there is nothing left to sync.
use super::errors::Failure;
use super::storage;
use crate::questions::{self, About};
use crate::runtime::{ErrorKind, RuntimeError};
use fleet_contracts::desired::archive_path;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::OnceCell;

/// Less than a create may take, so that what it waited for is told.
const SETTLED_WITHIN: Duration = Duration::from_secs(40);
/// To make or to find an empty file. A disk that takes longer is told by those who need it more.
const MARKED_WITHIN: Duration = Duration::from_secs(5);

/// Ends when a sync does, well or not, however long that takes; who does not wait for it loses nothing.
pub(super) type Syncing = Shared<BoxFuture<'static, ()>>;

/// What has landed and is not synced yet.
#[derive(Clone)]
pub(super) struct Syncs {
    socket: PathBuf,
    /// Tells the next process; None: nothing tells it.
    marker: Option<PathBuf>,
    /// Whether the process before this one left its marker was looked at.
    looked: Arc<OnceCell<()>>,
    book: Arc<Mutex<Book>>,
    /// One sync at a time: each takes a thread, and a disk that hangs keeps it.
    one: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Default)]
struct Book {
    turn: u64,
    /// Reference → the turn in which podman had it.
    landed: BTreeMap<String, u64>,
    /// The process before this one left something: nobody knows which images.
    is_left: bool,
    /// Pulls that go on.
    pulls: usize,
    /// A sync that has not begun: it is for all who come until then.
    next: Option<Syncing>,
}

impl Book {
    fn landed(&mut self, reference: &str) {
        self.turn += 1;
        self.landed.insert(reference.to_owned(), self.turn);
    }

    /// A sync that began at this turn is over; what has landed since is not in it.
    fn synced(&mut self, at: u64) {
        self.landed.retain(|_, turn| *turn > at);
        self.is_left = false;
    }

    fn is_open(&self, reference: &str) -> bool {
        self.is_left || self.landed.contains_key(reference)
    }

    fn needs_sync(&self) -> bool {
        self.is_left || !self.landed.is_empty()
    }

    /// Whether the next process has to know of something.
    fn is_marked(&self) -> bool {
        self.pulls > 0 || self.needs_sync()
    }
}

impl Syncs {
    pub(super) fn new(socket: PathBuf, marker: Option<PathBuf>) -> Self {
        Self { socket, marker, looked: Arc::default(), book: Arc::default(), one: Arc::default() }
    }

    /// Before podman is asked for the image.
    pub(super) async fn landing(&self, reference: &str) -> Landing {
        // Else the mark of this pull would be taken for one that was left.
        self.look().await;
        self.book().pulls += 1;
        let landing = Landing { syncs: self.clone(), reference: reference.to_owned(), has_nothing: false };
        self.mark().await;
        landing
    }

    /// Whether the image has to be synced before it is used, if it is there.
    pub(super) async fn is_open(&self, reference: &str) -> bool {
        self.look().await;
        self.book().is_open(reference)
    }

    /// Before an image that is there is used: its pull may have been cut off before the sync was over.
    pub(super) async fn settle(&self, reference: &str) -> Result<(), Failure> {
        let waited = tokio::time::timeout(SETTLED_WITHIN, self.begin()).await;
        if waited.is_ok() && !self.book().is_open(reference) {
            return Ok(());
        }
        let message = format!("image {reference} is here, and not safely on the disk yet");
        Err(Failure::Status { code: 400, message })
    }

    fn begin(&self) -> Syncing {
        let mut book = self.book();
        if let Some(next) = &book.next {
            return next.clone();
        }
        let task = tokio::spawn(self.clone().run());
        let next = task.map(drop).boxed().shared();
        book.next = Some(next.clone());
        next
    }

    async fn run(self) {
        let one = self.one.lock().await;
        let (at, is_needed) = {
            let mut book = self.book();
            book.next = None;
            (book.turn, book.needs_sync())
        };
        if is_needed && storage::sync(self.socket.clone()).await {
            self.book().synced(at);
        }
        drop(one);
        self.mark().await;
    }

    /// A disk that does not answer may hold a marker.
    async fn look(&self) {
        let look = || async {
            let Some(marker) = self.marker.clone() else { return };
            let is_there = questions::ask(about(&marker), MARKED_WITHIN, move || marker.exists()).await;
            self.book().is_left = is_there.unwrap_or(true);
        };
        self.looked.get_or_init(look).await;
    }

    /// Makes or removes the marker, by what is so when its turn comes: of these questions one is put at a time.
    async fn mark(&self) {
        let Some(marker) = self.marker.clone() else { return };
        let (about, book) = (about(&marker), self.book.clone());
        let question = move || {
            if lock(&book).is_marked() {
                return std::fs::write(&marker, b"");
            }
            match std::fs::remove_file(&marker) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            }
        };
        match questions::ask(about, MARKED_WITHIN, question).await {
            Some(Ok(())) => {}
            // A pull need not wait for that.
            Some(Err(error)) => tracing::warn!(%error, "the next process is not told what is to be synced"),
            None => {
                tracing::warn!("the next process is not told what is to be synced: no answer from the disk")
            }
        }
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        lock(&self.book)
    }
}

fn about(marker: &Path) -> About {
    About::Path(marker.to_string_lossy().into_owned())
}

fn lock(book: &Mutex<Book>) -> MutexGuard<'_, Book> {
    book.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A pull. However it ends, also cut off at any moment, podman may have the image by then.
pub(super) struct Landing {
    syncs: Syncs,
    reference: String,
    has_nothing: bool,
}

impl Landing {
    pub(super) fn sync(self) -> Syncing {
        let syncs = self.syncs.clone();
        drop(self);
        syncs.begin()
    }

    /// It failed. Where podman itself says why, it has no image by it; a load has several steps, of which one may have
    /// been done.
    pub(super) async fn failed(mut self, error: &RuntimeError) {
        let is_word = matches!(error.kind, ErrorKind::Pull | ErrorKind::RegistryAuth);
        self.has_nothing = is_word && archive_path(&self.reference).is_none();
        let syncs = self.syncs.clone();
        drop(self);
        syncs.mark().await;
    }
}

impl Drop for Landing {
    fn drop(&mut self) {
        let mut book = self.syncs.book();
        book.pulls -= 1;
        if !self.has_nothing {
            book.landed(&self.reference);
        }
    }
}

#[cfg(test)]
pub(super) mod tests;
