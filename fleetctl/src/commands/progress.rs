//! Shows changes while fleetctl waits, on stderr: in place on a terminal, else one line each.
use crate::render::clean;
use std::io::{IsTerminal, Write};
use tokio::time::Instant;

pub struct Progress {
    begin: Instant,
    last: String,
    in_place: bool,
}

impl Progress {
    pub fn begin() -> Self {
        Self { begin: Instant::now(), last: String::new(), in_place: std::io::stderr().is_terminal() }
    }

    /// Shows a line, unless it is the one that stands there already.
    pub fn show(&mut self, line: &str) {
        if line == self.last {
            return;
        }
        self.last = line.to_string();
        let seconds = self.begin.elapsed().as_secs();
        let text = format!("{seconds:>4}s  {}", clean(line));
        let text = if self.in_place { format!("\r\x1b[2K{}", fitting(&text)) } else { text + "\n" };
        let mut stderr = std::io::stderr().lock();
        let _ = stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush());
    }

    /// The line that stands there last.
    pub fn last(&self) -> &str {
        &self.last
    }
}

/// As much as one row of the terminal holds: a line that wraps could not be overwritten.
fn fitting(text: &str) -> String {
    let width = terminal_size::terminal_size_of(std::io::stderr());
    text.chars().take(width.map_or(79, |(width, _)| usize::from(width.0).saturating_sub(1))).collect()
}

/// Leaves the last line standing.
impl Drop for Progress {
    fn drop(&mut self) {
        if self.in_place && !self.last.is_empty() {
            let _ = writeln!(std::io::stderr());
        }
    }
}
