//! Exit codes, and errors that say what to do next.
use std::fmt;

/// How fleetctl ends. The numbers are those of sysexits(3) where it has one, and of timeout(1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// The thing that was asked for failed, or was refused by the device.
    Failed = 1,
    Usage = 64,
    /// The document is not valid; nothing was written.
    BadDocument = 65,
    /// No server, no bucket, or no agent answers.
    Unavailable = 69,
    /// No answer, or no result, in time.
    TimedOut = 124,
}

/// An error with its exit code and, where there is one, the next step.
#[derive(Debug)]
pub struct Stop {
    pub exit: Exit,
    pub message: String,
    pub next: Option<String>,
}

impl Stop {
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), next: None }
    }

    pub fn next(mut self, step: impl Into<String>) -> Self {
        self.next = Some(step.into());
        self
    }
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Stop {}

/// What is written to stderr, and the exit code.
pub fn describe(error: &anyhow::Error) -> (String, Exit) {
    let stop = error.downcast_ref::<Stop>();
    let next = stop.and_then(|stop| stop.next.as_deref());
    let next = next.map(|step| format!("\n  next: {step}")).unwrap_or_default();
    (format!("fleetctl: {error:#}{next}"), stop.map_or(Exit::Failed, |stop| stop.exit))
}
