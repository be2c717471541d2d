//! Podman's events, reduced to "look at this deployment".
use super::errors::Failure;
use super::wire::{self, encoded};
use crate::runtime::{Hint, Operation, Result};
use fleet_contracts::names::label;
use fleet_contracts::{DeviceId, Timestamp};
use futures_util::stream::{BoxStream, StreamExt};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::future::ready;
use std::path::Path;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Event {
    #[serde(default)]
    action: String,
    #[serde(default)]
    actor: Actor,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Actor {
    #[serde(default)]
    attributes: Option<BTreeMap<String, String>>,
}

/// Events from this second on. Read here and not by bollard, whose stream asks podman only when its
/// first item is wanted: what happened in between would be missed.
pub(super) async fn hints(
    socket: &Path,
    device: &DeviceId,
) -> std::result::Result<BoxStream<'static, Result<Hint>>, Failure> {
    let filters =
        serde_json::json!({ "type": ["container"], "label": [format!("{}={device}", label::DEVICE)] });
    // Podman begins to answer a moment before it begins to listen; `since` covers that moment.
    let since = Timestamp::now().unix_seconds();
    let path = format!("/events?since={since}&filters={}", encoded(&filters.to_string()));
    let hints = wire::lines(socket, &path).await?.filter_map(|line| {
        ready(match line {
            Ok(line) => hint(&line).map(Ok),
            Err(failure) => Some(Err(failure.during(Operation::Hints, "events"))),
        })
    });
    Ok(ends_with_error(hints.boxed()))
}

/// After an error there is nothing more to come.
fn ends_with_error(hints: BoxStream<'static, Result<Hint>>) -> BoxStream<'static, Result<Hint>> {
    hints
        .scan(false, |failed, hint| {
            let go_on = !*failed;
            *failed = hint.is_err();
            ready(go_on.then_some(hint))
        })
        .boxed()
}

fn hint(line: &[u8]) -> Option<Hint> {
    let event: Event = serde_json::from_slice(line).ok()?;
    if !is_news(&event.action) {
        return None;
    }
    let deployment = event.actor.attributes?.get(label::DEPLOYMENT)?.parse().ok()?;
    Some(Hint { deployment })
}

/// Whether such an event can change what an observer sees.
fn is_news(action: &str) -> bool {
    match action {
        // Steps on the way to an event that is news, and what goes on inside a container.
        "init" | "attach" | "cleanup" | "kill" => false,
        _ => !action.starts_with("exec"),
    }
}

#[cfg(test)]
mod tests;
