//! Ends the process when it hangs: systemd then starts one that works, and containers run on.
//!
//! A thread outside of tokio looks every few seconds. It counts its own looks, never time: a process that was
//! stopped, or a machine that slept, did not look, and so nothing grew old meanwhile. What waits for the
//! network, for podman or for a disk awaits, and is no hang.
mod atomic;
pub mod breadcrumb;
pub mod ends;
pub mod last_words;
pub mod suspects;
mod workers;

use crate::faults;
use crate::supervision::{Board, Root, Stuck};
use crate::telemetry::blame;
use std::fmt;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use workers::Workers;

/// What hangs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hang {
    /// A handler that does not return cannot be ended, only its process can.
    Actor(Stuck),
    /// The threads that run all actors are blocked.
    Workers,
    /// One of them is, by a task that is no actor's handler.
    Worker,
    /// The root supervisor takes no orders.
    Root,
}

impl fmt::Display for Hang {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Hang::Actor(Stuck { actor, message }) => write!(f, "{actor} does not end handling {message}"),
            Hang::Workers => write!(f, "no worker thread runs any task"),
            Hang::Worker => write!(f, "a worker thread does not come back from a task"),
            Hang::Root => write!(f, "the root supervisor takes no orders"),
        }
    }
}

/// How often it looks, and what it bears.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    pub every: Duration,
    /// In looks.
    pub patience: u32,
}

impl Default for Limits {
    /// Ends a process that hangs for 30 to 36 s: handlers take milliseconds, so it is no busy machine any
    /// more, and systemd's `WatchdogSec=60`, which knows no culprit, comes later. Looking every second cost
    /// three times the processor time, for nothing.
    fn default() -> Self {
        Self { every: Duration::from_secs(3), patience: 10 }
    }
}

/// What the living process shows to its watchdog. Cheap to clone.
#[derive(Clone, Default)]
pub struct Vitals(Arc<Signs>);

#[derive(Default)]
struct Signs {
    beats: AtomicU64,
    answers: AtomicU64,
    board: OnceLock<Board>,
    root: OnceLock<Root>,
    stopping: AtomicBool,
}

impl Vitals {
    /// The actors to look at. Only the first one counts.
    pub fn board(&self, board: Board) {
        let _ = self.0.board.set(board);
    }

    /// The tree is up: from now on its root has to answer. Only the first one counts.
    pub fn root(&self, root: Root) {
        let _ = self.0.root.set(root);
    }

    /// An ordered end has begun, which has its own deadline: the root takes no orders any more.
    pub fn stopping(&self) {
        self.0.stopping.store(true, Ordering::Relaxed);
    }

    /// Shows that tasks run and that the root answers, for ever.
    pub async fn beat(self, every: Duration) {
        let mut question = None;
        loop {
            self.0.beats.fetch_add(1, Ordering::Relaxed);
            question = self.next_question(question);
            tokio::time::sleep(every).await;
        }
    }

    /// One question at a time: those of a root that hangs must not pile up.
    fn next_question(&self, last: Option<oneshot::Receiver<()>>) -> Option<oneshot::Receiver<()>> {
        if let Some(mut last) = last {
            match last.try_recv() {
                Ok(()) => drop(self.0.answers.fetch_add(1, Ordering::Relaxed)),
                Err(oneshot::error::TryRecvError::Empty) => return Some(last),
                Err(oneshot::error::TryRecvError::Closed) => {}
            }
        }
        self.0.root.get().map(Root::ask)
    }

    fn beats(&self) -> u64 {
        self.0.beats.load(Ordering::Relaxed)
    }

    /// None: it need not answer now.
    fn answers(&self) -> Option<u64> {
        let due = self.0.root.get().is_some() && !self.0.stopping.load(Ordering::Relaxed);
        due.then(|| self.0.answers.load(Ordering::Relaxed))
    }
}

/// Judges, look by look. Knows no clock.
pub struct Watchdog {
    vitals: Vitals,
    patience: u32,
    beats: Counter,
    answers: Counter,
    workers: Option<Workers>,
    /// Beats and answers at the last keep-alive.
    fed: (u64, u64),
}

/// A number that has to grow.
#[derive(Default)]
struct Counter {
    last: u64,
    same: u32,
}

impl Counter {
    /// In how many looks, this one included, it has not grown.
    fn look(&mut self, now: u64) -> u32 {
        self.same = if now == self.last { self.same.saturating_add(1) } else { 0 };
        self.last = now;
        self.same
    }
}

impl Watchdog {
    /// `patience` in looks.
    pub fn new(vitals: Vitals, patience: u32) -> Self {
        let (beats, answers) = Default::default();
        Self { vitals, patience, beats, answers, workers: None, fed: (0, 0) }
    }

    /// Looks at these threads too.
    fn with_workers(mut self, workers: Workers) -> Self {
        self.workers = Some(workers);
        self
    }

    /// To be called at regular intervals. An actor comes first: it is often why nothing else runs.
    pub fn look(&mut self) -> Option<Hang> {
        let stuck = self.vitals.0.board.get().and_then(|board| board.look(self.patience));
        let without_beat = self.beats.look(self.vitals.beats());
        let no_beat = without_beat > self.patience;
        let no_answer = match self.vitals.answers() {
            // While no task runs nobody could ask it.
            Some(answers) if without_beat == 0 => self.answers.look(answers) > self.patience,
            Some(_) | None => false,
        };
        // A little later than the others: where one of them holds too, it is the better word.
        let blocked = self.workers.as_mut().is_some_and(|workers| workers.look() > self.patience + 2);
        match (stuck, no_beat, blocked, no_answer) {
            (Some(stuck), ..) => Some(Hang::Actor(stuck)),
            (None, true, ..) => Some(Hang::Workers),
            (None, false, true, _) => Some(Hang::Worker),
            (None, false, false, true) => Some(Hang::Root),
            (None, false, false, false) => None,
        }
    }

    /// Whether no task was seen to run since the look before.
    fn is_quiet(&self) -> bool {
        self.beats.same > 0
    }

    /// Whether tasks ran and the root answered (where it has to) since this was last true.
    pub fn progressed(&mut self) -> bool {
        let (beats, answers) = (self.vitals.beats(), self.vitals.answers());
        let answered = answers.is_none_or(|answers| answers > self.fed.1);
        let progressed = beats > self.fed.0 && answered;
        if progressed {
            self.fed = (beats, answers.unwrap_or(self.fed.1));
        }
        progressed
    }
}

/// What the watchdog thread does besides looking.
pub struct Deeds {
    /// Called when there was progress since the last call, at most once per interval.
    pub keep_alive: Option<(Duration, Box<dyn FnMut() + Send>)>,
    /// Must end the process.
    pub end: Box<dyn FnOnce(&Hang) + Send>,
}

/// Starts the thread, and the task whose beats it listens for. To be called within tokio.
///
/// # Errors
/// The thread cannot be had.
pub fn start(vitals: Vitals, limits: Limits, deeds: Deeds) -> io::Result<()> {
    let every = match &deeds.keep_alive {
        // A short WatchdogSec= wants shorter looks.
        Some((interval, _)) => limits.every.min(*interval),
        None => limits.every,
    };
    let runtime = Handle::current();
    let dog = Watchdog::new(vitals.clone(), limits.patience * ratio(limits.every, every))
        .with_workers(Workers::new(runtime.metrics()));
    thread::Builder::new().name("watchdog".into()).spawn(move || watch(dog, every, deeds, &runtime))?;
    tokio::spawn(vitals.beat(every));
    Ok(())
}

fn watch(mut dog: Watchdog, every: Duration, deeds: Deeds, runtime: &Handle) {
    let Deeds { mut keep_alive, end } = deeds;
    let mut looks: u32 = 0;
    let hang = loop {
        #[allow(clippy::disallowed_methods)] // A thread of its own, which must not depend on tokio.
        thread::sleep(every);
        faults::point("watchdog", "look");
        if let Some(hang) = dog.look() {
            break hang;
        }
        if dog.is_quiet() {
            // One worker waits for sockets and timers on behalf of all. When what it was woken for blocks it,
            // the others sleep on. A task from outside wakes one, which then waits in its place: all other
            // actors go on, and can be asked which one hangs.
            runtime.spawn(std::future::ready(()));
        }
        looks = looks.wrapping_add(1);
        if let Some((interval, keep_alive)) = &mut keep_alive
            && looks.is_multiple_of(ratio(*interval, every))
            && dog.progressed()
        {
            keep_alive();
        }
    };
    end(&hang);
}

/// Long enough for what only passes by.
const STILL: Duration = Duration::from_millis(200);

/// The deployment on which a thread has hung for some time, when it is one. Blocks for a moment.
pub fn culprit() -> Option<String> {
    let before = blame::glance();
    #[allow(clippy::disallowed_methods)] // In the watchdog's own thread.
    thread::sleep(STILL);
    before.still()
}

/// How many of the shorter fit into the longer one, at least 1.
fn ratio(longer: Duration, shorter: Duration) -> u32 {
    u32::try_from(longer.as_nanos() / shorter.as_nanos().max(1)).unwrap_or(u32::MAX).max(1)
}

#[cfg(test)]
mod tests;
