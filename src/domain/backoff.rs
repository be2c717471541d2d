//! How long a container waits before its next start: 0, 1, 2, 4 … 300 s, ±20 %, forgotten after 600 s
//! of running. While it is the runtime that fails, 20 s at most.
use super::time::Moment;
use fleet_contracts::state::Code;
use std::time::Duration;

/// A container that ran this long was healthy: its next failure is a first one.
pub const CALM_AFTER: Duration = Duration::from_secs(600);
const CAP: Duration = Duration::from_secs(300);
/// An outage is over all at once, and a minute later everything should run.
const OUTAGE_CAP: Duration = Duration::from_secs(20);
/// So many failures reach that cap. More are not counted: what the container itself does afterwards
/// does not wait for what was not its fault.
const OUTAGE_FAILURES: u32 = 6;
/// Devices that lost the same registry or database must not come back in step.
const JITTER: f64 = 0.2;

/// A random number in [0, 1), drawn by the caller: decisions here stay repeatable.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Dice(pub f64);

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Backoff {
    failures: u32,
    retry_at: Option<Moment>,
}

impl Backoff {
    /// Failures in a row.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// When the next try is due; None when it may happen at once.
    pub fn retry_at(&self) -> Option<Moment> {
        self.retry_at
    }

    pub fn is_due(&self, now: Moment) -> bool {
        self.retry_at.is_none_or(|at| now >= at)
    }

    pub fn failed(&mut self, code: Code, now: Moment, dice: Dice) {
        let (cap, counted) = if is_outage(code) { (OUTAGE_CAP, OUTAGE_FAILURES) } else { (CAP, u32::MAX) };
        self.retry_at = Some(now + delay(self.failures, cap, dice));
        self.failures = self.failures.max(self.failures.saturating_add(1).min(counted));
    }

    pub fn forget(&mut self) {
        *self = Self::default();
    }
}

/// Whether it was not about the container: the runtime did not answer, or the agent may not act.
fn is_outage(code: Code) -> bool {
    matches!(code, Code::Timeout | Code::RuntimeUnreachable | Code::Internal)
}

/// The wait after the `nth` failure in a row, counted from 0.
fn delay(nth: u32, cap: Duration, dice: Dice) -> Duration {
    let Some(doublings) = nth.checked_sub(1) else { return Duration::ZERO };
    let plain = cap.min(Duration::from_secs(1 << doublings.min(16)));
    plain.mul_f64(1.0 - JITTER + 2.0 * JITTER * dice.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_from_nothing_to_five_minutes() {
        let even = Dice(0.5);
        let waits: Vec<u64> = (0..12).map(|n| delay(n, CAP, even).as_secs_f64().round() as u64).collect();
        assert_eq!(waits, [0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
    }

    #[test]
    fn the_jitter_stays_within_a_fifth() {
        assert_eq!(delay(20, CAP, Dice(0.0)), Duration::from_secs(240));
        assert!(delay(20, CAP, Dice(0.999_999)) <= Duration::from_secs(360));
    }

    #[test]
    fn a_first_failure_is_retried_at_once_and_a_second_is_not() {
        let (mut backoff, now) = (Backoff::default(), Moment::default());
        backoff.failed(Code::Exited, now, Dice(0.5));
        assert!(backoff.is_due(now));
        backoff.failed(Code::Exited, now, Dice(0.5));
        assert!(!backoff.is_due(now));
        assert!(backoff.is_due(now + Duration::from_secs(1)));
    }

    #[test]
    fn an_outage_is_waited_for_twenty_seconds_at_most_and_not_held_against_the_container() {
        let (mut backoff, now) = (Backoff::default(), Moment::default());
        for code in [Code::Timeout, Code::RuntimeUnreachable, Code::Internal].into_iter().cycle().take(100) {
            backoff.failed(code, now, Dice(0.5));
            assert!(backoff.is_due(now + Duration::from_secs(20)));
        }
        backoff.failed(Code::Exited, now, Dice(0.5));
        assert!(backoff.is_due(now + Duration::from_secs(32)));
        for _ in 0..10 {
            backoff.failed(Code::Exited, now, Dice(0.5));
        }
        assert!(!backoff.is_due(now + Duration::from_secs(299)));
        backoff.failed(Code::Timeout, now, Dice(0.5));
        assert!(backoff.is_due(now + Duration::from_secs(20)));
    }
}
