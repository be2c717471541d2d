//! Whose turn it is: podman does a few things at once, and no deployment may have all of them.
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Podman does most of a start in one thread of the OCI runtime: more at once than this only makes
/// each slower and delays the lists of the observer. Twice the cores of the smallest device.
pub const OPERATIONS_AT_ONCE: usize = 8;
/// Over all deployments: a pull is bound by the network and the storage, not by the number.
pub const PULLS_AT_ONCE: usize = 2;
/// Of one deployment: those that hang hold their slots for a minute, again and again.
const OWN_OPERATIONS_AT_ONCE: usize = OPERATIONS_AT_ONCE / 2;
/// Of one deployment: a registry that is slow on purpose must leave a slot to others.
const OWN_PULLS_AT_ONCE: usize = PULLS_AT_ONCE / 2;
/// Of one deployment: checks, and what else only reads. One that hangs must not hold up a start, nor the checks of
/// another deployment.
const CHECKS_AT_ONCE: usize = 16;

/// So many at once; the others wait in the order in which they came.
#[derive(Clone)]
pub struct Line {
    slots: Arc<Semaphore>,
    waiting: Arc<AtomicUsize>,
}

impl Line {
    pub fn new(at_once: usize) -> Self {
        Self { slots: Arc::new(Semaphore::new(at_once)), waiting: Arc::default() }
    }

    pub async fn turn(&self) -> Turn {
        let waiting = Waiting::new(&self.waiting);
        // Nobody closes it.
        let slot = self.slots.clone().acquire_owned().await.ok();
        drop(waiting);
        Turn { waiting: self.waiting.clone(), _slot: slot }
    }
}

/// One in a line, also when it is cut off there.
struct Waiting(Arc<AtomicUsize>);

impl Waiting {
    fn new(waiting: &Arc<AtomicUsize>) -> Self {
        waiting.fetch_add(1, Ordering::Relaxed);
        Self(waiting.clone())
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Over when it is dropped.
pub struct Turn {
    waiting: Arc<AtomicUsize>,
    _slot: Option<OwnedSemaphorePermit>,
}

impl Turn {
    /// Somebody waits for it.
    fn is_wanted(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0
    }
}

/// What one deployment may have at once.
pub struct Share {
    pub operations: Line,
    pub pulls: Line,
    pub checks: Line,
}

impl Default for Share {
    fn default() -> Self {
        Self {
            operations: Line::new(OWN_OPERATIONS_AT_ONCE),
            pulls: Line::new(OWN_PULLS_AT_ONCE),
            checks: Line::new(CHECKS_AT_ONCE),
        }
    }
}

/// A turn in each of several lines.
pub struct Turns(Vec<Turn>);

impl Turns {
    /// One after the other: who waits in the first has no place in the others yet.
    pub async fn take(lines: Vec<Line>) -> Self {
        let mut turns = Vec::with_capacity(lines.len());
        for line in lines {
            turns.push(line.turn().await);
        }
        Self(turns)
    }

    pub fn are_wanted(&self) -> bool {
        self.0.iter().any(Turn::is_wanted)
    }
}
