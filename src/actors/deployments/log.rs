//! What of all states is worth a line in the log.
use fleet_contracts::DeploymentName;
use fleet_contracts::state::{DeploymentState, Phase};
use std::collections::BTreeMap;

/// A state changes more often than its meaning does.
pub type Gist = (Phase, Option<u64>, Option<String>);

pub fn log_state(logged: &mut BTreeMap<DeploymentName, Gist>, state: &DeploymentState) {
    let error = state.last_error.as_ref().map(|error| format!("{}: {}", error.code, error.message));
    let gist: Gist = (state.phase, state.observed_revision, error.clone());
    if logged.insert(state.deployment.clone(), gist.clone()) == Some(gist) {
        return;
    }
    let (deployment, phase, revision) = (&state.deployment, state.phase, state.observed_revision);
    match error {
        Some(error) => tracing::warn!(%deployment, %phase, revision, "{error}"),
        None => tracing::info!(%deployment, %phase, revision, "state"),
    }
}
