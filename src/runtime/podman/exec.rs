//! Running a command in a container.
use super::errors::Failure;
use super::words;
use super::{Operation, PodmanRuntime, SHORT, within};
use crate::domain::container::ContainerId;
use crate::runtime::{Result, Run, process};
use bollard::exec::{CreateExecOptions, StartExecOptions, StartExecResults};
use futures_util::StreamExt;
use std::time::Duration;

impl PodmanRuntime {
    /// Each request to podman under a deadline of its own: the limit is the command's.
    pub(super) async fn exec(&self, id: &ContainerId, argv: &[String], limit: Duration) -> Result<Run> {
        let object = id.as_str();
        let exec = within(SHORT, Operation::Exec, object, self.create_exec(id, argv)).await?;
        // Podman answers when the command runs.
        let deadline = limit + SHORT;
        let said = within(deadline, Operation::Exec, object, self.attend(&exec, limit)).await?;
        match said {
            Some(said) => within(SHORT, Operation::Exec, object, self.end_of(&exec, said)).await,
            None => {
                within(SHORT, Operation::Exec, object, self.kill_exec(&exec, id)).await?;
                Ok(Run::TooLong)
            }
        }
    }

    async fn create_exec(&self, id: &ContainerId, argv: &[String]) -> std::result::Result<String, Failure> {
        let options = CreateExecOptions {
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            cmd: Some(argv.to_vec()),
            ..CreateExecOptions::default()
        };
        Ok(self.docker(SHORT)?.create_exec(id.as_str(), options).await?.id)
    }

    /// What it said until it ended; None when it did not end in time.
    async fn attend(&self, exec: &str, limit: Duration) -> std::result::Result<Option<Vec<u8>>, Failure> {
        let options = StartExecOptions { detach: false, tty: false, output_capacity: None };
        let started = self.docker(SHORT)?.start_exec(exec, Some(options)).await?;
        // The other half of the connection has to stay open: podman takes its end for a wish to detach.
        let StartExecResults::Attached { mut output, input: _input } = started else {
            return Err(Failure::Unreadable("podman detached from the command".into()));
        };
        let mut said = Vec::new();
        let listening = async {
            while let Some(chunk) = output.next().await {
                said.extend_from_slice(&chunk?.into_bytes());
                words::keep_end(&mut said);
            }
            Ok::<(), Failure>(())
        };
        match tokio::time::timeout(limit, listening).await {
            Ok(ended) => ended.map(|()| Some(said)),
            Err(_) => Ok(None),
        }
    }

    async fn end_of(&self, exec: &str, said: Vec<u8>) -> std::result::Result<Run, Failure> {
        let seen = self.docker(SHORT)?.inspect_exec(exec).await?;
        // One that still runs, or whose end podman has lost, is no answer.
        let code = seen.exit_code.filter(|code| *code >= 0 && seen.running != Some(true));
        let code =
            code.ok_or_else(|| Failure::Unreadable("podman does not say how the command ended".into()))?;
        Ok(Run::Ended { code, said: words::one_line(&said) })
    }

    /// The API cannot end a command: its process is asked for. Where it is in another pid namespace than ours,
    /// it is left to end by itself.
    async fn kill_exec(&self, exec: &str, id: &ContainerId) -> std::result::Result<(), Failure> {
        let pid = self.docker(SHORT)?.inspect_exec(exec).await?.pid.and_then(|pid| u32::try_from(pid).ok());
        if let Some(pid) = pid.filter(|pid| *pid != 0) {
            process::kill_in_container(pid, id.as_str());
        }
        Ok(())
    }
}
