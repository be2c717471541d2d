//! The agent's actors as `actors` tells of them.
use crate::device::Device;
use serde_json::Value;
use std::collections::BTreeMap;

pub const ROOT: &str = "fleet-agent";

/// By path.
pub type Actors = BTreeMap<String, Value>;

/// As they are now.
pub async fn actors(device: &Device) -> Actors {
    let answer = device.operator.ask_when_up("actors").await.body;
    let all = answer["actors"].as_array().unwrap().iter();
    all.map(|actor| (actor["name"].as_str().unwrap().to_owned(), actor.clone())).collect()
}

/// Waits until they are as wanted.
pub async fn actors_when(device: &Device, what: &str, mut is_so: impl FnMut(&Actors) -> bool) -> Actors {
    let look = async || {
        let all = actors(device).await;
        if is_so(&all) { Ok(all) } else { Err(format!("{all:#?}")) }
    };
    device.eventually(what, look).await
}

pub fn all_up(actors: &Actors) -> bool {
    actors.values().all(is_up)
}

pub fn is_up(actor: &Value) -> bool {
    matches!(actor["state"].as_str(), Some("running" | "waiting"))
}

/// What tells one incarnation from another.
pub fn incarnation(actor: &Value) -> (&Value, &Value) {
    (&actor["since"], &actor["restarts"])
}

/// What a crash of `path` may restart, by the drawing in docs/supervision.md: itself, what is below it, and
/// under `rest_for_one` what is declared after it.
pub fn is_restarted_with(path: &str, other: &str) -> bool {
    let below = other.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    below || (path == "fleet-agent/runtime/effects" && other == "fleet-agent/runtime/observer")
}
