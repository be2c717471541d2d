//! Which images are safely on the disk: a power cut within seconds of a pull leaves one that is listed and whose
//! containers fail.
use super::errors::Failure;
use super::storage;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::task::JoinHandle;

/// Less than a create may take, so that what it waited for is told.
const SETTLED_WITHIN: Duration = Duration::from_secs(40);

/// What has landed and is not synced yet.
#[derive(Clone)]
pub(super) struct Syncs {
    socket: PathBuf,
    book: Arc<Mutex<Book>>,
    /// One sync at a time: each takes a thread, and a disk that hangs keeps it.
    one: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Default)]
struct Book {
    turn: u64,
    /// Reference → the turn in which podman had it.
    landed: BTreeMap<String, u64>,
}

impl Book {
    fn landed(&mut self, reference: &str) {
        self.turn += 1;
        self.landed.insert(reference.to_owned(), self.turn);
    }

    /// A sync that began at this turn is over; what has landed since is not in it.
    fn synced(&mut self, at: u64) {
        self.landed.retain(|_, turn| *turn > at);
    }
}

impl Syncs {
    pub(super) fn new(socket: PathBuf) -> Self {
        Self { socket, book: Arc::default(), one: Arc::default() }
    }

    pub(super) fn landing(&self, reference: &str) -> Landing {
        Landing { syncs: self.clone(), reference: reference.to_owned() }
    }

    /// Ends when it is done, however long that takes; who does not wait for it loses nothing.
    fn begin(&self) -> JoinHandle<()> {
        let syncs = self.clone();
        tokio::spawn(async move {
            let _one = syncs.one.lock().await;
            let at = syncs.book().turn;
            if !syncs.book().landed.is_empty() {
                storage::sync(syncs.socket.clone()).await;
                syncs.book().synced(at);
            }
        })
    }

    /// Before an image is used: its pull may have been cut off before the sync was over.
    pub(super) async fn settle(&self, reference: &str) -> Result<(), Failure> {
        if self.is_open(reference) && tokio::time::timeout(SETTLED_WITHIN, self.begin()).await.is_err() {
            return Err(Failure::Status {
                code: 400,
                message: format!("image {reference} is here, and not safely on the disk yet"),
            });
        }
        Ok(())
    }

    pub(super) fn is_open(&self, reference: &str) -> bool {
        self.book().landed.contains_key(reference)
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A pull. However it ends, also cut off at any moment, podman may have the image by then.
pub(super) struct Landing {
    syncs: Syncs,
    reference: String,
}

impl Landing {
    pub(super) fn sync(self) -> JoinHandle<()> {
        let syncs = self.syncs.clone();
        drop(self);
        syncs.begin()
    }
}

impl Drop for Landing {
    fn drop(&mut self) {
        self.syncs.book().landed(&self.reference);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sync_counts_for_what_had_landed_when_it_began_only() {
        let mut book = Book::default();
        book.landed("web:1");
        let at = book.turn;
        book.landed("db:1");
        book.landed("web:1");
        book.landed("old:1");
        book.synced(at);
        assert_eq!(book.landed.keys().collect::<Vec<_>>(), ["db:1", "old:1", "web:1"]);
        book.synced(book.turn);
        assert!(book.landed.is_empty());
    }
}
