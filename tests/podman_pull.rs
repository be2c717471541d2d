//! Pulls from a real registry by a real podman.
#![allow(clippy::unwrap_used, clippy::panic)] // A failed assumption ends the test.
use fleet_agent::runtime::podman::PodmanRuntime;
use fleet_agent::runtime::{ContainerRuntime, ErrorKind, PullProgress, Result};
use futures_util::StreamExt;
use podman_world::PodmanWorld;
use registry::{CLOSED, OPEN, Registry, STALLING, UNKNOWN};
use std::time::Duration;

#[path = "support/podman_world.rs"]
mod podman_world;
#[path = "support/registry.rs"]
mod registry;

/// For a pull over loopback; podman asks three times before it gives up.
const PATIENCE: Duration = Duration::from_secs(60);

struct Lab {
    registry: Registry,
    runtime: PodmanRuntime,
    _world: PodmanWorld,
}

fn lab() -> Lab {
    let world = PodmanWorld::new();
    let registry = Registry::serve(&world);
    let runtime = PodmanRuntime::new("d1".parse().expect("valid"), world.socket());
    Lab { registry, runtime, _world: world }
}

impl Lab {
    async fn pull(&self, reference: &str) -> Vec<Result<PullProgress>> {
        let items = self.runtime.pull(reference, None).await.expect("begins").collect();
        tokio::time::timeout(PATIENCE, items).await.expect("the pull ends")
    }

    async fn failure(&self, reference: &str) -> ErrorKind {
        let items = self.pull(reference).await;
        let error = items.last().expect("an item").as_ref().expect_err("an error");
        eprintln!("{error}");
        error.kind
    }
}

#[tokio::test]
async fn a_pull_brings_the_image_by_tag_and_by_digest() {
    let lab = lab();
    assert_eq!(lab.runtime.image(OPEN).await, Ok(None));
    let items = lab.pull(OPEN).await;
    assert!(items.iter().all(Result::is_ok), "{items:?}");
    assert!(!items.is_empty());
    let id = lab.runtime.image(OPEN).await.expect("asked").expect("there");
    assert!(id.starts_with("sha256:"), "{id}");
    let digest = lab.registry.by_digest();
    let again = lab.pull(&digest).await;
    assert!(again.iter().all(Result::is_ok), "{again:?}");
    assert_eq!(lab.runtime.image(&digest).await, Ok(Some(id)));
}

#[tokio::test]
async fn a_registry_that_wants_credentials_is_told_from_one_without_the_tag() {
    let lab = lab();
    assert_eq!(lab.failure(CLOSED).await, ErrorKind::RegistryAuth);
    assert_eq!(lab.failure(UNKNOWN).await, ErrorKind::Pull);
}

#[tokio::test]
async fn a_stalled_registry_is_silence_and_dropping_the_pull_ends_it() {
    let lab = lab();
    let mut pull = lab.runtime.pull(STALLING, None).await.expect("begins");
    let silence = async {
        while let Some(item) = pull.next().await {
            item.expect("no error");
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(3), silence).await.is_err(), "it ended by itself");
    drop(pull);
    assert_eq!(lab.runtime.image(STALLING).await, Ok(None));
    assert!(lab.pull(OPEN).await.iter().all(Result::is_ok), "another pull is not held up");
}
