//! From a document's bytes to validated types: the only door.
use super::DesiredDeployment;

/// A document that was understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parsed {
    pub deployment: DesiredDeployment,
    /// Unknown fields, by path.
    pub warnings: Vec<String>,
}

/// One thing that is wrong with a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Such as `data.services[0].image`; empty for the document as a whole.
    pub path: String,
    pub message: String,
}

/// A document that was not understood; nothing is changed because of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("type \"{0}\" is not supported by this agent; it knows PodmanV0")]
    UnsupportedType(String),
    #[error("{}", list(.0))]
    InvalidSpec(Vec<Problem>),
}

fn list(problems: &[Problem]) -> String {
    let texts: Vec<String> = problems.iter().map(|p| format!("{}: {}", p.path, p.message)).collect();
    texts.join("; ")
}

/// Parses and validates a document of at most [`crate::names::MAX_DOCUMENT`] bytes.
pub fn parse(_document: &[u8]) -> Result<Parsed, Refusal> {
    Err(Refusal::UnsupportedType(String::new()))
}
