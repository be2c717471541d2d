use crate::supervision::backoff::{Backoff, CLEARED_AFTER, ceiling};
use crate::supervision::budget::Ledger;
use crate::supervision::{Budget, Fault};
use std::time::Duration;
use tokio::time::Instant;

const MS: fn(u64) -> Duration = Duration::from_millis;

#[test]
fn the_first_restart_is_at_once_and_later_ones_wait_up_to_a_doubling_ceiling() {
    let ceilings: Vec<_> = (0..5).map(ceiling).collect();
    assert_eq!(ceilings, [MS(0), MS(100), MS(200), MS(400), MS(800)]);
    assert_eq!(ceiling(9), MS(25_600));
    assert_eq!(ceiling(10), MS(30_000));
    assert_eq!(ceiling(u32::MAX), MS(30_000));
}

#[test]
fn backoff_has_full_jitter_below_its_ceiling() {
    let waits: Vec<_> = (0..200)
        .map(|_| {
            let mut backoff = Backoff::default();
            (0..5).fold(MS(0), |_, _| backoff.crashed(MS(0)))
        })
        .collect();
    assert!(waits.iter().all(|wait| *wait <= MS(800)));
    assert!(waits.iter().any(|wait| *wait < MS(200)) && waits.iter().any(|wait| *wait > MS(600)));
}

#[test]
fn five_minutes_of_running_clear_the_backoff() {
    let mut backoff = Backoff::default();
    let _: Duration = (0..8).map(|_| backoff.crashed(MS(0))).sum();
    assert_eq!(backoff.crashed(CLEARED_AFTER), MS(0));
    let mut backoff = Backoff::default();
    backoff.crashed(MS(0));
    let waits: Duration = (0..100).map(|_| backoff.crashed(CLEARED_AFTER - MS(1))).sum();
    assert!(waits > MS(0));
}

#[tokio::test(start_paused = true)]
async fn a_budget_is_exceeded_by_one_crash_more_and_forgets_old_ones() {
    let mut ledger = Ledger::new(Budget { max: 2, within: Duration::from_secs(10) });
    let begin = Instant::now();
    let at = |s| begin + Duration::from_secs(s);
    assert!(!ledger.crashed(at(0)));
    assert!(!ledger.crashed(at(5)));
    assert_eq!(ledger.used(at(9)).used, 2);
    assert!(!ledger.crashed(at(10)), "the first one is 10 s old and no longer counts");
    assert!(ledger.crashed(at(11)));
    assert_eq!(ledger.used(at(30)).used, 0);
}

#[test]
fn a_fault_made_of_an_error_tells_the_whole_chain() {
    #[derive(Debug, thiserror::Error)]
    #[error("read the ledger")]
    struct Outer(#[source] std::io::Error);
    let fault: Fault = Outer(std::io::Error::other("disk gone")).into();
    assert_eq!(fault.to_string(), "read the ledger: disk gone");
}
