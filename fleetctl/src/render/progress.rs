//! One line for each change while fleetctl waits.
use super::status::error_text;
use fleet_contracts::Timestamp;
use fleet_contracts::state::{DeploymentState, ServicePhase};

/// Where a deployment stands, on one line.
pub fn line(state: &DeploymentState, now: Timestamp) -> String {
    let services: Vec<String> = state
        .services
        .iter()
        .map(|(name, service)| match (service.phase, service.exit_code) {
            (ServicePhase::Exited | ServicePhase::Failed, Some(code)) => {
                format!("{name}={}({code})", service.phase)
            }
            (phase, _) => format!("{name}={phase}"),
        })
        .collect();
    let revision = state.observed_revision.map(|revision| format!("at revision {revision}"));
    let error = state.last_error.as_ref().map(|error| error_text(error, now));
    let parts = [Some(format!("{:<9}", state.phase.to_string())), Some(services.join(" ")), revision, error];
    let parts: Vec<String> = parts.into_iter().flatten().filter(|part| !part.is_empty()).collect();
    parts.join("  ").trim_end().to_string()
}
