//! Whose turn it is: podman does a few things at once, and no deployment may have all of them.
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
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
    queue: Queue,
}

impl Line {
    pub fn new(at_once: usize) -> Self {
        Self { slots: Arc::new(Semaphore::new(at_once)), queue: Queue::default() }
    }

    pub async fn turn(&self) -> Turn {
        let mut waiting = self.queue.enter();
        // Nobody closes it.
        let slot = self.slots.clone().acquire_owned().await.ok();
        waiting.is_served = true;
        Turn { queue: self.queue.clone(), _slot: slot }
    }
}

/// Who waits in a line.
#[derive(Clone, Default)]
struct Queue(Arc<Mutex<Counts>>);

#[derive(Default)]
struct Counts {
    waiting: usize,
    /// Of those: how many get a slot from somebody who gives way.
    promised: usize,
}

impl Queue {
    fn enter(&self) -> Waiting {
        self.counts().waiting += 1;
        Waiting { queue: self.clone(), is_served: false }
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One in a queue, also when it is cut off there.
struct Waiting {
    queue: Queue,
    is_served: bool,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut counts = self.queue.counts();
        counts.waiting -= 1;
        let kept = counts.promised.saturating_sub(usize::from(self.is_served));
        counts.promised = kept.min(counts.waiting);
    }
}

/// Over when it is dropped.
pub struct Turn {
    queue: Queue,
    _slot: Option<OwnedSemaphorePermit>,
}

impl Turn {
    /// Whether somebody waits for it. True is a promise to give way: for one who waits nobody else has to.
    fn is_wanted(&self) -> bool {
        let mut counts = self.queue.counts();
        let is_wanted = counts.waiting > counts.promised;
        counts.promised += usize::from(is_wanted);
        is_wanted
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

    /// Whether somebody waits for one of them; then they have to be given up.
    pub fn are_wanted(&self) -> bool {
        self.0.iter().any(Turn::is_wanted)
    }
}
