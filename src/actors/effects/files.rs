//! A container with files: made under a draft's name, given its files, and only then given its own.
//!
//! Podman cannot make a container together with its files. Between the two it must not be taken for one that
//! can be started, also not by the process that comes after a crash: all that it can see is the name.
use super::operations::{created, failure, name_conflict};
use crate::domain::container::ContainerId;
use crate::faults;
use crate::messages::effects::{Creation, Effect, Failure, Outcome};
use crate::runtime::{ContainerRuntime, ErrorKind, NameHolder};
use fleet_contracts::state::Code;

pub async fn create(runtime: &dyn ContainerRuntime, creation: &Creation) -> Outcome {
    match runtime.holder(&creation.name).await.map_err(failure)? {
        NameHolder::Ours(container) => return Ok(Effect::Found(container)),
        NameHolder::Foreign(id) => return Err(name_conflict(&creation.name, &id)),
        NameHolder::Nobody => {}
    }
    let id = draft(runtime, creation).await?;
    faults::point("create", "drafted");
    match finish(runtime, creation, &id).await {
        Ok(()) => Ok(created(creation, id)),
        Err(refused @ Failure::Refused { .. }) => {
            // What cannot be finished must not stay; where this fails too, the next look finds it.
            runtime.remove(&id).await.map_err(failure)?;
            Err(refused)
        }
        Err(other) => Err(other),
    }
}

async fn finish(
    runtime: &dyn ContainerRuntime,
    creation: &Creation,
    id: &ContainerId,
) -> Result<(), Failure> {
    runtime.put_files(id, &creation.files).await.map_err(failure)?;
    faults::point("create", "filled");
    runtime.rename(id, &creation.name).await.map_err(failure)
}

/// The draft's name may be taken by a draft that was seen after this was planned, or only in storage.
async fn draft(runtime: &dyn ContainerRuntime, creation: &Creation) -> Result<ContainerId, Failure> {
    let name = &creation.draft;
    match runtime.create(name, &creation.spec).await {
        Err(error) if error.kind == ErrorKind::NameInUse => {}
        other => return other.map_err(failure),
    }
    match runtime.holder(name).await.map_err(failure)? {
        NameHolder::Ours(_) => {
            let message = format!("{name} is there already, from a making that was cut off");
            Err(Failure::Unknown { code: Code::Start, message })
        }
        NameHolder::Foreign(id) => Err(name_conflict(name, &id)),
        NameHolder::Nobody => {
            runtime.remove_orphan(name).await.map_err(failure)?;
            runtime.create(name, &creation.spec).await.map_err(failure)
        }
    }
}
