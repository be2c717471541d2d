//! Lines recorded from 4.3.1.
use super::super::synced::tests::Podman;
use super::*;
use crate::runtime::{ErrorKind, RuntimeError};

fn line(json: &str) -> CreateImageInfo {
    serde_json::from_str(json).expect("podman's shape")
}

fn received(layer: &str, current: u64, total: u64) -> CreateImageInfo {
    line(&format!(
        r#"{{"status":"Downloading","progressDetail":{{"current":{current},"total":{total}}},"progress":"x","id":"{layer}"}}"#
    ))
}

fn bytes(current: u64, total: u64) -> PullProgress {
    PullProgress { current, total, is_syncing: false }
}

#[test]
fn progress_is_the_sum_over_the_layers_known_so_far() {
    let mut layers = Layers::default();
    assert_eq!(layers.take(received("a", 10, 100)), Some(bytes(10, 100)));
    assert_eq!(layers.take(received("b", 5, 50)), Some(bytes(15, 150)));
    assert_eq!(layers.take(received("a", 90, 100)), Some(bytes(95, 150)));
}

#[test]
fn a_line_without_numbers_forgets_nothing() {
    let mut layers = Layers::default();
    layers.take(received("a", 10, 100));
    let after = layers.take(line(r#"{"status":"Download complete","progressDetail":{},"id":"a"}"#));
    assert_eq!(after, Some(bytes(10, 100)));
}

#[test]
fn a_repeated_line_is_no_progress() {
    let mut layers = Layers::default();
    layers.take(received("a", 10, 100));
    assert_eq!(layers.take(received("a", 10, 100)), None);
}

#[tokio::test]
async fn a_pull_that_has_ended_says_that_it_is_synced_before_it_is_over() {
    let podman = Podman::answers();
    let syncs = Syncs::new(podman.socket(), None);
    let landed = stream::iter([Ok(bytes(10, 10))]).boxed();
    let items: Vec<_> = then_sync(landed, syncs.landing("web:1").await).collect().await;
    assert_eq!(items, [Ok(bytes(10, 10)), Ok(PullProgress { is_syncing: true, ..bytes(10, 10) })]);
    assert!(!syncs.is_open("web:1").await);
}

#[tokio::test]
async fn a_pull_that_is_cut_off_before_its_sync_is_over_is_synced_before_its_image_is_used() {
    let podman = Podman::answers();
    let syncs = Syncs::new(podman.socket(), None);
    let pulling = stream::iter([Ok(bytes(10, 10))]).chain(stream::pending()).boxed();
    let mut cut_off = then_sync(pulling, syncs.landing("web:1").await);
    cut_off.next().await;
    drop(cut_off);
    assert!(syncs.is_open("web:1").await);
    syncs.settle("web:1").await.expect("it is over at once");
    assert!(!syncs.is_open("web:1").await);
}

/// What came by a pull that ends with these words is to be synced.
async fn is_open_after(kind: ErrorKind) -> bool {
    let syncs = Syncs::new("/nowhere/podman.sock".into(), None);
    let error = RuntimeError { operation: "pull", object: "web:1".into(), kind, message: "why".into() };
    let failing = stream::iter([Ok(bytes(10, 10)), Err(error)]).boxed();
    then_sync(failing, syncs.landing("web:1").await).collect::<Vec<_>>().await;
    syncs.is_open("web:1").await
}

#[tokio::test]
async fn a_pull_that_podman_says_has_failed_leaves_nothing_to_sync_and_one_of_unknown_end_does() {
    assert!(!is_open_after(ErrorKind::Pull).await);
    assert!(!is_open_after(ErrorKind::RegistryAuth).await);
    assert!(is_open_after(ErrorKind::Unreachable).await);
    assert!(is_open_after(ErrorKind::Timeout).await);
}
