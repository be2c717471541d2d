//! What systemd is told (sd_notify(3)); nothing when it did not start us.
use sd_notify::NotifyState;
use std::time::Duration;

/// A third of `WatchdogSec=`: two lost keep-alives are not yet the end (sd_watchdog_enabled(3) asks
/// for half).
const KEEP_ALIVES: u32 = 3;

pub fn ready(status: &str) {
    tell(&[NotifyState::Ready, NotifyState::Status(status)]);
}

pub fn stopping() {
    tell(&[NotifyState::Stopping]);
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "systemd was not told");
    }
}

/// How often systemd wants to hear from us; None: it does not.
pub fn keep_alive_interval() -> Option<Duration> {
    let limit = sd_notify::watchdog_enabled()?;
    Some((limit / KEEP_ALIVES).max(Duration::from_millis(100)))
}

/// Only the watchdog says this: a process that nobody watches is not alive.
pub fn keep_alive() {
    tell(&[NotifyState::Watchdog]);
}
