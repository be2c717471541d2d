//! What systemd is told (sd_notify(3)); nothing when it did not start us.
use crate::supervision::Root;
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

/// Sends keep-alives while the tree's supervisors answer, for ever. Ends at once without a watchdog.
pub async fn keep_alive(root: Root) {
    let Some(limit) = sd_notify::watchdog_enabled() else { return };
    let every = (limit / KEEP_ALIVES).max(Duration::from_millis(100));
    loop {
        if root.is_alive(every).await {
            tell(&[NotifyState::Watchdog]);
        } else {
            tracing::error!("the root supervisor does not answer: no keep-alive for systemd");
        }
        tokio::time::sleep(every).await;
    }
}
