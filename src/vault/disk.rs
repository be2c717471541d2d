//! One file per value, below directories of the configuration.
use super::{Vault, VaultError};
use crate::domain::hidden::{Hidden, RegistryCredential, SecretsVersion};
use fleet_contracts::ValueName;
use key::VersionKey;
use std::fs::OpenOptions;
use std::io::Read;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

mod auth;
mod key;

/// Largest file that is read, in bytes. A certificate chain has some ten thousand; a name that points to a log or a
/// device must not fill the memory.
const MAX_VALUE: u64 = 256 * 1024;
/// Nobody but the owner and the group may have anything of it.
const OTHERS: u32 = 0o007;

pub struct DiskVault {
    secrets: PathBuf,
    credentials: PathBuf,
    key: VersionKey,
}

impl DiskVault {
    /// Reads nothing yet: the directories need not exist.
    pub fn new(secrets_dir: &Path, registry_auth_dir: &Path, state_dir: &Path) -> Self {
        Self {
            secrets: secrets_dir.to_owned(),
            credentials: registry_auth_dir.to_owned(),
            key: VersionKey::below(state_dir),
        }
    }
}

impl Vault for DiskVault {
    fn secret(&self, name: &ValueName) -> Result<Hidden, VaultError> {
        let path = self.secrets.join(name.as_str());
        read_private(&path).map(Hidden::new).map_err(|reason| about("secret", name, &path, reason))
    }

    fn version(&self, values: &[(ValueName, Hidden)]) -> Result<SecretsVersion, VaultError> {
        self.key.version(values)
    }

    fn credential(&self, name: &ValueName, image: &str) -> Result<RegistryCredential, VaultError> {
        let path = self.credentials.join(format!("{name}.json"));
        let found = read_private(&path).and_then(|file| auth::find(&file, image));
        found.map_err(|reason| about("registry credential", name, &path, reason))
    }
}

fn about(what: &str, name: &ValueName, path: &Path, reason: String) -> VaultError {
    VaultError { what: format!("{what} {name}, {}", path.display()), reason }
}

fn read_private(path: &Path) -> Result<Vec<u8>, String> {
    // Opening a pipe would wait for its writer.
    let opened = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path);
    let file = opened.map_err(|error| error.to_string())?;
    let about = file.metadata().map_err(|error| error.to_string())?;
    if !about.is_file() {
        return Err("it is no regular file".into());
    }
    let mode = about.permissions().mode() & 0o7777;
    if mode & OTHERS != 0 {
        return Err(format!("mode {mode:04o} is open to every user of the device: chmod o= it"));
    }
    let mut bytes = Vec::new();
    file.take(MAX_VALUE + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    match bytes.len() as u64 {
        0 => Err("it is empty".into()),
        length if length > MAX_VALUE => Err(format!("it is larger than {MAX_VALUE} bytes")),
        _ => Ok(bytes),
    }
}

#[cfg(test)]
mod tests;
