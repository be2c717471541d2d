//! The form of records on disk. Fields are only ever added, with a default; `v` rises only when an
//! older agent would misread what it finds.
use super::envelope::{self, Kind};
use crate::domain::ledger::{Followed, Record, Trial, Wanted};
use crate::domain::source::Incarnation;
use fleet_contracts::{DeploymentName, Timestamp};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::io;

const V: u16 = 1;

#[derive(Serialize, Deserialize)]
struct Deployment {
    v: u16,
    /// Its own name again: a file that was copied under another name is not believed.
    name: DeploymentName,
    revision: u64,
    written_at: Timestamp,
    incarnation: String,
    /// None: authorised to go.
    #[serde(default, with = "serde_bytes")]
    document: Option<Vec<u8>>,
    #[serde(default, skip_serializing_if = "is_none_yet")]
    ends: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    quarantined: Option<String>,
}

fn is_none_yet(ends: &u32) -> bool {
    *ends == 0
}

#[derive(Serialize, Deserialize)]
struct Bucket {
    v: u16,
    incarnation: String,
    last_sequence: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    acted_until: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    former_until: Option<Timestamp>,
}

pub fn seal_record(record: &Record) -> io::Result<Vec<u8>> {
    let document = match &record.wanted {
        Wanted::Present(document) => Some(document.to_vec()),
        Wanted::Removed => None,
    };
    let form = Deployment {
        v: V,
        name: record.name.clone(),
        revision: record.revision,
        written_at: record.written_at,
        incarnation: record.incarnation.0.clone(),
        document,
        ends: record.trial.ends,
        quarantined: record.trial.quarantined.clone(),
    };
    seal(Kind::Deployment, &form)
}

pub fn open_record(sealed: &[u8], name: &DeploymentName) -> Result<Record, String> {
    let form: Deployment = open(Kind::Deployment, sealed)?;
    check_version(form.v)?;
    if form.name != *name {
        return Err(format!("it is the record of \"{}\"", form.name));
    }
    Ok(Record {
        name: form.name,
        revision: form.revision,
        written_at: form.written_at,
        incarnation: Incarnation(form.incarnation),
        wanted: form.document.map_or(Wanted::Removed, |document| Wanted::Present(document.into())),
        trial: Trial { ends: form.ends, quarantined: form.quarantined },
    })
}

pub fn seal_followed(followed: &Followed) -> io::Result<Vec<u8>> {
    let form = Bucket {
        v: V,
        incarnation: followed.incarnation.0.clone(),
        last_sequence: followed.last_sequence,
        acted_until: followed.acted_until,
        former_until: followed.former_until,
    };
    seal(Kind::Followed, &form)
}

pub fn open_followed(sealed: &[u8]) -> Result<Followed, String> {
    let form: Bucket = open(Kind::Followed, sealed)?;
    check_version(form.v)?;
    Ok(Followed {
        incarnation: Incarnation(form.incarnation),
        last_sequence: form.last_sequence,
        acted_until: form.acted_until,
        former_until: form.former_until,
    })
}

fn check_version(v: u16) -> Result<(), String> {
    if v == V { Ok(()) } else { Err(format!("record version {v} is not known to this agent")) }
}

pub(super) fn seal<T: Serialize>(kind: Kind, form: &T) -> io::Result<Vec<u8>> {
    let payload = rmp_serde::to_vec_named(form).map_err(io::Error::other)?;
    envelope::seal(kind, &payload).map_err(io::Error::other)
}

pub(super) fn open<T: DeserializeOwned>(kind: Kind, sealed: &[u8]) -> Result<T, String> {
    let payload = envelope::open(kind, sealed).map_err(|damage| damage.to_string())?;
    rmp_serde::from_slice(payload).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests;
