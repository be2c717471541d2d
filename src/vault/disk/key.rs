//! The device's own key, by which versions of secrets are told apart.
//!
//! A version is in a container's label, which is for everybody to see. A plain hash of a short secret could be
//! guessed; one with a key that never leaves the device cannot. A version names its key, so that a lost key does not
//! look like other values.
use super::super::VaultError;
use crate::domain::hidden::{Hidden, SecretsVersion};
use fleet_contracts::ValueName;
use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// As long as the hash's output (RFC 2104).
const LENGTH: usize = 32;
/// What is signed to name the key: no list of values is these bytes, for each begins with a length.
const NAME: &[u8] = b"key";
/// Bytes of the key's name: a device has two or three keys in its life.
const NAME_LENGTH: usize = 4;

pub(super) struct VersionKey {
    path: PathBuf,
    read: Mutex<Option<hmac::Key>>,
}

impl VersionKey {
    pub(super) fn below(state_dir: &Path) -> Self {
        Self { path: state_dir.join("secrets-key"), read: Mutex::new(None) }
    }

    pub(super) fn version(&self, values: &[(ValueName, Hidden)]) -> Result<SecretsVersion, VaultError> {
        let key = self.key().map_err(|error| VaultError {
            what: format!("the key for versions of secrets, {}", self.path.display()),
            reason: error.to_string(),
        })?;
        let mut context = hmac::Context::with_key(&key);
        for (name, value) in values {
            // With their lengths, so that no two lists of values are the same bytes.
            for part in [name.as_str().as_bytes(), value.reveal()] {
                context.update(&(part.len() as u64).to_be_bytes());
                context.update(part);
            }
        }
        let name = hmac::sign(&key, NAME);
        Ok(SecretsVersion::made_with(&hex(&name.as_ref()[..NAME_LENGTH]), &hex(context.sign().as_ref())))
    }

    fn key(&self) -> io::Result<hmac::Key> {
        // A panic elsewhere leaves nothing half done in here.
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(key) = &*read {
            return Ok(key.clone());
        }
        let bytes = match fs::read(&self.path) {
            Ok(bytes) if bytes.len() == LENGTH => bytes,
            // A torn one is as good as none.
            Ok(_) => self.make()?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.make()?,
            Err(error) => return Err(error),
        };
        Ok(read.insert(hmac::Key::new(hmac::HMAC_SHA256, &bytes)).clone())
    }

    /// Durable before it is used: containers bear what is made by it. What bears a version of another key is kept.
    fn make(&self) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; LENGTH];
        SystemRandom::new().fill(&mut bytes).map_err(|_| io::Error::other("no random numbers"))?;
        let temporary = self.path.with_extension("tmp");
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, &self.path)?;
        File::open(self.path.parent().unwrap_or(Path::new("/")))?.sync_all()?;
        tracing::info!(path = %self.path.display(), "made a key for versions of secrets");
        Ok(bytes)
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
