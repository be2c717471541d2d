//! Why a document or a removal is not carried out, in words.
use crate::domain::desired::Wanted;
use crate::domain::ledger::{Fingerprint, Record, Shunned};
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

/// Why an accepted document is only kept up, and what ends that.
pub fn doubt(record: &Record) -> Objection {
    let revision = record.revision;
    let message = format!(
        "revision {revision}: what this device accepted last cannot be read any more, this is what it accepted before; \
         what runs is kept as it is until the bucket says what is wanted"
    );
    Objection { code: Code::StaleRevision, message }
}

/// Why a document cannot be read.
#[derive(Debug)]
pub enum Unread {
    Refused(Refusal),
    /// A mistake in the reader, in words.
    Broken(String),
}

/// How documents are read, and which are not.
#[derive(Debug, Clone)]
pub struct Reading {
    pub read: fn(&DeploymentName, &[u8], u64) -> Result<Wanted, Unread>,
    pub shunned: Shunned,
}

impl Reading {
    /// `Err`: why it cannot be acted on.
    pub fn document(&self, record: &Record, document: &[u8]) -> Result<Wanted, Objection> {
        let Record { name, revision, .. } = record;
        let objection =
            |code, why: String| Objection { code, message: shorten(format!("revision {revision}: {why}")) };
        if let Some(why) = self.shunned.get(&(name.clone(), Fingerprint::of(document))) {
            let text = format!(
                "{why}; it is not read again by this version of the agent; apply another document, \
                                or `fleetctl reconcile` of this deployment has it read again"
            );
            return Err(objection(Code::Quarantined, text));
        }
        (self.read)(name, document, *revision).map_err(|unread| match unread {
            Unread::Refused(refusal @ Refusal::UnsupportedType(_)) => {
                objection(Code::UnsupportedType, refusal.to_string())
            }
            Unread::Refused(refusal @ Refusal::InvalidSpec(_)) => {
                objection(Code::InvalidSpec, refusal.to_string())
            }
            Unread::Broken(why) => {
                objection(Code::Quarantined, format!("a mistake of the agent in reading it: {why}"))
            }
        })
    }

    pub fn shuns(&self, name: &DeploymentName) -> bool {
        self.shunned.keys().any(|(of, _)| of == name)
    }

    /// Reads its documents again. Whether some were not.
    pub fn forgive(&mut self, name: &DeploymentName) -> bool {
        let before = self.shunned.len();
        self.shunned.retain(|(of, _), _| of != name);
        self.shunned.len() < before
    }
}

pub fn shorten(mut message: String) -> String {
    if message.len() > MESSAGE_CAP {
        message.truncate(message.floor_char_boundary(MESSAGE_CAP));
        message.push('…');
    }
    message
}
