//! Taking an image off the device that nobody needs any more.
use super::turns::Line;
use super::{goes_on, short};
use crate::domain::images::Removal;
use crate::faults;
use crate::messages::effects::Removed;
use crate::runtime::{ContainerRuntime, RuntimeError};
use crate::store::{Epoch, OwnershipView};
use crate::supervision::caught;
use std::time::Duration;
use tokio::time::timeout;

/// That nobody needs it was so a moment ago: who waits longer for a turn has to look again.
const TURN_WITHIN: Duration = Duration::from_secs(5);

/// A panic in it is nobody's matter but its own: here it would end the operations of all deployments.
pub async fn remove(
    runtime: &dyn ContainerRuntime,
    ownership: OwnershipView,
    epoch: Epoch,
    slots: Line,
    removal: &Removal,
) -> Removed {
    let work = async {
        let Ok(_turn) = timeout(TURN_WITHIN, slots.turn()).await else { return Removed::NotBegun };
        faults::point("before", "RemoveImage");
        if !goes_on(ownership, epoch).await {
            return Removed::NotBegun;
        }
        let is_gone = is_gone(runtime, removal).await;
        faults::point("after", "RemoveImage");
        if is_gone { Removed::Gone } else { Removed::Kept }
    };
    caught(work).await.unwrap_or_else(|text| {
        tracing::error!(image = shown(removal), "a panic in its removal: {text}");
        Removed::Kept
    })
}

async fn is_gone(runtime: &dyn ContainerRuntime, removal: &Removal) -> bool {
    match take(runtime, removal).await {
        Ok(is_gone) => is_gone,
        Err(error) => {
            tracing::warn!(%error, "an image that nobody needs is not removed");
            false
        }
    }
}

/// Name by name, as podman removes an image with its last one only.
async fn take(runtime: &dyn ContainerRuntime, removal: &Removal) -> Result<bool, RuntimeError> {
    let Removal { id, names } = removal;
    let nameless = names.is_empty().then_some(id);
    let mut is_ours = false;
    for name in names.iter().chain(nameless) {
        match runtime.image(name).await? {
            Some(now) if now == *id => {}
            None => continue,
            // The name is another image's by now, which may be needed.
            Some(_) => return Ok(false),
        }
        // No: somebody began to use it just now.
        if !runtime.remove_image(name).await? {
            return Ok(false);
        }
        is_ours = true;
    }
    // Somebody else may have taken its names, or given it another one.
    let is_gone = runtime.image(id).await?.is_none();
    if is_gone && is_ours {
        tracing::info!(image = shown(removal), "removed: no document names it and no container uses it");
    }
    Ok(is_gone)
}

fn shown(removal: &Removal) -> &str {
    let Removal { id, names } = removal;
    names.iter().next().map_or_else(|| short(id.trim_start_matches("sha256:")), String::as_str)
}
