use super::NOTHING;
use crate::cli::Format;
use crate::connect::Session;
use crate::output::{self, Style};
use crate::render;
use anyhow::Result;
use fleet_contracts::DeviceId;
use fleet_contracts::commands::{ActorsReply, Verb};

pub async fn run(session: &Session, device: &DeviceId) -> Result<()> {
    let reply = session.ask::<ActorsReply>(device, Verb::Actors, NOTHING).await?;
    match session.format {
        Format::Json => output::json(&reply.raw),
        Format::Table => output::out(&render::actors::render(&reply.value, Style::of_stdout())),
    }
}
