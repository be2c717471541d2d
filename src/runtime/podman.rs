//! Podman (4.3.1 and later) over the Docker-compatible API on its unix socket.
//!
//! bollard sends what changes something; what is observed is read by `wire` and `facts`, which
//! understand podman's words where bollard's closed models would refuse a whole answer. Nothing is
//! kept that matters: podman's service may go and come between any two calls.
use super::{
    ContainerRuntime, Hint, NameHolder, Operation, PullProgress, Result, Run, StopSettings, Storage,
};
use crate::domain::container::{Container, ContainerId, Process};
use crate::domain::hidden::RegistryCredential;
use crate::domain::images::Image;
use crate::domain::spec::{CreateSpec, PlacedFile};
use crate::runtime::process;
use async_trait::async_trait;
use bollard::Docker;
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, KillContainerOptionsBuilder, RenameContainerOptionsBuilder,
    StartContainerOptions,
};
use errors::Failure;
use fleet_contracts::desired::archive_path;
use fleet_contracts::device::RuntimeInfo;
use fleet_contracts::{DeploymentName, DeviceId};
use futures_util::stream::BoxStream;
use observe::Observer;
use std::collections::BTreeMap;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::time::Duration;
use synced::Syncs;
use tokio::sync::OnceCell;

mod create;
mod errors;
mod exec;
mod facts;
mod files;
mod hints;
mod images;
mod networks;
mod observe;
mod paths;
mod pull;
mod remove;
mod storage;
mod synced;
mod wire;
mod words;

/// For what podman answers from memory or one small file: measured 1 to 60 ms, times a device whose
/// disk is busy with a pull.
const SHORT: Duration = Duration::from_secs(10);
/// For creating and starting: layers are mounted, programs are executed, a slow card is written.
const LONG: Duration = Duration::from_secs(60);

/// One podman service, seen by one device.
pub struct PodmanRuntime {
    device: DeviceId,
    socket: PathBuf,
    observer: Observer,
    syncs: Syncs,
    /// Where podman keeps its images, once it has said so.
    storage: OnceCell<PathBuf>,
}

impl PodmanRuntime {
    /// Never fails and touches nothing: the socket is looked for at every call.
    pub fn new(device: DeviceId, socket: PathBuf) -> Self {
        let observer = Observer::new(device.clone(), socket.clone());
        let syncs = Syncs::new(socket.clone(), None);
        Self { device, syncs, socket, observer, storage: OnceCell::new() }
    }

    /// The same with a file that tells the next process of what this one has pulled and not synced.
    pub fn with_marker(self, marker: PathBuf) -> Self {
        Self { syncs: Syncs::new(self.socket.clone(), Some(marker)), ..self }
    }

    /// No container is created from an image whose sync was cut off.
    async fn settled(&self, reference: &str) -> std::result::Result<(), Failure> {
        if self.syncs.is_open(reference).await
            && self.observer.image(&images::local(reference)).await?.is_some()
        {
            self.syncs.settle(reference).await?;
        }
        Ok(())
    }

    fn docker(&self, deadline: Duration) -> std::result::Result<Docker, Failure> {
        connect(&self.socket, deadline)
    }
}

/// A client; it connects anew at each request. Errs when the socket's file is missing.
fn connect(socket: &Path, deadline: Duration) -> std::result::Result<Docker, Failure> {
    // bollard's own timeout covers only the answer's headers and knows whole seconds: it is the
    // second line behind `within`, and the only one in front of a stream.
    let seconds = deadline.as_secs() + 1;
    Ok(Docker::connect_with_unix(&socket.to_string_lossy(), seconds, bollard::API_DEFAULT_VERSION)?)
}

/// Runs one call under its deadline and names it in its error.
async fn within<T>(
    deadline: Duration,
    operation: Operation,
    object: &str,
    call: impl Future<Output = std::result::Result<T, Failure>> + Send,
) -> Result<T> {
    let outcome = tokio::time::timeout(deadline, call).await.unwrap_or(Err(Failure::Deadline));
    outcome.map_err(|failure| failure.during(operation, object))
}

#[async_trait]
impl ContainerRuntime for PodmanRuntime {
    async fn info(&self) -> Result<RuntimeInfo> {
        within(SHORT, Operation::Info, "podman", self.observer.info()).await
    }

    async fn list(&self) -> Result<Vec<Container>> {
        self.observer.list().await.map_err(|failure| failure.during(Operation::List, "containers"))
    }

    async fn look(&self, deployment: &DeploymentName) -> Result<Vec<Container>> {
        let seen = self.observer.look(deployment).await;
        seen.map_err(|failure| failure.during(Operation::Look, deployment.as_str()))
    }

    async fn holder(&self, name: &str) -> Result<NameHolder> {
        let holder = self.observer.holder(name).await;
        holder.map_err(|failure| failure.during(Operation::Holder, name))
    }

    async fn create(&self, name: &str, spec: &CreateSpec) -> Result<ContainerId> {
        within(LONG, Operation::Create, name, async {
            self.settled(&spec.image).await?;
            self.host_paths_exist(spec).await?;
            let options = CreateContainerOptionsBuilder::new().name(name).build();
            let created = self.docker(LONG)?.create_container(Some(options), create::body(spec)).await;
            let created = created.map_err(|error| Failure::from(error).hiding(spec.hidden_env.values()))?;
            Ok(ContainerId::new(&created.id))
        })
        .await
    }

    async fn put_files(&self, id: &ContainerId, files: &[PlacedFile]) -> Result<()> {
        within(LONG, Operation::PutFiles, id.as_str(), self.upload(id, files)).await
    }

    async fn start(&self, id: &ContainerId) -> Result<()> {
        self.observer.forget(id);
        within(LONG, Operation::Start, id.as_str(), async {
            Ok(self.docker(LONG)?.start_container(id.as_str(), None::<StartContainerOptions>).await?)
        })
        .await
    }

    async fn unpause(&self, id: &ContainerId) -> Result<()> {
        within(SHORT, Operation::Unpause, id.as_str(), async {
            match self.docker(SHORT)?.unpause_container(id.as_str()).await.map_err(Failure::from) {
                Err(failure) if failure.says("is not paused") => Ok(()),
                other => other,
            }
        })
        .await
    }

    async fn signal(&self, id: &ContainerId, signal: &str) -> Result<()> {
        within(SHORT, Operation::Signal, id.as_str(), async {
            let options = KillContainerOptionsBuilder::new().signal(signal).build();
            let sent = self.docker(SHORT)?.kill_container(id.as_str(), Some(options)).await;
            match sent.map_err(Failure::from) {
                Err(failure) if failure.is_not_found() || failure.says("can only kill running") => Ok(()),
                // Podman tries, and fails, where it believes that a dead one runs.
                Err(failure @ Failure::Status { .. }) => match self.observer.examine(id).await? {
                    Some(facts) if facts.status.is_alive() => Err(failure),
                    Some(_) | None => Ok(()),
                },
                other => other,
            }
        })
        .await
    }

    async fn stop_settings(&self, id: &ContainerId) -> Result<StopSettings> {
        within(SHORT, Operation::Holder, id.as_str(), self.observer.stop_settings(id)).await
    }

    async fn rename(&self, id: &ContainerId, name: &str) -> Result<()> {
        within(SHORT, Operation::Rename, id.as_str(), async {
            let options = RenameContainerOptionsBuilder::new().name(name).build();
            Ok(self.docker(SHORT)?.rename_container(id.as_str(), options).await?)
        })
        .await
    }

    async fn remove(&self, id: &ContainerId) -> Result<()> {
        within(LONG, Operation::Remove, id.as_str(), self.remove_dead(id)).await
    }

    async fn remove_orphan(&self, name: &str) -> Result<()> {
        within(LONG, Operation::RemoveOrphan, name, self.remove_unlisted(name)).await
    }

    async fn ensure_network(&self, name: &str, labels: &BTreeMap<String, String>) -> Result<()> {
        within(SHORT, Operation::EnsureNetwork, name, self.create_network(name, labels)).await
    }

    async fn remove_network(&self, name: &str) -> Result<()> {
        within(SHORT, Operation::RemoveNetwork, name, self.delete_network(name)).await
    }

    async fn ensure_volume(&self, name: &str, labels: &BTreeMap<String, String>) -> Result<()> {
        within(SHORT, Operation::EnsureVolume, name, self.create_volume(name, labels)).await
    }

    async fn image(&self, reference: &str) -> Result<Option<String>> {
        within(SHORT, Operation::Image, reference, self.observer.image(&images::local(reference))).await
    }

    async fn images(&self) -> Result<Vec<Image>> {
        within(LONG, Operation::Images, "images", images::list(&self.socket)).await
    }

    async fn remove_image(&self, name: &str) -> Result<bool> {
        within(LONG, Operation::RemoveImage, name, images::remove(&self.socket, name)).await
    }

    async fn storage(&self) -> Result<Option<Storage>> {
        // Where it is, podman says only between two layers that it unpacks.
        within(LONG, Operation::Storage, "podman", self.room()).await
    }

    async fn pull(
        &self,
        reference: &str,
        credential: Option<&RegistryCredential>,
    ) -> Result<BoxStream<'static, Result<PullProgress>>> {
        match archive_path(reference) {
            Some(path) => images::load(&self.socket, &self.syncs, reference, path).await,
            None => pull::pull(&self.socket, &self.syncs, reference, credential)
                .await
                .map_err(|failure| failure.during(Operation::Pull, reference)),
        }
    }

    async fn run_in(&self, id: &ContainerId, argv: &[String], limit: Duration) -> Result<Run> {
        self.exec(id, argv, limit).await
    }

    async fn last_words(&self, id: &ContainerId) -> Result<String> {
        within(SHORT, Operation::LastWords, id.as_str(), words::last(&self.socket, id)).await
    }

    async fn hints(&self) -> Result<BoxStream<'static, Result<Hint>>> {
        within(SHORT, Operation::Hints, "events", hints::hints(&self.socket, &self.device)).await
    }

    async fn death(&self, process: Process) {
        process::death(process).await;
    }
}
