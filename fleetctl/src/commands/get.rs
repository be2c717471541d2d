use crate::cli::{Format, Get};
use crate::connect::Session;
use crate::exit::{Exit, Stop};
use crate::kv::Entry;
use crate::output::{self, Style, Tone};
use crate::render::age::age;
use crate::render::table::{Row, table};
use anyhow::Result;
use fleet_contracts::desired::{self, Parsed};
use fleet_contracts::{DeploymentName, DeviceId, names};
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

pub async fn run(session: &Session, get: &Get) -> Result<()> {
    let device = get.device.id();
    match &get.name {
        Some(name) => one(session, device, name).await,
        None => all(session, device).await,
    }
}

async fn one(session: &Session, device: &DeviceId, name: &DeploymentName) -> Result<()> {
    let entries =
        session.last(names::DESIRED_STATE, &names::desired_key(device, name)).await?.unwrap_or_default();
    let Some((entry, value)) = entries.iter().find_map(|entry| Some((entry, entry.value.as_ref()?))) else {
        let stop = Stop::new(Exit::Failed, format!("{device} has no desired state for {name}"));
        return Err(stop.next(format!("`fleetctl get --device {device}` lists what it has")).into());
    };
    match session.format {
        Format::Json => output::json(&as_json(device, entry)),
        // As it was written, so that it can be edited and applied again.
        Format::Table => output::out(&format!("{}\n", String::from_utf8_lossy(value).trim_end_matches('\n'))),
    }
}

async fn all(session: &Session, device: &DeviceId) -> Result<()> {
    let entries = session.last(names::DESIRED_STATE, &format!("{device}.>")).await?.unwrap_or_default();
    let entries: Vec<&Entry> = entries.iter().filter(|entry| entry.value.is_some()).collect();
    match session.format {
        Format::Json => output::json(&entries.iter().map(|entry| as_json(device, entry)).collect::<Vec<_>>()),
        Format::Table if entries.is_empty() => {
            output::note(&format!(
                "{device} has no desired state; `fleetctl apply --device {device}` writes one"
            ));
            Ok(())
        }
        Format::Table => {
            let now = OffsetDateTime::now_utc();
            let rows = entries.iter().map(|entry| row(device, entry, now)).collect();
            output::out(&table(&["DEPLOYMENT", "REVISION", "WRITTEN", "SERVICES"], rows, Style::of_stdout()))
        }
    }
}

fn deployment<'e>(device: &DeviceId, entry: &'e Entry) -> &'e str {
    let name = entry.key.strip_prefix(device.as_str()).and_then(|rest| rest.strip_prefix('.'));
    name.unwrap_or(&entry.key)
}

fn row(device: &DeviceId, entry: &Entry, now: OffsetDateTime) -> Row {
    let name = deployment(device, entry);
    let value = entry.value.as_deref().unwrap_or_default();
    let (tone, services) = match (name.parse::<DeploymentName>(), desired::parse(value)) {
        (Err(error), _) => (Tone::Bad, error.to_string()),
        (Ok(_), Err(refusal)) => (Tone::Bad, format!("not valid: {refusal}")),
        (Ok(_), Ok(parsed)) => (Tone::Plain, services(&parsed)),
    };
    let written = format!("{} ago", age((now - entry.written).whole_seconds()));
    Row::new(tone, [name.to_string(), entry.revision.to_string(), written, services])
}

fn services(parsed: &Parsed) -> String {
    let services = parsed.deployment.services.iter();
    services.map(|service| format!("{} ({})", service.name, service.image)).collect::<Vec<_>>().join(", ")
}

fn as_json(device: &DeviceId, entry: &Entry) -> Value {
    let value = entry.value.as_deref().unwrap_or_default();
    let document = serde_json::from_slice(value)
        .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(value).into_owned()));
    json!({"device_id": device, "deployment": deployment(device, entry), "revision": entry.revision,
        "written_at": entry.written.format(&Rfc3339).ok(), "document": document})
}
