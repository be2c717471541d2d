//! A world that makes its caller panic: each actor has one call that only it makes.
use async_trait::async_trait;
use bytes::Bytes;
use fleet_agent::bus::{self, BucketSpec, Bus, Followed, LinkState, Request, ServiceSpec};
use fleet_agent::domain::container::{Container, ContainerId, Process};
use fleet_agent::domain::hidden::RegistryCredential;
use fleet_agent::domain::images::{Image, Note};
use fleet_agent::domain::ledger::{self, Ledger, Record};
use fleet_agent::domain::source::Snapshot;
use fleet_agent::domain::spec::{CreateSpec, PlacedFile};
use fleet_agent::runtime::{
    self, ContainerRuntime, Hint, NameHolder, PullProgress, Run, StopSettings, Storage,
};
use fleet_agent::store::{LedgerStore, StateOwner, StoreError};
use fleet_agent::tree::Parts;
use fleet_contracts::DeploymentName;
use fleet_contracts::device::RuntimeInfo;
use futures_util::stream::BoxStream;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// The call that panics next, if any.
#[derive(Clone, Default)]
pub struct Fuse(Arc<Mutex<Option<&'static str>>>);

impl Fuse {
    pub fn light(&self, call: &'static str) {
        *self.0.lock().unwrap() = Some(call);
    }

    fn passes(&self, call: &str) {
        let lit = self.0.lock().unwrap().take_if(|lit| *lit == call);
        assert!(lit.is_none(), "the bomb at `{call}`");
    }

    /// Puts the same fuse into everything that the agent talks to.
    pub fn wire(&self, parts: &mut Parts) {
        let fuse = || self.clone();
        parts.bus = Arc::new(Bomb(parts.bus.clone(), fuse()));
        parts.store = Arc::new(Bomb(parts.store.clone(), fuse()));
        parts.owner = Arc::new(Bomb(parts.owner.clone(), fuse()));
        let runtime = parts.runtime.take().expect("there is one");
        parts.runtime = Some(Arc::new(Bomb(runtime, fuse())));
    }
}

struct Bomb<T>(T, Fuse);

impl StateOwner for Bomb<Arc<dyn StateOwner>> {
    fn still_ours(&self) -> bool {
        self.1.passes("check the lock");
        self.0.still_ours()
    }
}

impl LedgerStore for Bomb<Arc<dyn LedgerStore>> {
    fn load(&self) -> Result<Ledger, StoreError> {
        self.0.load()
    }
    fn save(&self, record: &Record) -> Result<(), StoreError> {
        self.1.passes("save");
        self.0.save(record)
    }
    fn forget(&self, name: &DeploymentName) -> Result<(), StoreError> {
        self.0.forget(name)
    }
    fn save_images(&self, images: &Note) -> Result<(), StoreError> {
        self.0.save_images(images)
    }
    fn save_followed(&self, followed: &ledger::Followed) -> Result<(), StoreError> {
        self.0.save_followed(followed)
    }
}

#[async_trait]
impl Bus for Bomb<Arc<dyn Bus>> {
    fn link(&self) -> tokio::sync::watch::Receiver<LinkState> {
        self.0.link()
    }
    async fn open(&self, bucket: &str) -> bus::Result<()> {
        self.0.open(bucket).await
    }
    async fn create(&self, bucket: &BucketSpec) -> bus::Result<()> {
        self.0.create(bucket).await
    }
    async fn snapshot(
        &self,
        bucket: &str,
        filter: &str,
        known: &BTreeMap<String, u64>,
    ) -> bus::Result<Snapshot> {
        self.0.snapshot(bucket, filter, known).await
    }
    async fn follow(&self, bucket: &str, filter: &str) -> bus::Result<Followed> {
        self.1.passes("follow");
        self.0.follow(bucket, filter).await
    }
    async fn put(&self, bucket: &str, key: &str, value: Bytes) -> bus::Result<u64> {
        self.1.passes(&format!("put {bucket}"));
        self.0.put(bucket, key, value).await
    }
    async fn put_over(&self, bucket: &str, key: &str, value: Bytes, last: u64) -> bus::Result<u64> {
        self.1.passes(&format!("put {bucket}"));
        self.0.put_over(bucket, key, value, last).await
    }
    async fn delete(&self, bucket: &str, key: &str) -> bus::Result<()> {
        self.0.delete(bucket, key).await
    }
    async fn publish(&self, subject: &str, payload: Bytes) -> bus::Result<()> {
        self.0.publish(subject, payload).await
    }
    async fn serve(&self, service: &ServiceSpec) -> bus::Result<BoxStream<'static, Request>> {
        self.1.passes("serve");
        self.0.serve(service).await
    }
    async fn close(&self, budget: Duration) {
        self.0.close(budget).await;
    }
}

#[async_trait]
impl ContainerRuntime for Bomb<Arc<dyn ContainerRuntime>> {
    async fn info(&self) -> runtime::Result<RuntimeInfo> {
        self.0.info().await
    }
    async fn list(&self) -> runtime::Result<Vec<Container>> {
        self.1.passes("list");
        self.0.list().await
    }
    async fn look(&self, deployment: &DeploymentName) -> runtime::Result<Vec<Container>> {
        self.0.look(deployment).await
    }
    async fn holder(&self, name: &str) -> runtime::Result<NameHolder> {
        self.0.holder(name).await
    }
    async fn create(&self, name: &str, spec: &CreateSpec) -> runtime::Result<ContainerId> {
        self.1.passes("create");
        self.0.create(name, spec).await
    }
    async fn put_files(&self, id: &ContainerId, files: &[PlacedFile]) -> runtime::Result<()> {
        self.0.put_files(id, files).await
    }
    async fn start(&self, id: &ContainerId) -> runtime::Result<()> {
        self.0.start(id).await
    }
    async fn unpause(&self, id: &ContainerId) -> runtime::Result<()> {
        self.0.unpause(id).await
    }
    async fn signal(&self, id: &ContainerId, signal: &str) -> runtime::Result<()> {
        self.0.signal(id, signal).await
    }
    async fn stop_settings(&self, id: &ContainerId) -> runtime::Result<StopSettings> {
        self.0.stop_settings(id).await
    }
    async fn rename(&self, id: &ContainerId, name: &str) -> runtime::Result<()> {
        self.0.rename(id, name).await
    }
    async fn remove(&self, id: &ContainerId) -> runtime::Result<()> {
        self.0.remove(id).await
    }
    async fn remove_orphan(&self, name: &str) -> runtime::Result<()> {
        self.0.remove_orphan(name).await
    }
    async fn ensure_network(&self, name: &str, labels: &BTreeMap<String, String>) -> runtime::Result<()> {
        self.0.ensure_network(name, labels).await
    }
    async fn remove_network(&self, name: &str) -> runtime::Result<()> {
        self.0.remove_network(name).await
    }
    async fn ensure_volume(&self, name: &str, labels: &BTreeMap<String, String>) -> runtime::Result<()> {
        self.0.ensure_volume(name, labels).await
    }
    async fn image(&self, reference: &str) -> runtime::Result<Option<String>> {
        self.0.image(reference).await
    }
    async fn images(&self) -> runtime::Result<Vec<Image>> {
        self.0.images().await
    }
    async fn remove_image(&self, name: &str) -> runtime::Result<bool> {
        self.0.remove_image(name).await
    }
    async fn storage(&self) -> runtime::Result<Option<Storage>> {
        self.0.storage().await
    }
    async fn pull(
        &self,
        reference: &str,
        credential: Option<&RegistryCredential>,
    ) -> runtime::Result<BoxStream<'static, runtime::Result<PullProgress>>> {
        self.0.pull(reference, credential).await
    }
    async fn run_in(&self, id: &ContainerId, argv: &[String], limit: Duration) -> runtime::Result<Run> {
        self.0.run_in(id, argv, limit).await
    }
    async fn last_words(&self, id: &ContainerId) -> runtime::Result<String> {
        self.0.last_words(id).await
    }
    async fn hints(&self) -> runtime::Result<BoxStream<'static, runtime::Result<Hint>>> {
        self.0.hints().await
    }
    async fn death(&self, process: Process) {
        self.0.death(process).await;
    }
}
