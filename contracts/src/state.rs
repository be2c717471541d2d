//! `DeploymentState`: what a device reports of one deployment.
use crate::{DeploymentName, DeviceId, ServiceName, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// Where a deployment stands as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Phase {
    /// Accepted, not begun.
    Pending,
    Pulling,
    Starting,
    /// Every service as desired.
    Running,
    /// The old is being replaced.
    Updating,
    /// Some service is down and being retried; `last_error.retry_at` says when.
    Degraded,
    /// Needs a new desired state or an operator.
    Failed,
    /// Only jobs, all exited 0.
    Completed,
    Stopping,
    /// Desired state refused by device policy, signature or revision guard.
    Held,
    /// A phase of a newer agent that this reader does not know.
    #[serde(other)]
    Unknown,
}

/// Where one service stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ServicePhase {
    Pending,
    Pulling,
    Starting,
    Running,
    Stopping,
    Exited,
    Completed,
    Failed,
    #[serde(other)]
    Unknown,
}

/// What the agent's health check says of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Health {
    Starting,
    Healthy,
    Unhealthy,
    #[serde(other)]
    Unknown,
}

/// Stable words for what went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Code {
    ImagePull,
    ImageMissing,
    RegistryAuth,
    PortInUse,
    InvalidSpec,
    UnsupportedType,
    Policy,
    Signature,
    StaleRevision,
    RuntimeUnreachable,
    Start,
    Exited,
    Unhealthy,
    CrashLoop,
    DiskFull,
    Dependency,
    Timeout,
    NameConflict,
    RemovalHeld,
    Quarantined,
    Internal,
    #[serde(other)]
    Unknown,
}

/// What went wrong last, while it is still wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastError {
    pub code: Code,
    pub service: Option<ServiceName>,
    pub message: String,
    /// When it is tried again; null when it is not retried.
    pub retry_at: Option<Timestamp>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceState {
    pub phase: ServicePhase,
    pub container_id: Option<String>,
    pub image_id: Option<String>,
    /// Restarts by the agent since it first saw this container.
    #[serde(default)]
    pub restarts: u64,
    pub exit_code: Option<i64>,
    pub started_at: Option<Timestamp>,
    pub health: Option<Health>,
    /// Only while its image is pulled and the runtime reports bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pull: Option<PullProgress>,
}

/// Bytes received and expected of an image, over the layers known so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PullProgress {
    pub current: u64,
    pub total: u64,
}

/// Value of key `state.<device>.<deployment>` in bucket `device-state`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeploymentState {
    pub device_id: DeviceId,
    pub deployment: DeploymentName,
    pub phase: Phase,
    pub last_event_at: Timestamp,
    pub last_error: Option<LastError>,
    #[serde(default)]
    pub container_ids: BTreeMap<ServiceName, String>,
    /// KV revision last acted on; null before the first accepted document.
    pub observed_revision: Option<u64>,
    pub spec_digest: Option<String>,
    /// Unknown fields of the document, by path.
    #[serde(default)]
    pub warnings: Vec<String>,
    #[serde(default)]
    pub services: BTreeMap<ServiceName, ServiceState>,
}

/// Writes an enum the way its documents spell it, so that people and machines read one word.
macro_rules! display_as_serde {
    ($($name:ty),*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.serialize(f)
            }
        }
    )*};
}
display_as_serde!(Phase, ServicePhase, Health, Code);
