//! A vault for tests, in memory.
use super::{Vault, VaultError};
use crate::domain::hidden::{Hidden, RegistryCredential, SecretsVersion};
use fleet_contracts::ValueName;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

#[derive(Default)]
pub struct FakeVault {
    secrets: Mutex<BTreeMap<String, String>>,
    credentials: Mutex<BTreeMap<String, (String, String)>>,
    /// Counts the keys of versions.
    key: Mutex<u32>,
}

impl FakeVault {
    pub fn put(&self, name: &str, value: &str) {
        locked(&self.secrets).insert(name.into(), value.into());
    }

    pub fn take(&self, name: &str) {
        locked(&self.secrets).remove(name);
    }

    /// The key of versions is gone: another one takes its place.
    pub fn lose_key(&self) {
        *locked(&self.key) += 1;
    }

    pub fn put_credential(&self, name: &str, user: &str, password: &str) {
        locked(&self.credentials).insert(name.into(), (user.into(), password.into()));
    }
}

impl Vault for FakeVault {
    fn secret(&self, name: &ValueName) -> Result<Hidden, VaultError> {
        let found = locked(&self.secrets).get(name.as_str()).map(|value| Hidden::new(value.as_bytes()));
        found.ok_or_else(|| VaultError { what: format!("secret {name}"), reason: "no such file".into() })
    }

    fn version(&self, values: &[(ValueName, Hidden)]) -> Result<SecretsVersion, VaultError> {
        let bytes: Vec<u8> = values.iter().flat_map(|(_, value)| value.reveal().to_vec()).collect();
        let digest = ring::digest::digest(&ring::digest::SHA256, &bytes);
        let hex: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(SecretsVersion::made_with(&locked(&self.key).to_string(), &hex))
    }

    fn credential(&self, name: &ValueName, _image: &str) -> Result<RegistryCredential, VaultError> {
        let found = locked(&self.credentials).get(name.as_str()).cloned();
        let missing = || VaultError { what: format!("credential {name}"), reason: "no such file".into() };
        let (user, password) = found.ok_or_else(missing)?;
        Ok(RegistryCredential { user, password: Hidden::new(password.into_bytes()), identity_token: None })
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Each change is one map operation: a panic elsewhere cannot leave it half done.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
