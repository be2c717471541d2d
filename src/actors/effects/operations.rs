//! Single operations on the runtime. Each may be cut off at any await: whoever asks next looks at
//! the runtime first.
use super::{files, short};
use crate::domain::container::{Container, ContainerId, Process, Status};
use crate::domain::health::Verdict;
use crate::domain::hidden::SecretsVersion;
use crate::messages::effects::{Creation, Effect, Failure, Made, Operation, Outcome};
use crate::runtime::{ContainerRuntime, ErrorKind, NameHolder, Run, RuntimeError, StopSettings};
use fleet_contracts::names::label;
use fleet_contracts::state::Code;
use std::time::Duration;
use tokio::time::timeout;

/// After SIGKILL a process goes as soon as the kernel can; one in uninterruptible I/O may not.
const AFTER_KILL: Duration = Duration::from_secs(10);

pub async fn perform(runtime: &dyn ContainerRuntime, operation: Operation) -> Outcome {
    match operation {
        Operation::Create(creation) => create(runtime, &creation).await,
        Operation::Start(id) => start(runtime, &id).await,
        Operation::Unpause(id) => unpause(runtime, &id).await,
        Operation::Stop { id, .. } => stop(runtime, &id).await,
        Operation::Remove { id, .. } => {
            runtime.remove(&id).await.map(|()| Effect::Removed(id)).map_err(failure)
        }
        Operation::Rename { id, to } => rename(runtime, id, to).await,
        Operation::RemoveNetwork(name) => {
            runtime.remove_network(&name).await.map(|()| Effect::NetworkRemoved).map_err(failure)
        }
        Operation::LastWords(id) => {
            runtime.last_words(&id).await.map(|words| Effect::Said { id, words }).map_err(failure)
        }
        Operation::Check { id, process, argv, limit } => check(runtime, &id, process, &argv, limit).await,
        Operation::Pull { image, .. } => Err(Failure::Refused {
            code: Code::Internal,
            message: format!("the pull of {image} was asked for in a container's lane"),
        }),
    }
}

async fn create(runtime: &dyn ContainerRuntime, creation: &Creation) -> Outcome {
    if let Some(network) = &creation.network {
        runtime.ensure_network(&network.name, &network.labels).await.map_err(failure)?;
    }
    for volume in &creation.volumes {
        runtime.ensure_volume(volume, &creation.labels).await.map_err(failure)?;
    }
    if !creation.files.is_empty() {
        return files::create(runtime, creation).await;
    }
    match runtime.create(&creation.name, &creation.spec).await {
        Ok(id) => Ok(created(creation, id)),
        Err(error) if error.kind == ErrorKind::NameInUse => name_in_use(runtime, creation).await,
        Err(error) => Err(failure(error)),
    }
}

/// The name is taken: by ours (an earlier create whose answer was lost), by somebody else's, or by
/// an orphan that only the storage knows (a create that podman did not survive).
async fn name_in_use(runtime: &dyn ContainerRuntime, creation: &Creation) -> Outcome {
    let name = &creation.name;
    match runtime.holder(name).await.map_err(failure)? {
        NameHolder::Ours(container) => Ok(Effect::Found(container)),
        NameHolder::Foreign(id) => Err(name_conflict(name, &id)),
        NameHolder::Nobody => {
            runtime.remove_orphan(name).await.map_err(failure)?;
            let id = runtime.create(name, &creation.spec).await.map_err(failure)?;
            Ok(created(creation, id))
        }
    }
}

pub(super) fn name_conflict(name: &str, holder: &ContainerId) -> Failure {
    Failure::NameConflict {
        message: format!(
            "container {} has the name {name} and is not managed by this agent; \
             remove or rename it, it is not touched",
            short(holder.as_str())
        ),
    }
}

async fn rename(runtime: &dyn ContainerRuntime, id: ContainerId, to: String) -> Outcome {
    let refused = match runtime.rename(&id, &to).await {
        Ok(()) => return Ok(Effect::Renamed { id, to }),
        Err(error) if error.kind == ErrorKind::NameInUse => error,
        Err(error) => return Err(failure(error)),
    };
    match runtime.holder(&to).await.map_err(failure)? {
        NameHolder::Foreign(holder) => Err(name_conflict(&to, &holder)),
        // The picture that this was planned from is stale.
        NameHolder::Ours(_) | NameHolder::Nobody => Err(failure(refused)),
    }
}

pub(super) fn created(creation: &Creation, id: ContainerId) -> Effect {
    let version = creation.spec.labels.get(label::SECRETS_VERSION);
    Effect::Created(Made {
        id,
        name: creation.name.clone(),
        digest: creation.digest.clone(),
        secrets: version.map(|text| SecretsVersion::new(text)),
    })
}

async fn start(runtime: &dyn ContainerRuntime, id: &ContainerId) -> Outcome {
    if let Err(error) = runtime.start(id).await {
        return Err(not_started(runtime, id, error).await);
    }
    match see(runtime, id).await? {
        Some(container) => Ok(Effect::Started(Box::new(container))),
        None => Err(vanished("start", id)),
    }
}

/// What can never be started is removed, so that the next step is to create it anew. That counts as a failed
/// start: one that would never succeed must not be repeated without a wait.
async fn not_started(runtime: &dyn ContainerRuntime, id: &ContainerId, error: RuntimeError) -> Failure {
    if error.kind != ErrorKind::Unstartable {
        return failure(error);
    }
    match runtime.remove(id).await {
        Ok(()) => {
            let message = format!("{error} (podman was cut off in an earlier start: it is made anew)");
            Failure::Unknown { code: Code::Start, message }
        }
        Err(error) => failure(error),
    }
}

async fn unpause(runtime: &dyn ContainerRuntime, id: &ContainerId) -> Outcome {
    runtime.unpause(id).await.map_err(failure)?;
    match see(runtime, id).await? {
        Some(container) => Ok(Effect::Started(Box::new(container))),
        None => Err(vanished("unpause", id)),
    }
}

/// Signal, wait for the process itself, kill. Not podman's own stop: its stops and removes share a
/// pool of slots, so that a few slow ones would delay every other. One that somebody else is stopping has had
/// its signal: it gets the same time, whatever became of who sent it.
pub async fn stop(runtime: &dyn ContainerRuntime, id: &ContainerId) -> Outcome {
    let (process, is_asked) = match life(runtime, id).await? {
        Life::Alive(process) => (process, false),
        Life::Stopping(process) => (process, true),
        Life::Ended { code } => return Ok(Effect::Stopped { id: id.clone(), code }),
        Life::Gone => return Ok(Effect::Removed(id.clone())),
    };
    let settings = runtime.stop_settings(id).await.map_err(failure)?;
    if !is_asked {
        runtime.signal(id, &settings.signal).await.map_err(failure)?;
    }
    if timeout(settings.grace, runtime.death(process)).await.is_err() {
        kill(runtime, id, process, &settings).await?;
    }
    match life(runtime, id).await? {
        Life::Ended { code } => Ok(Effect::Stopped { id: id.clone(), code }),
        Life::Gone => Ok(Effect::Removed(id.clone())),
        Life::Alive(_) | Life::Stopping(_) => {
            let message =
                format!("container {} was started by somebody while it stopped", short(id.as_str()));
            Err(Failure::Unknown { code: Code::Timeout, message })
        }
    }
}

async fn kill(
    runtime: &dyn ContainerRuntime,
    id: &ContainerId,
    process: Process,
    settings: &StopSettings,
) -> Result<(), Failure> {
    let grace_s = settings.grace.as_secs();
    tracing::warn!(id = short(id.as_str()), grace_s, "deaf to its stop signal {}: killed", settings.signal);
    runtime.signal(id, "SIGKILL").await.map_err(failure)?;
    timeout(AFTER_KILL, runtime.death(process)).await.map_err(|_| Failure::Unknown {
        code: Code::Timeout,
        message: format!("container {} does not die of SIGKILL (hanging I/O?)", short(id.as_str())),
    })
}

/// A check that could not be run is a failure of the operation, and says nothing of the service.
async fn check(
    runtime: &dyn ContainerRuntime,
    id: &ContainerId,
    process: Process,
    argv: &[String],
    limit: Duration,
) -> Outcome {
    let verdict = match runtime.run_in(id, argv, limit).await.map_err(failure)? {
        Run::Ended { code: 0, .. } => Verdict::Passed,
        Run::Ended { code, said } if said.is_empty() => Verdict::Failed(format!("exit code {code}")),
        Run::Ended { code, said } => Verdict::Failed(format!("exit code {code}, {said:?}")),
        Run::TooLong => Verdict::Failed(format!("no end within {} s", limit.as_secs())),
    };
    Ok(Effect::Checked { process, verdict })
}

enum Life {
    Alive(Process),
    /// Somebody's stop of it is under way.
    Stopping(Process),
    Ended {
        code: i64,
    },
    Gone,
}

async fn life(runtime: &dyn ContainerRuntime, id: &ContainerId) -> Result<Life, Failure> {
    let Some(container) = see(runtime, id).await? else { return Ok(Life::Gone) };
    match container.status {
        Status::Running(process) => Ok(Life::Alive(process)),
        Status::Stopping(process) => Ok(Life::Stopping(process)),
        // `holder` waits for the cleanup, as far as one comes.
        Status::Ended { code } | Status::Exited { code } => Ok(Life::Ended { code }),
        // The process is gone, its exit code lost: 137 is what a kill leaves.
        Status::Created | Status::Lying => Ok(Life::Ended { code: 137 }),
        Status::Paused | Status::Busy => {
            let message = format!("somebody else works on container {}", short(id.as_str()));
            Err(Failure::Unknown { code: Code::Timeout, message })
        }
    }
}

async fn see(runtime: &dyn ContainerRuntime, id: &ContainerId) -> Result<Option<Container>, Failure> {
    Ok(match runtime.holder(id.as_str()).await.map_err(failure)? {
        NameHolder::Ours(container) => Some(*container),
        NameHolder::Nobody | NameHolder::Foreign(_) => None,
    })
}

fn vanished(what: &str, id: &ContainerId) -> Failure {
    let message = format!("{what} {}: the container is gone", short(id.as_str()));
    Failure::Unknown { code: Code::Start, message }
}

/// What an error means for the next step.
pub fn failure(error: RuntimeError) -> Failure {
    let message = error.to_string();
    match error.kind {
        ErrorKind::ImageMissing => Failure::ImageMissing { message },
        ErrorKind::Unreachable => Failure::Unknown { code: Code::RuntimeUnreachable, message },
        ErrorKind::Timeout => Failure::Unknown { code: Code::Timeout, message },
        ErrorKind::NotFound | ErrorKind::NameInUse => Failure::Unknown { code: Code::Start, message },
        ErrorKind::RegistryAuth => Failure::Refused { code: Code::RegistryAuth, message },
        ErrorKind::Pull => Failure::Refused { code: Code::ImagePull, message },
        ErrorKind::PortInUse => Failure::Refused { code: Code::PortInUse, message },
        ErrorKind::DiskFull => Failure::Refused { code: Code::DiskFull, message },
        ErrorKind::Refused | ErrorKind::Unstartable => Failure::Refused { code: Code::Start, message },
    }
}
