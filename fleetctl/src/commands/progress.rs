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
        let (before, after) = if self.in_place { ("\r\x1b[2K", "") } else { ("", "\n") };
        let mut stderr = std::io::stderr().lock();
        let _ = write!(stderr, "{before}{seconds:>4}s  {}{after}", clean(line)).and_then(|()| stderr.flush());
    }

    /// The line that stands there last.
    pub fn last(&self) -> &str {
        &self.last
    }
}

/// Leaves the last line standing.
impl Drop for Progress {
    fn drop(&mut self) {
        if self.in_place && !self.last.is_empty() {
            let _ = writeln!(std::io::stderr());
        }
    }
}
