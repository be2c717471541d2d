use crate::cli::{Format, Status};
use crate::connect::Session;
use crate::device::Device;
use crate::exit::{Exit, Stop};
use crate::kv::Follower;
use crate::output::{self, Style};
use crate::render;
use anyhow::Result;
use fleet_contracts::state::DeploymentState;
use fleet_contracts::{DeviceId, Timestamp, names};
use serde_json::{Value, json};
use std::io::IsTerminal;
use std::time::Duration;

/// Clears the terminal and goes to its first line.
const CLEAR: &str = "\x1b[H\x1b[2J";

/// How long changes are gathered for one page.
const BURST: Duration = Duration::from_millis(100);

/// What is known of one device.
struct Page {
    device: Device,
    deployments: Vec<DeploymentState>,
}

pub async fn run(session: &Session, status: &Status) -> Result<()> {
    let id = status.device.id();
    let page = load(session, id).await?;
    if status.watch {
        return watch(session, id, page).await;
    }
    match session.format {
        Format::Json => output::json(&page.json()),
        Format::Table => output::out(&page.text()),
    }
}

impl Page {
    fn text(&self) -> String {
        render::status::render(&self.device, &self.deployments, Timestamp::now(), Style::of_stdout())
    }

    fn json(&self) -> Value {
        json!({"device": self.device, "deployments": self.deployments})
    }

    fn show(&self, format: Format) -> Result<()> {
        match format {
            Format::Json => output::json_line(&self.json()),
            Format::Table if std::io::stdout().is_terminal() => {
                output::out(&format!("{CLEAR}{}", self.text()))
            }
            Format::Table => output::out(&format!("{}\n", self.text())),
        }
    }
}

async fn load(session: &Session, id: &DeviceId) -> Result<Page> {
    let device = session.device(id).await?;
    let filter = format!("state.{id}.>");
    let entries = session.last(names::DEVICE_STATE, &filter).await?.unwrap_or_default();
    let mut deployments: Vec<DeploymentState> =
        entries.iter().filter_map(|entry| serde_json::from_slice(entry.value.as_deref()?).ok()).collect();
    deployments.sort_by(|a, b| a.deployment.cmp(&b.deployment));
    match device {
        Some(device) => Ok(Page { device, deployments }),
        None if !deployments.is_empty() => Ok(Page { device: Device::new(id.clone()), deployments }),
        None => Err(Stop::new(Exit::Failed, format!("{id} has never reported to this server"))
            .next("`fleetctl devices` lists those that have")
            .into()),
    }
}

/// Shows the page again whenever a state changes, and on a terminal with every heartbeat.
async fn watch(session: &Session, id: &DeviceId, mut page: Page) -> Result<()> {
    let mut states = Follower::new(session, names::DEVICE_STATE, format!("state.{id}.>"));
    let mut beats = Follower::new(session, names::DEVICE_HEARTBEAT, names::heartbeat_key(id));
    let lively = session.format == Format::Table && std::io::stdout().is_terminal();
    page.show(session.format)?;
    loop {
        next(&mut states, &mut beats).await;
        // Changes come in bursts, all deployments at once when the watch begins: one page for them.
        let burst = tokio::time::sleep(BURST);
        tokio::pin!(burst);
        while tokio::select! { () = &mut burst => false, () = next(&mut states, &mut beats) => true } {}
        let Ok(now) = load(session, id).await else { continue };
        let changed = now.deployments != page.deployments;
        page = now;
        if changed || lively {
            page.show(session.format)?;
        }
    }
}

/// Any change.
async fn next(states: &mut Follower<'_>, beats: &mut Follower<'_>) {
    tokio::select! {
        _ = states.next() => {}
        _ = beats.next() => {}
    }
}
