//! To `observer`: look at the runtime.
use crate::domain::container::{Container, Process};
use crate::domain::images::Image;
use crate::domain::time::Moment;
use crate::runtime::{Hint, RuntimeError};
use crate::supervision::Reply;
use fleet_contracts::DeploymentName;
use fleet_contracts::device::RuntimeInfo;
use futures_util::stream::BoxStream;
use std::collections::BTreeSet;

pub type Hints = BoxStream<'static, Result<Hint, RuntimeError>>;

#[derive(strum::IntoStaticStr)]
pub enum Observer {
    /// List everything now.
    Relist,
    /// Look at one deployment now.
    Look(DeploymentName),
    Listed(Result<Observation, RuntimeError>),
    Looked(DeploymentName, Result<Observation, RuntimeError>),
    HintsOpened(Result<Hints, RuntimeError>),
    /// The stream comes along, to be read on; None when it ended.
    Hinted(Option<(Hint, Hints)>),
    /// A container was started: the end of its process is waited for from now on.
    Runs(DeploymentName, Process),
    /// Look at what was hinted at meanwhile.
    LookDue,
    RuntimeKnown(Result<RuntimeInfo, RuntimeError>),
    /// What is there of this deployment, and which of these images are on the device: for somebody who asks.
    Survey(DeploymentName, Vec<String>, Reply<Result<Survey, RuntimeError>>),
    Surveyed,
    /// All images, and the ids of those by these names.
    Images(BTreeSet<String>, Reply<Result<Inventory, RuntimeError>>),
    /// `reporter` is new and wants to know which runtime this is.
    TellRuntime,
}

/// An answer to a question, not an observation: nothing is planned from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Survey {
    pub containers: Vec<Container>,
    pub images: BTreeSet<String>,
}

/// The images on the device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inventory {
    pub images: Vec<Image>,
    /// The ids of those that were asked for by name.
    pub named: BTreeSet<String>,
}

/// What was seen, and when the look began: what was done after that moment is not in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observation {
    pub begun: Moment,
    pub containers: Vec<Container>,
}
