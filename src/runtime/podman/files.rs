//! Files for containers, as the tar archives that podman's API takes.
use super::errors::Failure;
use super::{LONG, PodmanRuntime};
use crate::domain::container::ContainerId;
use crate::domain::spec::{FileOwner, PlacedFile};
use bollard::query_parameters::UploadToContainerOptionsBuilder;

impl PodmanRuntime {
    /// One archive for each owner. What podman calls `copyUIDGID` gives everything in an archive, and the
    /// directories that it makes for it, to the user that the container runs as; only podman knows whom the
    /// image means by a name.
    pub(super) async fn upload(&self, id: &ContainerId, files: &[PlacedFile]) -> Result<(), Failure> {
        for (owner, chown) in [(FileOwner::Root, "false"), (FileOwner::User, "true")] {
            let of_owner: Vec<&PlacedFile> = files.iter().filter(|file| file.owner == owner).collect();
            if of_owner.is_empty() {
                continue;
            }
            let archive = archive(&of_owner).map_err(|error| Failure::Unreadable(error.to_string()))?;
            let options = UploadToContainerOptionsBuilder::new().path("/").copy_uidgid(chown).build();
            let body = bollard::body_full(archive.into());
            let put = self.docker(LONG)?.upload_to_container(id.as_str(), Some(options), body).await;
            put.map_err(|error| Failure::from(error).hiding(files.iter().map(|file| &file.content)))?;
        }
        Ok(())
    }
}

fn archive(files: &[&PlacedFile]) -> std::io::Result<Vec<u8>> {
    let mut archive = tar::Builder::new(Vec::new());
    for file in files {
        let content = file.content.reveal();
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Regular);
        header.set_size(content.len() as u64);
        header.set_mode(file.mode.into());
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        archive.append_data(&mut header, file.path.trim_start_matches('/'), content)?;
    }
    archive.into_inner()
}
