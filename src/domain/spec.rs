//! From a validated document to what a runtime is asked to create.
use fleet_contracts::desired::Port;
use std::collections::BTreeMap;

/// Everything a runtime needs to create one container. Complete: nothing is filled in later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateSpec {
    pub image: String,
    pub command: Option<Vec<String>>,
    pub entrypoint: Option<Vec<String>>,
    pub env: BTreeMap<String, String>,
    pub ports: Vec<Port>,
    pub mounts: Vec<Mount>,
    /// The agent's own `io.fleet.*` labels included.
    pub labels: BTreeMap<String, String>,
    pub network: String,
    /// Names under which others on the network find it.
    pub aliases: Vec<String>,
    /// Baked in, so that a hand-made `podman stop` is as gentle as ours.
    pub stop_signal: String,
    pub stop_timeout_s: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// Volume name or absolute host path.
    pub source: String,
    pub target: String,
    pub read_only: bool,
}
