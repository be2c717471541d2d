//! Values that are on the device and in no document: secrets, and credentials for registries.
//!
//! Every call reads files: it may block.
use crate::domain::hidden::{Hidden, RegistryCredential, SecretsVersion};
use fleet_contracts::ValueName;

pub mod disk;
pub mod fake;

/// A value that cannot be had. Says why, never what.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}: {reason}")]
pub struct VaultError {
    /// Which value, and where it was looked for.
    pub what: String,
    pub reason: String,
}

pub trait Vault: Send + Sync + 'static {
    /// The value of a secret, as it is now.
    fn secret(&self, name: &ValueName) -> Result<Hidden, VaultError>;

    /// The version of these values: another one for any other values, the same one after a restart.
    fn version(&self, values: &[(ValueName, Hidden)]) -> Result<SecretsVersion, VaultError>;

    /// What is kept under this name for the registry that the image comes from.
    fn credential(&self, name: &ValueName, image: &str) -> Result<RegistryCredential, VaultError>;
}
