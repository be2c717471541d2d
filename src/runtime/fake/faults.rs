//! What goes wrong, and when.
use crate::runtime::{ErrorKind, Operation as Op};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

/// After which the caller gets `Timeout`: the real runtime's.
pub(super) fn deadline(op: Op) -> Duration {
    match op {
        Op::Create
        | Op::PutFiles
        | Op::Start
        | Op::Remove
        | Op::RemoveOrphan
        | Op::RemoveImage
        | Op::Images
        | Op::Storage
        | Op::Pull => Duration::from_secs(60),
        Op::Exec
        | Op::LastWords
        | Op::Info
        | Op::List
        | Op::Look
        | Op::Holder
        | Op::Unpause
        | Op::Signal
        | Op::Rename
        | Op::EnsureNetwork
        | Op::RemoveNetwork
        | Op::EnsureVolume
        | Op::Image
        | Op::Hints => Duration::from_secs(10),
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fault {
    Fails(ErrorKind, String),
    LosesAnswer(ErrorKind),
    Late(Duration),
    Orphans,
    CutsOff,
}

/// What the world has in store for the next calls.
#[derive(Debug, Default)]
pub(super) struct Faults {
    pub(super) latency: Duration,
    next: BTreeMap<Op, VecDeque<Fault>>,
    hung: BTreeSet<Op>,
    calls: BTreeMap<Op, usize>,
    /// Of containers by this name, always, with these words.
    refused: BTreeMap<(Op, String), String>,
}

impl Faults {
    pub(super) fn refuse(&mut self, op: Op, name: &str, said: &str) {
        self.refused.insert((op, name.to_owned()), said.to_owned());
    }

    pub(super) fn refuses(&self, op: Op, name: &str) -> Result<(), (ErrorKind, String)> {
        let said = self.refused.get(&(op, name.to_owned()));
        said.map_or(Ok(()), |said| Err((ErrorKind::Refused, said.clone())))
    }

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
