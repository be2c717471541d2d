//! What is published, and what of it a bucket holds.
use super::Args;
use crate::bus::{BucketSpec, Bus, BusError, ErrorKind};
use crate::domain::overlay::is_change;
use crate::domain::source::{Operation, Snapshot};
use crate::messages::reporter::Value;
use bytes::Bytes;
use fleet_contracts::codec::Encoding;
use fleet_contracts::device::DeviceInfo;
use fleet_contracts::state::DeploymentState;
use fleet_contracts::{DeploymentName, Timestamp};
use std::collections::BTreeMap;

pub fn device_info(args: &Args) -> DeviceInfo {
    let mut labels = args.labels.clone();
    let device_id = args.identity.device.clone();
    labels.entry("device-id".to_owned()).or_insert_with(|| device_id.to_string());
    DeviceInfo {
        device_id,
        labels,
        agent_version: args.identity.agent_version.clone(),
        instance: args.identity.instance.clone(),
        inventory: args.inventory.clone(),
        config_digest: args.config_digest.clone(),
        updated_at: Timestamp::now(),
    }
}

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
        Operation::Put(value) => Some((entry.key.as_str(), value.as_slice())),
        Operation::Known | Operation::Removed => None,
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
