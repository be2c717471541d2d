//! What was observed of a container.
use super::hidden::SecretsVersion;
use fleet_contracts::{DeploymentName, ServiceName, Timestamp};
use std::fmt;

/// A container's full id, as the runtime gave it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContainerId(std::sync::Arc<str>);

impl ContainerId {
    pub fn new(id: &str) -> Self {
        Self(id.into())
    }
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ContainerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A process that cannot be confused with a later one of the same pid: proc(5) `starttime`,
/// in clock ticks since boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Process {
    pub pid: u32,
    pub start_ticks: u64,
}

/// What a container really is: podman's word, checked against the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Never started, or podman forgot that it was (after a reboot).
    Created,
    /// Podman says running, and the process is there.
    Running(Process),
    /// Somebody's stop is under way, and its process is there: it must not be removed now (podman 4.3.1 would leak
    /// the process).
    Stopping(Process),
    /// Its process ended, and the runtime has not cleaned up after it. It can be started again at once; a
    /// successor cannot: the network of this one still stands, and its end would cut off the successor's ports.
    Ended {
        code: i64,
    },
    Exited {
        code: i64,
    },
    /// Podman says running for ever, the process is gone; only remove and create helps.
    Lying,
    /// Somebody froze it (`podman pause`): its process is there, does nothing and takes no signal.
    Paused,
    /// A state in which nothing can be done with it (removing, unreadable): looked at again later.
    Busy,
}

impl Status {
    pub fn is_alive(self) -> bool {
        match self {
            Self::Running(_) | Self::Stopping(_) | Self::Paused | Self::Busy => true,
            Self::Created | Self::Ended { .. } | Self::Exited { .. } | Self::Lying => false,
        }
    }

    /// Whether another one of its slot can be started: it is dead, and what it used is free again.
    pub fn made_way(self) -> bool {
        match self {
            Self::Created | Self::Exited { .. } | Self::Lying => true,
            Self::Running(_) | Self::Stopping(_) | Self::Ended { .. } | Self::Paused | Self::Busy => false,
        }
    }

    /// The code that its process ended with.
    pub fn exit_code(self) -> Option<i64> {
        match self {
            Self::Ended { code } | Self::Exited { code } => Some(code),
            Self::Created | Self::Running(_) | Self::Stopping(_) => None,
            Self::Lying | Self::Paused | Self::Busy => None,
        }
    }
}

/// A run of a container that is stopped for its health: a start is owed after it, however it exits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwedStart {
    pub id: ContainerId,
    /// When that run began: the next one of the same container owes nothing.
    pub started_at: Timestamp,
}

impl OwedStart {
    pub fn after(container: &Container) -> Option<Self> {
        Some(Self { id: container.id.clone(), started_at: container.started_at? })
    }
}

/// SHA-256 over the canonical form of a service and its lifecycle, lowercase hex.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpecDigest(std::sync::Arc<str>);

impl SpecDigest {
    pub fn from_hex(hex: &str) -> Self {
        Self(hex.into())
    }
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SpecDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A container that bears this device's label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    pub id: ContainerId,
    /// Without a leading slash.
    pub name: String,
    pub deployment: DeploymentName,
    pub service: ServiceName,
    /// None where the label is missing: then it equals no desired spec.
    pub digest: Option<SpecDigest>,
    /// Of the values that its reloaded secrets had when it was made. None: it has none of these.
    pub secrets: Option<SecretsVersion>,
    /// The services that its document said it depends on: they are stopped after it.
    pub depends_on: Vec<ServiceName>,
    pub status: Status,
    pub image_id: Option<String>,
    pub started_at: Option<Timestamp>,
}
