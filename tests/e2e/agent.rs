//! The agent's process: the real binary, its log in a file.
use crate::patience::{PATIENCE, within};
use std::fs::OpenOptions;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

/// How much of the log a failed test shows.
const TAIL: usize = 60;

/// `fleet-agent` with nothing of this process's environment that could change what it does.
pub fn command(config: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fleet-agent"));
    command.env_clear().env("PATH", "/usr/bin:/bin").arg("--config").arg(config).stdin(Stdio::null());
    command
}

pub struct Agent {
    child: Child,
}

impl Agent {
    /// Appends to the log: what came before a crash is needed most.
    pub fn start(mut command: Command, log: &Path) -> Self {
        let log = OpenOptions::new().create(true).append(true).open(log).unwrap();
        command.arg("run").stdout(log.try_clone().unwrap()).stderr(log);
        Self { child: command.spawn().unwrap() }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// `name` is a signal's, such as `TERM`.
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").arg(format!("-{name}")).arg(self.pid().to_string()).status();
        assert!(status.unwrap().success(), "kill -{name}");
    }

    pub fn kill(mut self) {
        self.child.kill().unwrap();
        let end = self.child.wait().unwrap();
        assert_eq!(end.signal(), Some(9), "it had ended before: {end}");
    }

    /// How it ended, if it did.
    pub fn end(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Waits for its end.
    pub async fn ended(self) -> ExitStatus {
        self.ended_within(PATIENCE).await
    }

    /// The same for an end that takes longer by itself.
    pub async fn ended_within(mut self, patience: Duration) -> ExitStatus {
        let end = within(patience, async || self.end().ok_or("it still runs".to_owned())).await;
        end.unwrap_or_else(|error| panic!("the agent: {error}"))
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The log's path, and its end as text.
pub struct Log(pub PathBuf);

impl Log {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.0).unwrap_or_default()).into_owned()
    }

    pub fn tail(&self) -> String {
        let text = self.text();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(TAIL)..].join("\n")
    }
}
