//! To `effects`: carry out operations on the runtime, one at a time per lane.
use crate::domain::container::{Container, ContainerId, Process, SpecDigest};
use crate::domain::health::Verdict;
use crate::domain::images::{Arrival, Removal};
pub use crate::domain::picture::{Asked, Lane, Made};
use crate::domain::plan::Cause;
use crate::domain::spec::{CreateSpec, NewNetwork, PlacedFile};
use crate::supervision::Reply;
use fleet_contracts::desired::Secret;
use fleet_contracts::state::Code;
use fleet_contracts::{DeploymentName, ValueName};
use std::collections::BTreeMap;
use std::time::Duration;

#[derive(strum::IntoStaticStr)]
pub enum Effects {
    /// Begin this, unless its lane is busy: then the running operation's end is the answer.
    Perform(Job),
    /// End what runs in this lane; only a pull can be ended, and not the one of this image.
    Cancel { deployment: DeploymentName, lane: Lane, unless_it_pulls: Option<String>, asked: Asked },
    /// Take it off the device, unless something uses it by now.
    RemoveImage(Removal, Reply<Removed>),
    /// Tell this deployment's reconciler which of its lanes are busy.
    Attach { deployment: DeploymentName, asked: Asked },
    /// The task that removed an image is over.
    Removed,
    /// From an operation's own task.
    Ended { deployment: DeploymentName, lane: Lane, outcome: Outcome },
}

/// What a removal of an image came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removed {
    Gone,
    /// Somebody needs it, or podman refuses.
    Kept,
    /// There was no turn for it; by now it may be decided otherwise.
    NotBegun,
}

pub struct Job {
    pub deployment: DeploymentName,
    pub lane: Lane,
    pub operation: Operation,
    /// This one included.
    pub asked: Asked,
}

#[derive(Debug, Clone, PartialEq, Eq, strum::IntoStaticStr)]
pub enum Operation {
    Create(Box<Creation>),
    Start(ContainerId),
    Unpause(ContainerId),
    /// By the signal and grace that were baked into the container when it was created.
    Stop {
        id: ContainerId,
        cause: Cause,
    },
    Remove {
        id: ContainerId,
        cause: Cause,
    },
    Rename {
        id: ContainerId,
        to: String,
    },
    Pull {
        image: String,
        registry_auth: Option<ValueName>,
    },
    RemoveNetwork(String),
    /// Read what a container said last.
    LastWords(ContainerId),
    /// Run the health check of a container.
    Check {
        id: ContainerId,
        process: Process,
        argv: Vec<String>,
        /// After that it has failed.
        limit: Duration,
    },
}

/// A container with all that has to exist before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Creation {
    pub name: String,
    /// Its name while it lacks its files.
    pub draft: String,
    pub spec: CreateSpec,
    /// It is never started without them.
    pub files: Vec<PlacedFile>,
    /// By name: their values are read when it is carried out.
    pub secrets: Vec<Secret>,
    /// The secrets whose values' version it bears.
    pub reloaded: Vec<ValueName>,
    pub digest: SpecDigest,
    pub network: Option<NewNetwork>,
    pub volumes: Vec<String>,
    /// For the volumes.
    pub labels: BTreeMap<String, String>,
}

pub type Outcome = Result<Effect, Failure>;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    Created(Made),
    /// The name was ours already: an earlier create whose answer was lost.
    Found(Box<Container>),
    /// Seen after it was started or unpaused.
    Started(Box<Container>),
    Stopped {
        id: ContainerId,
        code: i64,
    },
    Removed(ContainerId),
    Renamed {
        id: ContainerId,
        to: String,
    },
    /// None: what it came to could not be seen.
    Pulled(Option<Arrival>),
    NetworkRemoved,
    Said {
        id: ContainerId,
        words: String,
    },
    /// Of this run of the container.
    Checked {
        process: Process,
        verdict: Verdict,
    },
}

/// Why an operation did not happen, as far as the next step depends on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// The image has to be pulled first.
    ImageMissing { message: String },
    /// Too little is free to begin: looked at again at the next tick.
    NoRoom { message: String },
    /// A container that is not this device's has the name.
    NameConflict { message: String },
    /// It did not happen.
    Refused { code: Code, message: String },
    /// It may or may not have happened, or was planned from a stale picture: look first.
    Unknown { code: Code, message: String },
    /// A mistake in the agent: to be counted like a crash of the deployment's reconciler.
    Panicked { message: String },
}
