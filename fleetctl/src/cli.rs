//! The command line.
use clap::{Args, Parser, Subcommand, ValueEnum};
use fleet_contracts::commands::LOG_LEVEL_FOR_S_MAX;
use fleet_contracts::{DeploymentName, DeviceId};
use std::path::PathBuf;
use std::time::Duration;

/// How long one answer of a server or a device may take.
const REPLY: Duration = Duration::from_secs(5);
/// How long `--wait` waits: a first pull over a slow link takes minutes.
const WAIT: Duration = Duration::from_secs(300);

const AFTER_HELP: &str = "\
Where the server is: --server, else NATS_URL, else the context (--context, NATS_CONTEXT, or the
one selected with `nats context select`), else nats://127.0.0.1:4222. Credentials likewise:
NATS_USER and NATS_PASSWORD, NATS_TOKEN, or the context's.

Exit codes:
    0  done
    1  it failed, or the device refused it
   64  bad usage
   65  the document is not valid; nothing was written
   69  no server, or no agent answers
  124  no answer, or with --wait no result, in time

Examples:
  fleetctl devices
  fleetctl apply --device pump-7 --name web -f web.json --wait
  fleetctl status pump-7 --watch";

/// Tells fleet-agent devices what to run, and shows what they do.
#[derive(Debug, Parser)]
#[command(name = "fleetctl", version, after_help = AFTER_HELP, max_term_width = 110)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// NATS server, or several with commas between [env: NATS_URL]
    #[arg(short, long, global = true, value_name = "URL")]
    pub server: Option<String>,
    /// Context of the `nats` CLI [env: NATS_CONTEXT]
    #[arg(long, global = true, value_name = "NAME")]
    pub context: Option<String>,
    /// User name [env: NATS_USER]
    #[arg(long, global = true, value_name = "USER")]
    pub user: Option<String>,
    /// Password; better in the environment, where `ps` does not show it [env: NATS_PASSWORD]
    #[arg(long, global = true, value_name = "PASSWORD")]
    pub password: Option<String>,
    /// Token; better in the environment, where `ps` does not show it [env: NATS_TOKEN]
    #[arg(long, global = true, value_name = "TOKEN")]
    pub token: Option<String>,
    /// What stdout holds: tables for people, or JSON and nothing else
    #[arg(short, long, global = true, value_enum, default_value_t = Format::Table)]
    pub output: Format,
    /// Seconds to wait for an answer (5), or with --wait for the result (300)
    #[arg(long, global = true, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..))]
    pub timeout: Option<u32>,
}

impl Global {
    /// How long one answer may take.
    pub fn reply(&self) -> Duration {
        self.timeout.map_or(REPLY, |seconds| Duration::from_secs(seconds.into()))
    }

    /// How long `--wait` waits.
    pub fn wait(&self) -> Duration {
        self.timeout.map_or(WAIT, |seconds| Duration::from_secs(seconds.into()))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    Table,
    Json,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// List devices, those that need attention first
    #[command(
        after_help = "Examples:\n  fleetctl devices\n  fleetctl devices -o json | jq '.[] | select(.stale)'"
    )]
    Devices,
    /// Write a deployment's desired state, after checking it
    #[command(after_help = "Examples:
  fleetctl apply --device pump-7 --name web -f web.json
  fleetctl apply --device pump-7 --name web -f web.json --wait --timeout 600
  jq '.data.services[0].image = \"web:2\"' web.json | fleetctl apply --device pump-7 --name web -f -

A document that is not valid is not written; every mistake is named (exit 65). With --wait the
exit code is 0 once the device runs it, 1 when the device says that it failed, 124 when neither
happened in time.")]
    Apply(Apply),
    /// Show what a document would change on a device; writes nothing
    #[command(after_help = "Examples:
  fleetctl plan --device pump-7 --name web -f web.json
  fleetctl plan --device pump-7 --name web          what its removal would stop

The device says which containers it would start, stop, replace and keep, and which images it would pull.
`fleetctl apply --dry-run` is the same.")]
    Plan(Plan),
    /// Remove a deployment from a device
    #[command(after_help = "Examples:
  fleetctl delete --device pump-7 --name web
  fleetctl delete --device pump-7 --name web --wait

Containers and the network go; volumes stay on the device.")]
    Delete(Delete),
    /// Carry out removals that a device holds back until somebody confirms them
    #[command(after_help = "Examples:\n  fleetctl confirm --device pump-7 web db")]
    Confirm(Confirm),
    /// Show desired state as it was written
    #[command(
        after_help = "Examples:\n  fleetctl get --device pump-7\n  fleetctl get --device pump-7 --name web > web.json"
    )]
    Get(Get),
    /// Show what a device reports of its deployments, also while it is away
    #[command(
        after_help = "Examples:\n  fleetctl status pump-7\n  fleetctl status pump-7 --watch\n  fleetctl status pump-7 -o json"
    )]
    Status(Status),
    /// Draw the live supervision tree of a device's agent
    #[command(after_help = "Examples:\n  fleetctl actors pump-7")]
    Actors(OnDevice),
    /// Restart one actor of a device's agent; containers keep running
    #[command(after_help = "Examples:
  fleetctl restart-actor pump-7 reporter
  fleetctl restart-actor pump-7 fleet-agent/reconcilers/web")]
    RestartActor(RestartActor),
    /// Ask a device's agent for a sign of life
    #[command(after_help = "Examples:\n  fleetctl ping pump-7\n  fleetctl ping pump-7 --timeout 1")]
    Ping(OnDevice),
    /// Ask a device's agent what the device is
    #[command(after_help = "Examples:\n  fleetctl inventory pump-7\n  fleetctl inventory pump-7 -o json")]
    Inventory(OnDevice),
    /// Have a device compare and repair its deployments now
    #[command(after_help = "Examples:\n  fleetctl reconcile pump-7\n  fleetctl reconcile pump-7 --name web")]
    Reconcile(Reconcile),
    /// Change what a device's agent logs, for a while
    #[command(after_help = "Examples:
  fleetctl log-level pump-7 debug
  fleetctl log-level pump-7 info,fleet_agent::actors=debug --for 3600
  fleetctl log-level pump-7 --reset

The configured filter comes back by itself.")]
    LogLevel(LogLevel),
    /// Write a completion script for a shell
    #[command(after_help = "Examples:\n  fleetctl completions bash > /etc/bash_completion.d/fleetctl")]
    Completions { shell: clap_complete::Shell },
}

/// A device, named either way.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct OnDevice {
    /// The device
    #[arg(value_name = "DEVICE")]
    positional: Option<DeviceId>,
    /// The device
    #[arg(long = "device", value_name = "DEVICE")]
    flag: Option<DeviceId>,
}

impl OnDevice {
    pub fn id(&self) -> &DeviceId {
        self.positional.as_ref().or(self.flag.as_ref()).expect("clap requires one of both")
    }
}

#[derive(Debug, Args)]
pub struct Apply {
    /// The device
    #[arg(long, value_name = "DEVICE")]
    pub device: DeviceId,
    /// The deployment
    #[arg(long, value_name = "DEPLOYMENT")]
    pub name: DeploymentName,
    /// The document, JSON; - reads it from stdin
    #[arg(short, long, value_name = "FILE")]
    pub file: PathBuf,
    /// Wait until the device runs it, or fails to
    #[arg(long)]
    pub wait: bool,
    /// Only ask the device what it would change; nothing is written
    #[arg(long, conflicts_with = "wait")]
    pub dry_run: bool,
}

#[derive(Debug, Args)]
pub struct Plan {
    /// The device
    #[arg(long, value_name = "DEVICE")]
    pub device: DeviceId,
    /// The deployment
    #[arg(long, value_name = "DEPLOYMENT")]
    pub name: DeploymentName,
    /// The document, JSON; - reads it from stdin. Without it: the removal of the deployment
    #[arg(short, long, value_name = "FILE")]
    pub file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct Delete {
    /// The device
    #[arg(long, value_name = "DEVICE")]
    pub device: DeviceId,
    /// The deployment
    #[arg(long, value_name = "DEPLOYMENT")]
    pub name: DeploymentName,
    /// Wait until everything of it is gone from the device
    #[arg(long)]
    pub wait: bool,
}

#[derive(Debug, Args)]
pub struct Confirm {
    /// The device
    #[arg(long, value_name = "DEVICE")]
    pub device: DeviceId,
    /// The deployments that may go
    #[arg(required = true, value_name = "DEPLOYMENT")]
    pub names: Vec<DeploymentName>,
}

#[derive(Debug, Args)]
pub struct Get {
    #[command(flatten)]
    pub device: OnDevice,
    /// One deployment: prints its document
    #[arg(long, value_name = "DEPLOYMENT")]
    pub name: Option<DeploymentName>,
}

#[derive(Debug, Args)]
pub struct Status {
    #[command(flatten)]
    pub device: OnDevice,
    /// Show every change until interrupted
    #[arg(short, long)]
    pub watch: bool,
}

#[derive(Debug, Args)]
pub struct RestartActor {
    /// The device
    pub device: DeviceId,
    /// Path from the root, or its last part where that is unique
    pub actor: String,
}

#[derive(Debug, Args)]
pub struct Reconcile {
    #[command(flatten)]
    pub device: OnDevice,
    /// This deployment only
    #[arg(long, value_name = "DEPLOYMENT")]
    pub name: Option<DeploymentName>,
}

#[derive(Debug, Args)]
pub struct LogLevel {
    /// The device
    pub device: DeviceId,
    /// Targets and levels, as in RUST_LOG
    #[arg(required_unless_present = "reset", value_name = "FILTER")]
    pub filter: Option<String>,
    /// Seconds until the configured filter is back (600), a day at most
    #[arg(long = "for", value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..=LOG_LEVEL_FOR_S_MAX.into()))]
    pub for_s: Option<u32>,
    /// The configured filter again, at once
    #[arg(long, conflicts_with_all = ["filter", "for_s"])]
    pub reset: bool,
}

#[cfg(test)]
mod tests;
