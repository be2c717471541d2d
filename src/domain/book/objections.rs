//! Why a document or a removal is not carried out, in words.
use crate::domain::desired::Wanted;
use crate::domain::ledger::{self, Record};
use crate::domain::overlay::Objection;
use fleet_contracts::DeploymentName;
use fleet_contracts::desired::Refusal;
use fleet_contracts::state::Code;

/// Longest refusal in a state, in bytes: a document can have thousands of problems.
const MESSAGE_CAP: usize = 2000;

pub fn removal_held(name: &DeploymentName) -> Objection {
    let message =
        format!("its key is gone, but that alone removes nothing; `fleetctl confirm` removes {name}");
    Objection { code: Code::RemovalHeld, message }
}

/// Why an accepted document is not acted on, and what ends that.
pub fn quarantine(record: &Record) -> Option<Objection> {
    let why = record.trial.quarantined.as_ref()?;
    let revision = record.revision;
    let message = format!(
        "revision {revision}: {why}; its containers are left as they are until another document is applied, \
         or `fleetctl reconcile` of this deployment has it tried again"
    );
    Some(Objection { code: Code::Quarantined, message: shorten(message) })
}

/// Why a document cannot be accepted.
pub fn refusal(record: &Record) -> Option<(Code, String)> {
    let ledger::Wanted::Present(document) = &record.wanted else { return None };
    let refusal = Wanted::read(document, record.revision).err()?;
    let code = match refusal {
        Refusal::UnsupportedType(_) => Code::UnsupportedType,
        Refusal::InvalidSpec(_) => Code::InvalidSpec,
    };
    Some((code, format!("revision {}: {refusal}", record.revision)))
}

pub fn shorten(mut message: String) -> String {
    if message.len() > MESSAGE_CAP {
        message.truncate(message.floor_char_boundary(MESSAGE_CAP));
        message.push('…');
    }
    message
}
