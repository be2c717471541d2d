//! The filesystem that podman keeps its images on, as podman sees it.
use super::errors::Failure;
use super::paths::podmans_root;
use super::{LONG, PodmanRuntime, wire};
use crate::questions::{self, About};
use crate::runtime::Storage;
use rustix::fs::{OFlags, StatVfs, fstatvfs, syncfs};
use serde::Deserialize;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What a disk that hangs does not answer is not known.
const ANSWERED_WITHIN: Duration = Duration::from_secs(10);

impl PodmanRuntime {
    /// Where it is, is asked once: podman does not move it while it has containers.
    pub(super) async fn room(&self) -> Result<Option<Storage>, Failure> {
        let path = self.storage.get_or_try_init(|| root(&self.socket)).await?.clone();
        let told = match open(&self.socket, &path, OFlags::PATH).await {
            Some(directory) => told(directory).await,
            None => None,
        };
        Ok(told.map(|about| Storage { path, free: about.f_bavail.saturating_mul(about.f_frsize) }))
    }
}

async fn told(directory: OwnedFd) -> Option<StatVfs> {
    questions::ask(About::Storage, ANSWERED_WITHIN, move || fstatvfs(directory).ok()).await?
}

async fn root(socket: &Path) -> Result<PathBuf, Failure> {
    #[derive(Deserialize)]
    struct Info {
        #[serde(rename = "DockerRootDir")]
        root: PathBuf,
    }
    Ok(wire::get::<Info>(socket, "/info").await?.value.root)
}

/// None where podman is not in our world, or its directory is closed to us.
async fn open(socket: &Path, path: &Path, flags: OFlags) -> Option<OwnedFd> {
    podmans_root(socket).await?.open(path, flags).ok()
}

/// Best effort: where the storage is not in our world there is nothing to sync from here.
pub(super) async fn sync(socket: PathBuf) {
    let asked = tokio::time::timeout(LONG, root(&socket)).await;
    let Ok(Ok(root)) = asked else {
        tracing::warn!("podman's storage could not be synced: it did not say where it is");
        return;
    };
    let Some(directory) = open(&socket, &root, OFlags::RDONLY | OFlags::DIRECTORY).await else {
        tracing::warn!(storage = %root.display(), "podman's storage could not be synced: it is not seen from here");
        return;
    };
    if let Ok(Err(error)) = tokio::task::spawn_blocking(move || syncfs(directory)).await {
        tracing::warn!(storage = %root.display(), %error, "podman's storage could not be synced");
    }
}
