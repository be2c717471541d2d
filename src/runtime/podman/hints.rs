//! Podman's events, reduced to "look at this deployment".
use super::errors::{Failure, Operation};
use super::{SHORT, connect};
use crate::runtime::{Hint, Result};
use bollard::models::EventMessage;
use bollard::query_parameters::EventsOptionsBuilder;
use fleet_contracts::DeviceId;
use fleet_contracts::names::label;
use futures_util::stream::{BoxStream, StreamExt};
use std::collections::HashMap;
use std::future::ready;
use std::path::Path;

pub(super) fn hints(
    socket: &Path,
    device: &DeviceId,
) -> std::result::Result<BoxStream<'static, Result<Hint>>, Failure> {
    let filters = HashMap::from([
        // Without it one event of a pod ends the stream: its type is a word that bollard does not know.
        ("type", vec!["container".to_owned()]),
        ("label", vec![format!("{}={device}", label::DEVICE)]),
    ]);
    let options = EventsOptionsBuilder::new().filters(&filters).build();
    let events = connect(socket, SHORT)?.events(Some(options));
    let hints = events.filter_map(|event| {
        ready(match event {
            Ok(event) => hint(&event).map(Ok),
            Err(error) => Some(Err(Failure::from(error).during(Operation::Hints, "events"))),
        })
    });
    Ok(hints.boxed())
}

fn hint(event: &EventMessage) -> Option<Hint> {
    if !is_news(event.action.as_deref()?) {
        return None;
    }
    let deployment = event.actor.as_ref()?.attributes.as_ref()?.get(label::DEPLOYMENT)?.parse().ok()?;
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
