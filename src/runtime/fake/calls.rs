//! The trait: each call meets its faults, then the rules of the world.
use super::Op;
use super::effects::Refusal;
use super::faults::{Fault, deadline};
use super::program::{PullEnd, Registry};
use super::state::{Found, State};
use super::world::World;
use super::{FakeRuntime, error};
use crate::domain::container::{Container, ContainerId, Process};
use crate::domain::hidden::RegistryCredential;
use crate::domain::images::Image;
use crate::domain::spec::{CreateSpec, PlacedFile};
use crate::runtime::{
    ContainerRuntime, ErrorKind, Hint, NameHolder, PullProgress, Result, Run, StopSettings, Storage,
};
use async_trait::async_trait;
use fleet_contracts::DeploymentName;
use fleet_contracts::device::RuntimeInfo;
use fleet_contracts::names::label;
use futures_util::stream::{self, BoxStream, StreamExt};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

impl FakeRuntime {
    async fn call<T, F>(&self, op: Op, object: &str, effect: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut State) -> std::result::Result<T, Refusal> + Send + 'static,
    {
        let fault = self.arrive(op, object).await?;
        match fault {
            None => self.happen(op, object, effect),
            Some(Fault::Fails(kind, message)) => Err(error(op, object, kind, &message)),
            Some(Fault::LosesAnswer(kind)) => {
                // Whether it worked is what the caller does not learn.
                let _ = self.happen(op, object, effect);
                Err(error(op, object, kind, "the answer was lost"))
            }
            Some(Fault::Late(delay)) => self.happen_late(op, object, delay, effect).await,
            Some(Fault::CutsOff) => {
                let id = ContainerId::new(object);
                self.world.change(|state| state.found_mut(&id).map(|found| found.is_unstartable = true).ok());
                Err(error(op, object, ErrorKind::Unreachable, "connection reset"))
            }
            Some(Fault::Orphans) => {
                self.world.change(|state| state.orphans.insert(object.into()));
                Err(error(op, object, ErrorKind::Unreachable, "connection reset"))
            }
        }
    }

    /// The way to the runtime: latency, a socket that is gone, a hang.
    async fn arrive(&self, op: Op, object: &str) -> Result<Option<Fault>> {
        let (fault, latency) = self.world.change(|state| (state.faults.begin(op), state.faults.latency));
        if !latency.is_zero() {
            tokio::time::sleep(latency).await;
        }
        let mut changes = self.world.changes();
        let let_through = async {
            while self.world.read(|state| state.faults.is_hung(op) && !state.is_down) {
                if changes.changed().await.is_err() {
                    return;
                }
            }
        };
        if tokio::time::timeout(deadline(op), let_through).await.is_err() {
            return Err(error(op, object, ErrorKind::Timeout, "no answer in time"));
        }
        if self.world.read(|state| state.is_down) {
            return Err(error(op, object, ErrorKind::Unreachable, "connection refused"));
        }
        Ok(fault)
    }

    /// Until the runtime has cleaned up after the processes of these containers.
    async fn cleanup(&self, which: impl Fn(&ContainerId, &Found) -> bool) {
        let last = |state: &State| {
            let of = state.containers.iter().filter(|(id, found)| which(id, found));
            of.filter_map(|(_, found)| found.cleanup).max()
        };
        if let Some(end) = self.world.read(last) {
            tokio::time::sleep_until(end).await;
        }
    }

    fn happen<T, F>(&self, op: Op, object: &str, effect: F) -> Result<T>
    where
        F: FnOnce(&mut State) -> std::result::Result<T, Refusal>,
    {
        self.world.change(effect).map_err(|(kind, message)| error(op, object, kind, &message))
    }

    async fn happen_late<T, F>(&self, op: Op, object: &str, delay: Duration, effect: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut State) -> std::result::Result<T, Refusal> + Send + 'static,
    {
        let (world, about) = (self.clone(), object.to_owned());
        // A task of its own: the effect comes, whether or not somebody still waits for the answer.
        let effect = tokio::spawn(async move {
            tokio::time::sleep(delay).await;
            world.happen(op, &about, effect)
        });
        match tokio::time::timeout(deadline(op), effect).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(error(op, object, ErrorKind::Unreachable, "connection reset")),
            Err(_) => Err(error(op, object, ErrorKind::Timeout, "no answer in time")),
        }
    }
}

#[async_trait]
impl ContainerRuntime for FakeRuntime {
    async fn info(&self) -> Result<RuntimeInfo> {
        self.call(Op::Info, "runtime", |_| Ok(RuntimeInfo { name: "fake".into(), version: "1.0.0".into() }))
            .await
    }

    async fn list(&self) -> Result<Vec<Container>> {
        let device = self.device.clone();
        self.cleanup(|_, found| found.labels.get(label::DEVICE).is_some_and(|of| *of == *device.as_str()))
            .await;
        self.call(Op::List, "containers", move |state| Ok(state.of_device(&device))).await
    }

    async fn look(&self, deployment: &DeploymentName) -> Result<Vec<Container>> {
        let (device, wanted) = (self.device.clone(), deployment.clone());
        self.call(Op::Look, deployment.as_str(), move |state| {
            let mut found = state.of_device(&device);
            found.retain(|container| container.deployment == wanted);
            Ok(found)
        })
        .await
    }

    async fn holder(&self, name: &str) -> Result<NameHolder> {
        let (device, wanted) = (self.device.clone(), name.to_owned());
        self.cleanup(|id, found| found.name == wanted || id.as_str() == wanted).await;
        self.call(Op::Holder, name, move |state| {
            let holder =
                state.containers.iter().find(|(id, found)| found.name == wanted || id.as_str() == wanted);
            Ok(match holder.map(|(id, found)| (id, found.container(&device, id))) {
                None => NameHolder::Nobody,
                Some((_, Some(ours))) => NameHolder::Ours(Box::new(ours)),
                Some((id, None)) => NameHolder::Foreign(id.clone()),
            })
        })
        .await
    }

    async fn create(&self, name: &str, spec: &CreateSpec) -> Result<ContainerId> {
        let (named, spec) = (name.to_owned(), spec.clone());
        self.call(Op::Create, name, move |state| state.create(&named, &spec)).await
    }

    async fn put_files(&self, id: &ContainerId, files: &[PlacedFile]) -> Result<()> {
        let (which, files) = (id.clone(), files.to_vec());
        self.call(Op::PutFiles, id.as_str(), move |state| state.put_files(&which, files)).await
    }

    async fn start(&self, id: &ContainerId) -> Result<()> {
        let which = id.clone();
        self.call(Op::Start, id.as_str(), move |state| state.start(&which)).await
    }

    async fn unpause(&self, id: &ContainerId) -> Result<()> {
        let which = id.clone();
        self.call(Op::Unpause, id.as_str(), move |state| state.unpause(&which)).await
    }

    async fn signal(&self, id: &ContainerId, signal: &str) -> Result<()> {
        let (which, signal) = (id.clone(), signal.to_owned());
        self.call(Op::Signal, id.as_str(), move |state| state.signal(&which, &signal)).await
    }

    async fn stop_settings(&self, id: &ContainerId) -> Result<StopSettings> {
        let which = id.clone();
        self.call(Op::Holder, id.as_str(), move |state| {
            let found = state.containers.get(&which);
            found.map(|found| found.stop.clone()).ok_or((ErrorKind::NotFound, "no such container".into()))
        })
        .await
    }

    async fn rename(&self, id: &ContainerId, name: &str) -> Result<()> {
        let (which, name) = (id.clone(), name.to_owned());
        self.call(Op::Rename, id.as_str(), move |state| state.rename(&which, &name)).await
    }

    async fn remove(&self, id: &ContainerId) -> Result<()> {
        let which = id.clone();
        self.cleanup(|id, _| *id == which).await;
        self.call(Op::Remove, id.as_str(), move |state| state.remove(&which)).await
    }

    async fn remove_orphan(&self, name: &str) -> Result<()> {
        let named = name.to_owned();
        self.call(Op::RemoveOrphan, name, move |state| state.remove_orphan(&named)).await
    }

    async fn ensure_network(&self, name: &str, labels: &BTreeMap<String, String>) -> Result<()> {
        let (named, labels) = (name.to_owned(), labels.clone());
        self.call(Op::EnsureNetwork, name, move |state| {
            if !state.networks.contains_key(&named) {
                state.journal.push(format!("create network {named}"));
                state.networks.insert(named, labels);
            }
            Ok(())
        })
        .await
    }

    async fn remove_network(&self, name: &str) -> Result<()> {
        let named = name.to_owned();
        self.call(Op::RemoveNetwork, name, move |state| state.remove_network(&named)).await
    }

    async fn ensure_volume(&self, name: &str, labels: &BTreeMap<String, String>) -> Result<()> {
        let (named, labels) = (name.to_owned(), labels.clone());
        self.call(Op::EnsureVolume, name, move |state| {
            if !state.volumes.contains_key(&named) {
                state.journal.push(format!("create volume {named}"));
                state.volumes.insert(named, labels);
            }
            Ok(())
        })
        .await
    }

    async fn image(&self, reference: &str) -> Result<Option<String>> {
        let named = reference.to_owned();
        self.call(Op::Image, reference, move |state| {
            let by_id = || state.images.values().find(|image| image.id == named);
            Ok(state.images.get(&named).or_else(by_id).map(|image| image.id.clone()))
        })
        .await
    }

    async fn images(&self) -> Result<Vec<Image>> {
        self.call(Op::Images, "images", |state| Ok(state.listed_images())).await
    }

    async fn remove_image(&self, name: &str) -> Result<bool> {
        let named = name.to_owned();
        self.call(Op::RemoveImage, name, move |state| Ok(state.remove_image(&named))).await
    }

    async fn storage(&self) -> Result<Option<Storage>> {
        self.call(Op::Storage, "runtime", |state| {
            Ok(state.free.map(|free| Storage { path: "/fake/storage".into(), free }))
        })
        .await
    }

    async fn pull(
        &self,
        reference: &str,
        credential: Option<&RegistryCredential>,
    ) -> Result<BoxStream<'static, Result<PullProgress>>> {
        let (named, credential) = (reference.to_owned(), credential.cloned());
        let asked = self.call(Op::Pull, reference, move |state| {
            state.journal.push(format!("pull {named}"));
            Ok(state.registry.get(&named).cloned())
        });
        Ok(match asked.await {
            // As with podman, what goes wrong is an item of the stream.
            Err(error) => stream::iter([Err(error)]).boxed(),
            Ok(registry) => {
                let unknown = || Registry::fails(ErrorKind::Pull, "manifest unknown");
                let registry = registry.unwrap_or_else(unknown).seeing(credential.as_ref());
                pulling(self.world.clone(), reference.to_owned(), registry)
            }
        })
    }

    async fn run_in(&self, id: &ContainerId, _argv: &[String], limit: Duration) -> Result<Run> {
        let which = id.clone();
        let run = self.call(Op::Exec, id.as_str(), move |state| state.run_in(&which)).await?;
        if run == Run::TooLong {
            tokio::time::sleep(limit).await;
        }
        Ok(run)
    }

    async fn last_words(&self, id: &ContainerId) -> Result<String> {
        let which = id.clone();
        self.call(Op::LastWords, id.as_str(), move |state| {
            let name = state.found(&which)?.name.clone();
            Ok(state.words.get(&name).cloned().unwrap_or_default())
        })
        .await
    }

    async fn hints(&self) -> Result<BoxStream<'static, Result<Hint>>> {
        // Subscribed before the answer: what happens from now on is in the stream.
        let hints = self.world.hints();
        self.call(Op::Hints, "events", |_| Ok(())).await?;
        let live = stream::unfold(hints, |mut hints| async move {
            match hints.recv().await {
                Ok(Some(hint)) => Some((Ok(hint), hints)),
                Ok(None) | Err(_) => None,
            }
        });
        Ok(live.boxed())
    }

    async fn death(&self, process: Process) {
        let mut changes = self.world.changes();
        while self.world.read(|state| state.lives(process)) {
            if changes.changed().await.is_err() {
                return;
            }
        }
    }
}

fn pulling(
    world: Arc<World>,
    reference: String,
    registry: Registry,
) -> BoxStream<'static, Result<PullProgress>> {
    let (step, step_bytes, sync) = (registry.step, registry.step_bytes, registry.sync);
    let total = registry.steps * step_bytes;
    let progress = stream::iter(1..=registry.steps).then(move |done| async move {
        tokio::time::sleep(step).await;
        Ok(PullProgress { current: done * step_bytes, total, is_syncing: false })
    });
    let end = stream::once(async move {
        match registry.end {
            PullEnd::Lands(program) => {
                world.change(|state| state.add_image(&reference, program));
                None
            }
            PullEnd::Fails(kind, message) => Some(Err(error(Op::Pull, &reference, kind, &message))),
            PullEnd::Stalls => std::future::pending().await,
        }
    });
    let syncing = stream::once(async move {
        if sync.is_zero() {
            return None;
        }
        Some(Ok(PullProgress { current: total, total, is_syncing: true }))
    });
    let synced = stream::once(async move {
        tokio::time::sleep(sync).await;
        None
    });
    progress.chain(end.chain(syncing).chain(synced).filter_map(std::future::ready)).boxed()
}
