//! What a device says of itself: `DeviceInfo`, `Heartbeat`, and the live pulse.
use crate::state::DeploymentState;
use crate::{DeviceId, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuntimeInfo {
    pub name: String,
    pub version: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inventory {
    pub hostname: String,
    pub arch: String,
    pub os: String,
    pub os_release: String,
    pub kernel: String,
    pub cpu_cores: u32,
    pub memory_mb: u64,
    pub disk_total_mb: u64,
    pub agent_version: String,
    /// Null while no container runtime was reached.
    pub runtime: Option<RuntimeInfo>,
    pub boot_id: String,
}

/// Value of key `info.<device>` in bucket `device-info`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceInfo {
    pub device_id: DeviceId,
    pub labels: BTreeMap<String, String>,
    pub agent_version: String,
    /// Unique per process.
    pub instance: String,
    pub inventory: Inventory,
    pub config_digest: String,
    pub updated_at: Timestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AgentRole {
    Active,
    Candidate,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AgentHealth {
    Ok,
    Degraded,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeploymentCounts {
    pub total: u32,
    pub running: u32,
    pub failed: u32,
}

/// Value of key `heartbeat.<device>` in bucket `device-heartbeat`. Under 512 bytes encoded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heartbeat {
    pub device_id: DeviceId,
    pub at: Timestamp,
    /// From 1 in each process.
    pub seq: u64,
    pub agent_version: String,
    pub instance: String,
    pub role: AgentRole,
    pub uptime_s: u64,
    pub deployments: DeploymentCounts,
    pub health: AgentHealth,
    /// At most 4 stable words.
    #[serde(default)]
    pub reasons: Vec<String>,
    /// At most 120 bytes.
    pub last_crash: Option<String>,
    pub clock_synced: bool,
}

/// One message on subject `device-state.<device>`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pulse {
    pub device_id: DeviceId,
    pub at: Timestamp,
    #[serde(flatten)]
    pub kind: PulseKind,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum PulseKind {
    Heartbeat { heartbeat: Box<Heartbeat> },
    State { state: Box<DeploymentState> },
}
