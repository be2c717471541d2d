//! To the reconciler of one deployment.
use super::effects::{Asked, Lane, Outcome};
use super::observer::Observation;
use crate::domain::desired::Wanted;
use crate::domain::hidden::SecretsVersion;
pub use crate::domain::picture::Blinded;
use crate::domain::time::Moment;
use crate::vault::VaultError;
use fleet_contracts::ServiceName;
use std::collections::BTreeMap;
use std::sync::Arc;

#[derive(strum::IntoStaticStr)]
pub enum Reconciler {
    /// This document is durable: bring it about.
    Want(Arc<Wanted>),
    /// Removed with authority: clear away everything of it.
    Vanish,
    Observed(Observation),
    /// The runtime does not answer; what is known grows old.
    Blinded(Blinded),
    /// These lanes were busy, no others, after as many operations as `asked` says.
    Attached {
        lanes: Vec<Lane>,
        asked: Asked,
    },
    Ended(Lane, Outcome),
    Pulled {
        service: ServiceName,
        current: u64,
        total: u64,
    },
    /// What the reloaded secrets of these services are since `begun`.
    SecretsRead {
        begun: Moment,
        read: BTreeMap<ServiceName, Result<SecretsVersion, VaultError>>,
    },
    /// Time has passed, or somebody asked: look for something to do.
    Tick,
    /// Tell `deployments` how things stand, changed or not.
    Retell,
}
