//! Documents are read under their name: an end of the process in the middle of it is put down to that document, and a
//! panic is an objection to it, not the end of this actor.
use crate::domain::book::{Reading, Unread};
use crate::domain::desired::Wanted;
use crate::domain::ledger::{Fingerprint, Shunned};
use crate::faults;
use crate::supervision::panic_text;
use crate::telemetry::blame;
use fleet_contracts::DeploymentName;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// All documents but these.
pub fn reading(shunned: Shunned) -> Reading {
    Reading { read, shunned }
}

fn read(name: &DeploymentName, document: &[u8], revision: u64) -> Result<Wanted, Unread> {
    let _working = blame::working_on(&format!("{name}#{}", Fingerprint::of(document)));
    // Nothing is shared with what panics but bytes that nobody changes.
    let read = catch_unwind(AssertUnwindSafe(|| {
        faults::point("read", name.as_str());
        Wanted::read(document, revision)
    }));
    match read {
        Ok(read) => read.map_err(Unread::Refused),
        Err(panic) => Err(Unread::Broken(panic_text(&*panic))),
    }
}
