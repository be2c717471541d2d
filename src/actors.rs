//! The actors: one file each, one shape each. They own state and time and move messages; what to do
//! is decided in `domain`. An actor knows others only by their messages and a stable `Address`.
pub mod command_server;
pub mod deployments;
pub mod effects;
pub mod heartbeat;
pub mod kv_watcher;
pub mod observer;
pub mod ownership;
pub mod reconciler;
pub mod reporter;

use crate::bus::{Bus, LinkState};
use crate::domain::backoff::Dice;
use crate::domain::time::Moment;
use crate::supervision::Context;
use fleet_contracts::{DeviceId, Timestamp};
use std::time::Duration;

/// Who this process is. The same for its whole life.
#[derive(Debug, Clone)]
pub struct Identity {
    pub device: DeviceId,
    pub agent_version: String,
    /// Unique per process.
    pub instance: String,
}

/// Monotonic time since the process began; paused with tokio's in tests.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    began: tokio::time::Instant,
}

impl Clock {
    pub fn start() -> Self {
        Self { began: tokio::time::Instant::now() }
    }

    pub fn now(&self) -> Moment {
        Moment::from_start(self.began.elapsed())
    }

    pub fn uptime(&self) -> Duration {
        self.began.elapsed()
    }

    /// What the wall clock will say at a moment, for documents.
    pub fn wall(&self, at: Moment) -> Option<Timestamp> {
        let ahead = at.since(self.now()).as_secs();
        Timestamp::from_unix_seconds(Timestamp::now().unix_seconds() + i64::try_from(ahead).ok()?)
    }
}

/// The time after the start in which nothing is changed: a process that follows several that ended by faults of
/// their own only looks, so that the device can be looked at and mended from afar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hold(pub Duration);

impl Hold {
    /// What is left of it.
    pub fn left(hold: Option<Self>, clock: Clock) -> Option<Duration> {
        hold?.0.checked_sub(clock.uptime()).filter(|left| !left.is_zero())
    }
}

pub(crate) fn dice() -> Dice {
    Dice(fastrand::f64())
}

/// A wait between half of `plain` and all of it: a fleet must not come back in step.
pub(crate) fn jittered(plain: Duration) -> Duration {
    plain.mul_f64(0.5 + 0.5 * fastrand::f64())
}

/// The wait before the `nth` attempt (from 0) at something that failed: doubling from one second.
pub(crate) fn retry_delay(nth: u32, cap: Duration) -> Duration {
    jittered(cap.min(Duration::from_secs(1 << nth.min(16))))
}

/// A wait that spreads what a whole fleet does after a reconnect, short enough that nobody notices.
pub(crate) fn spread() -> Duration {
    Duration::from_secs(2).mul_f64(fastrand::f64())
}

/// The link's state, as a worker of `link` follows it.
pub(crate) struct LinkWatch {
    states: tokio::sync::watch::Receiver<LinkState>,
}

impl LinkWatch {
    pub fn new(bus: &dyn Bus) -> Self {
        Self { states: bus.link() }
    }

    pub fn is_up(&self) -> bool {
        matches!(*self.states.borrow(), LinkState::Connected { .. })
    }

    /// The connection, for people who look at the live tree.
    pub fn describe(&self) -> String {
        match &*self.states.borrow() {
            LinkState::Connected { server, epoch } => format!("connection {epoch} to {server}"),
            LinkState::Connecting { .. } => "no connection".to_owned(),
        }
    }

    /// Has the next state sent to the actor that is another than the one it was `told`; at the start,
    /// the present one. Call it again when that message came.
    pub fn next<M: Send + 'static>(
        &self,
        told: Option<&LinkState>,
        ctx: &mut Context<M>,
        message: fn(LinkState) -> M,
    ) {
        let (mut states, told) = (self.states.clone(), told.cloned());
        ctx.background(async move {
            let next = states.wait_for(|state| Some(state) != told.as_ref()).await.map(|state| state.clone());
            match next {
                Ok(state) => message(state),
                // The bus is gone: the process is ending.
                Err(_) => std::future::pending().await,
            }
        });
    }
}

pub(crate) fn waiting_text(state: &LinkState) -> Option<String> {
    match state {
        LinkState::Connected { .. } => None,
        LinkState::Connecting { attempts, last_error } => {
            let why = last_error.as_deref().unwrap_or("first attempt");
            Some(format!("NATS, attempt {attempts} ({why})"))
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
