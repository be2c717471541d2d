//! Whether each of tokio's worker threads comes back from what it runs, by what tokio counts anyway.
use std::time::Duration;
use tokio::runtime::RuntimeMetrics;

/// Looks at the worker threads. Asks nobody, and so learns of a thread whose task never returns also when that
/// task is no actor's.
pub struct Workers {
    metrics: RuntimeMetrics,
    seen: Vec<Seen>,
}

#[derive(Default)]
struct Seen {
    sign: (u64, Duration),
    same: u32,
}

impl Workers {
    pub fn new(metrics: RuntimeMetrics) -> Self {
        let seen = (0..metrics.num_workers()).map(|_| Seen::default()).collect();
        Self { metrics, seen }
    }

    /// In how many looks, this one included, the worst of them has neither slept nor gone on to other tasks.
    pub fn look(&mut self) -> u32 {
        let metrics = &self.metrics;
        let each = self.seen.iter_mut().enumerate();
        each.map(|(at, seen)| {
            let parks = metrics.worker_park_unpark_count(at);
            seen.look(parks, metrics.worker_total_busy_duration(at))
        })
        .max()
        .unwrap_or(0)
    }
}

impl Seen {
    /// `parks` is odd while the thread sleeps. `busy` is told at each sleep, and every 61 tasks by a thread that
    /// gets no sleep.
    fn look(&mut self, parks: u64, busy: Duration) -> u32 {
        let sign = (parks, busy);
        let sleeps = !parks.is_multiple_of(2);
        self.same = if sleeps || sign != self.sign { 0 } else { self.same.saturating_add(1) };
        self.sign = sign;
        self.same
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOME: Duration = Duration::from_secs(1);

    #[test]
    fn a_thread_that_sleeps_or_goes_on_to_other_tasks_is_well() {
        let mut seen = Seen::default();
        for looks in 0..20 {
            assert_eq!(seen.look(7, SOME), 0, "asleep");
            assert_eq!(seen.look(8, SOME * (looks + 1)), 0, "busy");
        }
    }

    #[test]
    fn a_thread_that_does_neither_is_counted_until_it_does() {
        let mut seen = Seen::default();
        let counted: Vec<u32> = (0..4).map(|_| seen.look(8, SOME)).collect();
        assert_eq!(counted, [0, 1, 2, 3]);
        assert_eq!(seen.look(9, SOME), 0);
    }
}
