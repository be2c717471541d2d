//! When to try to connect again.
use std::time::Duration;

/// The widest waits before the first, the second, and every later attempt. The first: long enough that a
/// fleet that lost its server at the same moment does not come back in the same millisecond, too short
/// for a person to notice. Then so steep that those who tried while a server restarted, which takes it a second
/// or two, come back over half a minute and not all in the next few seconds: each costs it a snapshot. The
/// last: a fleet of a thousand then knocks about 65 times per second, and a device is back half a minute
/// after its server at the latest.
const WIDEST: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(4), Duration::from_secs(30)];

/// Full jitter: a point, chosen by `random` in 0.0..1.0, in the window of this attempt (counted from 1).
pub(super) fn reconnect_delay(attempt: usize, random: f64) -> Duration {
    let nth = attempt.clamp(1, WIDEST.len()) - 1;
    WIDEST[nth].mul_f64(random.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_window_grows_up_to_the_cap() {
        let widest: Vec<_> = (1..=5).map(|n| reconnect_delay(n, 1.0).as_secs()).collect();
        assert_eq!(widest, [1, 4, 30, 30, 30]);
    }

    #[test]
    fn the_whole_window_is_used_so_that_a_fleet_spreads() {
        assert_eq!(reconnect_delay(5, 0.0), Duration::ZERO);
        assert_eq!(reconnect_delay(5, 0.5), Duration::from_secs(15));
    }

    /// When a device is back whose server was away for so long.
    fn back_after(outage: Duration, dice: &mut fastrand::Rng) -> Duration {
        let (mut now, mut attempt) = (Duration::ZERO, 0);
        while now < outage || attempt == 0 {
            attempt += 1;
            now += reconnect_delay(attempt, dice.f64());
        }
        now
    }

    #[test]
    fn two_hundred_devices_come_back_over_twenty_seconds_or_more_after_a_restart_of_the_server() {
        for seed in 0..100 {
            let mut dice = fastrand::Rng::with_seed(seed);
            for outage in [1, 2, 5, 60, 3600].map(Duration::from_secs) {
                let back: Vec<_> = (0..200).map(|_| back_after(outage, &mut dice)).collect();
                let spread = *back.iter().max().unwrap() - *back.iter().min().unwrap();
                assert!(spread >= Duration::from_secs(20), "{spread:?} after {outage:?}, seed {seed}");
                let busiest = (0..40).map(|s| {
                    let from = outage + Duration::from_secs(s);
                    back.iter().filter(|at| (from..from + Duration::from_secs(1)).contains(*at)).count()
                });
                assert!(busiest.max().unwrap() <= 100, "after {outage:?}, seed {seed}");
            }
        }
    }

    proptest! {
        #[test]
        fn no_wait_exceeds_the_cap(attempt: usize, random: f64) {
            let random = if random.is_nan() { 0.5 } else { random };
            prop_assert!(reconnect_delay(attempt, random) <= WIDEST[2]);
        }
    }
}
