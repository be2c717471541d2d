//! What is really there: podman's word, checked against /proc.
use super::SHORT;
use super::errors::Failure;
use super::facts::{Inspected, InspectedState, Row, Word, bare};
use super::wire::{self, Answer, encoded};
use crate::domain::container::{Container, ContainerId, Process, Status};
use crate::runtime::identity::{Identity, Labels, identity};
use crate::runtime::{NameHolder, StopSettings, process};
use fleet_contracts::desired::Lifecycle;
use fleet_contracts::device::RuntimeInfo;
use fleet_contracts::names::label;
use fleet_contracts::{DeploymentName, DeviceId};
use futures_util::future::join_all;
use memory::{Facts, Memory};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout, timeout_at};

mod memory;

/// Inspects at once of those that a list or a look asks for: podman takes a lock per container and a device has few
/// cores.
const CONCURRENT: usize = 4;
/// How long one of them keeps its turn: those that hang must not keep the others waiting.
const TURN: Duration = Duration::from_secs(1);
/// How long all inspects of a list or a look may take together. What podman has not described by then is told as
/// unreadable; what it has, is told now.
const TOGETHER: Duration = Duration::from_secs(30);
/// How long podman may say `running` of a process that is gone before that is a lie: conmon writes
/// the exit file, and its clean-up command runs, some hundred milliseconds after a death.
const GRACE: Duration = Duration::from_secs(2);
/// Between two looks at such a container: conmon writes the exit file within some milliseconds, the cleanup
/// takes longer.
const FIRST_PAUSE: Duration = Duration::from_millis(4);
const PAUSE: Duration = Duration::from_millis(20);

/// How far after its end a container is waited for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Until {
    /// It is known how its process ended: enough for who starts it again.
    Ended,
    /// What it used is free again.
    CleanedUp,
}

/// Whether an inspect is one of many.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// Asked for one container: an operation waits for it.
    Own,
    Shared,
}

const COMPAT_LIST: &str = "/containers/json";
/// Podman's own list looks into no storage. It is answered where the other one is not: a single
/// container whose removal was cut off by podman's end makes that one fail as a whole (4.3.1).
const OWN_LIST: &str = "/v4.0.0/libpod/containers/json";

pub(super) struct Observer {
    device: DeviceId,
    socket: PathBuf,
    inspects: Semaphore,
    memory: Mutex<Memory>,
}

/// A listed container whose facts are still open.
struct Draft {
    id: ContainerId,
    name: String,
    identity: Identity,
}

impl Observer {
    pub(super) fn new(device: DeviceId, socket: PathBuf) -> Self {
        Self { device, socket, inspects: Semaphore::new(CONCURRENT), memory: Mutex::default() }
    }

    /// One list, and an inspect for each container of which something is not known.
    pub(super) async fn list(&self) -> Result<Vec<Container>, Failure> {
        let rows = self.rows(None).await?;
        self.memory().keep_only(rows.value.iter().map(|row| row.id.as_str()));
        let mut containers = Vec::with_capacity(rows.value.len());
        let mut open = Vec::new();
        for row in &rows.value {
            let Some(draft) = self.draft(row) else { continue };
            match self.remembered(row) {
                Some(facts) => containers.push(draft.with(facts)),
                None => open.push(draft),
            }
        }
        for (draft, facts) in self.examine_all(open, Until::CleanedUp).await {
            match facts {
                Ok(Some(facts)) => containers.push(draft.with(facts)),
                Ok(None) => {}
                Err(failure @ Failure::Connection(_)) => return Err(failure),
                Err(failure) => containers.push(draft.unreadable(&failure)),
            }
        }
        Ok(containers)
    }

    pub(super) async fn look(&self, deployment: &DeploymentName) -> Result<Vec<Container>, Failure> {
        let rows = self.rows(Some(deployment)).await?;
        let drafts = rows.value.iter().filter_map(|row| self.draft(row)).collect();
        let mut containers = Vec::new();
        for (draft, facts) in self.examine_all(drafts, Until::Ended).await {
            containers.extend(facts?.map(|facts| draft.with(facts)));
        }
        Ok(containers)
    }

    pub(super) async fn holder(&self, name: &str) -> Result<NameHolder, Failure> {
        let inspected = match self.inspect(name).await {
            Ok(answer) => answer.value,
            Err(failure) if failure.is_not_found() => return Ok(NameHolder::Nobody),
            Err(failure) => return Err(failure),
        };
        // Podman also finds containers by the beginning of their id.
        let called = bare(&inspected.name).to_owned();
        if called != name && inspected.id != name {
            return Ok(NameHolder::Nobody);
        }
        let id = ContainerId::new(&inspected.id);
        let labels = inspected.config.and_then(|config| config.labels).unwrap_or_default();
        let Some(identity) = identity(&self.device, &labels) else {
            return Ok(NameHolder::Foreign(id));
        };
        Ok(match self.examine(&id).await? {
            Some(facts) => {
                let draft = Draft { id, name: called, identity };
                NameHolder::Ours(Box::new(draft.with(facts)))
            }
            None => NameHolder::Nobody,
        })
    }

    pub(super) async fn stop_settings(&self, id: &ContainerId) -> Result<StopSettings, Failure> {
        let config = self.inspect(id.as_str()).await?.value.config.unwrap_or_default();
        let signal = config.stop_signal.map(|signal| match signal {
            serde_json::Value::String(name) => name,
            number => number.to_string(),
        });
        Ok(StopSettings {
            signal: signal.unwrap_or_else(|| "SIGTERM".to_owned()),
            grace: Duration::from_secs(config.stop_timeout.unwrap_or(Lifecycle::DEFAULT_GRACE_S.into())),
        })
    }

    pub(super) async fn image(&self, reference: &str) -> Result<Option<String>, Failure> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Image {
            id: String,
        }
        let path = format!("/images/{}/json", encoded(reference));
        match wire::get::<Image>(&self.socket, &path).await {
            Ok(answer) => Ok(Some(answer.value.id)),
            Err(failure) if failure.is_not_found() => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    pub(super) async fn info(&self) -> Result<RuntimeInfo, Failure> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Version {
            version: String,
        }
        let answer = wire::get::<Version>(&self.socket, "/version").await?;
        Ok(RuntimeInfo { name: "podman".into(), version: answer.value.version })
    }

    /// The true status of one container, waiting out the moment in which podman does not know yet
    /// of a death. None when it does not exist.
    pub(super) async fn examine(&self, id: &ContainerId) -> Result<Option<Facts>, Failure> {
        self.examine_until(Until::CleanedUp, Turn::Own, id).await
    }

    async fn examine_until(
        &self,
        enough: Until,
        turn: Turn,
        id: &ContainerId,
    ) -> Result<Option<Facts>, Failure> {
        let (until, mut pause) = (Instant::now() + GRACE, FIRST_PAUSE);
        loop {
            let inspected = match turn {
                Turn::Own => self.inspect(id.as_str()).await,
                Turn::Shared => self.in_turn(self.inspect(id.as_str())).await,
            };
            let answer = match inspected {
                Ok(answer) => answer,
                Err(failure) if failure.is_not_found() => return Ok(None),
                Err(failure) if is_half_removed(&failure) => return self.half_removed(id, failure).await,
                Err(failure) => return Err(failure),
            };
            let state = &answer.value.state;
            let is_enough =
                |status: &Status| enough == Until::Ended || !matches!(status, Status::Ended { .. });
            let status = self.verdict(id, state, answer.same_proc).filter(is_enough);
            let patient = Instant::now() < until && !self.memory().is_known_liar(id, state.pid);
            if status.is_none() && patient {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(PAUSE);
                continue;
            }
            let facts = Facts {
                status: status.unwrap_or_else(|| at_last(state)),
                pid: state.pid,
                started_at: state.started_at(),
                image_id: answer.value.image.clone(),
            };
            self.memory().remember(id, facts.clone());
            return Ok(Some(facts));
        }
    }

    /// Nothing remembered of it counts any more.
    pub(super) fn forget(&self, id: &ContainerId) {
        self.memory().forget(id);
    }

    /// None where podman's word and /proc disagree.
    fn verdict(&self, id: &ContainerId, state: &InspectedState, same_proc: bool) -> Option<Status> {
        let process = match same_proc.then(|| process::find(state.pid)) {
            Some(Ok(process)) => process,
            // Blind, such as without a free file descriptor: nothing may follow from that.
            Some(Err(_)) => return Some(Status::Busy),
            None => Some(Process { pid: state.pid, start_ticks: process::UNSEEN }),
        };
        // The pid may belong to somebody else by now.
        let process = process.filter(|process| !self.memory().contradicts(id, *process, state.started_at()));
        match state.word() {
            Word::Created => Some(Status::Created),
            Word::Stopped => Some(Status::Ended { code: state.exit_code }),
            Word::Exited => Some(Status::Exited { code: state.exit_code }),
            Word::Running => process.map(Status::Running),
            Word::Stopping => process.map(Status::Stopping),
            Word::Paused => process.map(|_| Status::Paused),
            // A removal that podman's end cut off stays `removing` for ever; without a process it can
            // be done again.
            Word::Removing => process.map(|_| Status::Busy),
            Word::Unclear => Some(Status::Busy),
        }
    }

    /// What needs no inspect: the word is the same as before and what it stands for still holds.
    fn remembered(&self, row: &Row) -> Option<Facts> {
        let word = Word::of(&row.state);
        if word == Word::Created {
            let image_id = row.image_id.clone();
            return Some(Facts { status: Status::Created, pid: 0, started_at: None, image_id });
        }
        let facts = self.memory().get(&row.id)?;
        let holds = match (word, facts.status) {
            (Word::Running, Status::Running(process)) => process::is_alive(process),
            (Word::Exited, Status::Exited { code }) => row.exit_code().is_none_or(|said| said == code),
            _ => false,
        };
        holds.then_some(facts)
    }

    fn draft(&self, row: &Row) -> Option<Draft> {
        let identity = identity(&self.device, row.labels.as_ref().unwrap_or(&Labels::new()));
        if identity.is_none() && self.memory().is_first_warning(&row.id) {
            tracing::warn!(
                id = row.id,
                name = row.name(),
                "container with this device's label but no readable deployment and service: ignored"
            );
        }
        Some(Draft { id: ContainerId::new(&row.id), name: row.name().into(), identity: identity? })
    }

    async fn rows(&self, deployment: Option<&DeploymentName>) -> Result<Answer<Vec<Row>>, Failure> {
        let mut labels = vec![format!("{}={}", label::DEVICE, self.device)];
        labels.extend(deployment.map(|name| format!("{}={name}", label::DEPLOYMENT)));
        let filters = serde_json::json!({ "label": labels });
        match self.filtered(COMPAT_LIST, &filters).await {
            Err(failure) if is_half_removed(&failure) => self.filtered(OWN_LIST, &filters).await,
            answer => answer,
        }
    }

    async fn filtered(&self, list: &str, filters: &serde_json::Value) -> Result<Answer<Vec<Row>>, Failure> {
        self.get(&format!("{list}?all=true&filters={}", encoded(&filters.to_string()))).await
    }

    /// A container whose storage is gone can do nothing but be removed; one that runs all the same is
    /// nobody's to judge.
    async fn half_removed(&self, id: &ContainerId, failure: Failure) -> Result<Option<Facts>, Failure> {
        let rows = self.filtered(OWN_LIST, &serde_json::json!({ "id": [id.as_str()] })).await?.value;
        let Some(row) = rows.iter().find(|row| row.id == id.as_str()) else { return Ok(None) };
        match Word::of(&row.state) {
            Word::Created | Word::Stopped | Word::Exited | Word::Removing => {
                let facts = Facts { status: Status::Lying, pid: 0, started_at: None, image_id: None };
                self.memory().remember(id, facts.clone());
                Ok(Some(facts))
            }
            Word::Running | Word::Stopping | Word::Paused | Word::Unclear => Err(failure),
        }
    }

    async fn inspect(&self, id_or_name: &str) -> Result<Answer<Inspected>, Failure> {
        self.get(&format!("/containers/{}/json", encoded(id_or_name))).await
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<Answer<T>, Failure> {
        timeout(SHORT, wire::get(&self.socket, path)).await.unwrap_or(Err(Failure::Deadline))
    }

    async fn examine_all(
        &self,
        drafts: Vec<Draft>,
        enough: Until,
    ) -> Vec<(Draft, Result<Option<Facts>, Failure>)> {
        let until = Instant::now() + TOGETHER;
        join_all(drafts.into_iter().map(async |draft| {
            let examined = timeout_at(until, self.examine_until(enough, Turn::Shared, &draft.id)).await;
            (draft, examined.unwrap_or(Err(Failure::Deadline)))
        }))
        .await
    }

    /// Waits for its turn, and goes on without it when it takes long.
    async fn in_turn<T>(&self, request: impl Future<Output = T>) -> T {
        // It is never closed; without it there would only be more at once.
        let slot = self.inspects.acquire().await;
        let mut request = pin!(request);
        match timeout(TURN, &mut request).await {
            Ok(answer) => answer,
            Err(_) => {
                drop(slot);
                request.await
            }
        }
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        // Each change is one map operation: a panic elsewhere cannot leave it half done.
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Podman still lists it, the storage has forgotten it.
fn is_half_removed(failure: &Failure) -> bool {
    failure.says("container not known")
}

/// What is believed of a container whose state did not settle: its cleanup never came, or podman
/// never learns of its death.
fn at_last(state: &InspectedState) -> Status {
    match state.word() {
        Word::Stopped => Status::Exited { code: state.exit_code },
        Word::Created
        | Word::Running
        | Word::Stopping
        | Word::Exited
        | Word::Paused
        | Word::Removing
        | Word::Unclear => Status::Lying,
    }
}

impl Draft {
    fn with(self, facts: Facts) -> Container {
        let container = self.identity.container(self.id, &self.name, facts.status);
        Container { image_id: facts.image_id, started_at: facts.started_at, ..container }
    }

    /// One container that podman cannot describe must not hide the others; nothing is done with it
    /// until it can be read again.
    fn unreadable(self, failure: &Failure) -> Container {
        tracing::warn!(name = self.name, ?failure, "a container could not be inspected");
        self.identity.container(self.id, &self.name, Status::Busy)
    }
}

#[cfg(test)]
mod tests;
