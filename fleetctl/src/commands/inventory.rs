use super::NOTHING;
use crate::cli::Format;
use crate::connect::Session;
use crate::output::{self, Style, Tone};
use crate::render::table::{Row, table};
use anyhow::Result;
use fleet_contracts::DeviceId;
use fleet_contracts::commands::Verb;
use fleet_contracts::device::DeviceInfo;

pub async fn run(session: &Session, device: &DeviceId) -> Result<()> {
    let reply = session.ask::<DeviceInfo>(device, Verb::Inventory, NOTHING).await?;
    match session.format {
        Format::Json => output::json(&reply.raw),
        Format::Table => output::out(&render(&reply.value, Style::of_stdout())),
    }
}

fn render(info: &DeviceInfo, style: Style) -> String {
    let machine = &info.inventory;
    let runtime = machine.runtime.as_ref().map(|runtime| format!("{} {}", runtime.name, runtime.version));
    let fields = [
        ("device", info.device_id.to_string()),
        ("hostname", machine.hostname.clone()),
        ("system", format!("{} ({}), kernel {}", machine.os_release, machine.os, machine.kernel)),
        ("architecture", machine.arch.clone()),
        ("cpu cores", machine.cpu_cores.to_string()),
        ("memory", format!("{} MB", machine.memory_mb)),
        ("disk", format!("{} MB", machine.disk_total_mb)),
        ("runtime", runtime.unwrap_or_else(|| "not reached".into())),
        ("agent", info.agent_version.clone()),
        ("instance", info.instance.clone()),
        ("boot id", machine.boot_id.clone()),
        ("updated at", info.updated_at.to_string()),
    ];
    let labels = info.labels.iter().map(|(key, value)| (format!("label {key}"), value.clone()));
    let fields = fields.into_iter().map(|(name, value)| (name.to_string(), value)).chain(labels);
    table(
        &["FIELD", "VALUE"],
        fields.map(|(name, value)| Row::new(Tone::Plain, [name, value])).collect(),
        style,
    )
}
