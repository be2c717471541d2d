//! The rules of the fake world, without time and without waiting.
use super::faults::Faults;
use super::program::{Exit, Program, Registry};
use crate::domain::container::{Container, ContainerId, Process, Status};
use crate::domain::hidden::Hidden;
use crate::domain::spec::PlacedFile;
use crate::runtime::identity::identity;
use crate::runtime::{Hint, Run, StopSettings};
use fleet_contracts::names::label;
use fleet_contracts::{DeviceId, Timestamp};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;
use tokio::time::Instant;

/// A container as the world knows it.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) name: String,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) status: Status,
    /// The live process, also while the status is `Stopping` or `Busy`.
    pub(super) process: Option<Process>,
    pub(super) stop: StopSettings,
    pub(super) network: String,
    pub(super) host_ports: Vec<u16>,
    pub(super) program: Program,
    pub(super) image_id: Option<String>,
    /// The runtime was cut off in its start.
    pub(super) is_unstartable: bool,
    /// Signals that came while it was frozen.
    pub(super) unheard: Vec<String>,
    pub(super) started_at: Option<Timestamp>,
    /// Until when the runtime cleans up after its process.
    pub(super) cleanup: Option<Instant>,
    /// What was put into it, by path.
    pub(super) files: BTreeMap<String, PlacedFile>,
    pub(super) hidden_env: BTreeMap<String, Hidden>,
}

/// More than so many changes of podman's are not lost in one power cut.
const FORMER_MAX: usize = 4;

/// From the end of a process to the end of podman's cleanup; measured 200 to 500 ms.
const CLEANUP: Duration = Duration::from_millis(300);

pub(super) struct Image {
    pub(super) id: String,
    pub(super) program: Program,
}

pub(super) struct State {
    pub(super) containers: BTreeMap<ContainerId, Found>,
    /// As they were before the last creates, renames and removes: the newest last.
    pub(super) former: VecDeque<BTreeMap<ContainerId, Found>>,
    pub(super) orphans: BTreeSet<String>,
    /// Reference → image.
    pub(super) images: BTreeMap<String, Image>,
    /// Reference → what a pull does.
    pub(super) registry: BTreeMap<String, Registry>,
    /// Name → labels.
    pub(super) networks: BTreeMap<String, BTreeMap<String, String>>,
    /// Name → labels.
    pub(super) volumes: BTreeMap<String, BTreeMap<String, String>>,
    /// Container name → what it said last.
    pub(super) words: BTreeMap<String, String>,
    /// Container name → what a command in it comes to; others succeed.
    pub(super) runs: BTreeMap<String, Run>,
    pub(super) occupied_ports: BTreeSet<u16>,
    pub(super) faults: Faults,
    pub(super) journal: Vec<String>,
    pub(super) violations: Vec<String>,
    pub(super) is_down: bool,
    /// Free bytes where images are; None: not seen from here.
    pub(super) free: Option<u64>,
    /// Source of ids, pids and start times: never the same twice.
    counter: u32,
    began: Instant,
    hints: Vec<Option<Hint>>,
    pub(super) exits: Vec<(Process, Exit)>,
}

impl State {
    pub(super) fn new() -> Self {
        Self {
            containers: BTreeMap::new(),
            former: VecDeque::new(),
            orphans: BTreeSet::new(),
            images: BTreeMap::new(),
            registry: BTreeMap::new(),
            networks: BTreeMap::new(),
            volumes: BTreeMap::new(),
            words: BTreeMap::new(),
            runs: BTreeMap::new(),
            occupied_ports: BTreeSet::new(),
            faults: Faults::default(),
            journal: Vec::new(),
            violations: Vec::new(),
            is_down: false,
            free: Some(1 << 40),
            counter: 1000,
            began: Instant::now(),
            hints: Vec::new(),
            exits: Vec::new(),
        }
    }

    pub(super) fn take_consequences(&mut self) -> (Vec<Option<Hint>>, Vec<(Process, Exit)>) {
        (std::mem::take(&mut self.hints), std::mem::take(&mut self.exits))
    }

    pub(super) fn named(&self, name: &str) -> Option<ContainerId> {
        self.containers.iter().find(|(_, found)| found.name == name).map(|(id, _)| id.clone())
    }

    pub(super) fn of_device(&self, device: &DeviceId) -> Vec<Container> {
        self.containers.iter().filter_map(|(id, found)| found.container(device, id)).collect()
    }

    pub(super) fn add_image(&mut self, reference: &str, program: Program) {
        let id = format!("sha256:{:064x}", self.next());
        let former = self.images.insert(reference.into(), Image { id, program });
        // Without a name, by its id.
        let is_nameless = |former: &Image| !self.images.values().any(|image| image.id == former.id);
        if let Some(former) = former.filter(is_nameless) {
            self.images.insert(former.id.clone(), former);
        }
    }

    pub(super) fn tag_image(&mut self, reference: &str, name: &str) {
        let image = self.images.get(reference).map(|image| (image.id.clone(), image.program.clone()));
        if let Some((id, program)) = image {
            self.images.insert(name.into(), Image { id, program });
        }
    }

    pub(super) fn add_foreign(&mut self, name: &str) -> ContainerId {
        let process = self.new_process();
        let found = Found {
            name: name.into(),
            labels: BTreeMap::new(),
            status: Status::Running(process),
            process: Some(process),
            stop: StopSettings { signal: "SIGTERM".into(), grace: Duration::from_secs(10) },
            network: "host".into(),
            host_ports: Vec::new(),
            program: Program::polite(),
            image_id: None,
            is_unstartable: false,
            unheard: Vec::new(),
            started_at: Some(self.now()),
            cleanup: None,
            files: BTreeMap::new(),
            hidden_env: BTreeMap::new(),
        };
        self.insert(found)
    }

    pub(super) fn exit_named(&mut self, name: &str, code: i64) {
        let process = self.named(name).and_then(|id| self.containers.get(&id)?.process);
        if let Some(process) = process {
            self.exit_process(process, code);
        }
    }

    /// Nothing when it has ended already.
    pub(super) fn exit_process(&mut self, process: Process, code: i64) {
        let of = self.containers.iter().find(|(_, found)| found.process == Some(process));
        let Some(id) = of.map(|(id, _)| id.clone()) else { return };
        if let Ok(found) = self.found_mut(&id) {
            found.status = Status::Exited { code };
            found.process = None;
            found.cleanup = Some(Instant::now() + CLEANUP);
        }
        self.hint(&id);
    }

    pub(super) fn vanish(&mut self, name: &str) {
        if let Some(id) = self.named(name) {
            self.hint(&id);
            self.containers.remove(&id);
        }
    }

    pub(super) fn with(&mut self, name: &str, change: impl FnOnce(&mut Found)) {
        if let Some(found) = self.named(name).and_then(|id| self.containers.get_mut(&id)) {
            change(found);
        }
    }

    /// Before a change that lives on the disk.
    pub(super) fn remember(&mut self) {
        self.former.push_back(self.containers.clone());
        if self.former.len() > FORMER_MAX {
            self.former.pop_front();
        }
    }

    pub(super) fn power_cut(&mut self, lost: usize) {
        for _ in 0..lost {
            if let Some(former) = self.former.pop_back() {
                self.containers = former;
            }
        }
        self.reboot();
    }

    pub(super) fn reboot(&mut self) {
        for found in self.containers.values_mut() {
            // What the OCI runtime knew is in memory only.
            (found.is_unstartable, found.cleanup) = (false, None);
            found.status = Status::Created;
            found.process = None;
        }
        self.hints.push(None);
    }

    pub(super) fn set_down(&mut self, down: bool) {
        self.is_down = down;
        if down {
            self.hints.push(None);
        }
    }

    pub(super) fn lives(&self, process: Process) -> bool {
        self.containers.values().any(|found| found.process == Some(process))
    }

    /// Writes an effect on a container into the journal and tells of it.
    pub(super) fn note(&mut self, id: &ContainerId, effect: String) {
        if self.containers.get(id).is_some_and(|found| !found.labels.contains_key(label::DEVICE)) {
            self.violations.push(format!("{effect}: a foreign container"));
        }
        self.journal.push(effect);
        self.hint(id);
    }

    pub(super) fn hint(&mut self, id: &ContainerId) {
        let deployment =
            self.containers.get(id).and_then(|found| found.labels.get(label::DEPLOYMENT)?.parse().ok());
        self.hints.extend(deployment.map(|deployment| Some(Hint { deployment })));
    }

    pub(super) fn insert(&mut self, found: Found) -> ContainerId {
        let id = ContainerId::new(&format!("{:064x}", self.next()));
        self.containers.insert(id.clone(), found);
        self.hint(&id);
        id
    }

    fn next(&mut self) -> u32 {
        self.counter += 1;
        self.counter
    }

    pub(super) fn new_process(&mut self) -> Process {
        let pid = self.next();
        Process { pid, start_ticks: u64::from(pid) * 100 }
    }

    /// Virtual time, from an arbitrary day on.
    pub(super) fn now(&self) -> Timestamp {
        const DAY_ONE: i64 = 1_700_000_000;
        let passed = i64::try_from(self.began.elapsed().as_secs()).unwrap_or(i64::MAX / 2);
        Timestamp::from_unix_seconds(DAY_ONE + passed).unwrap_or_else(Timestamp::now)
    }
}

impl Found {
    pub(super) fn container(&self, device: &DeviceId, id: &ContainerId) -> Option<Container> {
        let status = match self.status {
            Status::Exited { code } if self.is_cleaned_up() => Status::Exited { code },
            Status::Exited { code } => Status::Ended { code },
            other => other,
        };
        let container = identity(device, &self.labels)?.container(id.clone(), &self.name, status);
        Some(Container { image_id: self.image_id.clone(), started_at: self.started_at, ..container })
    }

    pub(super) fn is_cleaned_up(&self) -> bool {
        self.cleanup.is_none_or(|end| end <= Instant::now())
    }
}
