//! Lines recorded from 4.3.1.
use super::*;

fn line(json: &str) -> CreateImageInfo {
    serde_json::from_str(json).expect("podman's shape")
}

fn received(layer: &str, current: u64, total: u64) -> CreateImageInfo {
    line(&format!(
        r#"{{"status":"Downloading","progressDetail":{{"current":{current},"total":{total}}},"progress":"x","id":"{layer}"}}"#
    ))
}

#[test]
fn progress_is_the_sum_over_the_layers_known_so_far() {
    let mut layers = Layers::default();
    assert_eq!(layers.take(received("a", 10, 100)), Some(PullProgress { current: 10, total: 100 }));
    assert_eq!(layers.take(received("b", 5, 50)), Some(PullProgress { current: 15, total: 150 }));
    assert_eq!(layers.take(received("a", 90, 100)), Some(PullProgress { current: 95, total: 150 }));
}

#[test]
fn a_line_without_numbers_forgets_nothing() {
    let mut layers = Layers::default();
    layers.take(received("a", 10, 100));
    let after = layers.take(line(r#"{"status":"Download complete","progressDetail":{},"id":"a"}"#));
    assert_eq!(after, Some(PullProgress { current: 10, total: 100 }));
}

#[test]
fn a_repeated_line_is_no_progress() {
    let mut layers = Layers::default();
    layers.take(received("a", 10, 100));
    assert_eq!(layers.take(received("a", 10, 100)), None);
}
