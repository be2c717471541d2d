//! Why an incarnation ended.
use fleet_contracts::commands::Cause;
use futures_util::FutureExt;
use std::any::Any;
use std::error::Error;
use std::fmt;
use std::panic::AssertUnwindSafe;

/// Giving up on an actor: its supervisor restarts it. A failure that is expected (podman says no) is a
/// value in the state, not a fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    message: String,
}

impl Fault {
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into() }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// Takes the whole chain of sources: it is logged once, by the supervisor. (`Fault` is no `Error` itself,
/// or this would overlap with `From<T> for T`.)
impl<E: Error> From<E> for Fault {
    fn from(error: E) -> Self {
        let mut message = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            message = format!("{message}: {cause}");
            source = cause.source();
        }
        Self { message }
    }
}

/// What a panic said.
pub fn panic_text(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(|text| text.to_string());
    let text = text.or_else(|| payload.downcast_ref::<String>().cloned());
    text.unwrap_or_else(|| "a panic without text".into())
}

/// Runs work whose panic is not to be its caller's. `Err`: what the panic said.
pub async fn caught<T>(work: impl Future<Output = T>) -> Result<T, String> {
    AssertUnwindSafe(work).catch_unwind().await.map_err(|panic| panic_text(&*panic))
}

/// A fault, a panic or a failed start, as it travels through ractor to the supervisor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    pub cause: Cause,
    pub message: String,
}

impl Failure {
    pub fn new(cause: Cause, message: impl Into<String>) -> Self {
        Self { cause, message: message.into() }
    }

    pub fn panic(payload: &(dyn Any + Send)) -> Self {
        Self::new(Cause::Panic, panic_text(payload))
    }

    pub fn cause_name(&self) -> &'static str {
        match self.cause {
            Cause::Panic => "panic",
            Cause::Error => "error",
            Cause::Start => "start",
            Cause::Unresponsive => "unresponsive",
            Cause::Requested => "requested",
            Cause::Unknown => "unknown",
        }
    }

    /// From what ractor reports: our own failures come back typed, anything else is a panic's text.
    pub fn from_exit(error: Box<dyn Error + Send + Sync>) -> Self {
        match error.downcast::<Failure>() {
            Ok(failure) => *failure,
            Err(other) => Self::new(Cause::Panic, other.to_string()),
        }
    }
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Self::new(Cause::Error, fault.message)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.cause_name(), self.message)
    }
}

impl Error for Failure {}
