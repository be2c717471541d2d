//! What an actor may do besides changing its state: tasks and timers, all of which die with it.
use super::address::{Address, Envelope, Link};
use super::failure::{Failure, caught};
use super::live::Turn;
use crate::faults;
use fleet_contracts::commands::Cause;
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;
use tokio::task::AbortHandle;

/// The second line behind the deadlines of every single call of bus and runtime (5 to 60 s): what takes
/// longer than several of them hangs, and its actor is replaced.
const TASK_WITHIN: Duration = Duration::from_secs(120);

/// One task or timer of one incarnation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TaskId(u64);

struct AbortOnDrop(AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Handed to every call of a [`Worker`](super::Worker). Dropped with the actor, which aborts its tasks and
/// timers (a task ends at its next await).
pub struct Context<M> {
    address: Address<M>,
    link: Link<M>,
    tasks: HashMap<TaskId, AbortOnDrop>,
    timers: HashMap<&'static str, (TaskId, AbortOnDrop)>,
    last_id: u64,
}

impl<M: Send + 'static> Context<M> {
    pub(super) fn new(address: Address<M>, link: Link<M>) -> Self {
        Self { address, link, tasks: HashMap::new(), timers: HashMap::new(), last_id: 0 }
    }

    pub fn me(&self) -> &Address<M> {
        &self.address
    }

    /// Runs outside work; its result comes back as a message. `what` is shown as `doing` in the live tree.
    /// A panic in it is a panic of the actor, and so is that it does not end within 120 s.
    pub fn spawn(
        &mut self,
        what: impl Into<String>,
        work: impl Future<Output = M> + Send + 'static,
    ) -> TaskId {
        let what = what.into();
        let name = what.clone();
        self.spawn_shown(what, async move {
            let hangs = faults::hits("task", &name);
            let work = async move {
                if hangs {
                    std::future::pending::<()>().await;
                }
                work.await
            };
            let ended = tokio::time::timeout(TASK_WITHIN, its_own(work)).await;
            ended.unwrap_or_else(|_| Err(endless(&name)))
        })
    }

    /// The same for work whose end only the work itself can tell: a stream, or a pull, which may take hours.
    /// It must have deadlines of its own.
    pub fn spawn_unlimited(
        &mut self,
        what: impl Into<String>,
        work: impl Future<Output = M> + Send + 'static,
    ) -> TaskId {
        self.spawn_shown(what.into(), its_own(work))
    }

    fn spawn_shown(
        &mut self,
        what: String,
        work: impl Future<Output = Result<M, Failure>> + Send + 'static,
    ) -> TaskId {
        let task = self.run(work);
        self.link.live.doing(task, what);
        task
    }

    /// The same for blocking disk work. Once started it cannot be cancelled: its effect happens, only its
    /// result is dropped.
    pub fn spawn_blocking(
        &mut self,
        what: impl Into<String>,
        work: impl FnOnce() -> M + Send + 'static,
    ) -> TaskId {
        let (task, link) = (self.next_id(), self.link.clone());
        let handle = tokio::task::spawn_blocking(move || {
            let result = catch_unwind(AssertUnwindSafe(work)).map_err(|panic| Failure::panic(&*panic));
            link.post(Envelope::Done { task, result });
        });
        self.tasks.insert(task, AbortOnDrop(handle.abort_handle()));
        self.link.live.doing(task, what.into());
        task
    }

    /// A task that is nothing worth showing: an event stream, the wait for a process.
    pub fn background(&mut self, work: impl Future<Output = M> + Send + 'static) -> TaskId {
        self.run(its_own(work))
    }

    fn run(&mut self, work: impl Future<Output = Result<M, Failure>> + Send + 'static) -> TaskId {
        let (task, link) = (self.next_id(), self.link.clone());
        let handle = tokio::spawn(async move {
            let result = work.await;
            link.post(Envelope::Done { task, result });
        });
        self.tasks.insert(task, AbortOnDrop(handle.abort_handle()));
        task
    }

    /// Its message will not come, even if it is already in the mailbox. An unknown task is ignored.
    pub fn cancel(&mut self, task: TaskId) {
        self.tasks.remove(&task);
        self.link.live.done(task);
    }

    /// Sends `message` to this incarnation after `delay`. One timer per key: setting it again replaces it.
    pub fn after(&mut self, key: &'static str, delay: Duration, message: M) {
        let (id, link) = (self.next_id(), self.link.clone());
        let sleep = tokio::time::sleep(delay);
        let handle = tokio::spawn(async move {
            sleep.await;
            link.post(Envelope::Timer { key, id, message });
        });
        self.timers.insert(key, (id, AbortOnDrop(handle.abort_handle())));
    }

    /// Its message will not come, even if it is already in the mailbox.
    pub fn cancel_timer(&mut self, key: &'static str) {
        self.timers.remove(key);
    }

    pub fn has_timer(&self, key: &'static str) -> bool {
        self.timers.contains_key(key)
    }

    /// Shown as state `waiting` with this text; `None` ends it.
    pub fn waiting_for(&mut self, what: Option<String>) {
        self.link.live.waiting_for(what);
    }

    /// Takes a message out of the mailbox; `None` for what has been cancelled since it was put there.
    pub(super) fn open(&mut self, envelope: Envelope<M>) -> Result<Option<M>, Failure> {
        self.link.live.took();
        match envelope {
            Envelope::Message(message) => Ok(Some(message)),
            Envelope::Timer { key, id, message } => {
                let current = self.timers.get(key).is_some_and(|(set, _)| *set == id);
                Ok(current.then(|| self.timers.remove(key)).map(|_| message))
            }
            Envelope::Done { task, result } => match self.tasks.remove(&task) {
                None => Ok(None),
                Some(_) => {
                    self.link.live.done(task);
                    result.map(Some)
                }
            },
        }
    }

    pub(super) fn begin(&self, what: &'static str) -> Turn {
        self.link.live.begin(what)
    }

    pub(super) fn progressed(&self) {
        self.link.live.progressed();
    }

    fn next_id(&mut self) -> TaskId {
        self.last_id += 1;
        TaskId(self.last_id)
    }
}

async fn its_own<M>(work: impl Future<Output = M>) -> Result<M, Failure> {
    caught(work).await.map_err(|text| Failure::new(Cause::Panic, text))
}

fn endless(what: &str) -> Failure {
    let message = format!("{what}: no end within {} s", TASK_WITHIN.as_secs());
    Failure::new(Cause::Unresponsive, message)
}
