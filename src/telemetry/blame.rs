//! What each thread works on, so that an end of the process can be put down to the deployment that was being
//! worked on. Read by a signal handler and by the watchdog: atomics of fixed size, no lock, no allocation.
use std::cell::Cell;
use std::collections::BTreeSet;
use std::pin::pin;
use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering};

/// More threads than actors and their tasks run on; one beyond them is not recorded.
const THREADS: usize = 16;
/// A deployment's name has at most 63 bytes, its document's fingerprint 17 with the `#` between; what is longer is
/// cut.
pub const LONGEST: usize = 96;

pub type Name = [u8; LONGEST];
const NOBODY: Name = [0; LONGEST];

struct Slot {
    /// Grows with each change.
    turn: AtomicU64,
    /// Ends at the first NUL.
    name: [AtomicU8; LONGEST],
}

static SLOTS: [Slot; THREADS] =
    [const { Slot { turn: AtomicU64::new(0), name: [const { AtomicU8::new(0) }; LONGEST] } }; THREADS];
static TAKEN: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    // No destructor and no lazy initialisation: a signal handler reads it.
    static MINE: Cell<Option<usize>> = const { Cell::new(None) };
}

impl Slot {
    fn read(&self) -> Name {
        std::array::from_fn(|at| self.name[at].load(Ordering::Relaxed))
    }

    fn write(&self, name: &Name) {
        self.turn.fetch_add(1, Ordering::Relaxed);
        for (to, from) in self.name.iter().zip(name) {
            to.store(*from, Ordering::Relaxed);
        }
    }
}

/// As long as it lives, this thread works on what it was told.
#[must_use = "it ends when it is dropped"]
pub struct Working {
    slot: Option<&'static Slot>,
    before: Name,
}

/// From now on this thread works on `name`.
pub fn working_on(name: &str) -> Working {
    let slot = SLOTS.get(mine());
    let before = slot.map_or(NOBODY, Slot::read);
    if let Some(slot) = slot {
        let mut bytes = NOBODY;
        bytes.iter_mut().zip(name.bytes().take(LONGEST - 1)).for_each(|(to, from)| *to = from);
        slot.write(&bytes);
    }
    Working { slot, before }
}

impl Drop for Working {
    fn drop(&mut self) {
        if let Some(slot) = self.slot {
            slot.write(&self.before);
        }
    }
}

/// The same for a task: whichever thread runs it, while it runs it.
pub async fn on<F: Future>(name: &str, work: F) -> F::Output {
    let mut work = pin!(work);
    std::future::poll_fn(|cx| {
        let _working = working_on(name);
        work.as_mut().poll(cx)
    })
    .await
}

fn mine() -> usize {
    MINE.get().unwrap_or_else(|| {
        let slot = TAKEN.fetch_add(1, Ordering::Relaxed);
        MINE.set(Some(slot));
        slot
    })
}

/// What this thread works on, ended by a NUL. To be called from a signal handler.
pub fn of_this_thread() -> Name {
    MINE.get().and_then(|slot| SLOTS.get(slot)).map_or(NOBODY, Slot::read)
}

/// What each thread works on now.
#[derive(Clone, PartialEq, Eq)]
pub struct Glance(Vec<(u64, Name)>);

pub fn glance() -> Glance {
    Glance(SLOTS.iter().map(|slot| (slot.turn.load(Ordering::Relaxed), slot.read())).collect())
}

impl Glance {
    /// What one thread or several have worked on all the time since; None when it is nothing, or more than one thing.
    pub fn still(&self) -> Option<String> {
        let now = glance();
        let both = self.0.iter().zip(&now.0).filter(|(before, after)| before == after);
        let names = both.map(|((_, name), _)| text(name)).filter(|name| !name.is_empty());
        let mut names = names.collect::<BTreeSet<_>>().into_iter();
        names.next().filter(|_| names.next().is_none())
    }
}

fn text(name: &Name) -> String {
    let end = name.iter().position(|byte| *byte == 0).unwrap_or(name.len());
    String::from_utf8_lossy(&name[..end]).into_owned()
}

#[cfg(test)]
mod tests;
