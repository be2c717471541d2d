//! The shared world: its state behind one lock, and the time that passes in it.
use super::program::Exit;
use super::state::State;
use crate::domain::container::Process;
use crate::runtime::Hint;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use tokio::sync::{broadcast, watch};

/// More hints than this unread are lost, as they may be.
const HINTS: usize = 1024;

pub(super) struct World {
    state: Mutex<State>,
    changed: watch::Sender<u64>,
    /// None: the stream ends.
    hints: broadcast::Sender<Option<Hint>>,
    me: Weak<World>,
}

impl World {
    pub(super) fn new() -> Arc<Self> {
        Arc::new_cyclic(|me| Self {
            state: Mutex::new(State::new()),
            changed: watch::Sender::new(0),
            hints: broadcast::Sender::new(HINTS),
            me: me.clone(),
        })
    }

    pub(super) fn read<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// One change, with everything that follows from it.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let result = change(&mut state);
        let (hints, exits) = state.take_consequences();
        drop(state);
        for hint in hints {
            // Nobody may be listening.
            let _ = self.hints.send(hint);
        }
        for (process, exit) in exits {
            self.schedule(process, exit);
        }
        self.changed.send_modify(|changes| *changes += 1);
        result
    }

    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    pub(super) fn hints(&self) -> broadcast::Receiver<Option<Hint>> {
        self.hints.subscribe()
    }

    fn schedule(&self, process: Process, exit: Exit) {
        let world = self.me.clone();
        tokio::spawn(async move {
            tokio::time::sleep(exit.after).await;
            if let Some(world) = world.upgrade() {
                world.change(|state| state.exit_process(process, exit.code));
            }
        });
    }
}
