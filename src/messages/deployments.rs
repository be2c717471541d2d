//! To `deployments`, the owner of the ledger.
use crate::domain::book::NotConfirmed;
use crate::domain::container::{Container, OwedStart};
use crate::domain::images::{Arrival, Note};
use crate::domain::ledger::{Followed, Ledger, Record};
use crate::domain::overlay::Report;
use crate::domain::source::{Entry, Snapshot};
use crate::messages::effects::Removed;
use crate::messages::observer::Inventory;
use crate::store::StoreError;
use crate::supervision::Reply;
use fleet_contracts::device::DeploymentCounts;
use fleet_contracts::state::DeploymentState;
use fleet_contracts::{DeploymentName, ServiceName};
use std::collections::BTreeMap;

#[derive(strum::IntoStaticStr)]
pub enum Deployments {
    Source(SourceNews),
    Disk(DiskNews),
    /// From the reconciler of this deployment.
    Child(DeploymentName, ChildNews),
    Runtime(RuntimeNews),
    Images(ImageNews),
    Ask(Question),
}

/// From `kv_watcher`.
pub enum SourceNews {
    Snapshot(Snapshot),
    /// Entries that a watch told of.
    Hints(Vec<Entry>),
    /// The bucket is not there.
    Missing,
}

/// From tasks on the disk.
pub enum DiskNews {
    Loaded(Result<Ledger, StoreError>),
    LoadAgain,
    Saved(Record),
    Forgotten(DeploymentName),
    FollowedSaved(Followed),
    ImagesSaved,
    Failed(StoreError),
    /// A note is neither on the disk nor refused for too long.
    NotNoted,
    /// Try again.
    Retry,
}

/// One write to the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Write {
    Save(Record),
    Forget(DeploymentName),
    Followed(Followed),
    Images(Note),
}

pub enum ChildNews {
    /// It is up, and asks what to do.
    Started,
    /// It crashed too often and stays down; with the last crash.
    Parked(String),
    Reports(Report),
    /// It is about to stop this run of a service for its health, and waits until that is durable; None: the service
    /// is well.
    Owes(ServiceName, Option<OwedStart>),
    /// A pull of it ended well.
    Brought(Arrival),
    /// Nothing of it is left.
    Gone,
}

/// About the images that the agent brought to the device.
pub enum ImageNews {
    /// Something settled a while ago.
    Due,
    /// What is there, and the ids behind the names in documents; None: it could not be seen.
    Listed(Option<Inventory>),
    /// What the removal of the image with this id came to.
    Removed(String, Removed),
}

/// From `observer`.
pub enum RuntimeNews {
    /// A list of everything there is.
    Reachable {
        deployments: Vec<DeploymentName>,
        /// The containers of those that have no reconciler.
        alone: BTreeMap<DeploymentName, Vec<Container>>,
    },
    /// A look at one that has no reconciler.
    Alone(DeploymentName, Vec<Container>),
    Unreachable(String),
}

pub enum Question {
    Overview(Reply<Overview>),
    /// Carry out removals that were held; answers with those that were.
    Confirm(Vec<DeploymentName>, Reply<Result<Vec<DeploymentName>, NotConfirmed>>),
    /// The deployments of which there is a record.
    Reconcile(Option<DeploymentName>, Reply<Option<Vec<DeploymentName>>>),
    /// `reporter` is new and wants every state.
    Retell,
    /// `kv_watcher` is new, or lost its bucket, and asks whether it may create one.
    MayCreateSource,
}

/// How the device stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overview {
    pub states: Vec<DeploymentState>,
    pub counts: DeploymentCounts,
    /// Stable words for what is wrong with the device, most important first.
    pub reasons: Vec<&'static str>,
}
