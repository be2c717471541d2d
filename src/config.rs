//! Settings: a TOML file, over it the environment, validated as a whole before anything starts.
//!
//! Every scalar is also taken from `FLEET_AGENT__SECTION__KEY` (lists comma-separated), which wins
//! over the file. All problems are reported at once.
use fleet_contracts::DeviceId;
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::time::Duration;

mod build;
mod credentials;
mod environment;
mod file;
mod problem;
mod raw;
mod schema;
mod socket;

pub use crate::credentials::{CredentialSettings, SecretSource};
pub use problem::{ConfigError, Place, Problem};

/// Where the configuration is unless `--config` or `FLEET_AGENT_CONFIG` says otherwise; whatever
/// installs the agent puts it there.
pub const DEFAULT_CONFIG_PATH: &str = "/etc/fleet-agent/config.toml";

/// Larger is no configuration but a mistake (a disk image, a device node).
const MAX_FILE: u64 = 1024 * 1024;

/// A complete, valid configuration. Its `Debug` shows no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    pub agent: AgentSettings,
    pub nats: NatsSettings,
    pub credentials: CredentialSettings,
    pub runtime: RuntimeSettings,
    /// As configured; `device-id` is not added here.
    pub labels: BTreeMap<String, String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentSettings {
    pub device_id: DeviceId,
    pub runtime_enabled: bool,
    /// Absolute.
    pub state_dir: PathBuf,
    /// 1 s to 1 h.
    pub heartbeat: Duration,
    /// 1 s to 1 h.
    pub reconcile: Duration,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NatsSettings {
    /// At least one, `nats://` or `tls://`, without user and password.
    pub urls: Vec<String>,
    pub tls_ca: Option<PathBuf>,
    /// Certificate and key, both or none.
    pub tls_client: Option<ClientCertificate>,
    /// Where the agent hears its own replies; None: the client library's `_INBOX`.
    pub inbox_prefix: Option<String>,
    /// The agent answers commands only to subjects that begin with one of these. Each ends with `.`.
    pub reply_prefixes: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCertificate {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuntimeSettings {
    /// Podman's API socket. It need not exist yet.
    pub socket: PathBuf,
    /// Absolute; one file per secret.
    pub secrets_dir: PathBuf,
    /// Absolute; one `NAME.json` per credential.
    pub registry_auth_dir: PathBuf,
    /// With less than this free where podman keeps images, nothing is pulled. 0: no floor.
    pub min_free_mb: u64,
}

impl Config {
    /// Reads and validates. `environment` is the whole process environment (`std::env::vars`):
    /// besides `FLEET_AGENT__…` it names podman's socket (`CONTAINER_HOST`, `DOCKER_HOST`,
    /// `XDG_RUNTIME_DIR`).
    pub fn load(
        path: &Path,
        environment: impl Iterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let text = read(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        Self::parse(&text, environment)
            .map_err(|problems| ConfigError::Invalid(problem::Problems { path: path.to_owned(), problems }))
    }

    fn parse(text: &str, environment: impl Iterator<Item = (String, String)>) -> Result<Self, Vec<Problem>> {
        let environment: HashMap<String, String> = environment.collect();
        let mut problems = Vec::new();
        let mut raw = file::read(text, &mut problems);
        environment::read(&environment, &mut raw, &mut problems);
        let config = build::build(raw, &environment, &mut problems);
        match config {
            Some(config) if problems.is_empty() => Ok(config),
            Some(_) | None => {
                problems.sort_by(|a, b| a.place.cmp(&b.place));
                Err(problems)
            }
        }
    }

    /// SHA-256 (lowercase hex) of what this configuration means, secrets left out: equal digests
    /// are equal settings, however they were written down.
    pub fn digest(&self) -> String {
        let text = |path: &Path| path.to_string_lossy().into_owned();
        let client = self.nats.tls_client.as_ref();
        // Sections in a fixed order and labels sorted: equal settings are equal bytes.
        let normal = serde_json::json!({
            "agent": {
                "device_id": self.agent.device_id,
                "runtime_enabled": self.agent.runtime_enabled,
                "state_dir": text(&self.agent.state_dir),
                "heartbeat_s": self.agent.heartbeat.as_secs(),
                "reconcile_s": self.agent.reconcile.as_secs(),
            },
            "nats": {
                "urls": self.nats.urls,
                "tls_ca": self.nats.tls_ca.as_deref().map(text),
                "tls_cert": client.map(|client| text(&client.certificate)),
                "tls_key": client.map(|client| text(&client.key)),
                "inbox_prefix": self.nats.inbox_prefix,
                "reply_prefixes": self.nats.reply_prefixes,
            },
            "credentials": credentials::without_secrets(&self.credentials),
            "runtime": {
                "socket": text(&self.runtime.socket),
                "secrets_dir": text(&self.runtime.secrets_dir),
                "registry_auth_dir": text(&self.runtime.registry_auth_dir),
                "min_free_mb": self.runtime.min_free_mb,
            },
            "labels": self.labels,
        });
        let digest = ring::digest::digest(&ring::digest::SHA256, normal.to_string().as_bytes());
        digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

fn read(path: &Path) -> std::io::Result<String> {
    use std::io::Read;
    let mut text = String::new();
    std::fs::File::open(path)?.take(MAX_FILE + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAX_FILE {
        return Err(std::io::Error::other("larger than 1 MiB"));
    }
    Ok(text)
}

#[cfg(test)]
mod tests;
