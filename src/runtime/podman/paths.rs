//! Whether paths of the host are there, as podman sees the host.
use super::errors::Failure;
use super::{PodmanRuntime, wire};
use crate::domain::spec::CreateSpec;
use crate::faults;
use crate::questions::{self, About};
use crate::runtime::process;
use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};
use rustix::io::Errno;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::UnixStream;
use tokio::time::Instant;

/// For all paths of a container: a disk that sleeps needs some seconds to turn.
const ANSWERED_WITHIN: Duration = Duration::from_secs(10);

/// What `ProtectHome`, `PrivateTmp`, `PrivateDevices` and their like show to a service otherwise than to
/// others.
const HIDDEN: [&str; 7] = ["/home", "/root", "/run", "/tmp", "/var/tmp", "/dev", "/proc"];

impl PodmanRuntime {
    /// Podman's API makes a directory where nothing is: a card that is not in, or a misspelt path, would go
    /// unnoticed. `podman run` refuses, and so do we. Where podman's view of the host cannot be had, all is
    /// left to podman.
    pub(super) async fn host_paths_exist(&self, spec: &CreateSpec) -> Result<(), Failure> {
        let mut paths = spec.mounts.iter().map(|mount| mount.source.as_str()).filter(|s| s.starts_with('/'));
        let Some(first) = paths.next() else { return Ok(()) };
        let Some(root) = podmans_root(&self.socket).await.map(Arc::new) else { return Ok(()) };
        let until = Instant::now() + ANSWERED_WITHIN;
        for path in std::iter::once(first).chain(paths) {
            exists(&root, path, until.saturating_duration_since(Instant::now())).await?;
        }
        Ok(())
    }
}

/// The root directory of whoever listens on podman's socket (of systemd, where it opened that). None
/// where that process is not in our world.
pub(super) async fn podmans_root(socket: &Path) -> Option<Root> {
    let stream = UnixStream::connect(socket).await.ok()?;
    let pid = wire::peer(&stream).filter(|pid| process::shares_pids(*pid))?;
    match File::open(format!("/proc/{pid}/root")) {
        Ok(directory) => Some(Root { directory, is_ours: false }),
        // Without capabilities, as in the unit, it is closed to us; ours is the same but for what the
        // unit hides.
        Err(_) => Some(Root { directory: File::open("/").ok()?, is_ours: true }),
    }
}

/// A path that hangs is refused here: podman would hang in it too, and could be asked nothing more of that container.
async fn exists(root: &Arc<Root>, path: &str, within: Duration) -> Result<(), Failure> {
    let (root, asked) = (root.clone(), path.to_owned());
    let question = move || {
        faults::point("path", &asked);
        is_missing(&root, &asked)
    };
    let refused = |why: &str| Err(Failure::Status { code: 400, message: format!("{path}: {why}") });
    match questions::ask(About::Path(path.into()), within, question).await {
        Some(false) => Ok(()),
        Some(true) => refused("no such file or directory on the device"),
        None => refused("no answer from the device (a mount whose server is gone, or a disk that hangs?)"),
    }
}

pub(super) struct Root {
    directory: File,
    is_ours: bool,
}

impl Root {
    /// Symbolic links are followed in that root, not in ours.
    pub(super) fn open(&self, path: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
        openat2(&self.directory, path, flags | OFlags::CLOEXEC, Mode::empty(), ResolveFlags::IN_ROOT)
    }
}

/// What cannot be decided counts as there.
fn is_missing(root: &Root, path: &str) -> bool {
    if root.is_ours && HIDDEN.iter().any(|hidden| Path::new(path).starts_with(hidden)) {
        return false;
    }
    matches!(root.open(Path::new(path), OFlags::PATH), Err(Errno::NOENT | Errno::NOTDIR))
}
