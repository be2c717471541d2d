//! What is published, and what of it a bucket holds.
use crate::bus::{BucketSpec, Bus, BusError, ErrorKind};
use crate::domain::overlay::is_change;
use crate::domain::source::{Operation, Snapshot};
use crate::messages::reporter::Value;
use bytes::Bytes;
use fleet_contracts::DeploymentName;
use fleet_contracts::codec::Encoding;
use fleet_contracts::state::DeploymentState;
use std::collections::BTreeMap;

/// None: there is something, but what it says is not known.
pub type Published = BTreeMap<DeploymentName, Option<DeploymentState>>;

pub fn is_news(published: &Published, state: &DeploymentState) -> bool {
    is_change(published.get(&state.deployment).and_then(Option::as_ref), state)
}

/// The states in a snapshot of the bucket; what is unreadable is written anew.
pub fn published(snapshot: &Snapshot) -> Published {
    let states = put_values(snapshot).filter_map(|(key, value)| {
        let name: DeploymentName = key.rsplit('.').next()?.parse().ok()?;
        Some((name, Encoding::Json.decode(value).ok()))
    });
    states.collect()
}

pub fn put_values(snapshot: &Snapshot) -> impl Iterator<Item = (&str, &[u8])> {
    snapshot.entries.iter().filter_map(|entry| match &entry.operation {
        Operation::Put(value) => Some((entry.key.as_str(), &**value)),
        Operation::Known | Operation::LeftOut | Operation::Removed => None,
    })
}

pub async fn write(bus: &dyn Bus, bucket: &BucketSpec, key: &str, value: &Value) -> Result<(), BusError> {
    let encoded = match value {
        Value::Info(info) => Encoding::Json.encode(info),
        Value::State(state) => Encoding::Json.encode(state),
        Value::Absent => return bus.delete(bucket.name, key).await,
    };
    let document = encoded.map_err(|error| BusError {
        operation: "encode",
        object: key.to_owned(),
        kind: ErrorKind::Refused,
        message: error.to_string(),
    })?;
    bus.put(bucket.name, key, Bytes::from(document)).await.map(|_| ())
}
