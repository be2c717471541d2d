//! To `reporter`: publish states and device info.
use crate::bus::{BusError, LinkState};
use crate::domain::source::Snapshot;
use crate::supervision::Reply;
use fleet_contracts::DeploymentName;
use fleet_contracts::device::{DeviceInfo, RuntimeInfo};
use fleet_contracts::state::DeploymentState;
use std::collections::BTreeSet;

#[derive(strum::IntoStaticStr)]
pub enum Reporter {
    Link(LinkState),
    State(Box<DeploymentState>),
    /// The deployment is gone: so is its key.
    Gone(DeploymentName),
    /// A complete snapshot was judged: keys of any other deployment are left over from the past.
    Keep(BTreeSet<DeploymentName>),
    Runtime(RuntimeInfo),
    Info(Reply<DeviceInfo>),
    /// The states that the bucket holds of this device.
    Found(Result<Snapshot, BusError>),
    /// The device info that the bucket holds, when it could be read.
    FoundInfo(Option<Box<DeviceInfo>>),
    Sent {
        key: Key,
        value: Value,
        result: Result<(), BusError>,
        /// Whether the bucket had to be made first.
        created: bool,
    },
    Pulsed,
    RetryDue,
    /// A key that was refused may be tried again.
    Rested,
}

/// What is published under one KV key each.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    Info,
    State(DeploymentName),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    Info(Box<DeviceInfo>),
    State(Box<DeploymentState>),
    /// The key is to be deleted.
    Absent,
}
