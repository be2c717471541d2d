//! fleetctl: the operator's command line for fleets of fleet-agent devices.
//!
//! `cli` is what can be asked, `commands` does it, `render` shows it; `connect` and `kv` speak NATS.
use clap::Parser;
use std::process::ExitCode;

mod cli;
mod commands;
mod connect;
mod context;
mod device;
mod exit;
#[cfg(test)]
mod fixtures;
mod kv;
mod output;
mod render;

fn main() -> ExitCode {
    let cli = match cli::Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let (text, exit) = exit::describe(&error);
            output::note(&text);
            ExitCode::from(exit as u8)
        }
    }
}

#[tokio::main]
async fn run(cli: cli::Cli) -> anyhow::Result<()> {
    commands::run(cli).await
}

/// Help and version are answers; anything else is bad usage.
fn usage(error: &clap::Error) -> ExitCode {
    // A terminal that is gone is nobody's loss.
    let _ = error.print();
    if error.use_stderr() { ExitCode::from(exit::Exit::Usage as u8) } else { ExitCode::SUCCESS }
}
