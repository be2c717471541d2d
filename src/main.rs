//! The `fleet-agent` command: arguments, configuration, telemetry; runs the tree and maps its end to
//! an exit code. It fails by default: exit 0 is earned by a one-shot subcommand that succeeded.
use clap::{Parser, Subcommand};
use fleet_agent::app::{self, AppError, Stopped};
use fleet_agent::config::{Config, DEFAULT_CONFIG_PATH};
use fleet_agent::heap;
use fleet_agent::store::lock::LockError;
use fleet_agent::telemetry::{self, LogFilter};
use std::path::PathBuf;
use std::process::ExitCode;

/// Supervision restarts what panics; with "abort" the first panic would end every actor.
#[cfg(not(panic = "unwind"))]
compile_error!("fleet-agent needs panic = \"unwind\": an actor's panic must not end the process");

/// sysexits(3) EX_USAGE: bad usage or configuration; it must not be retried.
const USAGE: u8 = 64;
/// sysexits(3) EX_UNAVAILABLE: another instance owns the state directory.
const UNAVAILABLE: u8 = 69;
/// sysexits(3) EX_SOFTWARE: the supervision tree gave up, or the watchdog did; systemd restarts the process.
const SOFTWARE: u8 = 70;
/// 128 + the signal's number, as shells say it.
const INTERRUPTED: u8 = 130;
const TERMINATED: u8 = 143;

#[derive(Parser)]
#[command(name = "fleet-agent", version, about, after_help = AFTER_HELP)]
struct Cli {
    /// The configuration file
    #[arg(long, value_name = "FILE", env = "FLEET_AGENT_CONFIG", default_value = DEFAULT_CONFIG_PATH, global = true)]
    config: PathBuf,
    /// The same as the subcommand self-test
    #[arg(long)]
    self_test: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Run the daemon (the default)
    Run,
    /// Parse the configuration, read the local state, connect to NATS; change nothing
    SelfTest,
    /// Parse and validate the configuration, offline
    CheckConfig,
}

const AFTER_HELP: &str = "\
Every setting can also be given as FLEET_AGENT__SECTION__KEY in the environment, such as
FLEET_AGENT__AGENT__DEVICE_ID=gw-17. RUST_LOG sets the log filter (default: info).

Exit codes: 0 a one-shot subcommand succeeded; 1 it did not; 64 bad usage or configuration;
69 another instance owns the state directory; 70 the supervision tree gave up, or hung;
130, 143 stopped in order by SIGINT, SIGTERM. Containers run on in any case.";

fn main() -> ExitCode {
    // First: it counts for what is allocated from then on.
    heap::prepare();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are answers, not errors; a closed pipe is no reason to fail.
            let _ = error.print();
            return if error.use_stderr() { ExitCode::from(USAGE) } else { ExitCode::SUCCESS };
        }
    };
    // `vars` would panic at the first variable that is no UTF-8, whosever it is.
    let text = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
    let environment = std::env::vars_os().map(|(name, value)| (text(name), text(value)));
    let config = match Config::load(&cli.config, environment) {
        Ok(config) => config,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(USAGE);
        }
    };
    let command = if cli.self_test { Command::SelfTest } else { cli.command.unwrap_or(Command::Run) };
    match command {
        Command::CheckConfig => {
            println!("{}: ok", cli.config.display());
            ExitCode::SUCCESS
        }
        Command::SelfTest => within_tokio(self_test(config)),
        Command::Run => {
            let log = telemetry::init();
            within_tokio(run(config, log))
        }
    }
}

/// Two workers: with one, a blocked handler would stop supervision too, and nobody could see from afar which
/// one it is.
fn within_tokio(work: impl Future<Output = u8>) -> ExitCode {
    match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => {
            let code = runtime.block_on(work);
            // A blocked disk must not hold up the end.
            runtime.shutdown_background();
            ExitCode::from(code)
        }
        Err(error) => {
            eprintln!("fleet-agent: cannot start its threads: {error}");
            ExitCode::from(SOFTWARE)
        }
    }
}

async fn self_test(config: Config) -> u8 {
    match app::self_test(&config).await {
        Ok(()) => {
            println!("fleet-agent v{} self-test ok", app::VERSION);
            0
        }
        Err(what) => {
            eprintln!("fleet-agent v{} self-test failed: {what}", app::VERSION);
            1
        }
    }
}

async fn run(config: Config, log: LogFilter) -> u8 {
    let end = app::run(config, log).await;
    if let Err(error) = &end {
        tracing::error!("{error}");
    }
    code(&end)
}

/// No end of the daemon is a success: whatever watches over it has to start it again.
fn code(end: &Result<Stopped, AppError>) -> u8 {
    match end {
        Ok(Stopped::BySigint) => INTERRUPTED,
        Ok(Stopped::BySigterm) => TERMINATED,
        Err(AppError::Lock(LockError::Held { .. })) => UNAVAILABLE,
        Err(AppError::Bus(_)) => USAGE,
        Err(
            AppError::Lock(LockError::Store(_))
            | AppError::Store(_)
            | AppError::Signals(_)
            | AppError::Watchdog(_)
            | AppError::GaveUp(_),
        ) => SOFTWARE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fleet_agent::store::StoreError;
    use std::io;

    #[test]
    fn no_end_of_the_daemon_is_a_success() {
        let io = || io::Error::other("?");
        let held = LockError::Held { state_dir: "/state".into(), holder: None };
        for (end, expected) in [
            (Ok(Stopped::BySigint), 130),
            (Ok(Stopped::BySigterm), 143),
            (Err(AppError::Lock(held)), 69),
            (Err(AppError::Lock(LockError::Store(StoreError::not_owner()))), 70),
            (Err(AppError::Store(StoreError::not_owner())), 70),
            (Err(AppError::Signals(io())), 70),
            (Err(AppError::Watchdog(io())), 70),
            (Err(AppError::GaveUp("?".into())), 70),
        ] {
            assert_eq!(code(&end), expected, "{end:?}");
        }
    }
}
