//! What a device's report means for the write that fleetctl waits for.
use fleet_contracts::state::{Code, DeploymentState, Phase};

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    Waiting,
    /// It runs, or its jobs are done.
    Done,
    Failed(String),
}

/// Judges a state that was reported after `revision` was written.
pub fn judge(state: &DeploymentState, revision: u64) -> Verdict {
    if let Some(refused) = refused_revision(state).filter(|refused| *refused >= revision) {
        return Verdict::Failed(match refused == revision {
            true => "the device refuses the document".into(),
            false => format!("revision {refused}, written after this one, was refused by the device"),
        });
    }
    if state.observed_revision.is_none_or(|observed| observed < revision) {
        return match state.last_error.as_ref().map(|error| error.code) {
            Some(Code::Quarantined) => Verdict::Failed("the device keeps away from this deployment".into()),
            _ => Verdict::Waiting,
        };
    }
    match state.phase {
        Phase::Running | Phase::Completed => Verdict::Done,
        Phase::Failed => Verdict::Failed("the deployment failed on the device".into()),
        Phase::Held => Verdict::Failed("the device holds the deployment back".into()),
        Phase::Pending
        | Phase::Pulling
        | Phase::Starting
        | Phase::Updating
        | Phase::Degraded
        | Phase::Stopping
        | Phase::Unknown => Verdict::Waiting,
    }
}

/// The revision that a refusal names: its message begins with `revision <N>: `.
fn refused_revision(state: &DeploymentState) -> Option<u64> {
    let message = &state.last_error.as_ref()?.message;
    let (number, _) = message.strip_prefix("revision ")?.split_once(": ")?;
    let refused = matches!(state.phase, Phase::Failed | Phase::Held);
    number.parse().ok().filter(|_| refused)
}

#[cfg(test)]
mod tests;
