//! How operations ended, and what the picture is after each.
use super::*;

impl Picture {
    /// The lane is free again; for a slot, what was seen before is stale now. An operation that a former
    /// incarnation asked for was planned from what this one may never have seen: look first.
    fn free(&mut self, lane: &Lane, now: Moment) -> Option<About> {
        let about = self.busy.remove(lane).and_then(|busy| busy.about);
        if let Lane::Slot(service) = lane {
            let slot = self.slot(service);
            slot.touched = now;
            slot.unsure |= about.is_none();
        }
        about
    }

    /// A container is now as given: created, found, started.
    pub fn became(&mut self, lane: &Lane, container: Container, now: Moment, dice: Dice) {
        let about = self.free(lane, now);
        let (service, id) = (container.service.clone(), container.id.clone());
        self.containers.insert(id.clone(), Box::new(container));
        let memory = &mut self.slots.entry(service.clone()).or_default().memory;
        match about {
            Some(About::Preparing) => memory.prepared(),
            Some(About::Running) => memory.started(&id, now),
            Some(About::Clearing) => memory.cleared(),
            None => {}
        }
        self.refresh(&service, now, dice);
    }

    /// A container was created, by this name and to this digest (which the document may no longer
    /// want by now).
    pub fn created(&mut self, lane: &Lane, made: Made, now: Moment, dice: Dice) {
        let Lane::Slot(service) = lane else { return };
        let Made { id, name, digest, secrets } = made;
        // Read later than whatever was read before.
        if let Some(version) = &secrets {
            self.slot(service).secrets.take(version.clone());
        }
        let container = Container {
            id,
            name,
            deployment: self.name.clone(),
            service: service.clone(),
            depends_on: self.dependencies_of(service, &digest),
            digest: Some(digest),
            secrets,
            status: Status::Created,
            image_id: None,
            started_at: None,
        };
        self.became(lane, container, now, dice);
    }

    /// A container was stopped, renamed or removed.
    pub fn cleared(
        &mut self,
        lane: &Lane,
        now: Moment,
        change: impl FnOnce(&mut BTreeMap<ContainerId, Box<Container>>),
    ) {
        self.free(lane, now);
        change(&mut self.containers);
        if let Lane::Slot(service) = lane {
            self.slot(service).memory.cleared();
        }
    }

    pub fn pulled(&mut self, service: &ServiceName, now: Moment) {
        self.free(&Lane::Image(service.clone()), now);
        let memory = &mut self.slot(service).memory;
        memory.image = Image::Pulled;
        memory.prepared();
    }

    pub fn progressed(&mut self, service: &ServiceName, current: u64, total: u64) {
        self.slot(service).memory.progressed(current, total);
    }

    pub fn network_removed(&mut self, now: Moment) {
        self.free(&Lane::Network, now);
        // A document that came meanwhile makes it anew.
        (self.network_gone, self.network_trouble) = (self.order == Order::Vanish, None);
    }

    /// The image is not on the device: it has to be pulled, unless the policy forbids it.
    pub fn image_missing(&mut self, lane: &Lane, message: String, now: Moment, dice: Dice) {
        use fleet_contracts::desired::Pull;
        self.free(lane, now);
        let Lane::Slot(service) = lane else { return };
        let forbidden = self.target(service).is_some_and(|target| target.service.pull == Pull::Never);
        let memory = &mut self.slot(service).memory;
        // One that was pulled just now and is missing all the same would be pulled for ever.
        let in_vain = memory.image == Image::Pulled;
        memory.image = Image::Missing;
        if forbidden || in_vain {
            memory.prepare_failed(Code::ImageMissing, message, now, dice);
        }
    }

    /// Too little is free for the image.
    pub fn no_room(&mut self, lane: &Lane, message: String, now: Moment) {
        self.free(lane, now);
        if let Lane::Image(service) = lane {
            self.slot(service).memory.no_room(message);
        }
    }

    pub fn name_conflict(&mut self, lane: &Lane, message: String, now: Moment) {
        let about = self.free(lane, now).unwrap_or(About::Preparing);
        if let Lane::Slot(service) = lane {
            self.slot(service).memory.name_conflict(about, message);
        }
    }

    /// An operation did not succeed.
    pub fn failed(&mut self, lane: &Lane, setback: Setback, now: Moment, dice: Dice) {
        let is_former = self.busy.get(lane).is_some_and(|busy| busy.is_former);
        let about = self.free(lane, now);
        let Setback { code, message, unsure } = setback;
        match lane {
            Lane::Slot(service) => {
                let slot = self.slot(service);
                slot.unsure |= unsure;
                match about {
                    Some(About::Preparing) => slot.memory.prepare_failed(code, message, now, dice),
                    Some(About::Running) => slot.memory.start_failed(code, message, now, dice),
                    Some(About::Clearing) | None => slot.memory.clear_failed(code, message, now, dice),
                }
            }
            Lane::Image(service) => {
                let memory = &mut self.slot(service).memory;
                // Somebody may bring it here by hand meanwhile: the next create tells.
                (memory.image, memory.progress) = (Image::Unknown, None);
                if !is_former {
                    memory.prepare_failed(code, message, now, dice);
                }
            }
            Lane::Health(service) => self.not_checked(service, now),
            // Nobody's fault but podman's, and nothing depends on it.
            Lane::Words(_) => {}
            Lane::Network => {
                self.network.failed(code, now, dice);
                let retry_at = self.network.retry_at();
                // Wanted again meanwhile, the deployment needs its network: that it is still there is no trouble.
                let is_unwanted = self.order == Order::Vanish;
                let trouble = Trouble { about: About::Clearing, code, message, retry_at };
                self.network_trouble = is_unwanted.then_some(trouble);
            }
        }
    }
}
