//! What is wrong with a configuration, and where.
use std::fmt;
use std::path::PathBuf;

/// Where a value came from. Ordered as problems are reported.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// Line and column of the file, both from 1, the column in characters.
    File { line: usize, column: usize },
    /// An environment variable.
    Variable(String),
    /// Something that is nowhere: a missing key.
    Nowhere,
}

impl Place {
    /// The place of a byte offset of `text`.
    pub(super) fn at(text: &str, offset: usize) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = before.matches('\n').count() + 1;
        Self::File { line, column: before[line_start..].chars().count() + 1 }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub place: Place,
    /// Never shows the value of a secret.
    pub message: String,
}

/// Everything that is wrong with one configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems {
    pub path: PathBuf,
    pub problems: Vec<Problem>,
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, Problem { place, message }) in self.problems.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            match place {
                Place::File { line, column } => write!(f, "{}:{line}:{column}: ", self.path.display())?,
                Place::Variable(name) => write!(f, "environment variable {name}: ")?,
                Place::Nowhere => write!(f, "{}: ", self.path.display())?,
            }
            f.write_str(message)?;
        }
        Ok(())
    }
}

/// Why there is no configuration. Displays as one line per problem.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("{}: cannot be read: {source}", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{0}")]
    Invalid(Problems),
}
