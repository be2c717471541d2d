use super::NOTHING;
use crate::cli::Format;
use crate::connect::Session;
use crate::output;
use crate::render::age::{age, age_ms};
use crate::render::clean;
use anyhow::Result;
use fleet_contracts::DeviceId;
use fleet_contracts::commands::{PingReply, Verb};
use tokio::time::Instant;

pub async fn run(session: &Session, device: &DeviceId) -> Result<()> {
    let begin = Instant::now();
    let reply = session.ask::<PingReply>(device, Verb::Ping, NOTHING).await?;
    let took = u64::try_from(begin.elapsed().as_millis()).unwrap_or(u64::MAX);
    match session.format {
        Format::Json => output::json(&reply.raw),
        Format::Table => {
            let PingReply { agent_version, instance, uptime_s, .. } = reply.value;
            let up = age(i64::try_from(uptime_s).unwrap_or(i64::MAX));
            let took = if took < 1000 { format!("{took} ms") } else { age_ms(took) };
            let text =
                format!("{device} answered in {took}: agent {agent_version}, up {up}, instance {instance}");
            output::out(&format!("{}\n", clean(&text)))
        }
    }
}
