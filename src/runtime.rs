//! The container runtime in our words. `podman.rs` is the only file that names bollard.
pub mod fake;
mod identity;
mod operation;
pub mod podman;
pub mod process;

use crate::domain::container::{Container, ContainerId, Process};
use crate::domain::hidden::RegistryCredential;
use crate::domain::images::Image;
use crate::domain::spec::{CreateSpec, PlacedFile};
use async_trait::async_trait;
use fleet_contracts::DeploymentName;
use fleet_contracts::device::RuntimeInfo;
use futures_util::stream::BoxStream;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

pub use operation::Operation;

/// Why an operation failed, as far as a decision depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// No answer from the socket: the runtime is down. Nothing is known of the outcome.
    Unreachable,
    /// No answer in time. The operation may still happen.
    Timeout,
    /// No such container, network or volume.
    NotFound,
    /// The name is taken, by a container that may or may not be listed.
    NameInUse,
    /// The image is not on the device.
    ImageMissing,
    /// The registry refused the credentials, or wants some.
    RegistryAuth,
    /// The pull failed for another reason.
    Pull,
    PortInUse,
    /// The runtime was cut off in an earlier start of this container and can neither finish nor repeat it:
    /// only remove and create helps.
    Unstartable,
    DiskFull,
    /// The runtime said no for any other reason.
    Refused,
}

/// A failed operation: what was tried, on which object, and what the runtime said.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{operation} {object}: {message}")]
pub struct RuntimeError {
    pub operation: &'static str,
    pub object: String,
    pub kind: ErrorKind,
    pub message: String,
}

/// Who has a container name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NameHolder {
    /// Nobody that the runtime lists. After `NameInUse` that is a storage-only orphan.
    Nobody,
    /// A container of this device.
    Ours(Box<Container>),
    /// A container without this device's label: never touched.
    Foreign(ContainerId),
}

/// How a container wants to be stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StopSettings {
    /// By name, or by number where the runtime knows only that.
    pub signal: String,
    pub grace: Duration,
}

/// How much of what a container or a command said is kept, in bytes: it travels in every state document.
pub const LAST_WORDS: usize = 200;

/// How a command in a container went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Run {
    Ended {
        code: i64,
        /// The end of what it said, on one line of at most [`LAST_WORDS`] bytes.
        said: String,
    },
    /// It did not end within its limit, and was killed as far as that is possible.
    TooLong,
}

/// Where the runtime keeps images.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Storage {
    pub path: PathBuf,
    /// Free bytes on its filesystem.
    pub free: u64,
}

/// How a pull goes on; each item is progress.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PullProgress {
    /// Bytes received and expected over all layers known so far; 0 when unknown.
    pub current: u64,
    pub total: u64,
    /// All of it is here, and is being written to the disk: nothing more is said until that is over.
    pub is_syncing: bool,
}

/// Something happened to a container of this device. Only a hint: look, do not believe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hint {
    pub deployment: DeploymentName,
}

pub type Result<T> = std::result::Result<T, RuntimeError>;

/// One container runtime, seen by one device: containers without this device's label do not exist
/// for it, except that their names are taken. Every call has a deadline of its own. After an error
/// of kind `Unreachable` or `Timeout` the outcome is unknown: look before acting again.
#[async_trait]
pub trait ContainerRuntime: Send + Sync + 'static {
    /// Name and version of the runtime.
    async fn info(&self) -> Result<RuntimeInfo>;

    /// All containers of this device, in one call plus one inspect for each that was not known.
    /// Statuses are checked against /proc.
    async fn list(&self) -> Result<Vec<Container>>;

    /// The containers of one deployment, each inspected. Only this shows the moment between a process's end
    /// and the runtime's cleanup (`Status::Ended`); everything else waits for it.
    async fn look(&self, deployment: &DeploymentName) -> Result<Vec<Container>>;

    /// Who has this name, or is the container of this id.
    async fn holder(&self, name: &str) -> Result<NameHolder>;

    /// Creates a container, not started. Fails with `NameInUse` or `ImageMissing`.
    async fn create(&self, name: &str, spec: &CreateSpec) -> Result<ContainerId>;

    /// Puts files into a container that was never started, over what is there; directories that are missing
    /// are made, for root and with 0755.
    async fn put_files(&self, id: &ContainerId, files: &[PlacedFile]) -> Result<()>;

    /// Starts a container; one that runs already is a success.
    async fn start(&self, id: &ContainerId) -> Result<()>;

    /// Lets a paused container go on; one that is not paused is a success.
    async fn unpause(&self, id: &ContainerId) -> Result<()>;

    /// Sends a signal by name; a container that does not run is a success.
    async fn signal(&self, id: &ContainerId, signal: &str) -> Result<()>;

    /// The stop signal and grace that the container was created with.
    async fn stop_settings(&self, id: &ContainerId) -> Result<StopSettings>;

    async fn rename(&self, id: &ContainerId, name: &str) -> Result<()>;

    /// Removes a container that is not alive, by force (anonymous volumes with it, named ones never);
    /// one that is not there is a success. Refuses one that is alive.
    async fn remove(&self, id: &ContainerId) -> Result<()>;

    /// Removes what has this name in storage but is in no list. Refuses what is listed.
    async fn remove_orphan(&self, name: &str) -> Result<()>;

    /// Creates a bridge network with these labels; one that exists is a success.
    async fn ensure_network(&self, name: &str, labels: &BTreeMap<String, String>) -> Result<()>;

    /// One that is not there is a success.
    async fn remove_network(&self, name: &str) -> Result<()>;

    /// Creates a volume with these labels; one that exists is a success.
    async fn ensure_volume(&self, name: &str, labels: &BTreeMap<String, String>) -> Result<()>;

    /// The id of an image that is on the device.
    async fn image(&self, reference: &str) -> Result<Option<String>>;

    /// All images on the device, whoever brought them.
    async fn images(&self) -> Result<Vec<Image>>;

    /// Takes a name off an image, and the image off the device with the last one; an id takes one without names. One
    /// that is not there is a success. False: a container uses it, and nothing was changed.
    async fn remove_image(&self, name: &str) -> Result<bool>;

    /// How much room there is for images. None where this process does not see the runtime's filesystem.
    async fn storage(&self) -> Result<Option<Storage>>;

    /// Fetches an image from its registry, with a credential where one is given, or from the archive that the
    /// reference names (`ImageMissing` when that file is not there). The stream ends after the last item; an `Err` item is the last. It never
    /// ends by itself when the registry stalls: the caller keeps the deadline. Dropping it cancels.
    async fn pull(
        &self,
        reference: &str,
        credential: Option<&RegistryCredential>,
    ) -> Result<BoxStream<'static, Result<PullProgress>>>;

    /// Runs a command in a container that runs, and waits for its end for at most `limit`. A program that is not
    /// there ends with code 126 or 127. Refused in a container that does not run.
    async fn run_in(&self, id: &ContainerId, argv: &[String], limit: Duration) -> Result<Run>;

    /// The end of what a container said, on one line of at most [`LAST_WORDS`] bytes; empty when it said nothing,
    /// or when its log cannot be read.
    async fn last_words(&self, id: &ContainerId) -> Result<String>;

    /// Hints from the runtime's event stream, until it ends or fails.
    async fn hints(&self) -> Result<BoxStream<'static, Result<Hint>>>;

    /// Waits until the process is gone; at once when it already is.
    async fn death(&self, process: Process);
}
