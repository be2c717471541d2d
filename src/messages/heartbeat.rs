//! To `heartbeat`.
use super::deployments::Overview;
use crate::bus::{BusError, LinkState};
use crate::supervision::Reply;
use fleet_contracts::device::Heartbeat as Document;

#[derive(strum::IntoStaticStr)]
pub enum Heartbeat {
    Due,
    Link(LinkState),
    Asked(Option<Overview>),
    Sent(Result<(), BusError>),
    /// The heartbeat that would be sent now.
    Now(Overview, Reply<Document>),
}
