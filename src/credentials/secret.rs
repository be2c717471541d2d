//! A secret and where it is kept.
use super::CredentialError;
use std::fmt;
use std::path::{Path, PathBuf};
use tokio::io::AsyncReadExt;

/// Largest secret file that is read, in bytes. A token is a few kilobytes at most; a path that was
/// mistyped to a log or a device must not fill the memory.
const MAX_SECRET: u64 = 64 * 1024;

/// Where one secret comes from. `Debug` never shows it.
#[derive(Clone, PartialEq, Eq)]
pub enum SecretSource {
    Value(String),
    /// Read anew each time, so that replacing the file rotates the secret. A line end at its end
    /// is not part of the secret.
    File(PathBuf),
}

impl SecretSource {
    /// The secret as it is now; `what` names it in errors.
    ///
    /// # Errors
    /// The file cannot be read, is empty, larger than 64 KiB, or not UTF-8.
    pub async fn read(&self, what: &str) -> Result<String, CredentialError> {
        match self {
            Self::Value(value) => Ok(value.clone()),
            Self::File(path) => read_file(path).await.map_err(|reason| CredentialError {
                what: format!("{what} from {}", path.display()),
                reason,
            }),
        }
    }
}

async fn read_file(path: &Path) -> Result<String, String> {
    let file = tokio::fs::File::open(path).await.map_err(|e| e.to_string())?;
    let mut text = String::new();
    file.take(MAX_SECRET + 1).read_to_string(&mut text).await.map_err(|e| e.to_string())?;
    if text.len() as u64 > MAX_SECRET {
        return Err(format!("larger than {MAX_SECRET} bytes"));
    }
    let secret = text.trim_end_matches(['\n', '\r']);
    if secret.is_empty() {
        return Err("the file is empty".into());
    }
    Ok(secret.into())
}

impl fmt::Debug for SecretSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value(_) => f.write_str("Value(…)"),
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
        }
    }
}
