//! Whether a service works, by the check in its document. The agent runs it itself: podman's own health
//! timers are units of systemd, and tell nobody.
use super::container::Process;
use super::time::Moment;
use fleet_contracts::desired::Healthcheck;
use fleet_contracts::state::Health as Word;
use std::time::Duration;

/// A program needs a moment before it answers anything, in seconds.
const FIRST_AFTER: Duration = Duration::from_secs(1);
/// A container that is being waited for is asked this often, in seconds, if its interval is longer.
const STARTING_EVERY: Duration = Duration::from_secs(5);

/// How one check ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    Passed,
    /// What it said, or that it took too long.
    Failed(String),
    /// It could not be run: that says nothing of the service.
    NotRun,
}

/// The health of one run of one container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    process: Process,
    since: Moment,
    word: Word,
    /// Failures in a row.
    failures: u32,
    next: Moment,
}

impl Health {
    pub fn new(process: Process, now: Moment) -> Self {
        Self { process, since: now, word: Word::Starting, failures: 0, next: now + FIRST_AFTER }
    }

    pub fn is_of(&self, process: Process) -> bool {
        self.process == process
    }

    pub fn word(&self) -> Word {
        self.word
    }

    /// When it is to be checked again.
    pub fn next(&self) -> Moment {
        self.next
    }

    /// Takes what a check found. Returns the reason when the service became unhealthy by it.
    pub fn checked(&mut self, verdict: Verdict, check: &Healthcheck, now: Moment) -> Option<String> {
        let became = match verdict {
            Verdict::Passed => {
                (self.word, self.failures) = (Word::Healthy, 0);
                None
            }
            Verdict::Failed(said) => self.failed(said, check, now),
            Verdict::NotRun => None,
        };
        self.next = now + self.pause(check);
        became
    }

    fn failed(&mut self, said: String, check: &Healthcheck, now: Moment) -> Option<String> {
        self.failures = self.failures.saturating_add(1);
        let is_patient = self.word == Word::Starting && now.since(self.since) < patience(check);
        if self.failures < check.retries || is_patient || self.word == Word::Unhealthy {
            return None;
        }
        self.word = Word::Unhealthy;
        Some(format!("its health check failed {} times in a row: {said}", self.failures))
    }

    fn pause(&self, check: &Healthcheck) -> Duration {
        let interval = Duration::from_secs(check.interval_s.into());
        if self.word == Word::Starting { interval.min(STARTING_EVERY) } else { interval }
    }
}

/// How long a service that was never healthy is waited for: it is asked more often than its interval says, and
/// must not be given up sooner for that.
fn patience(check: &Healthcheck) -> Duration {
    let retries = u64::from(check.interval_s) * u64::from(check.retries);
    Duration::from_secs(u64::from(check.start_period_s) + retries)
}

#[cfg(test)]
mod tests {
    use super::*;
    use fleet_contracts::desired::Probe;

    const PROCESS: Process = Process { pid: 7, start_ticks: 7 };

    fn at(second: u64) -> Moment {
        Moment::from_start(Duration::from_secs(second))
    }

    fn check() -> Healthcheck {
        let test = Probe::Command(vec!["check".into()]);
        Healthcheck { test, interval_s: 10, timeout_s: 3, retries: 3, start_period_s: 20 }
    }

    fn fail() -> Verdict {
        Verdict::Failed("exit 1".into())
    }

    #[test]
    fn one_pass_makes_a_starting_service_healthy() {
        let mut health = Health::new(PROCESS, at(0));
        assert_eq!((health.word(), health.next()), (Word::Starting, at(1)));
        health.checked(fail(), &check(), at(1));
        assert_eq!((health.word(), health.next()), (Word::Starting, at(6)), "asked again soon");
        health.checked(Verdict::Passed, &check(), at(6));
        assert_eq!((health.word(), health.next()), (Word::Healthy, at(16)));
    }

    #[test]
    fn failures_count_only_in_a_row() {
        let mut health = Health::new(PROCESS, at(0));
        health.checked(Verdict::Passed, &check(), at(1));
        for second in [11, 21] {
            assert_eq!(health.checked(fail(), &check(), at(second)), None);
        }
        health.checked(Verdict::Passed, &check(), at(31));
        for second in [41, 51] {
            assert_eq!(health.checked(fail(), &check(), at(second)), None);
        }
        assert_eq!(health.word(), Word::Healthy);
        let why = health.checked(fail(), &check(), at(61));
        assert_eq!(why.as_deref(), Some("its health check failed 3 times in a row: exit 1"));
        assert_eq!(health.word(), Word::Unhealthy);
        assert_eq!(health.checked(fail(), &check(), at(71)), None, "it is told once");
    }

    #[test]
    fn a_slow_starter_is_given_its_start_period_and_all_its_retries() {
        let mut health = Health::new(PROCESS, at(0));
        for second in 1..50 {
            assert_eq!(health.checked(fail(), &check(), at(second)), None, "{second}");
        }
        assert!(health.checked(fail(), &check(), at(50)).is_some());
    }

    #[test]
    fn a_check_that_could_not_be_run_says_nothing() {
        let mut health = Health::new(PROCESS, at(0));
        health.checked(Verdict::Passed, &check(), at(1));
        for second in 2..100 {
            assert_eq!(health.checked(Verdict::NotRun, &check(), at(second)), None);
        }
        assert_eq!(health.word(), Word::Healthy);
    }
}
