//! A runtime for tests: deterministic, in tokio time, as treacherous as podman was measured to be.
//!
//! [`FakeRuntime`] is both the runtime and the handle on its world; clones share the world.
use super::{ErrorKind, Run, RuntimeError};
use crate::domain::container::{ContainerId, Process, Status};
use crate::domain::hidden::Hidden;
use crate::domain::spec::PlacedFile;
use fleet_contracts::DeviceId;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

mod calls;
mod effects;
mod faults;
mod program;
mod state;
mod world;

pub use super::Operation as Op;
pub use program::{Program, Registry};
use state::{Found, State};
use world::World;

/// One device's view of a world of containers that exists only in memory.
#[derive(Clone)]
pub struct FakeRuntime {
    device: DeviceId,
    world: Arc<World>,
}

/// A container of the world, whoever's it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FakeContainer {
    pub id: ContainerId,
    pub name: String,
    pub labels: BTreeMap<String, String>,
    pub status: Status,
    /// What was put into it.
    pub files: Vec<PlacedFile>,
    /// Its variables from secrets.
    pub hidden_env: BTreeMap<String, Hidden>,
}

/// What tests do to the world behind the runtime's back.
impl FakeRuntime {
    pub fn new(device: DeviceId) -> Self {
        Self { device, world: World::new() }
    }

    /// The same world as another device sees it.
    pub fn for_device(&self, device: DeviceId) -> Self {
        Self { device, world: self.world.clone() }
    }

    /// Puts an image on the device whose program ends at once on SIGTERM, with 143.
    pub fn add_image(&self, reference: &str) {
        self.add_image_with(reference, Program::polite());
    }

    pub fn add_image_with(&self, reference: &str, program: Program) {
        self.world.change(|state| state.add_image(reference, program));
    }

    /// Somebody's `podman tag`.
    pub fn tag_image(&self, reference: &str, name: &str) {
        self.world.change(|state| state.tag_image(reference, name));
    }

    pub fn has_image(&self, reference: &str) -> bool {
        self.world.read(|state| state.images.contains_key(reference))
    }

    pub fn remove_image(&self, reference: &str) {
        self.world.change(|state| state.images.remove(reference));
    }

    /// So many bytes are free where images are, or nobody can say.
    pub fn set_free(&self, free: Option<u64>) {
        self.world.change(|state| state.free = free);
    }

    /// Says what a pull of this reference does; of one that nothing was said of it fails.
    pub fn registry(&self, reference: &str, registry: Registry) {
        self.world.change(|state| state.registry.insert(reference.into(), registry));
    }

    /// A container without any label of ours, running.
    pub fn foreign_container(&self, name: &str) -> ContainerId {
        self.world.change(|state| state.add_foreign(name))
    }

    /// Somebody else listens on this port of the device.
    pub fn occupy_port(&self, port: u16) {
        self.world.change(|state| state.occupied_ports.insert(port));
    }

    pub fn free_port(&self, port: u16) {
        self.world.change(|state| state.occupied_ports.remove(&port));
    }

    /// What the document asks of the container of this name is not to be had: no create, or no start of it succeeds.
    pub fn refuses(&self, op: Op, name: &str, said: &str) {
        self.world.change(|state| state.faults.refuse(op, name, said));
    }

    /// A container's process gets SIGKILL from outside.
    pub fn kill(&self, name: &str) {
        self.exit(name, 137);
    }

    /// A container's process ends by itself.
    pub fn exit(&self, name: &str, code: i64) {
        self.world.change(|state| state.exit_named(name, code));
    }

    /// Process and conmon die together: the runtime says `running` ever after.
    pub fn kill_with_conmon(&self, name: &str) {
        self.world.change(|state| {
            state.with(name, |found| {
                found.process = None;
                found.status = Status::Lying;
            })
        });
    }

    /// Somebody's `podman stop` is under way, or whatever else a status says.
    pub fn set_status(&self, name: &str, status: Status) {
        self.world.change(|state| state.with(name, |found| found.status = status));
    }

    /// Somebody sent its stop signal, and calls it `stopping` until it ends.
    pub fn being_stopped(&self, name: &str) {
        let stopping = |process: Option<Process>| process.map(Status::Stopping);
        self.world.change(|state| {
            state.with(name, |found| found.status = stopping(found.process).unwrap_or(found.status));
        });
    }

    /// What the container of this name says last.
    pub fn says(&self, name: &str, words: &str) {
        self.world.change(|state| state.words.insert(name.into(), words.into()));
    }

    /// What commands in the container of this name come to from now on.
    pub fn set_run(&self, name: &str, run: Run) {
        self.world.change(|state| state.runs.insert(name.into(), run));
    }

    /// Somebody's `podman pause`.
    pub fn pause(&self, name: &str) {
        self.world.change(|state| {
            state.with(name, |found| {
                if matches!(found.status, Status::Running(_)) {
                    found.status = Status::Paused;
                }
            })
        });
    }

    /// Somebody's `podman rm -f`.
    pub fn user_removes(&self, name: &str) {
        self.world.change(|state| state.vanish(name));
    }

    /// The name is taken in storage and in no list.
    pub fn orphan(&self, name: &str) {
        self.world.change(|state| state.orphans.insert(name.into()));
    }

    /// Processes die, containers come back as `Created`, streams end. Images, volumes, networks stay.
    pub fn reboot(&self) {
        self.world.change(State::reboot);
    }

    /// The same by a power cut: the last creates, renames and removes, so many, never reached the disk.
    pub fn power_cut(&self, lost: usize) {
        self.world.change(|state| state.power_cut(lost));
    }

    /// The socket is gone: calls fail as `Unreachable`, streams end.
    pub fn down(&self) {
        self.world.change(|state| state.set_down(true));
    }

    pub fn up(&self) {
        self.world.change(|state| state.set_down(false));
    }

    /// Every call takes this long from now on.
    pub fn latency(&self, latency: Duration) {
        self.world.change(|state| state.faults.latency = latency);
    }

    /// The next call fails and nothing happens.
    pub fn fail_next(&self, op: Op, kind: ErrorKind, message: &str) {
        let fault = faults::Fault::Fails(kind, message.into());
        self.world.change(|state| state.faults.push(op, fault));
    }

    /// The next call happens, and its answer is lost: the caller gets this error.
    pub fn lose_answer(&self, op: Op, kind: ErrorKind) {
        self.world.change(|state| state.faults.push(op, faults::Fault::LosesAnswer(kind)));
    }

    /// The next call happens only this long after it was made; a caller whose deadline is shorter
    /// has given up by then.
    pub fn delay_next(&self, op: Op, delay: Duration) {
        self.world.change(|state| state.faults.push(op, faults::Fault::Late(delay)));
    }

    /// The runtime dies in the middle of the next create: the name is taken, nothing is listed.
    pub fn orphan_next_create(&self) {
        self.world.change(|state| state.faults.push(Op::Create, faults::Fault::Orphans));
    }

    /// The runtime dies in the middle of the next start: the container can never be started again.
    pub fn cut_off_next_start(&self) {
        self.world.change(|state| state.faults.push(Op::Start, faults::Fault::CutsOff));
    }

    /// Calls of this kind hang until [`Self::release`] or their deadline.
    pub fn hang(&self, op: Op) {
        self.world.change(|state| state.faults.hang(op));
    }

    pub fn release(&self, op: Op) {
        self.world.change(|state| state.faults.release(op));
    }
}

/// What tests ask the world.
impl FakeRuntime {
    /// Every effect that happened, in order: `create fleet-web.a`, `signal fleet-web.a SIGTERM`,
    /// `rename fleet-web.a -> fleet-web.a.old`, …
    pub fn journal(&self) -> Vec<String> {
        self.world.read(|state| state.journal.clone())
    }

    pub fn clear_journal(&self) {
        self.world.change(|state| state.journal.clear());
    }

    /// How often this was called, failures included.
    pub fn calls(&self, op: Op) -> usize {
        self.world.read(|state| state.faults.calls(op))
    }

    /// Promises that were broken so far: two live containers in one slot, or a foreign one touched.
    pub fn violations(&self) -> Vec<String> {
        self.world.read(|state| state.violations.clone())
    }

    /// All containers of the world by name.
    pub fn containers(&self) -> Vec<FakeContainer> {
        self.world.read(|state| {
            let mut all: Vec<_> = state.containers.iter().map(|(id, found)| found.shown(id)).collect();
            all.sort_by(|a, b| a.name.cmp(&b.name));
            all
        })
    }

    pub fn container(&self, name: &str) -> Option<FakeContainer> {
        self.containers().into_iter().find(|container| container.name == name)
    }

    /// The live process of a container.
    pub fn process(&self, name: &str) -> Option<Process> {
        self.world.read(|state| state.named(name).and_then(|id| state.containers.get(&id)?.process))
    }

    pub fn pid(&self, name: &str) -> Option<u32> {
        self.process(name).map(|process| process.pid)
    }

    /// Names of all volumes.
    pub fn volumes(&self) -> Vec<String> {
        self.world.read(|state| state.volumes.keys().cloned().collect())
    }

    /// Names of all networks.
    pub fn networks(&self) -> Vec<String> {
        self.world.read(|state| state.networks.keys().cloned().collect())
    }

    /// Waits until the predicate holds of this world, looking again at every change.
    pub async fn until(&self, predicate: impl Fn(&Self) -> bool) {
        let mut changes = self.world.changes();
        while !predicate(self) {
            // The world outlives its handle.
            if changes.changed().await.is_err() {
                return;
            }
        }
    }
}

impl Found {
    fn shown(&self, id: &ContainerId) -> FakeContainer {
        FakeContainer {
            id: id.clone(),
            name: self.name.clone(),
            labels: self.labels.clone(),
            status: self.status,
            files: self.files.values().cloned().collect(),
            hidden_env: self.hidden_env.clone(),
        }
    }
}

fn error(op: Op, object: &str, kind: ErrorKind, message: &str) -> RuntimeError {
    RuntimeError { operation: op.name(), object: object.into(), kind, message: message.into() }
}

#[cfg(test)]
mod tests;
