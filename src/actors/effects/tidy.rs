//! Taking images off the device that nobody needs any more.
use super::{goes_on, short};
use crate::domain::images::Removal;
use crate::faults;
use crate::runtime::ContainerRuntime;
use crate::store::{Epoch, OwnershipView};

/// Returns the ids of those that are gone.
pub async fn remove(
    runtime: &dyn ContainerRuntime,
    ownership: OwnershipView,
    epoch: Epoch,
    removals: Vec<Removal>,
) -> Vec<String> {
    let mut gone = Vec::new();
    for removal in removals {
        faults::point("before", "RemoveImage");
        if !goes_on(ownership.clone(), epoch).await {
            return gone;
        }
        if is_gone(runtime, &removal).await {
            gone.push(removal.id);
        }
        faults::point("after", "RemoveImage");
    }
    gone
}

/// Name by name, as podman removes an image with its last one only.
async fn is_gone(runtime: &dyn ContainerRuntime, removal: &Removal) -> bool {
    let Removal { id, names } = removal;
    let shown = names.iter().next().map_or_else(|| short(id.trim_start_matches("sha256:")), String::as_str);
    let nameless = names.is_empty().then_some(id);
    for name in names.iter().chain(nameless) {
        match runtime.remove_image(name).await {
            Ok(true) => {}
            // Somebody began to use it just now.
            Ok(false) => return false,
            Err(error) => {
                tracing::warn!(%error, "an image that nobody needs is not removed");
                return false;
            }
        }
    }
    tracing::info!(image = shown, "removed: no document names it and no container uses it");
    true
}
