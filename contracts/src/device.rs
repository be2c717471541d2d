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
    /// A word of a newer agent that this reader does not know.
    #[serde(other)]
    Unknown,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AgentHealth {
    Ok,
    Degraded,
    /// A word of a newer agent that this reader does not know.
    #[serde(other)]
    Unknown,
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

impl Heartbeat {
    /// Most reasons that a heartbeat carries.
    pub const MAX_REASONS: usize = 4;
    /// Longest `last_crash`, in bytes.
    pub const MAX_LAST_CRASH: usize = 120;
    /// Every encoding of a heartbeat is shorter, in bytes: thousands of devices send one every 30 s.
    pub const MAX_ENCODED: usize = 512;

    /// The same heartbeat within its limits: at most four reasons, and as much of `last_crash` as fits
    /// into 120 bytes, and into what the rest leaves of 512 bytes when encoded. Control characters of
    /// `last_crash` become spaces.
    pub fn bounded(mut self) -> Self {
        self.reasons.truncate(Self::MAX_REASONS);
        let crash = self.last_crash.take();
        let room = Self::MAX_ENCODED.saturating_sub(self.encoded_length()).saturating_sub(1);
        self.last_crash = crash.map(|text| shortened(&text, room));
        self
    }

    /// Bytes of its longer encoding. JSON is always the longer one: it spells names and numbers out.
    fn encoded_length(&self) -> usize {
        serde_json::to_vec(self).map_or(usize::MAX, |json| json.len())
    }
}

/// As much of the text as needs at most `room` bytes as a JSON string, and 120 bytes as it is.
fn shortened(text: &str, room: usize) -> String {
    let mut kept = String::new();
    let mut json = 0;
    for c in text.chars().map(|c| if c.is_control() { ' ' } else { c }) {
        json += c.len_utf8() + usize::from(matches!(c, '"' | '\\'));
        if kept.len() + c.len_utf8() > Heartbeat::MAX_LAST_CRASH || json > room {
            break;
        }
        kept.push(c);
    }
    kept
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
    Heartbeat {
        heartbeat: Box<Heartbeat>,
    },
    State {
        state: Box<DeploymentState>,
    },
    /// A kind of a newer agent that this reader does not know.
    #[serde(other)]
    Unknown,
}

#[cfg(test)]
mod tests;
