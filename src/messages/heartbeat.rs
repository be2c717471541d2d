//! To `heartbeat`.
use super::deployments::Overview;
use crate::bus::{BusError, LinkState};
use crate::domain::identity::Sighting;
use crate::supervision::Reply;
use fleet_contracts::device::Heartbeat as Document;

/// A heartbeat that arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivered {
    pub revision: u64,
    /// What somebody wrote under the same key since the one before.
    pub other: Option<Sighting>,
}

#[derive(strum::IntoStaticStr)]
pub enum Heartbeat {
    Due,
    Link(LinkState),
    Asked(Option<Overview>),
    Sent(Result<Delivered, BusError>),
    /// The heartbeat that would be sent now.
    Now(Overview, Reply<Document>),
}
