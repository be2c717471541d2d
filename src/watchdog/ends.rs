//! The file `own-ends` in the state directory: how often in a row the process ended by a fault of its own. Only
//! that is counted: a device that is switched off three times in an hour has no fault.
use super::atomic;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

const FILE: &str = "own-ends";
/// A process that lived so long is well.
pub const WELL_AFTER: Duration = Duration::from_secs(600);
/// So many ends in a row are borne without waiting: what a restart heals is healed by then.
const BORNE: u32 = 3;
const FIRST_WAIT: Duration = Duration::from_secs(10);
/// An operator who wants to look, or mend, has at least as long to do so.
const LONGEST_WAIT: Duration = Duration::from_secs(300);

/// The count of one state directory.
#[derive(Debug, Clone)]
pub struct Ends(PathBuf);

impl Ends {
    pub fn of(state_dir: &Path) -> Self {
        Self(state_dir.join(FILE))
    }

    /// Counts one more; answers how many there are now. A count that cannot be read begins anew.
    pub fn count(&self) -> u32 {
        let before = fs::read_to_string(&self.0).ok().and_then(|text| text.trim().parse().ok());
        let now = before.unwrap_or(0_u32).saturating_add(1);
        if let Err(error) = atomic::write(&self.0, format!("{now}\n").as_bytes()) {
            tracing::warn!(%error, "the ends of this agent cannot be counted");
        }
        now
    }

    /// It is well.
    pub fn forget(&self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// How long a process that comes after so many ends only looks, and changes nothing.
pub fn hold(ends: u32) -> Duration {
    match ends.checked_sub(BORNE + 1) {
        None => Duration::ZERO,
        Some(more) => FIRST_WAIT.saturating_mul(1 << more.min(10)).min(LONGEST_WAIT),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_ends_are_borne_and_then_the_wait_doubles_up_to_five_minutes() {
        let waits: Vec<u64> = (0..=11).map(|ends| hold(ends).as_secs()).collect();
        assert_eq!(waits, [0, 0, 0, 0, 10, 20, 40, 80, 160, 300, 300, 300]);
        assert_eq!(hold(u32::MAX), LONGEST_WAIT);
    }

    #[test]
    fn ends_in_a_row_are_counted_until_it_is_well() {
        let dir = tempfile::tempdir().unwrap();
        let ends = Ends::of(dir.path());
        assert_eq!([ends.count(), ends.count(), ends.count()], [1, 2, 3]);
        fs::write(dir.path().join(FILE), "no number").unwrap();
        assert_eq!(ends.count(), 1);
        ends.forget();
        assert_eq!(ends.count(), 1);
    }
}
