//! Secrets whose other value is a reason to make a container anew.
//!
//! Their values are no part of the spec and its digest: they are on the device only. A container bears the
//! version of those it was made with; where that is not the present one, it counts as made to no wanted spec.
//!
//! A version of another key says nothing of its values: the key was lost, which is no fault of the container's. It
//! counts as made with the values of the first reading, until those become others.
use super::*;
use fleet_contracts::ValueName;

/// Of the reloaded secrets of one target.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Readings {
    first: Option<SecretsVersion>,
    last: Option<SecretsVersion>,
}

impl Readings {
    /// Returns whether the values are others than before.
    pub fn take(&mut self, version: SecretsVersion) -> bool {
        if self.first.as_ref().is_none_or(|first| version.is_of_others_than(first).is_none()) {
            self.first = Some(version.clone());
        }
        let before = self.last.replace(version.clone());
        before.is_some_and(|before| version.is_of_others_than(&before) == Some(true))
    }

    /// Whether a container of this version has to be made anew.
    fn is_former(&self, version: Option<&SecretsVersion>) -> bool {
        let Some(last) = &self.last else { return false };
        let by_its_version = version.and_then(|version| last.is_of_others_than(version));
        let since_the_first = || self.first.as_ref().and_then(|first| last.is_of_others_than(first));
        by_its_version.or_else(since_the_first).unwrap_or(false)
    }
}

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
            if !is_wanted || is_busy || slot.touched > begun {
                continue;
            }
            if slot.secrets.take(version) {
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
        let Some(slot) = self.slots.get(&container.service) else { return false };
        let ended = container.status.exit_code().is_some_and(|code| target.stays_down(code));
        !ended && !target.reloaded().is_empty() && slot.secrets.is_former(container.secrets.as_ref())
    }
}
