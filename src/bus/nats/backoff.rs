//! When to try to connect again.
use std::time::Duration;

/// Widest wait before the first attempt: long enough that a fleet that lost its server at the same
/// moment does not come back in the same millisecond, too short for a person to notice.
const FIRST: Duration = Duration::from_millis(500);
/// Widest wait at all. A fleet of a thousand then knocks about 65 times per second, and a device is
/// back half a minute after its server at the latest.
const CAP: Duration = Duration::from_secs(30);

/// Full jitter: a point, chosen by `random` in 0.0..1.0, in a window that doubles with each attempt
/// (counted from 1) up to the cap.
pub(super) fn reconnect_delay(attempt: usize, random: f64) -> Duration {
    // 2^6 windows of half a second exceed the cap; more doublings would only overflow.
    let doublings = attempt.saturating_sub(1).min(6) as u32;
    CAP.min(FIRST * 2_u32.pow(doublings)).mul_f64(random.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_window_doubles_up_to_the_cap() {
        let widest: Vec<_> = (1..=9).map(|n| reconnect_delay(n, 1.0).as_millis()).collect();
        assert_eq!(widest, [500, 1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000]);
    }

    #[test]
    fn the_whole_window_is_used_so_that_a_fleet_spreads() {
        assert_eq!(reconnect_delay(5, 0.0), Duration::ZERO);
        assert_eq!(reconnect_delay(5, 0.5), Duration::from_secs(4));
    }

    proptest! {
        #[test]
        fn no_wait_exceeds_the_cap(attempt: usize, random: f64) {
            let random = if random.is_nan() { 0.5 } else { random };
            prop_assert!(reconnect_delay(attempt, random) <= CAP);
        }
    }
}
