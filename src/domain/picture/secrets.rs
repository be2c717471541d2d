//! Secrets whose other value is a reason to make a container anew.
//!
//! Their values are no part of the spec and its digest: they are on the device only. A container bears the
//! version of those it was made with; where that is not the present one, it counts as made to no wanted spec.
use super::*;
use fleet_contracts::ValueName;

impl Picture {
    /// Which secrets have to be read again and again, and for whom.
    pub fn reloaded_secrets(&self) -> BTreeMap<ServiceName, Vec<ValueName>> {
        let Order::Run(wanted) = &self.order else { return BTreeMap::new() };
        let reloaded = wanted.targets.iter().map(|(service, target)| (service.clone(), target.reloaded()));
        reloaded.filter(|(_, names)| !names.is_empty()).collect()
    }

    /// Takes what was read, except where something was made or done since the reading began.
    pub fn secrets_read(&mut self, begun: Moment, versions: BTreeMap<ServiceName, SecretsVersion>) {
        for (service, version) in versions {
            let is_wanted = self.target(&service).is_some_and(|target| !target.reloaded().is_empty());
            let is_busy = self.busy.contains_key(&Lane::Slot(service.clone()));
            let slot = self.slot(&service);
            if !is_wanted || is_busy || slot.touched > begun || slot.secrets.as_ref() == Some(&version) {
                continue;
            }
            if slot.secrets.replace(version).is_some() {
                slot.memory.new_secrets();
            }
        }
    }

    /// The container, as what is planned from it has to see it.
    pub(super) fn by_its_secrets(&self, container: &Container) -> Container {
        match self.has_former_secrets(container) {
            true => Container { digest: None, ..container.clone() },
            false => container.clone(),
        }
    }

    /// Those of a container that ended for good did their work. Those that cannot be read now say nothing.
    fn has_former_secrets(&self, container: &Container) -> bool {
        let Some(target) = self.target(&container.service) else { return false };
        let now = self.slots.get(&container.service).and_then(|slot| slot.secrets.as_ref());
        let ended = container.status.exit_code().is_some_and(|code| target.stays_down(code));
        now.is_some() && !ended && !target.reloaded().is_empty() && container.secrets.as_ref() != now
    }
}
