//! Whether the wall clock can be believed.
//!
//! The kernel knows: every time daemon (timesyncd, chrony, ntpd) clears `STA_UNSYNC` through
//! adjtimex(2) once it has set the clock, and the kernel sets it again when corrections stay away
//! for about a day. Where a container's seccomp filter refuses the call, the mark that timesyncd
//! leaves is asked instead. A clock that nobody synchronises (a virtual machine that trusts its
//! host's) reads as not synced: not known is not synced.
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// 2025-01-01 UTC: before this source was written. A clock that shows less is wrong, whatever
/// anybody says of it.
const EARLIEST_UNIX_S: u64 = 1_735_689_600;

const TIMESYNCD_MARK: &str = "/run/systemd/timesync/synchronized";

/// Whether the wall clock is known to be set from a time source. Cheap: one system call.
pub fn clock_synced() -> bool {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    judge(now, kernel_says(), || Path::new(TIMESYNCD_MARK).exists())
}

fn judge(now_unix_s: u64, kernel: Option<bool>, timesyncd: impl FnOnce() -> bool) -> bool {
    now_unix_s >= EARLIEST_UNIX_S && kernel.unwrap_or_else(timesyncd)
}

/// None when the kernel may not be asked.
fn kernel_says() -> Option<bool> {
    // SAFETY: `timex` is plain integers, for which zero is valid; zero `modes` only reads.
    #[allow(unsafe_code)]
    let (state, timex) = unsafe {
        let mut timex: libc::timex = std::mem::zeroed();
        (libc::adjtimex(&mut timex), timex)
    };
    (state >= 0).then_some(state != libc::TIME_ERROR && timex.status & libc::STA_UNSYNC == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TODAY: u64 = EARLIEST_UNIX_S + 1;

    #[test]
    fn a_clock_before_this_source_was_written_is_never_believed() {
        assert!(!judge(0, Some(true), || true));
        assert!(judge(TODAY, Some(true), || false));
    }

    #[test]
    fn the_kernels_word_counts_and_timesyncds_only_where_there_is_none() {
        assert!(!judge(TODAY, Some(false), || true));
        assert!(judge(TODAY, None, || true));
        assert!(!judge(TODAY, None, || false));
    }
}
