//! One incarnation, as it is now: what it handles, what it does, what it waits for.
use super::context::TaskId;
use fleet_contracts::Timestamp;
use fleet_contracts::commands::Doing;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Handlers take microseconds, a slow one on a busy machine some hundred milliseconds. Well below the
/// watchdog's patience, so that it can be seen from afar before the process ends.
const SHOWN_AS_STUCK: Duration = Duration::from_secs(10);

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) struct Live {
    pub since: Timestamp,
    mailbox: AtomicU64,
    activity: Mutex<Activity>,
}

struct Activity {
    progress: Instant,
    handling: Option<Handling>,
    doing: BTreeMap<TaskId, (String, Instant)>,
    waiting_for: Option<String>,
}

struct Handling {
    what: &'static str,
    since: Instant,
    /// How often the watchdog has found it.
    looks: u32,
}

impl Activity {
    /// Task ids grow: the first one is the oldest.
    fn oldest(&self, now: Instant) -> Option<Doing> {
        let (what, since) = self.doing.values().next()?;
        Some(Doing { what: what.clone(), for_ms: millis(now.saturating_duration_since(*since)) })
    }

    fn stuck(&self, now: Instant) -> Option<Doing> {
        let handling = self.handling.as_ref()?;
        let age = now.saturating_duration_since(handling.since);
        let doing = || Doing { what: format!("handling {}", handling.what), for_ms: millis(age) };
        (age >= SHOWN_AS_STUCK).then(doing)
    }
}

/// What the board shows of an incarnation.
pub(super) struct Glance {
    /// What it has been handling for too long.
    pub stuck: Option<Doing>,
    pub doing: Option<Doing>,
    pub waiting_for: Option<String>,
    pub last_progress_ms: u64,
    pub mailbox: u64,
}

impl Live {
    pub fn new() -> Self {
        let activity =
            Activity { progress: Instant::now(), handling: None, doing: BTreeMap::new(), waiting_for: None };
        Self { since: Timestamp::now(), mailbox: AtomicU64::new(0), activity: Mutex::new(activity) }
    }

    /// Its thread is busy with `what` until the turn is dropped.
    pub fn begin(self: &Arc<Self>, what: &'static str) -> Turn {
        lock(&self.activity).handling = Some(Handling { what, since: Instant::now(), looks: 0 });
        Turn(self.clone())
    }

    /// What its thread is busy with now, and in how many looks, this one included, it has been found at
    /// that. Looks are counted and not time: a process that was stopped meanwhile has not been looked at.
    pub fn look(&self) -> Option<(&'static str, u32)> {
        let mut activity = lock(&self.activity);
        let handling = activity.handling.as_mut()?;
        handling.looks = handling.looks.saturating_add(1);
        Some((handling.what, handling.looks))
    }

    pub fn glance(&self, now: Instant) -> Glance {
        let activity = lock(&self.activity);
        Glance {
            stuck: activity.stuck(now),
            doing: activity.oldest(now),
            waiting_for: activity.waiting_for.clone(),
            last_progress_ms: millis(now.saturating_duration_since(activity.progress)),
            mailbox: self.mailbox.load(Ordering::Relaxed),
        }
    }

    pub fn put(&self) {
        self.mailbox.fetch_add(1, Ordering::Relaxed);
    }

    pub fn took(&self) {
        self.mailbox.fetch_sub(1, Ordering::Relaxed);
    }

    pub fn progressed(&self) {
        lock(&self.activity).progress = Instant::now();
    }

    pub fn doing(&self, task: TaskId, what: String) {
        lock(&self.activity).doing.insert(task, (what, Instant::now()));
    }

    pub fn done(&self, task: TaskId) {
        lock(&self.activity).doing.remove(&task);
    }

    pub fn waiting_for(&self, what: Option<String>) {
        lock(&self.activity).waiting_for = what;
    }
}

/// An actor's thread is busy with one message. Ends when dropped, however the handler ends.
pub(super) struct Turn(Arc<Live>);

impl Drop for Turn {
    fn drop(&mut self) {
        lock(&self.0.activity).handling = None;
    }
}

pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
