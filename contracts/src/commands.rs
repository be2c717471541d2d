//! Command verbs on `device-command.<device>.<verb>`: requests and replies.
use crate::device::{AgentRole, Heartbeat};
use crate::state::DeploymentState;
use crate::{DeploymentName, DeviceId, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Name of the NATS micro service that offers the verbs.
pub const SERVICE_NAME: &str = "fleet-agent";
/// Reply header with the numeric code of a failed command.
pub const ERROR_CODE_HEADER: &str = "Nats-Service-Error-Code";
/// Reply header with the message of a failed command.
pub const ERROR_HEADER: &str = "Nats-Service-Error";

/// Why a command failed, by NATS service convention (the numbers are HTTP's).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "u16", from = "u16")]
pub enum ErrorCode {
    BadRequest,
    Forbidden,
    NotFound,
    WrongState,
    NotReady,
    Deadline,
    /// One of a newer agent, or of the NATS service library (500).
    Other(u16),
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
            ErrorCode::Other(code) => code,
        }
    }
}

impl From<u16> for ErrorCode {
    fn from(code: u16) -> Self {
        match code {
            400 => Self::BadRequest,
            403 => Self::Forbidden,
            404 => Self::NotFound,
            409 => Self::WrongState,
            503 => Self::NotReady,
            504 => Self::Deadline,
            other => Self::Other(other),
        }
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
    Plan,
    LogLevel,
}

impl Verb {
    pub const ALL: [Verb; 9] = [
        Verb::Ping,
        Verb::Status,
        Verb::Actors,
        Verb::ActorRestart,
        Verb::Inventory,
        Verb::Reconcile,
        Verb::Confirm,
        Verb::Plan,
        Verb::LogLevel,
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
            Verb::Plan => "plan",
            Verb::LogLevel => "log-level",
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

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanRequest {
    pub deployment: DeploymentName,
    /// The document; null: the deployment is removed.
    #[serde(default)]
    pub desired: serde_json::Value,
}

/// What the document would change. Names of containers; one that is replaced is in `stop` and in `start`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanReply {
    pub stop: Vec<String>,
    pub start: Vec<String>,
    /// Left alone.
    pub keep: Vec<String>,
    /// References of images.
    pub pull: Vec<String>,
}

/// For how long a log filter is changed when the request does not say, in seconds.
pub const LOG_LEVEL_FOR_S: u32 = 600;
/// The longest time for which a log filter can be changed, in seconds: a day. It wears out the disk.
pub const LOG_LEVEL_FOR_S_MAX: u32 = 86_400;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLevelRequest {
    /// Targets and levels, as in `RUST_LOG`: `debug`, or `info,fleet_agent::actors=debug`.
    pub filter: String,
    /// 0 to [`LOG_LEVEL_FOR_S_MAX`] seconds, null is [`LOG_LEVEL_FOR_S`]; 0 brings the configured filter back.
    #[serde(default)]
    pub for_s: Option<u32>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLevelReply {
    /// What is logged from now on.
    pub filter: String,
    /// When the configured filter comes back by itself.
    pub until: Timestamp,
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

/// An actor and where it stands in its tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TreeNode<'a> {
    /// 0 for a root.
    pub depth: usize,
    pub actor: &'a Actor,
}

impl ActorsReply {
    /// Every actor once, each parent before its children, which keep their order. An actor whose
    /// parent is not listed is a root: nothing that the device said is hidden.
    pub fn in_tree(&self) -> Vec<TreeNode<'_>> {
        let listed: BTreeSet<&str> = self.actors.iter().map(|actor| actor.name.as_str()).collect();
        let parent = |actor: &'_ Actor| actor.parent.clone().filter(|name| listed.contains(name.as_str()));
        let mut children: BTreeMap<Option<String>, Vec<&Actor>> = BTreeMap::new();
        for actor in &self.actors {
            children.entry(parent(actor)).or_default().push(actor);
        }
        let mut nodes = Vec::with_capacity(self.actors.len());
        let below = |children: &mut BTreeMap<_, Vec<_>>, parent: Option<String>, depth| {
            let found = children.remove(&parent).unwrap_or_default();
            found.into_iter().rev().map(move |actor| TreeNode { depth, actor })
        };
        let mut open: Vec<TreeNode<'_>> = below(&mut children, None, 0).collect();
        loop {
            while let Some(node) = open.pop() {
                open.extend(below(&mut children, Some(node.actor.name.clone()), node.depth + 1));
                nodes.push(node);
            }
            // What is left hangs on itself in a circle.
            let Some(circle) = children.keys().next().cloned() else { return nodes };
            open.extend(below(&mut children, circle, 0));
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ActorKind {
    Supervisor,
    Keyed,
    Worker,
    /// A word of a newer agent that this reader does not know.
    #[serde(other)]
    Unknown,
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
    /// A word of a newer agent that this reader does not know.
    #[serde(other)]
    Unknown,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    Panic,
    Error,
    Start,
    Unresponsive,
    Requested,
    /// A word of a newer agent that this reader does not know.
    #[serde(other)]
    Unknown,
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

impl Actor {
    /// The last part of its path.
    pub fn short_name(&self) -> &str {
        self.name.rsplit('/').next().unwrap_or(&self.name)
    }
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

/// Writes an enum the way its documents spell it, so that people and machines read one word.
macro_rules! display_as_serde {
    ($($name:ty),*) => {$(
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.serialize(f)
            }
        }
    )*};
}
display_as_serde!(Verb, ActorKind, ActorState, Cause);

#[cfg(test)]
mod tests;
