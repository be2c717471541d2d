//! Keys that the server refused, each with a growing wait of its own: one that may not be written, or is
//! too large, must not hold up the others.
use super::RETRY_CAP;
use crate::actors::retry_delay;
use crate::messages::reporter::Key;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

#[derive(Debug, Default)]
pub struct Resting(BTreeMap<Key, Rest>);

#[derive(Debug)]
struct Rest {
    failures: u32,
    until: Instant,
}

impl Resting {
    /// Whether it is the first time in a row.
    pub fn refused(&mut self, key: Key) -> bool {
        let failures = self.0.get(&key).map_or(0, |rest| rest.failures);
        let until = Instant::now() + retry_delay(failures, RETRY_CAP);
        self.0.insert(key, Rest { failures: failures.saturating_add(1), until });
        failures == 0
    }

    pub fn accepted(&mut self, key: &Key) {
        self.0.remove(key);
    }

    /// Another connection may be allowed what this one was not.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    pub fn rests(&self, key: &Key) -> bool {
        self.0.get(key).is_some_and(|rest| rest.until > Instant::now())
    }

    /// How long until the first of those that rest may be tried again.
    pub fn next(&self) -> Option<Duration> {
        let now = Instant::now();
        let next = self.0.values().map(|rest| rest.until).filter(|until| *until > now).min()?;
        Some(next - now)
    }
}
