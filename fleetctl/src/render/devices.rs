//! The table of `fleetctl devices`.
use super::age::age;
use super::table::{Row, table};
use crate::device::{Attention, Device};
use crate::output::{Style, Tone};
use fleet_contracts::device::Heartbeat;

pub fn render(devices: &[Device], style: Style) -> String {
    let rows = devices.iter().map(row).collect();
    table(&["DEVICE", "HEALTH", "DEPLOYMENTS", "LAST SEEN", "AGENT", "RUNTIME"], rows, style)
}

fn row(device: &Device) -> Row {
    let heartbeat = device.heartbeat.as_ref();
    let version = heartbeat.map(|beat| beat.agent_version.as_str());
    let version = version.or(device.info.as_ref().map(|info| info.agent_version.as_str()));
    let runtime = device.info.as_ref().and_then(|info| info.inventory.runtime.as_ref());
    let cells = [
        device.device_id.to_string(),
        health(device),
        heartbeat.map(deployments).unwrap_or_else(none),
        device.last_seen_s.map_or_else(|| "never".into(), |seconds| format!("{} ago", age(seconds))),
        version.map_or_else(none, String::from),
        runtime.map_or_else(none, |runtime| format!("{} {}", runtime.name, runtime.version)),
    ];
    Row::new(tone(device.attention()), cells)
}

fn none() -> String {
    "-".into()
}

pub fn tone(attention: Attention) -> Tone {
    match attention {
        Attention::Away | Attention::Failing => Tone::Bad,
        Attention::Degraded => Tone::Warning,
        Attention::Nothing => Tone::Plain,
    }
}

/// `ok`, or what is wrong.
pub fn health(device: &Device) -> String {
    let reasons = device.heartbeat.as_ref().map(|beat| beat.reasons.join(", ")).filter(|r| !r.is_empty());
    match (device.attention(), reasons) {
        (Attention::Away, _) if device.last_seen_s.is_none() => "never seen".into(),
        (Attention::Away, _) => "stale".into(),
        (Attention::Failing, None) => "failing".into(),
        (Attention::Failing, Some(reasons)) => format!("failing: {reasons}"),
        (Attention::Degraded, None) => "degraded".into(),
        (Attention::Degraded, Some(reasons)) => format!("degraded: {reasons}"),
        (Attention::Nothing, _) => "ok".into(),
    }
}

fn deployments(heartbeat: &Heartbeat) -> String {
    let counts = heartbeat.deployments;
    let failed = if counts.failed > 0 { format!(", {} failed", counts.failed) } else { String::new() };
    format!("{}/{} running{failed}", counts.running, counts.total)
}

#[cfg(test)]
mod tests;
