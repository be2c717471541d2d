//! How much one device takes, so that the agent keeps within its memory whatever the bucket holds. What is accepted stays;
//! what comes beyond is refused by name.
use super::*;

/// Deployments with a document. Each has a reconciler, and at least one container.
pub const MAX_DEPLOYMENTS: usize = 256;
/// With those that are being removed: with podman away none of them ends.
const MAX_RECORDS: usize = 2 * MAX_DEPLOYMENTS;
/// Bytes of all documents. Each is held as it came and as it was read.
pub const MAX_BYTES: usize = 16 << 20;
/// Deployments of which nothing was ever accepted, and that are told of: as many as could be accepted in their place.
const MAX_REFUSED: usize = MAX_DEPLOYMENTS;

impl Book {
    /// Why a document finds no room. One that takes no more than the one it replaces always does.
    pub(super) fn no_room(&mut self, record: &Record) -> Option<Objection> {
        let others = || self.records.values().filter(|other| other.name != record.name);
        let before = self.records.get(&record.name).map_or(0, size);
        let is_replaced = self.records.get(&record.name).is_some_and(is_present);
        let present = || others().filter(|other| is_present(other)).count();
        let too_many = !is_replaced && (present() >= MAX_DEPLOYMENTS || others().count() >= MAX_RECORDS);
        let grows = !is_replaced || size(record) > before;
        let too_large = grows && others().map(size).sum::<usize>() + size(record) > MAX_BYTES;
        let what = match (too_many, too_large) {
            (true, _) => format!("a device takes {MAX_DEPLOYMENTS} deployments"),
            (false, true) => format!("the documents of a device have at most {MAX_BYTES} bytes in all"),
            (false, false) => return None,
        };
        self.is_crowded = true;
        Some(crowded_out(record.revision, &what))
    }

    /// Whether its state may be told beside those that are.
    pub(super) fn may_tell(&self, name: &DeploymentName) -> bool {
        let refused = || self.known.keys().filter(|known| !self.records.contains_key(*known)).count();
        self.known.contains_key(name) || self.records.contains_key(name) || refused() < MAX_REFUSED
    }

    /// Whether something was refused for want of room, which may be taken now that something went. True once.
    pub fn was_crowded(&mut self) -> bool {
        std::mem::take(&mut self.is_crowded)
    }
}

/// Whether something goes: of what was accepted, or of what was refused.
pub fn makes_room(judged: &Judged) -> bool {
    let goes = judged.unfounded || !judged.gone.is_empty();
    goes || judged.records.iter().any(|record| !is_present(record))
}

/// Why a document was not even read.
pub(super) fn left_out(revision: u64) -> Objection {
    crowded_out(
        revision,
        &format!("of a device's documents {SNAPSHOT_BYTES} bytes are read, in the order they were written"),
    )
}

fn crowded_out(revision: u64, what: &str) -> Objection {
    let message = format!("revision {revision}: no room: {what}; it is taken when others are deleted");
    Objection { code: Code::InvalidSpec, message }
}

fn is_present(record: &Record) -> bool {
    record.wanted != ledger::Wanted::Removed
}

fn size(record: &Record) -> usize {
    match &record.wanted {
        ledger::Wanted::Present(document) => document.len(),
        ledger::Wanted::Removed => 0,
    }
}
