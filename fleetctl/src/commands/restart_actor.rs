use crate::cli::{Format, RestartActor};
use crate::connect::Session;
use crate::output;
use crate::render::clean;
use anyhow::Result;
use fleet_contracts::commands::{ActorRestartReply, ActorRestartRequest, Verb};

pub async fn run(session: &Session, restart: &RestartActor) -> Result<()> {
    let request = ActorRestartRequest { name: restart.actor.clone() };
    let reply = session.ask::<ActorRestartReply>(&restart.device, Verb::ActorRestart, Some(&request)).await?;
    match session.format {
        Format::Json => output::json(&reply.raw),
        Format::Table => {
            let ActorRestartReply { name, restarts } = reply.value;
            output::out(&format!("{} is up again (restarted {restarts} times in all)\n", clean(&name)))
        }
    }
}
