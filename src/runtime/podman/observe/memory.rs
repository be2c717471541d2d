//! What was learnt of containers that are still listed. Losing it costs inspects, nothing else.
use crate::domain::container::{ContainerId, Process, Status};
use fleet_contracts::Timestamp;
use std::collections::{HashMap, HashSet};

/// What an inspect said, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::runtime::podman) struct Facts {
    pub(in crate::runtime::podman) status: Status,
    /// Podman's word, also when that process is gone; 0 without one.
    pub(super) pid: u32,
    pub(super) started_at: Option<Timestamp>,
    pub(super) image_id: Option<String>,
}

#[derive(Default)]
pub(super) struct Memory {
    /// Container id → facts. As large as the last list.
    facts: HashMap<String, Facts>,
    /// Ids of containers that were complained about.
    warned: HashSet<String>,
}

impl Memory {
    pub(super) fn get(&self, id: &str) -> Option<Facts> {
        self.facts.get(id).cloned()
    }

    pub(super) fn remember(&mut self, id: &ContainerId, facts: Facts) {
        self.facts.insert(id.as_str().into(), facts);
    }

    pub(super) fn forget(&mut self, id: &ContainerId) {
        self.facts.remove(id.as_str());
    }

    pub(super) fn keep_only<'a>(&mut self, ids: impl Iterator<Item = &'a str>) {
        let listed: HashSet<&str> = ids.collect();
        self.facts.retain(|id, _| listed.contains(id.as_str()));
        self.warned.retain(|id| listed.contains(id.as_str()));
    }

    pub(super) fn is_first_warning(&mut self, id: &str) -> bool {
        self.warned.insert(id.into())
    }

    /// Whether it was given its time to tell the truth about this very process before.
    pub(super) fn is_known_liar(&self, id: &ContainerId, pid: u32) -> bool {
        self.facts.get(id.as_str()).is_some_and(|facts| facts.status == Status::Lying && facts.pid == pid)
    }

    /// Whether another process was seen under this pid in the same run of the container.
    pub(super) fn contradicts(
        &self,
        id: &ContainerId,
        process: Process,
        started_at: Option<Timestamp>,
    ) -> bool {
        self.facts.get(id.as_str()).is_some_and(|facts| match facts.status {
            Status::Running(before) => {
                facts.started_at == started_at
                    && before.pid == process.pid
                    && before.start_ticks != process.start_ticks
            }
            Status::Lying => facts.started_at == started_at && facts.pid == process.pid,
            Status::Created | Status::Stopping(_) | Status::Ended { .. } | Status::Exited { .. } => false,
            Status::Paused | Status::Busy => false,
        })
    }
}
