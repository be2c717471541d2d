//! Removing containers without ever removing a live one.
use super::errors::Failure;
use super::{LONG, PodmanRuntime};
use crate::domain::container::{ContainerId, Status};
use crate::runtime::NameHolder;
use bollard::query_parameters::RemoveContainerOptionsBuilder;
use std::time::Duration;
use tokio::time::Instant;

/// How long a container may stay listed after podman said that it is removed: 3 of 200 did so for a
/// moment under load.
const UNLISTED_WITHIN: Duration = Duration::from_secs(3);
const PAUSE: Duration = Duration::from_millis(100);

impl PodmanRuntime {
    pub(super) async fn remove_dead(&self, id: &ContainerId) -> Result<(), Failure> {
        let Some(status) = self.dead_status(id).await? else { return Ok(()) };
        // By force only where podman believes that it runs: without force podman refuses by itself
        // should somebody have started it since we looked.
        let forced = status == Status::Lying;
        if let Err(failure) = self.delete(id.as_str(), forced).await {
            self.remove_broken(id, failure).await?;
        }
        self.see_it_gone(id).await
    }

    /// A dead container that podman could not remove at once: its storage is half gone, or it lied,
    /// and 4.3.1 then fails to stop it, leaves it `stopping`, and removes it at the second request.
    async fn remove_broken(&self, id: &ContainerId, failure: Failure) -> Result<(), Failure> {
        match failure {
            Failure::Status { .. } => match self.dead_status(id).await? {
                Some(_) => self.delete(id.as_str(), true).await,
                None => Ok(()),
            },
            other => Err(other),
        }
    }

    /// None when it does not exist; refuses when it is alive.
    async fn dead_status(&self, id: &ContainerId) -> Result<Option<Status>, Failure> {
        match self.observer.examine(id).await? {
            None => Ok(None),
            Some(facts) if facts.status.is_alive() => Err(Failure::Refused("it is alive")),
            Some(facts) => Ok(Some(facts.status)),
        }
    }

    async fn see_it_gone(&self, id: &ContainerId) -> Result<(), Failure> {
        let until = Instant::now() + UNLISTED_WITHIN;
        while self.observer.examine(id).await?.is_some() {
            if Instant::now() >= until {
                return Err(Failure::Refused("removed, says podman, but it is still listed"));
            }
            tokio::time::sleep(PAUSE).await;
        }
        self.observer.forget(id);
        Ok(())
    }

    pub(super) async fn remove_unlisted(&self, name: &str) -> Result<(), Failure> {
        match self.observer.holder(name).await? {
            // The compat endpoint looks into the storage when no container has the name (4.3.1).
            NameHolder::Nobody => self.delete(name, true).await,
            NameHolder::Ours(_) | NameHolder::Foreign(_) => {
                Err(Failure::Refused("a listed container has this name"))
            }
        }
    }

    /// Anonymous volumes go with it, named ones never.
    async fn delete(&self, id_or_name: &str, force: bool) -> Result<(), Failure> {
        let options = RemoveContainerOptionsBuilder::new().force(force).v(true).build();
        let removed = self.docker(LONG)?.remove_container(id_or_name, Some(options)).await;
        match removed.map_err(Failure::from) {
            Err(failure) if failure.is_not_found() => Ok(()),
            other => other,
        }
    }
}
