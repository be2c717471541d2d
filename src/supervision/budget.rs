//! How many crashes are borne in how much time.
use fleet_contracts::commands::BudgetUse;
use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;
use tokio::time::Instant;

/// `max` crashes within `within` are restarted; one more exceeds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    pub max: u32,
    pub within: Duration,
}

impl fmt::Display for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in {} s", self.max, self.within.as_secs())
    }
}

/// The crashes that count now. Never longer than `max` + 1.
#[derive(Debug, Clone)]
pub(super) struct Ledger {
    budget: Budget,
    crashes: VecDeque<Instant>,
}

impl Ledger {
    pub fn new(budget: Budget) -> Self {
        Self { budget, crashes: VecDeque::new() }
    }

    /// True when this crash exceeds the budget.
    pub fn crashed(&mut self, now: Instant) -> bool {
        let within = self.budget.within;
        self.crashes.retain(|at| now.duration_since(*at) < within);
        self.crashes.push_back(now);
        self.crashes.len() > self.budget.max as usize
    }

    pub fn clear(&mut self) {
        self.crashes.clear();
    }

    pub fn used(&self, now: Instant) -> BudgetUse {
        let counts = |at: &&Instant| now.duration_since(**at) < self.budget.within;
        BudgetUse {
            max: self.budget.max,
            within_s: self.budget.within.as_secs(),
            used: self.crashes.iter().filter(counts).count() as u32,
        }
    }
}
