//! One device as its info and heartbeat keys show it.
use crate::connect::Session;
use crate::kv::Entry;
use anyhow::Result;
use fleet_contracts::device::{AgentHealth, DeviceInfo, Heartbeat};
use fleet_contracts::{DeviceId, names};
use serde::Serialize;
use std::collections::BTreeMap;
use time::OffsetDateTime;

/// Without a heartbeat for as long (three are missing then) a device counts as away.
pub const STALE_S: i64 = 90;

#[derive(Debug, Clone, Serialize)]
pub struct Device {
    pub device_id: DeviceId,
    /// Age of the last heartbeat, by the server's clock: a device's own may be wrong by decades.
    pub last_seen_s: Option<i64>,
    pub stale: bool,
    pub heartbeat: Option<Heartbeat>,
    pub info: Option<DeviceInfo>,
}

/// What a device needs of its operator, the most urgent first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Attention {
    Away,
    Failing,
    Degraded,
    Nothing,
}

impl Device {
    /// A device of which nothing is known yet.
    pub fn new(device_id: DeviceId) -> Self {
        Self { device_id, last_seen_s: None, stale: true, heartbeat: None, info: None }
    }

    fn seen(&mut self, heartbeat: Option<Heartbeat>, age_s: i64) {
        self.last_seen_s = Some(age_s);
        self.stale = age_s > STALE_S;
        self.heartbeat = heartbeat;
    }

    pub fn attention(&self) -> Attention {
        match &self.heartbeat {
            _ if self.stale => Attention::Away,
            Some(heartbeat) if heartbeat.deployments.failed > 0 => Attention::Failing,
            Some(heartbeat) => match heartbeat.health {
                AgentHealth::Ok => Attention::Nothing,
                AgentHealth::Degraded | AgentHealth::Unknown => Attention::Degraded,
            },
            None => Attention::Degraded,
        }
    }
}

/// Devices from their keys, those that need attention first. Keys and values of another form are passed
/// over: a list of devices must not fail because of one.
pub fn devices(infos: &[Entry], heartbeats: &[Entry], now: OffsetDateTime) -> Vec<Device> {
    let mut devices = BTreeMap::new();
    for (id, entry) in present(infos, "info.") {
        let device = devices.entry(id.clone()).or_insert_with(|| Device::new(id));
        device.info = entry.value.as_deref().and_then(|value| serde_json::from_slice(value).ok());
    }
    for (id, entry) in present(heartbeats, "heartbeat.") {
        let device = devices.entry(id.clone()).or_insert_with(|| Device::new(id));
        let heartbeat = entry.value.as_deref().and_then(|value| serde_json::from_slice(value).ok());
        device.seen(heartbeat, (now - entry.written).whole_seconds().max(0));
    }
    let mut devices: Vec<Device> = devices.into_values().collect();
    devices.sort_by_key(Device::attention);
    devices
}

fn present<'e>(entries: &'e [Entry], prefix: &'static str) -> impl Iterator<Item = (DeviceId, &'e Entry)> {
    let id = move |entry: &Entry| entry.key.strip_prefix(prefix)?.parse().ok();
    entries.iter().filter(|entry| entry.value.is_some()).filter_map(move |entry| Some((id(entry)?, entry)))
}

impl Session {
    /// All devices; None when no device has ever made its buckets.
    pub async fn devices(&self) -> Result<Option<Vec<Device>>> {
        let infos = self.last(names::DEVICE_INFO, ">").await?;
        let heartbeats = self.last(names::DEVICE_HEARTBEAT, ">").await?;
        if infos.is_none() && heartbeats.is_none() {
            return Ok(None);
        }
        let (infos, heartbeats) = (infos.unwrap_or_default(), heartbeats.unwrap_or_default());
        Ok(Some(devices(&infos, &heartbeats, OffsetDateTime::now_utc())))
    }

    /// One device; None when it has never been heard of.
    pub async fn device(&self, id: &DeviceId) -> Result<Option<Device>> {
        let infos = self.last(names::DEVICE_INFO, &names::info_key(id)).await?.unwrap_or_default();
        let beats = self.last(names::DEVICE_HEARTBEAT, &names::heartbeat_key(id)).await?.unwrap_or_default();
        Ok(devices(&infos, &beats, OffsetDateTime::now_utc()).pop())
    }
}

#[cfg(test)]
mod tests;
