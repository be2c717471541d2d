//! Command verbs on `device-command.<device>.<verb>`: requests and replies.
use crate::device::{AgentRole, Heartbeat};
use crate::state::DeploymentState;
use crate::{DeploymentName, DeviceId, Timestamp};
use serde::{Deserialize, Serialize};

/// Name of the NATS micro service that offers the verbs.
pub const SERVICE_NAME: &str = "fleet-agent";
/// Reply header with the numeric code of a failed command.
pub const ERROR_CODE_HEADER: &str = "Nats-Service-Error-Code";
/// Reply header with the message of a failed command.
pub const ERROR_HEADER: &str = "Nats-Service-Error";

/// Why a command failed, by NATS service convention (the numbers are HTTP's).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "u16", try_from = "u16")]
pub enum ErrorCode {
    BadRequest,
    Forbidden,
    NotFound,
    WrongState,
    NotReady,
    Deadline,
}

impl From<ErrorCode> for u16 {
    fn from(code: ErrorCode) -> u16 {
        match code {
            ErrorCode::BadRequest => 400,
            ErrorCode::Forbidden => 403,
            ErrorCode::NotFound => 404,
            ErrorCode::WrongState => 409,
            ErrorCode::NotReady => 503,
            ErrorCode::Deadline => 504,
        }
    }
}

impl TryFrom<u16> for ErrorCode {
    type Error = String;
    fn try_from(code: u16) -> Result<Self, String> {
        Ok(match code {
            400 => Self::BadRequest,
            403 => Self::Forbidden,
            404 => Self::NotFound,
            409 => Self::WrongState,
            503 => Self::NotReady,
            504 => Self::Deadline,
            other => return Err(format!("unknown error code {other}")),
        })
    }
}

/// Body of a failed command's reply.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message} (code {})", u16::from(*.code))]
pub struct CommandError {
    pub code: ErrorCode,
    pub message: String,
}

impl CommandError {
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

/// The verbs that this version offers. One that is not here has no responder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verb {
    Ping,
    Status,
    Actors,
    ActorRestart,
    Inventory,
    Reconcile,
    Confirm,
}

impl Verb {
    pub const ALL: [Verb; 7] = [
        Verb::Ping,
        Verb::Status,
        Verb::Actors,
        Verb::ActorRestart,
        Verb::Inventory,
        Verb::Reconcile,
        Verb::Confirm,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Verb::Ping => "ping",
            Verb::Status => "status",
            Verb::Actors => "actors",
            Verb::ActorRestart => "actor-restart",
            Verb::Inventory => "inventory",
            Verb::Reconcile => "reconcile",
            Verb::Confirm => "confirm",
        }
    }
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PingReply {
    pub device_id: String,
    pub agent_version: String,
    pub instance: String,
    pub role: Option<AgentRole>,
    pub uptime_s: u64,
    pub command_id: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusReply {
    pub device: Heartbeat,
    pub deployments: Vec<DeploymentState>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActorRestartRequest {
    /// Path from the root, or its last part where that is unique.
    pub name: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActorRestartReply {
    pub name: String,
    pub restarts: u64,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReconcileRequest {
    #[serde(default)]
    pub deployment: Option<DeploymentName>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfirmRequest {
    pub removals: Vec<DeploymentName>,
}

/// Reply of the verbs that begin something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AcceptedReply {
    pub accepted: Vec<DeploymentName>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActorsReply {
    pub device_id: DeviceId,
    pub instance: String,
    pub at: Timestamp,
    /// In tree order.
    pub actors: Vec<Actor>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ActorKind {
    Supervisor,
    Keyed,
    Worker,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ActorState {
    Starting,
    Running,
    BackingOff,
    Parked,
    Stopping,
    Stuck,
    Waiting,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    Panic,
    Error,
    Start,
    Unresponsive,
    Requested,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActorError {
    pub at: Timestamp,
    pub cause: Cause,
    pub message: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Doing {
    pub what: String,
    pub for_ms: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BudgetUse {
    pub max: u32,
    pub within_s: u64,
    pub used: u32,
}

/// One actor of the live supervision tree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// Path from the root, such as `fleet-agent/link/heartbeat`.
    pub name: String,
    pub parent: Option<String>,
    pub kind: ActorKind,
    pub state: ActorState,
    pub waiting_for: Option<String>,
    pub retry_in_ms: Option<u64>,
    /// Total since the agent's process began.
    pub restarts: u64,
    /// Begin of this incarnation.
    pub since: Timestamp,
    pub last_error: Option<ActorError>,
    /// Age of the last progress.
    pub last_progress_ms: u64,
    /// Messages waiting.
    pub mailbox: u64,
    pub doing: Option<Doing>,
    /// Supervisors only.
    pub strategy: Option<String>,
    /// Supervisors only.
    pub budget: Option<BudgetUse>,
}
