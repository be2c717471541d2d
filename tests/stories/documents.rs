//! Desired state as an operator writes it.
use serde_json::{Value, json};

/// A document with these services.
pub fn document(services: Value) -> Vec<u8> {
    json!({"type": "PodmanV0", "data": {"services": services}}).to_string().into_bytes()
}

/// One service `a` with this image.
pub fn demo(image: &str) -> Vec<u8> {
    document(json!([{"name": "a", "image": image}]))
}

/// One service `a` with this image and a mark, so that documents differ and the image does not.
pub fn marked(image: &str, mark: u64) -> Vec<u8> {
    document(json!([{"name": "a", "image": image, "env": {"MARK": mark.to_string()}}]))
}
