//! How long a crashed actor waits for its restart.
use std::time::Duration;

/// Long enough that a crash loop does not burn a small device's processor.
const FIRST: Duration = Duration::from_millis(100);
/// Short enough that a repaired cause is noticed soon.
const CAP: Duration = Duration::from_secs(30);
/// Running for so long means that the cause of the last crash is gone.
pub(super) const CLEARED_AFTER: Duration = Duration::from_secs(300);

/// At once, then up to 100 ms, 200 ms, 400 ms … 30 s. Full jitter, so that actors that fell for one common
/// reason do not come back in step.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    crashes: u32,
}

impl Backoff {
    /// The wait after one more crash of an incarnation that was up for `ran`.
    pub fn crashed(&mut self, ran: Duration) -> Duration {
        if ran >= CLEARED_AFTER {
            self.crashes = 0;
        }
        let ceiling = ceiling(self.crashes);
        self.crashes = self.crashes.saturating_add(1);
        ceiling.mul_f64(fastrand::f64())
    }

    pub fn clear(&mut self) {
        self.crashes = 0;
    }
}

/// Longest wait after `before` earlier crashes.
pub(super) fn ceiling(before: u32) -> Duration {
    match before {
        0 => Duration::ZERO,
        n => FIRST.saturating_mul(2u32.saturating_pow(n - 1)).min(CAP),
    }
}
