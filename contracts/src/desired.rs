//! `DesiredDeployment`: what an operator wants of one deployment on one device.
//!
//! The types here hold only what was validated; [`parse`] is the one way from bytes to them.
use crate::{ServiceName, ValueName};
use serde::Serialize;
use std::collections::BTreeMap;

mod canonical;
mod device;
mod file;
mod healthcheck;
mod image;
mod json;
mod limits;
mod network;
mod order;
mod parse;
mod path;
mod places;
mod port;
mod report;
mod secret;
mod service;
mod signal;
mod volume;

pub use canonical::canonical_spec;
pub use image::archive_path;
pub use parse::{MAX_GRACE_S, MAX_SERVICES, PODMAN_V0, Parsed, Problem, Refusal, parse};

/// A validated deployment of type `PodmanV0`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DesiredDeployment {
    /// At least one, names unique, in document order.
    pub services: Vec<Service>,
    pub lifecycle: Lifecycle,
}

/// One service: a slot that holds at most one live container. Serializes to its normalised form:
/// fields at their default are left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Service {
    pub name: ServiceName,
    pub image: String,
    /// None: the image's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<Vec<String>>,
    /// None: the image's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entrypoint: Option<Vec<String>>,
    /// Absolute. None: the image's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub working_dir: Option<String>,
    /// `user[:group]`, each by name or number. None: the image's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<Port>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub volumes: Vec<Volume>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<File>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub devices: Vec<Device>,
    #[serde(skip_serializing_if = "is_default")]
    pub network: Network,
    /// Without doubles, and never in a circle within a document.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub depends_on: Vec<Dependency>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub healthcheck: Option<Healthcheck>,
    #[serde(skip_serializing_if = "is_default")]
    pub resources: Resources,
    #[serde(skip_serializing_if = "is_default")]
    pub log: Log,
    #[serde(skip_serializing_if = "is_default")]
    pub restart: Restart,
    #[serde(skip_serializing_if = "is_default")]
    pub pull: Pull,
    /// Used when its image is pulled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registry_auth: Option<ValueName>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<Secret>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

/// How containers of the deployment are stopped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Lifecycle {
    #[serde(skip_serializing_if = "is_default")]
    pub stop_signal: Signal,
    /// Seconds between the stop signal and SIGKILL; 0 to 86 400.
    #[serde(skip_serializing_if = "is_default_grace")]
    pub grace_period_s: u32,
}

impl Lifecycle {
    pub const DEFAULT_GRACE_S: u32 = 30;
}

impl Default for Lifecycle {
    fn default() -> Self {
        Self { stop_signal: Signal::default(), grace_period_s: Self::DEFAULT_GRACE_S }
    }
}

/// A POSIX signal by name (`SIGTERM`), as signal(7) lists them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Signal(String);

impl Signal {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for Signal {
    fn default() -> Self {
        Self("SIGTERM".into())
    }
}

/// `[ip:]host:container[/tcp|/udp]`. Serializes to its normalised text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Port {
    pub ip: Option<std::net::IpAddr>,
    pub host: u16,
    pub container: u16,
    pub protocol: Protocol,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Protocol {
    Tcp,
    Udp,
}

/// `name:/target[:ro]` or `/host/path:/target[:ro]`. Serializes to its normalised text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    pub source: VolumeSource,
    /// Absolute path in the container.
    pub target: String,
    pub read_only: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VolumeSource {
    /// A podman volume of this deployment.
    Named(String),
    /// An absolute path on the device.
    Bind(String),
}

/// A file that the container finds when it starts, owned by root.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct File {
    /// Absolute path in the container.
    pub path: String,
    pub content: String,
    #[serde(skip_serializing_if = "is_default")]
    pub mode: FileMode,
}

/// Permission bits, 0644 by default. Serializes to four octal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileMode(u16);

/// A value that is on the device and in no document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Secret {
    pub name: ValueName,
    #[serde(flatten)]
    pub target: SecretTarget,
    /// Another value is a reason to make the container anew.
    #[serde(skip_serializing_if = "is_default")]
    pub reload: bool,
}

/// Where a container finds a secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SecretTarget {
    /// The variable of this name.
    Env(String),
    /// The file at this absolute path.
    Path(String),
}

/// `/dev/x[:/path/in/container][:rwm]`. Serializes to its normalised text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Absolute path on the device, below /dev.
    pub host: String,
    /// Absolute path in the container.
    pub target: String,
    /// Of `r`, `w`, `m`, in this order.
    pub permissions: String,
}

/// Serializes to its word or name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Network {
    /// The deployment's own network: its services find each other by name, others do not reach them.
    #[default]
    Bridge,
    /// The device's own: no network of its own.
    Host,
    None,
    /// One that deployments share; created when missing, never removed.
    Named(String),
}

/// Another service of the document that comes first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Dependency {
    pub service: ServiceName,
    #[serde(skip_serializing_if = "is_default")]
    pub condition: Condition,
}

/// What has to be so before the dependent starts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Condition {
    #[default]
    Started,
    /// Its check passed.
    Healthy,
    /// It exited with 0.
    Completed,
}

/// A command that the agent runs in the container to learn whether it works. The words are those of Docker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Healthcheck {
    pub test: Probe,
    /// Seconds from the end of one check to the begin of the next; 1 to 86 400.
    #[serde(skip_serializing_if = "is_default_interval")]
    pub interval_s: u32,
    /// Seconds after which a check has failed; 1 to 3600.
    #[serde(skip_serializing_if = "is_default_timeout")]
    pub timeout_s: u32,
    /// Failures in a row after which it counts as unhealthy; 1 to 100.
    #[serde(skip_serializing_if = "is_default_retries")]
    pub retries: u32,
    /// Seconds after the start in which failures do not count; 0 to 86 400.
    #[serde(skip_serializing_if = "is_default")]
    pub start_period_s: u32,
}

/// Serializes to its list of words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Probe {
    /// A program and its arguments.
    Command(Vec<String>),
    /// One line for the container's shell.
    Shell(String),
}

/// Limits; None: none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Resources {
    /// MiB, swap not counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_mb: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpus: Option<Cpus>,
    /// Processes and threads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pids: Option<u64>,
}

/// Processor time per time. Serializes to a number of cores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cpus {
    nanos: u64,
}

/// What podman keeps of what a container says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Log {
    /// MiB. None: podman's own limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_size_mb: Option<u64>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Restart {
    #[default]
    Always,
    OnFailure,
    /// A job: exit 0 is success.
    Never,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pull {
    #[default]
    IfMissing,
    Always,
    Never,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

fn is_default_interval(seconds: &u32) -> bool {
    *seconds == Healthcheck::DEFAULT_INTERVAL_S
}

fn is_default_timeout(seconds: &u32) -> bool {
    *seconds == Healthcheck::DEFAULT_TIMEOUT_S
}

fn is_default_retries(times: &u32) -> bool {
    *times == Healthcheck::DEFAULT_RETRIES
}

fn is_default_grace(seconds: &u32) -> bool {
    *seconds == Lifecycle::DEFAULT_GRACE_S
}

/// Types that a document and a label spell as one string serialize to that string.
macro_rules! serialize_as_text {
    ($($name:ty),*) => {$(
        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
    )*};
}
serialize_as_text!(Port, Volume, FileMode, Device, Network);

impl std::fmt::Display for Port {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.ip {
            Some(std::net::IpAddr::V6(ip)) => write!(f, "[{ip}]:")?,
            Some(ip) => write!(f, "{ip}:")?,
            None => {}
        }
        let protocol = match self.protocol {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
        };
        write!(f, "{}:{}/{protocol}", self.host, self.container)
    }
}

impl std::fmt::Display for Volume {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let source = match &self.source {
            VolumeSource::Named(name) => name,
            VolumeSource::Bind(path) => path,
        };
        write!(f, "{source}:{}{}", self.target, if self.read_only { ":ro" } else { "" })
    }
}
