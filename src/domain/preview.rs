//! What a document would change, before anybody writes it.
use super::container::Container;
use super::desired::{Target, Wanted};
use super::plan::View;
use fleet_contracts::DeploymentName;
use fleet_contracts::desired::Pull;
use fleet_contracts::names::{Role, container_name};
use std::collections::{BTreeMap, BTreeSet};

/// Names of containers. One that is replaced is both stopped and started.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Preview {
    pub stop: BTreeSet<String>,
    pub start: BTreeSet<String>,
    /// Left alone.
    pub keep: BTreeSet<String>,
    /// Of new containers: by reference, and whether to pull one that is on the device.
    pub images: BTreeMap<String, Pull>,
}

impl Preview {
    /// None: the deployment is removed.
    pub fn new(deployment: &DeploymentName, wanted: Option<&Wanted>, containers: &[Container]) -> Self {
        let mut preview = Self::default();
        let targets = wanted.iter().flat_map(|wanted| &wanted.targets);
        for (service, target) in targets {
            let view = View::of(deployment, service, containers);
            preview.slot(target, container_name(deployment, service, Role::Main), &view);
        }
        let is_wanted =
            |container: &&Container| wanted.is_some_and(|w| w.targets.contains_key(&container.service));
        let dropped = containers.iter().filter(|container| !is_wanted(container));
        preview.stop.extend(dropped.filter(|c| c.status.is_alive()).map(|c| c.name.clone()));
        preview
    }

    fn slot(&mut self, target: &Target, name: String, view: &View) {
        let live = || view.all().filter(|container| container.status.is_alive());
        let equal = || view.all().filter(|container| target.digest_is(container));
        if let Some(serving) = live().find(|container| target.digest_is(container)) {
            self.keep.insert(name);
            // A second one in the slot goes.
            let others = live().filter(|other| other.id != serving.id);
            return self.stop.extend(others.map(|other| other.name.clone()));
        }
        self.stop.extend(live().map(|container| container.name.clone()));
        let stays_down = |c: &Container| c.status.exit_code().is_some_and(|code| target.stays_down(code));
        if equal().any(stays_down) {
            self.keep.insert(name);
        } else {
            if equal().next().is_none() {
                self.images.insert(target.service.image.clone(), target.service.pull);
            }
            self.start.insert(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::container::{ContainerId, Process, Status};

    const ALIVE: Status = Status::Running(Process { pid: 7, start_ticks: 7 });

    fn wanted(services: &str) -> Wanted {
        let document = format!(r#"{{"type": "PodmanV0", "data": {{"services": [{services}]}}}}"#);
        Wanted::read(document.as_bytes(), 1).unwrap()
    }

    fn container(wanted: &Wanted, service: &str, status: Status) -> Container {
        let service = service.parse().unwrap();
        Container {
            id: ContainerId::new(&format!("{service}")),
            name: format!("fleet-web.{service}"),
            deployment: "web".parse().unwrap(),
            digest: wanted.targets.get(&service).map(|target| target.digest.clone()),
            depends_on: vec![],
            secrets: None,
            service,
            status,
            image_id: None,
            started_at: None,
        }
    }

    fn names(all: &BTreeSet<String>) -> Vec<&str> {
        all.iter().map(|name| name.strip_prefix("fleet-web.").unwrap()).collect()
    }

    #[test]
    fn what_changes_is_stopped_and_started_and_what_does_not_is_left_alone() {
        let before = wanted(
            r#"{"name": "same", "image": "a:1"}, {"name": "new-image", "image": "a:1"}, {"name": "gone", "image": "a:1"},
               {"name": "job", "image": "a:1", "restart": "never"}, {"name": "dead", "image": "a:1"}"#,
        );
        let after = wanted(
            r#"{"name": "same", "image": "a:1"}, {"name": "new-image", "image": "a:2"}, {"name": "added", "image": "b:1",
               "pull": "always"}, {"name": "job", "image": "a:1", "restart": "never"}, {"name": "dead", "image": "a:1"}"#,
        );
        let exited = Status::Exited { code: 0 };
        let there =
            [("same", ALIVE), ("new-image", ALIVE), ("gone", ALIVE), ("job", exited), ("dead", exited)];
        let there = there.map(|(service, status)| container(&before, service, status));
        let preview = Preview::new(&"web".parse().unwrap(), Some(&after), &there);
        assert_eq!(names(&preview.stop), ["gone", "new-image"]);
        assert_eq!(names(&preview.start), ["added", "dead", "new-image"]);
        assert_eq!(names(&preview.keep), ["job", "same"]);
        let images: Vec<_> = preview.images.into_iter().collect();
        assert_eq!(images, [("a:2".to_owned(), Pull::IfMissing), ("b:1".to_owned(), Pull::Always)]);
    }

    #[test]
    fn a_removal_stops_everything_that_is_alive() {
        let before = wanted(r#"{"name": "a", "image": "a:1"}, {"name": "b", "image": "a:1"}"#);
        let there = [container(&before, "a", ALIVE), container(&before, "b", Status::Created)];
        let preview = Preview::new(&"web".parse().unwrap(), None, &there);
        assert_eq!(names(&preview.stop), ["a"]);
        assert_eq!((preview.start.len(), preview.keep.len(), preview.images.len()), (0, 0, 0));
    }
}
