//! What goes wrong, and when.
use crate::runtime::ErrorKind;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

/// A call of the trait, to aim faults at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Op {
    Info,
    List,
    Look,
    Holder,
    Create,
    Start,
    Signal,
    Rename,
    Remove,
    RemoveOrphan,
    EnsureNetwork,
    RemoveNetwork,
    EnsureVolume,
    Image,
    Pull,
    Hints,
}

impl Op {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::List => "list",
            Self::Look => "look",
            Self::Holder => "holder",
            Self::Create => "create",
            Self::Start => "start",
            Self::Signal => "signal",
            Self::Rename => "rename",
            Self::Remove => "remove",
            Self::RemoveOrphan => "remove orphan",
            Self::EnsureNetwork => "ensure network",
            Self::RemoveNetwork => "remove network",
            Self::EnsureVolume => "ensure volume",
            Self::Image => "image",
            Self::Pull => "pull",
            Self::Hints => "hints",
        }
    }

    /// After which the caller gets `Timeout`: the real runtime's.
    pub(super) fn deadline(self) -> Duration {
        match self {
            Self::Create | Self::Start | Self::Remove | Self::RemoveOrphan | Self::Pull => {
                Duration::from_secs(60)
            }
            Self::Info
            | Self::List
            | Self::Look
            | Self::Holder
            | Self::Signal
            | Self::Rename
            | Self::EnsureNetwork
            | Self::RemoveNetwork
            | Self::EnsureVolume
            | Self::Image
            | Self::Hints => Duration::from_secs(10),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fault {
    Fails(ErrorKind, String),
    LosesAnswer(ErrorKind),
    Late(Duration),
    Orphans,
}

/// What the world has in store for the next calls.
#[derive(Debug, Default)]
pub(super) struct Faults {
    pub(super) latency: Duration,
    next: BTreeMap<Op, VecDeque<Fault>>,
    hung: BTreeSet<Op>,
    calls: BTreeMap<Op, usize>,
}

impl Faults {
    pub(super) fn push(&mut self, op: Op, fault: Fault) {
        self.next.entry(op).or_default().push_back(fault);
    }

    /// Counts a call and takes the fault that waited for it.
    pub(super) fn begin(&mut self, op: Op) -> Option<Fault> {
        *self.calls.entry(op).or_default() += 1;
        self.next.get_mut(&op)?.pop_front()
    }

    pub(super) fn calls(&self, op: Op) -> usize {
        self.calls.get(&op).copied().unwrap_or_default()
    }

    pub(super) fn hang(&mut self, op: Op) {
        self.hung.insert(op);
    }

    pub(super) fn release(&mut self, op: Op) {
        self.hung.remove(&op);
    }

    pub(super) fn is_hung(&self, op: Op) -> bool {
        self.hung.contains(&op)
    }
}
