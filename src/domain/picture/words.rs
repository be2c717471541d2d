//! What a container said before it ended, for whoever reads the state.
use super::*;

impl Picture {
    /// The containers that ended badly and were not asked for their last words yet. Asked once: each is taken.
    pub fn take_unheard(&mut self) -> Vec<(ServiceName, ContainerId)> {
        let Self { slots, busy, .. } = self;
        let free = slots.iter_mut().filter(|(name, _)| !busy.contains_key(&Lane::Words((*name).clone())));
        free.filter_map(|(name, slot)| Some((name.clone(), slot.memory.take_unheard()?))).collect()
    }

    pub fn words_begun(&mut self, service: &ServiceName) {
        self.occupy(Lane::Words(service.clone()), None);
    }

    pub fn said(&mut self, service: &ServiceName, id: &ContainerId, words: &str) {
        self.busy.remove(&Lane::Words(service.clone()));
        let view = self.view(service);
        if view.main.is_some_and(|main| main.id == *id) {
            self.slot(service).memory.said(words);
        }
    }
}
