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

/// Tells one set of secret values from another, and nothing else of them: `KEY.HMAC`. Only what one key made can
/// be compared.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SecretsVersion(Arc<str>);

impl SecretsVersion {
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }
    pub fn made_with(key: &str, hmac: &str) -> Self {
        Self(format!("{key}.{hmac}").into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is of other values than `one`; None: different keys made them, and nobody can tell.
    pub fn is_of_others_than(&self, one: &Self) -> Option<bool> {
        (self == one || self.key().is_some_and(|key| one.key() == Some(key))).then(|| self != one)
    }

    fn key(&self) -> Option<&str> {
        self.0.split_once('.').map(|(key, _)| key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_versions_of_one_key_can_be_compared() {
        let is_other = |a: &str, b: &str| SecretsVersion::new(a).is_of_others_than(&SecretsVersion::new(b));
        assert_eq!(is_other("k.1", "k.1"), Some(false));
        assert_eq!(is_other("k.1", "k.2"), Some(true));
        assert_eq!(is_other("k.1", "l.2"), None);
        assert_eq!(is_other("1", "k.1"), None, "of an agent that named no key");
        assert_eq!(is_other("1", "2"), None);
    }
}
