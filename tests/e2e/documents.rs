//! Desired state as an operator writes it.
use crate::podman_world::DEMO_IMAGE;
use serde_json::{Value, json};

/// A deployment of these services, as the bytes that are put.
pub fn deployment(services: &[Value]) -> Vec<u8> {
    with_lifecycle(services, json!(null))
}

pub fn with_lifecycle(services: &[Value], lifecycle: Value) -> Vec<u8> {
    let document = json!({"type": "PodmanV0", "data": {"services": services, "lifecycle": lifecycle}});
    serde_json::to_vec(&document).unwrap()
}

/// A service that runs this script.
pub fn script(name: &str, script: &str) -> Value {
    json!({"name": name, "image": DEMO_IMAGE, "command": ["sh", "-c", script]})
}

/// A service that runs until it is asked to stop, and then ends at once.
pub fn steady(name: &str) -> Value {
    script(name, "trap 'exit 0' TERM; sleep 86400 & wait")
}

/// The same with fields changed or added.
pub fn with(mut service: Value, fields: Value) -> Value {
    for (key, value) in fields.as_object().unwrap() {
        service[key] = value.clone();
    }
    service
}

/// A web server on port 80 that answers with this text.
pub fn web(name: &str, text: &str) -> Value {
    let serve = "trap 'exit 0' TERM; mkdir /www; echo \"$TEXT\" > /www/index.html; \
                 httpd -f -p 80 -h /www & sleep 86400 & wait";
    with(script(name, serve), json!({"env": {"TEXT": text}}))
}
