use crate::cli::{Format, LogLevel};
use crate::connect::Session;
use crate::output;
use crate::render::clean;
use anyhow::Result;
use fleet_contracts::commands::{LogLevelReply, LogLevelRequest, Verb};

/// Any filter that an agent understands: with 0 seconds it is not used.
const ANY: &str = "info";

pub async fn run(session: &Session, change: &LogLevel) -> Result<()> {
    let filter = change.filter.clone().unwrap_or_else(|| ANY.into());
    let for_s = if change.reset { Some(0) } else { change.for_s };
    let request = LogLevelRequest { filter, for_s };
    let device = &change.device;
    let reply = session.ask::<LogLevelReply>(device, Verb::LogLevel, Some(&request)).await?;
    match session.format {
        Format::Json => output::json(&reply.raw),
        Format::Table => {
            let LogLevelReply { filter, until } = reply.value;
            let until = if change.reset { String::new() } else { format!(" until {until}") };
            output::out(&format!("{device} logs {}{until}\n", clean(&filter)))
        }
    }
}
