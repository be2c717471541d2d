//! From what podman says to what a decision depends on.
//!
//! Podman answers most refusals with 500 and prose (4.3.1 even a name conflict), so the prose is read;
//! `tests` holds recorded sentences.
use crate::domain::hidden::Hidden;
use crate::runtime::{ErrorKind, Operation, RuntimeError};
use bollard::errors::Error as Bollard;

/// Longest message that is kept, in bytes: it travels in every state document.
pub(super) const MAX_MESSAGE: usize = 300;

/// What takes the place of podman's words where they repeat a secret.
const REPEATS: &str = "podman's answer repeats a secret and is not shown";
/// A shorter line of a secret (a brace, an indent) says nothing of it.
const TELLING_LINE: usize = 8;

/// Why one exchange with podman failed, before it is known what that means.
#[derive(Debug)]
pub(super) enum Failure {
    /// An answer, and it says no.
    Status { code: u16, message: String },
    /// A pull that failed after it had begun.
    Stream(String),
    /// No answer in time.
    Deadline,
    /// The connection could not be made, or broke.
    Connection(String),
    /// An answer that could not be understood.
    Unreadable(String),
    /// We refuse, before podman is asked.
    Refused(&'static str),
}

impl From<Bollard> for Failure {
    fn from(error: Bollard) -> Self {
        match error {
            Bollard::DockerResponseServerError { status_code, message } => {
                Self::Status { code: status_code, message }
            }
            Bollard::DockerStreamError { error } => Self::Stream(error),
            Bollard::RequestTimeoutError => Self::Deadline,
            Bollard::JsonDataError { message, .. } => Self::Unreadable(message),
            Bollard::JsonSerdeError { err } => Self::Unreadable(err.to_string()),
            Bollard::StrParseError { err } => Self::Unreadable(err.to_string()),
            // Everything else is a socket that is not there, a refused or broken connection, or a
            // request that never left.
            other => Self::Connection(chain(&other)),
        }
    }
}

/// An error with its sources: hyper's own text says only "client error".
pub(super) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text = format!("{text}: {inner_text}");
        }
        source = inner.source();
    }
    text
}

impl Failure {
    pub(super) fn is_not_found(&self) -> bool {
        matches!(self, Self::Status { code: 404, .. })
    }

    pub(super) fn says(&self, words: &str) -> bool {
        match self {
            Self::Status { message, .. } | Self::Stream(message) => {
                message.to_ascii_lowercase().contains(words)
            }
            Self::Deadline | Self::Connection(_) | Self::Unreadable(_) | Self::Refused(_) => false,
        }
    }

    /// The same without what repeats one of these, as it is, in quotes, or a line of it. Nobody knows today of a
    /// case in which podman does: it would be published to everybody who reads states.
    pub(super) fn hiding<'v>(self, values: impl IntoIterator<Item = &'v Hidden>) -> Self {
        let Self::Status { code, message } = self else { return self };
        let repeats =
            values.into_iter().any(|value| repeats(&message, &String::from_utf8_lossy(value.reveal())));
        let message = if repeats { REPEATS.to_owned() } else { message };
        Self::Status { code, message }
    }

    pub(super) fn during(self, operation: Operation, object: &str) -> RuntimeError {
        let kind = self.kind(operation);
        let message = match self {
            Self::Status { message, .. } | Self::Stream(message) | Self::Connection(message) => message,
            Self::Unreadable(message) => format!("unreadable answer: {message}"),
            Self::Deadline => "no answer in time".into(),
            Self::Refused(why) => why.into(),
        };
        RuntimeError {
            operation: operation.name(),
            object: object.into(),
            kind,
            message: shortened(message.trim(), MAX_MESSAGE).into(),
        }
    }

    fn kind(&self, operation: Operation) -> ErrorKind {
        match self {
            Self::Deadline => ErrorKind::Timeout,
            Self::Connection(_) => ErrorKind::Unreachable,
            Self::Unreadable(_) | Self::Refused(_) => ErrorKind::Refused,
            Self::Stream(message) => said(operation, 500, &message.to_ascii_lowercase()),
            Self::Status { code, message } => said(operation, *code, &message.to_ascii_lowercase()),
        }
    }
}

fn repeats(message: &str, value: &str) -> bool {
    let escaped = value.escape_debug().to_string();
    let lines = value.lines().filter(|line| line.trim().len() >= TELLING_LINE);
    [value.trim_end(), &escaped]
        .into_iter()
        .chain(lines)
        .any(|text| !text.is_empty() && message.contains(text))
}

fn said(operation: Operation, code: u16, message: &str) -> ErrorKind {
    if says_any(message, &["no space left on device", "disk quota exceeded"]) {
        return ErrorKind::DiskFull;
    }
    if operation == Operation::Pull {
        return said_by_registry(code, message);
    }
    if says_any(message, &["address already in use", "port is already allocated"]) {
        return ErrorKind::PortInUse;
    }
    if operation == Operation::Start && is_cut_off(message) {
        return ErrorKind::Unstartable;
    }
    // Before the 404s: a create on a missing network is a 500 (4.3.1), one of a missing image a 404.
    if says_any(message, &["already in use", "name is in use"]) {
        return ErrorKind::NameInUse;
    }
    if operation == Operation::Create && says_any(message, &["no such image", "image not known"]) {
        return ErrorKind::ImageMissing;
    }
    match code {
        404 => ErrorKind::NotFound,
        _ if says_any(message, &["network not found", "no such network", "no such volume"]) => {
            ErrorKind::NotFound
        }
        _ => ErrorKind::Refused,
    }
}

/// What podman says of a container in whose start it was killed: the OCI runtime has it already (a second
/// attempt may succeed), or runs it already while podman calls it created (none ever does). Podman 4.3.1.
fn is_cut_off(message: &str) -> bool {
    let starts_again = says_any(message, &["/runc start ", "/crun start "]);
    message.contains("container with given id already exists")
        || (message.contains("crun: container ") && message.contains(" already exists"))
        || (starts_again && message.contains("failed: exit status"))
}

fn said_by_registry(code: u16, message: &str) -> ErrorKind {
    const REFUSALS: [&str; 5] = [
        "unauthorized",
        "authentication required",
        "invalid username/password",
        "requested access to the resource is denied",
        "403 (forbidden)",
    ];
    match code {
        401 | 403 => ErrorKind::RegistryAuth,
        _ if says_any(message, &REFUSALS) => ErrorKind::RegistryAuth,
        _ => ErrorKind::Pull,
    }
}

fn says_any(message: &str, words: &[&str]) -> bool {
    words.iter().any(|word| message.contains(word))
}

/// At most `max` bytes of a text, cut between characters.
pub(super) fn shortened(text: &str, max: usize) -> &str {
    &text[..text.floor_char_boundary(max)]
}

#[cfg(test)]
mod tests;
