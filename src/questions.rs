//! Questions to a disk that may never answer: a dead network mount holds a thread for ever, and nothing can end it.
//!
//! Each is put by a blocking thread, and the asker waits for a limited time. Of each thing one question is open at a
//! time: who asks while an earlier one is without an answer waits for its turn and takes no thread, so that what hangs
//! costs one thread, however often it is tried again. The threads are the process's, and so is this book of them.
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::Semaphore;

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum About {
    /// The lock on the state directory.
    Lock,
    /// The files of secrets and credentials.
    Values,
    /// A path of the host.
    Path(String),
    /// The filesystem that podman keeps its images on.
    Storage,
}

/// For each that is asked just now: a single permit.
static TURNS: Mutex<BTreeMap<About, Weak<Semaphore>>> = Mutex::new(BTreeMap::new());

/// None: no answer in time, or a panic in the question.
pub async fn ask<T: Send + 'static>(
    about: About,
    within: Duration,
    question: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    let turns = turns(about);
    let asked = async move {
        let turn = turns.acquire_owned().await.ok()?;
        let answered = tokio::task::spawn_blocking(move || {
            // Also when nobody waits for the answer any more.
            let _turn = turn;
            question()
        });
        answered.await.ok()
    };
    tokio::time::timeout(within, asked).await.ok().flatten()
}

fn turns(about: About) -> Arc<Semaphore> {
    let mut all = TURNS.lock().unwrap_or_else(PoisonError::into_inner);
    all.retain(|_, turns| turns.strong_count() > 0);
    all.get(&about).and_then(Weak::upgrade).unwrap_or_else(|| {
        let turns = Arc::new(Semaphore::new(1));
        all.insert(about, Arc::downgrade(&turns));
        turns
    })
}

#[cfg(test)]
mod tests;
