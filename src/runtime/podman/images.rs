//! Images on the device: all of them, their removal, and those that come from an archive.
//!
//! Podman takes an archive's bytes and says what it called the image. It gets one more name, made of the
//! document's own word for it: by that the image is found again, by us and by a create.
use super::errors::Failure;
use super::pull::then_sync;
use super::synced::Syncs;
use super::wire::{self, encoded};
use super::{LONG, connect};
use crate::domain::images::Image;
use crate::faults;
use crate::questions::{self, About};
use crate::runtime::{ErrorKind, Operation, PullProgress, Result, RuntimeError};
use bollard::query_parameters::{ImportImageOptions, RemoveImageOptionsBuilder, TagImageOptionsBuilder};
use bytes::Bytes;
use fleet_contracts::desired::archive_path;
use futures_util::stream::{self, BoxStream, StreamExt};
use serde::Deserialize;
use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::fs::File;
use tokio::io::AsyncReadExt;

/// Names of images that were loaded from archives.
const REPOSITORY: &str = "localhost/fleet-agent/archive";
/// Read and sent at once.
const PIECE: usize = 256 * 1024;
/// How often it is said how much was sent.
const BEAT: Duration = Duration::from_secs(1);
/// A disk that sleeps needs some seconds to turn.
const OPENED_WITHIN: Duration = Duration::from_secs(10);
/// Podman answers when it has unpacked everything; the caller has a shorter patience.
const ANSWERED_WITHIN: Duration = Duration::from_secs(3600);
/// What podman puts before the names.
const LOADED: &str = "Loaded image: ";

/// The name by which podman knows the image of a document.
pub(super) fn local(reference: &str) -> Cow<'_, str> {
    if archive_path(reference).is_none() {
        return reference.into();
    }
    format!("{REPOSITORY}:{}", tag(reference)).into()
}

fn tag(reference: &str) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, reference.as_bytes());
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// By podman's own API, which counts the containers that use an image, whether they run or not.
pub(super) async fn list(socket: &Path) -> std::result::Result<Vec<Image>, Failure> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Row {
        id: String,
        repo_tags: Option<Vec<String>>,
        #[serde(default)]
        containers: i64,
    }
    let rows = wire::get::<Vec<Row>>(socket, "/v4.0.0/libpod/images/json").await?.value;
    let image = |row: Row| Image {
        id: prefixed(row.id),
        names: row
            .repo_tags
            .unwrap_or_default()
            .into_iter()
            .filter(|name| !name.starts_with("<none>"))
            .collect(),
        is_used: row.containers != 0,
    };
    Ok(rows.into_iter().map(image).collect())
}

/// As an inspect spells it.
fn prefixed(id: String) -> String {
    if id.contains(':') { id } else { format!("sha256:{id}") }
}

/// Never by force: podman itself refuses what a container uses, at the moment of the removal.
pub(super) async fn remove(socket: &Path, name: &str) -> std::result::Result<bool, Failure> {
    let options = RemoveImageOptionsBuilder::new().force(false).noprune(true).build();
    match connect(socket, LONG)?.remove_image(name, Some(options), None).await.map_err(Failure::from) {
        Ok(_) => Ok(true),
        Err(failure) if failure.is_not_found() => Ok(true),
        Err(failure) if failure.says("in use by") || failure.says("is using") => Ok(false),
        Err(failure) => Err(failure),
    }
}

/// Progress is what was sent of the file.
pub(super) async fn load(
    socket: &Path,
    syncs: &Syncs,
    reference: &str,
    path: &str,
) -> Result<BoxStream<'static, Result<PullProgress>>> {
    let (file, total) = open(path, OPENED_WITHIN).await.map_err(|message| RuntimeError {
        operation: "load",
        object: reference.into(),
        kind: ErrorKind::ImageMissing,
        message,
    })?;
    let landing = syncs.landing(reference).await;
    let sent = Arc::new(AtomicU64::new(0));
    let loading = send(socket.to_owned(), reference.to_owned(), file, sent.clone());
    let name = reference.to_owned();
    let progress = stream::unfold(Some(Box::pin(loading)), move |loading| {
        let (sent, name) = (sent.clone(), name.clone());
        async move {
            let mut loading = loading?;
            match tokio::time::timeout(BEAT, &mut loading).await {
                Err(_) => {
                    let current = sent.load(Ordering::Relaxed);
                    Some((Ok(PullProgress { current, total, is_syncing: false }), Some(loading)))
                }
                Ok(Ok(())) => Some((Ok(PullProgress { current: total, total, is_syncing: false }), None)),
                Ok(Err(failure)) => Some((Err(failure.during(Operation::Pull, &name)), None)),
            }
        }
    });
    Ok(then_sync(progress.boxed(), landing))
}

async fn open(path: &str, within: Duration) -> std::result::Result<(File, u64), String> {
    let asked = path.to_owned();
    let question = move || {
        faults::point("path", &asked);
        let about = std::fs::metadata(&asked)?;
        // A pipe would be waited for.
        if !about.is_file() {
            return Err(std::io::Error::other("it is no regular file"));
        }
        Ok((std::fs::File::open(&asked)?, about.len()))
    };
    match questions::ask(About::Path(path.to_owned()), within, question).await {
        Some(Ok((file, length))) => Ok((File::from_std(file), length)),
        Some(Err(error)) => Err(error.to_string()),
        None => Err("no answer from the device (a mount whose server is gone, or a disk that hangs?)".into()),
    }
}

async fn send(
    socket: PathBuf,
    reference: String,
    file: File,
    sent: Arc<AtomicU64>,
) -> std::result::Result<(), Failure> {
    let docker = connect(&socket, ANSWERED_WITHIN)?;
    let body = stream::try_unfold((file, sent), |(mut file, sent)| async move {
        let mut piece = vec![0; PIECE];
        let length = file.read(&mut piece).await?;
        sent.fetch_add(length as u64, Ordering::Relaxed);
        piece.truncate(length);
        Ok::<_, std::io::Error>((length > 0).then(|| (Bytes::from(piece), (file, sent))))
    });
    let mut names = Vec::new();
    let answer = docker.import_image_stream(ImportImageOptions::default(), body, None);
    let mut answer = std::pin::pin!(answer);
    while let Some(line) = answer.next().await {
        let text = line?.stream.unwrap_or_default();
        if let Some(loaded) = text.trim().strip_prefix(LOADED) {
            names.extend(loaded.split(',').map(|name| name.trim().to_owned()));
        }
    }
    let id = only_image(&socket, &names).await?;
    let options = TagImageOptionsBuilder::new().repo(REPOSITORY).tag(&tag(&reference)).build();
    Ok(docker.tag_image(&id, Some(options)).await?)
}

/// An archive may hold several images: which one is meant would be a guess.
async fn only_image(socket: &Path, names: &[String]) -> std::result::Result<String, Failure> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Found {
        id: String,
    }
    let mut ids = Vec::new();
    for name in names {
        let path = format!("/images/{}/json", encoded(name));
        ids.push(wire::get::<Found>(socket, &path).await?.value.id);
    }
    ids.dedup();
    match <[String; 1]>::try_from(ids) {
        Ok([id]) => Ok(id),
        Err(ids) if ids.is_empty() => Err(Failure::Refused("the archive holds no image")),
        Err(_) => Err(Failure::Refused("the archive holds several images, one is needed")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(debug_assertions)]
    #[test]
    fn an_archive_on_a_dead_mount_is_refused_in_time() {
        let dir = tempfile::tempdir().unwrap();
        faults::look_in(dir.path());
        std::fs::write(dir.path().join("path:-mnt-a.tar"), "block always").unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        for _ in 0..3 {
            let refused = runtime.block_on(open("/mnt/a.tar", Duration::from_millis(20))).unwrap_err();
            assert!(refused.contains("no answer"), "{refused}");
        }
        // Its thread never comes back.
        runtime.shutdown_background();
    }

    #[test]
    fn an_archive_has_a_local_name_of_its_own_and_a_reference_is_its_own() {
        assert_eq!(local("registry.example/web:1"), "registry.example/web:1");
        let (a, b) = (local("oci-archive:/a.tar"), local("docker-archive:/a.tar"));
        assert!(
            a.starts_with("localhost/fleet-agent/archive:") && a.len() == REPOSITORY.len() + 1 + 64,
            "{a}"
        );
        assert_ne!(a, b);
    }
}
