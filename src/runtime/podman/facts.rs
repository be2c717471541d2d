//! The few fields of podman's answers that are read, every one optional or defaulted: what podman
//! adds or renames elsewhere cannot blind us.
use crate::runtime::identity::Labels;
use fleet_contracts::Timestamp;
use serde::Deserialize;

/// One row of `GET /containers/json`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Row {
    pub(super) id: String,
    #[serde(default)]
    pub(super) names: Vec<String>,
    #[serde(default, rename = "ImageID")]
    pub(super) image_id: Option<String>,
    #[serde(default)]
    pub(super) labels: Option<Labels>,
    #[serde(default)]
    pub(super) state: String,
    /// Prose: `Exited (3) 2 minutes ago`.
    #[serde(default)]
    pub(super) status: String,
}

/// `GET /containers/{id}/json`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Inspected {
    pub(super) id: String,
    #[serde(default)]
    pub(super) name: String,
    #[serde(default)]
    pub(super) image: Option<String>,
    pub(super) state: InspectedState,
    #[serde(default)]
    pub(super) config: Option<InspectedConfig>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct InspectedState {
    #[serde(default)]
    pub(super) status: String,
    #[serde(default)]
    pub(super) running: bool,
    #[serde(default)]
    pub(super) pid: u32,
    #[serde(default)]
    pub(super) exit_code: i64,
    #[serde(default)]
    pub(super) started_at: String,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct InspectedConfig {
    #[serde(default)]
    pub(super) labels: Option<Labels>,
    /// A number in podman 4, a name in some later ones.
    #[serde(default)]
    pub(super) stop_signal: Option<serde_json::Value>,
    /// Seconds.
    #[serde(default)]
    pub(super) stop_timeout: Option<u64>,
}

/// Podman's word for a container's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Word {
    Created,
    Running,
    Stopping,
    /// Its process ended; podman's cleanup, some hundred milliseconds away, will make it `exited`. Until
    /// then its network still stands: the ports of a successor that starts now would be cut off by it. It
    /// can be started again itself, and keeps its network then, as in `podman restart`: the cleanup takes
    /// podman's lock of this container and refuses one that runs.
    Stopped,
    Exited,
    Paused,
    Removing,
    /// `unknown`, or a word of a later podman.
    Unclear,
}

impl Word {
    pub(super) fn of(text: &str) -> Self {
        match text {
            "created" | "configured" | "initialized" => Self::Created,
            "running" => Self::Running,
            "stopping" => Self::Stopping,
            "stopped" => Self::Stopped,
            "exited" => Self::Exited,
            "paused" => Self::Paused,
            "removing" => Self::Removing,
            _ => Self::Unclear,
        }
    }
}

impl InspectedState {
    pub(super) fn word(&self) -> Word {
        match Word::of(&self.status) {
            // Podman 5 calls a container that is being stopped `running` with Running = false.
            Word::Running if !self.running => Word::Stopping,
            word => word,
        }
    }

    /// None for podman's year 1, which stands for never.
    pub(super) fn started_at(&self) -> Option<Timestamp> {
        use time::OffsetDateTime;
        use time::format_description::well_known::Rfc3339;
        let at = OffsetDateTime::parse(&self.started_at, &Rfc3339).ok()?;
        (at.year() > 1).then(|| Timestamp::from(at))
    }
}

impl Row {
    pub(super) fn name(&self) -> &str {
        self.names.first().map_or("", |name| bare(name))
    }

    /// The code in `Exited (3) 2 minutes ago`.
    pub(super) fn exit_code(&self) -> Option<i64> {
        self.status.strip_prefix("Exited (")?.split_once(')')?.0.parse().ok()
    }
}

/// A name without the leading slash that the API puts before it.
pub(super) fn bare(name: &str) -> &str {
    name.strip_prefix('/').unwrap_or(name)
}

#[cfg(test)]
mod tests;
