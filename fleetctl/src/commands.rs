//! One file per command.
use crate::cli::{Cli, Command};
use crate::connect::Session;
use anyhow::Result;

mod actors;
mod apply;
mod completions;
mod confirm;
mod delete;
mod devices;
mod get;
mod inventory;
mod log_level;
mod ping;
mod plan;
mod progress;
mod reconcile;
mod restart_actor;
mod status;
mod verdict;

pub async fn run(cli: Cli) -> Result<()> {
    // What can be said without a server is said without one.
    let document = match &cli.command {
        Command::Completions { shell } => return completions::run(*shell),
        Command::Apply(apply) => Some(apply::read(&apply.file)?),
        Command::Plan(plan) => plan::read(plan)?,
        _ => None,
    };
    let session = Session::open(&cli.global).await?;
    match (cli.command, document) {
        (Command::Apply(apply), Some(document)) if apply.dry_run => {
            plan::show(&session, &apply.device, &apply.name, Some(&document)).await
        }
        (Command::Apply(apply), Some(document)) => apply::run(&session, &apply, document).await,
        (Command::Plan(plan), document) => plan::run(&session, &plan, document).await,
        (Command::Completions { .. } | Command::Apply(_), _) => Ok(()),
        (Command::Devices, _) => devices::run(&session).await,
        (Command::Delete(delete), _) => delete::run(&session, &delete).await,
        (Command::Confirm(confirm), _) => confirm::run(&session, confirm).await,
        (Command::Get(get), _) => get::run(&session, &get).await,
        (Command::Status(status), _) => status::run(&session, &status).await,
        (Command::Actors(device), _) => actors::run(&session, device.id()).await,
        (Command::RestartActor(restart), _) => restart_actor::run(&session, &restart).await,
        (Command::Ping(device), _) => ping::run(&session, device.id()).await,
        (Command::Inventory(device), _) => inventory::run(&session, device.id()).await,
        (Command::LogLevel(change), _) => log_level::run(&session, &change).await,
        (Command::Reconcile(reconcile), _) => reconcile::run(&session, &reconcile).await,
    }
}

/// No request body.
const NOTHING: Option<&()> = None;
