//! The filesystem that podman keeps its images on, as podman sees it.
use super::errors::Failure;
use super::paths::podmans_root;
use super::{LONG, PodmanRuntime, wire};
use crate::questions::{self, About};
use crate::runtime::Storage;
use rustix::fs::{OFlags, fstatvfs, syncfs};
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Within the deadline of the whole call.
const ANSWERED_WITHIN: Duration = Duration::from_secs(8);

impl PodmanRuntime {
    /// Where it is, is asked once: podman does not move it while it has containers.
    pub(super) async fn room(&self) -> Result<Option<Storage>, Failure> {
        let path = self.storage.get_or_try_init(|| root(&self.socket)).await?.clone();
        let Some(root) = podmans_root(&self.socket).await else { return Ok(None) };
        let asked = path.clone();
        let question = move || root.open(&asked, OFlags::PATH).and_then(fstatvfs).ok();
        let told =
            questions::ask(About::Storage, ANSWERED_WITHIN, question).await.ok_or(Failure::Deadline)?;
        Ok(told.map(|about| Storage { path, free: about.f_bavail.saturating_mul(about.f_frsize) }))
    }
}

async fn root(socket: &Path) -> Result<PathBuf, Failure> {
    #[derive(Deserialize)]
    struct Info {
        #[serde(rename = "DockerRootDir")]
        root: PathBuf,
    }
    Ok(wire::get::<Info>(socket, "/info").await?.value.root)
}

/// Best effort: where the storage is not in our world there is nothing to sync from here, and a disk that fails says so
/// only once. False: to be done again.
pub(super) async fn sync(socket: PathBuf) -> bool {
    let asked = tokio::time::timeout(LONG, root(&socket)).await;
    let Ok(Ok(root)) = asked else {
        tracing::warn!("podman's storage could not be synced: it did not say where it is");
        return false;
    };
    let (shown, closed) = (root.display().to_string(), "it is not seen from here");
    let Some(podmans) = podmans_root(&socket).await else {
        tracing::warn!(storage = shown, "podman's storage could not be synced: {closed}");
        return true;
    };
    let synced = tokio::task::spawn_blocking(move || {
        let directory = podmans.open(&root, OFlags::RDONLY | OFlags::DIRECTORY);
        directory
            .map_err(|error| format!("{closed}: {error}"))
            .and_then(|directory| syncfs(directory).map_err(|error| error.to_string()))
    });
    let synced = synced.await;
    if let Ok(Err(why)) = &synced {
        tracing::warn!(storage = shown, "podman's storage could not be synced: {why}");
    }
    synced.is_ok()
}
