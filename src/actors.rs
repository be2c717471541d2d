//! The actors: one file each, one shape each. They own state and time and move messages; what to do
//! is decided in `domain`. An actor knows others only by their messages and a stable `Address`.
pub mod deployments;
pub mod effects;
pub mod observer;
pub mod ownership;
pub mod reconciler;

use crate::domain::backoff::Dice;
use crate::domain::time::Moment;
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
