//! The project around this program: its root, its cargo, and what a run was made with.
use crate::listed::Tests;
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::Command;

pub fn root() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().unwrap_or(own).to_owned()
}

/// A cargo that knows nothing of the one that started this program. What that one says of this
/// package would make build scripts run again, and with them everything after them.
pub fn cargo(directory: &Path) -> Command {
    let mut command = Command::new("cargo");
    command.current_dir(directory).env_remove("LD_LIBRARY_PATH");
    for (name, _) in std::env::vars_os() {
        if name
            .to_str()
            .is_some_and(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_"))
        {
            command.env_remove(&name);
        }
    }
    command
}

/// What a command wrote to its standard output; its complaints are for the one who looks on.
pub fn output(command: &mut Command) -> Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let done = command.output().with_context(|| format!("could not run {name}"))?;
    if !done.status.success() {
        bail!("{name}: {}\n{}", done.status, String::from_utf8_lossy(&done.stderr).trim_end());
    }
    String::from_utf8(done.stdout).with_context(|| format!("{name} did not write text"))
}

/// All tests there are, the long ones too. Builds them where that is needed.
pub fn list_tests(root: &Path) -> Result<Tests> {
    let mut command = cargo(root);
    command.args(["nextest", "list", "--workspace", "--profile", "long", "--message-format", "json"]);
    command.args(["--cargo-quiet"]);
    Tests::from_json(&output(&mut command)?)
}

/// Where and with what a run was made.
pub struct Circumstances {
    pub time: String,
    pub commit: String,
    pub machine: String,
    pub versions: Vec<String>,
}

pub fn circumstances(root: &Path) -> Result<Circumstances> {
    let mut versions = vec![word("podman", &["--version"])?, word("nats-server", &["--version"])?];
    if let Ok(current) = std::env::var("FLEET_TEST_NATS_CURRENT") {
        versions.push(word(&current, &["--version"])?);
    }
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
    Ok(Circumstances {
        time: word("date", &["-u", "+%Y-%m-%d %H:%M UTC"])?,
        commit: commit(root)?,
        machine: format!("Linux {}, {cores} cores", word("uname", &["-r", "-m"])?),
        versions,
    })
}

fn word(program: &str, arguments: &[&str]) -> Result<String> {
    Ok(output(Command::new(program).args(arguments))?.trim().to_owned())
}

/// The page of the results itself always differs: it does not count.
fn commit(root: &Path) -> Result<String> {
    let git = |arguments: &[&str]| output(Command::new("git").current_dir(root).args(arguments));
    let id = git(&["rev-parse", "--short", "HEAD"])?.trim().to_owned();
    let changes = git(&["status", "--porcelain", "--", ":/", ":!docs/faults.md"])?;
    Ok(if changes.is_empty() { id } else { format!("{id}, with changes that are not committed") })
}
