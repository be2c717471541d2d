//! Logs on stderr, and the last words of a panic. Called by all, calls none.
pub mod blame;
mod filter;

pub use filter::{LogFilter, NotAFilter};

use std::backtrace::Backtrace;
use std::io::IsTerminal;
use std::os::unix::fs::MetadataExt;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

/// Sets up logging by `RUST_LOG` (targets and levels: `info,fleet_agent::actors=debug`), default
/// `info`, and logs every panic with its place and backtrace. Only the first call has an effect. What comes back changes the
/// filter while the program runs.
pub fn init() -> LogFilter {
    let (filter, layer, complaint) = LogFilter::new(std::env::var("RUST_LOG").ok().as_deref());
    let lines = fmt::layer().with_writer(std::io::stderr).with_ansi(std::io::stderr().is_terminal());
    // The journal stamps lines itself.
    let lines = if stderr_is_journal() { lines.without_time().boxed() } else { lines.boxed() };
    if tracing_subscriber::registry().with(lines.with_filter(layer)).try_init().is_err() {
        return filter;
    }
    if let Some(complaint) = complaint {
        tracing::warn!("{complaint}");
    }
    std::panic::set_hook(Box::new(log_panic));
    filter
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
