//! The effects that a runtime is asked for, and when the world says no.
use super::state::{Found, State};
use crate::domain::container::{ContainerId, Status};
use crate::domain::images as domain;
use crate::domain::spec::{CreateSpec, PlacedFile};
use crate::runtime::{ErrorKind, Operation as Op, Run, StopSettings};
use fleet_contracts::names::label;
use std::collections::BTreeMap;
use std::time::Duration;

/// Why the world says no.
pub(super) type Refusal = (ErrorKind, String);

impl State {
    pub(super) fn create(&mut self, name: &str, spec: &CreateSpec) -> Result<ContainerId, Refusal> {
        let Some(image) = self.images.get(&spec.image) else {
            return Err((ErrorKind::ImageMissing, format!("no such image: {}", spec.image)));
        };
        if !matches!(spec.network.as_str(), "host" | "none") && !self.networks.contains_key(&spec.network) {
            return Err((ErrorKind::NotFound, format!("network {} not found", spec.network)));
        }
        // In podman's order: image, network, name.
        if self.named(name).is_some() || self.orphans.contains(name) {
            return Err((ErrorKind::NameInUse, format!("the container name \"{name}\" is already in use")));
        }
        self.faults.refuses(Op::Create, name)?;
        let found = Found {
            name: name.into(),
            labels: spec.labels.clone(),
            status: Status::Created,
            process: None,
            stop: StopSettings {
                signal: spec.stop_signal.clone(),
                grace: Duration::from_secs(spec.stop_timeout_s.into()),
            },
            network: spec.network.clone(),
            host_ports: spec.ports.iter().map(|port| port.host).collect(),
            program: image.program.clone(),
            image_id: Some(image.id.clone()),
            is_unstartable: false,
            unheard: Vec::new(),
            started_at: None,
            cleanup: None,
            files: BTreeMap::new(),
            hidden_env: spec.hidden_env.clone(),
        };
        self.remember();
        self.journal.push(format!("create {name}"));
        Ok(self.insert(found))
    }

    pub(super) fn put_files(&mut self, id: &ContainerId, files: Vec<PlacedFile>) -> Result<(), Refusal> {
        let found = self.found_mut(id)?;
        let name = found.name.clone();
        for file in files {
            let inside = |other: &String| file.path.starts_with(&format!("{other}/"));
            if let Some(other) = found.files.keys().find(|other| inside(other)) {
                return Err((ErrorKind::Refused, format!("{other}: not a directory")));
            }
            found.files.insert(file.path.clone(), file);
        }
        self.note(id, format!("put files into {name}"));
        Ok(())
    }

    pub(super) fn start(&mut self, id: &ContainerId) -> Result<(), Refusal> {
        let found = self.found(id)?;
        match found.status {
            // Podman answers success and does nothing, in both cases.
            Status::Running(_) | Status::Lying => return Ok(()),
            Status::Stopping(_) | Status::Paused | Status::Busy => {
                return Err((ErrorKind::Refused, "must be in Created or Stopped state to be started".into()));
            }
            Status::Created | Status::Ended { .. } | Status::Exited { .. } => {}
        }
        if found.is_unstartable {
            let said = "runc create failed: container with given ID already exists";
            return Err((ErrorKind::Unstartable, said.into()));
        }
        self.faults.refuses(Op::Start, &found.name)?;
        if let Some(port) = found.host_ports.iter().find(|port| self.is_taken(**port)) {
            return Err((
                ErrorKind::PortInUse,
                format!("listen tcp4 0.0.0.0:{port}: bind: address already in use"),
            ));
        }
        self.note_second_in_slot(id);
        self.note_unfinished(id);
        let (process, now) = (self.new_process(), self.now());
        let found = self.found_mut(id)?;
        found.status = Status::Running(process);
        found.process = Some(process);
        found.started_at = Some(now);
        found.cleanup = None;
        let by_itself = found.program.by_itself;
        let line = format!("start {}", found.name);
        self.exits.extend(by_itself.map(|exit| (process, exit)));
        self.note(id, line);
        Ok(())
    }

    pub(super) fn unpause(&mut self, id: &ContainerId) -> Result<(), Refusal> {
        let found = self.found_mut(id)?;
        if let (Status::Paused, Some(process)) = (found.status, found.process) {
            found.status = Status::Running(process);
            let unheard = std::mem::take(&mut found.unheard);
            let line = format!("unpause {}", found.name);
            self.note(id, line);
            unheard.iter().try_for_each(|signal| self.signal(id, signal))?;
        }
        Ok(())
    }

    pub(super) fn signal(&mut self, id: &ContainerId, signal: &str) -> Result<(), Refusal> {
        let Some(found) = self.containers.get(id) else { return Ok(()) };
        let Some(process) = found.process else { return Ok(()) };
        let exit = found.program.signals.get(signal).copied();
        let (line, is_frozen) = (format!("signal {} {signal}", found.name), found.status == Status::Paused);
        self.note(id, line);
        // runc thaws for this one (container_linux.go, Signal), and cgroup v2 kills what is frozen.
        if is_frozen && signal != "SIGKILL" {
            let found = self.found_mut(id)?;
            found.unheard.push(signal.into());
            return Ok(());
        }
        match (signal, exit) {
            ("SIGKILL", _) => self.exit_process(process, 137),
            (_, Some(exit)) if exit.after.is_zero() => self.exit_process(process, exit.code),
            (_, Some(exit)) => self.exits.push((process, exit)),
            (_, None) => {}
        }
        Ok(())
    }

    pub(super) fn run_in(&mut self, id: &ContainerId) -> Result<Run, Refusal> {
        let found = self.found_mut(id)?;
        if !matches!(found.status, Status::Running(_)) {
            return Err((ErrorKind::Refused, "it does not run".into()));
        }
        let name = found.name.clone();
        Ok(self.runs.get(&name).cloned().unwrap_or(Run::Ended { code: 0, said: String::new() }))
    }

    pub(super) fn rename(&mut self, id: &ContainerId, name: &str) -> Result<(), Refusal> {
        let old = self.found(id)?.name.clone();
        // Podman does not ask its storage here: the name of an orphan is free for this.
        if self.named(name).is_some_and(|holder| holder != *id) {
            return Err((ErrorKind::NameInUse, format!("name {name} already in use")));
        }
        self.remember();
        self.found_mut(id)?.name = name.into();
        self.note(id, format!("rename {old} -> {name}"));
        Ok(())
    }

    pub(super) fn remove(&mut self, id: &ContainerId) -> Result<(), Refusal> {
        let Some(found) = self.containers.get(id) else { return Ok(()) };
        if found.status.is_alive() {
            return Err((ErrorKind::Refused, "it is alive".into()));
        }
        let line = format!("remove {}", found.name);
        self.remember();
        self.note(id, line);
        self.containers.remove(id);
        Ok(())
    }

    pub(super) fn remove_orphan(&mut self, name: &str) -> Result<(), Refusal> {
        if self.named(name).is_some() {
            return Err((ErrorKind::Refused, "a listed container has this name".into()));
        }
        if self.orphans.remove(name) {
            self.journal.push(format!("remove orphan {name}"));
        }
        Ok(())
    }

    pub(super) fn listed_images(&self) -> Vec<domain::Image> {
        let mut all: BTreeMap<&String, domain::Image> = BTreeMap::new();
        for (name, image) in &self.images {
            let listed = all.entry(&image.id).or_insert_with(|| domain::Image {
                id: image.id.clone(),
                names: Default::default(),
                is_used: self.is_image_used(&image.id),
            });
            // What lost its name is kept by its id.
            listed.names.extend((*name != image.id).then(|| name.clone()));
        }
        all.into_values().collect()
    }

    fn is_image_used(&self, id: &str) -> bool {
        self.containers.values().any(|found| found.image_id.as_deref() == Some(id))
    }

    /// As podman: only the last name of an image that a container uses is refused.
    pub(super) fn remove_image(&mut self, name: &str) -> bool {
        let by_id = self.images.iter().find(|(_, image)| image.id == name).map(|(name, _)| name.clone());
        let Some(name) = self.images.contains_key(name).then(|| name.to_owned()).or(by_id) else {
            return true;
        };
        let id = self.images[&name].id.clone();
        let is_last = self.images.values().filter(|image| image.id == id).count() == 1;
        if is_last && self.is_image_used(&id) {
            return false;
        }
        self.images.remove(&name);
        self.journal.push(format!("remove image {name}"));
        true
    }

    pub(super) fn remove_network(&mut self, name: &str) -> Result<(), Refusal> {
        if self.containers.values().any(|found| found.network == name) {
            return Err((ErrorKind::Refused, format!("\"{name}\" has associated containers with it")));
        }
        if self.networks.remove(name).is_some() {
            self.journal.push(format!("remove network {name}"));
        }
        Ok(())
    }

    fn is_taken(&self, port: u16) -> bool {
        self.occupied_ports.contains(&port)
            || self
                .containers
                .values()
                .any(|other| other.process.is_some() && other.host_ports.contains(&port))
    }

    fn note_second_in_slot(&mut self, id: &ContainerId) {
        let Some(found) = self.containers.get(id) else { return };
        let slot = |found: &Found| {
            [label::DEVICE, label::DEPLOYMENT, label::SERVICE].map(|key| found.labels.get(key).cloned())
        };
        let mine = slot(found);
        let is_live_twin = |(other, twin): &(&ContainerId, &Found)| {
            *other != id && (twin.process.is_some() || !twin.is_cleaned_up()) && slot(twin) == mine
        };
        if let Some((_, twin)) = self.containers.iter().find(is_live_twin) {
            let (name, twin, is_alive) = (&found.name, &twin.name, twin.process.is_some());
            self.violations.push(match is_alive {
                true => format!("{name} was started while {twin} was alive"),
                false => format!("{name} was started before {twin} was cleaned up"),
            });
        }
    }

    fn note_unfinished(&mut self, id: &ContainerId) {
        let drafts = self.containers.get(id).filter(|found| found.name.ends_with(".draft"));
        if let Some(name) = drafts.map(|found| found.name.clone()) {
            self.violations.push(format!("{name} was started before it was finished"));
        }
    }

    pub(super) fn found(&self, id: &ContainerId) -> Result<&Found, Refusal> {
        self.containers.get(id).ok_or_else(|| no_such(id))
    }

    pub(super) fn found_mut(&mut self, id: &ContainerId) -> Result<&mut Found, Refusal> {
        self.containers.get_mut(id).ok_or_else(|| no_such(id))
    }
}

fn no_such(id: &ContainerId) -> Refusal {
    (ErrorKind::NotFound, format!("no container with id {id}"))
}
