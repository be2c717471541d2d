//! Bytes that are for containers and registries only, and never for anybody who reads logs, labels, states
//! or errors.
use std::fmt;
use std::sync::Arc;

/// Has no `Display` and no `Serialize`, and its `Debug` shows nothing: who wants to see it has to ask for it.
#[derive(Clone, PartialEq, Eq)]
pub struct Hidden(Arc<[u8]>);

impl Hidden {
    pub fn new(bytes: impl Into<Arc<[u8]>>) -> Self {
        Self(bytes.into())
    }

    pub fn reveal(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

/// What a registry wants to see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistryCredential {
    pub user: String,
    pub password: Hidden,
    /// Takes the place of the password where the registry gave one.
    pub identity_token: Option<Hidden>,
}

/// Tells one set of secret values from another, and nothing else of them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SecretsVersion(Arc<str>);

impl SecretsVersion {
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
