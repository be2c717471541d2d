//! Logs on stderr, and the last words of a panic. Called by all, calls none.
pub mod blame;

use std::backtrace::Backtrace;
use std::io::IsTerminal;
use std::os::unix::fs::MetadataExt;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

/// Sets up logging by `RUST_LOG` (targets and levels: `info,fleet_agent::actors=debug`), default
/// `info`, and logs every panic with its place and backtrace. Only the first call has an effect.
pub fn init() {
    let (filter, complaint) = filter(std::env::var("RUST_LOG").ok().as_deref());
    let lines = fmt::layer().with_writer(std::io::stderr).with_ansi(std::io::stderr().is_terminal());
    // The journal stamps lines itself.
    let lines = if stderr_is_journal() { lines.without_time().boxed() } else { lines.boxed() };
    if tracing_subscriber::registry().with(lines.with_filter(filter)).try_init().is_err() {
        return;
    }
    if let Some(complaint) = complaint {
        tracing::warn!("{complaint}");
    }
    std::panic::set_hook(Box::new(log_panic));
}

/// The filter, and what to say of one that could not be read (then `info`).
fn filter(given: Option<&str>) -> (Targets, Option<String>) {
    // The libraries' own accounts of what the agent itself logs once, and better.
    let quiet = ["ractor", "async_nats", "bollard", "hyper"].map(|library| (library, LevelFilter::ERROR));
    let default = Targets::new().with_default(LevelFilter::INFO).with_targets(quiet);
    match given.map(str::trim).filter(|given| !given.is_empty()) {
        None => (default, None),
        Some(given) => match given.parse() {
            Ok(filter) => (filter, None),
            Err(error) => {
                (default, Some(format!("RUST_LOG=\"{given}\" is not understood ({error}): info is used")))
            }
        },
    }
}

/// systemd names the journal's stream by device and inode; the variable alone proves nothing, it is
/// inherited by whatever is started from a unit.
fn stderr_is_journal() -> bool {
    let Ok(stream) = std::env::var("JOURNAL_STREAM") else { return false };
    let stderr = std::fs::metadata("/proc/self/fd/2");
    stderr.is_ok_and(|stderr| stream == format!("{}:{}", stderr.dev(), stderr.ino()))
}

fn log_panic(panic: &std::panic::PanicHookInfo<'_>) {
    let message = panic.payload_as_str().unwrap_or("(no message)");
    let place = panic.location().map(ToString::to_string).unwrap_or_default();
    let thread = std::thread::current().name().unwrap_or("unnamed").to_owned();
    tracing::error!(thread, place, "panic: {message}\n{}", Backtrace::force_capture());
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing::Level;

    #[test]
    fn nothing_said_means_info() {
        for given in [None, Some(""), Some("  ")] {
            let (filter, complaint) = filter(given);
            assert!(filter.would_enable("anything", &Level::INFO));
            assert!(!filter.would_enable("anything", &Level::DEBUG));
            assert_eq!(complaint, None);
        }
    }

    #[test]
    fn targets_and_levels_are_honoured() {
        let (filter, _) = filter(Some("warn,fleet_agent::actors=debug"));
        assert!(filter.would_enable("fleet_agent::actors::link", &Level::DEBUG));
        assert!(!filter.would_enable("fleet_agent::bus", &Level::INFO));
    }

    #[test]
    fn a_filter_that_is_not_understood_is_named_and_info_is_used() {
        let (filter, complaint) = filter(Some("fleet_agent=louder"));
        assert!(filter.would_enable("fleet_agent", &Level::INFO));
        assert!(complaint.unwrap().contains("fleet_agent=louder"));
    }
}
