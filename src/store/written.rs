//! The form of records on disk. Fields are only ever added, with a default; `v` rises only when an
//! older agent would misread what it finds.
use super::envelope::{self, Kind};
use crate::domain::container::{ContainerId, OwedStart, SpecDigest};
use crate::domain::images;
use crate::domain::jobs::{End, Ends, Noted};
use crate::domain::ledger::{Followed, Record, Trial, Wanted};
use crate::domain::source::Incarnation;
use fleet_contracts::{DeploymentName, ServiceName, Timestamp};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
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
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    owed: BTreeMap<ServiceName, Owed>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    jobs: BTreeMap<ServiceName, Job>,
}

#[derive(Serialize, Deserialize)]
struct Owed {
    container: String,
    started_at: Timestamp,
}

impl From<&OwedStart> for Owed {
    fn from(start: &OwedStart) -> Self {
        Self { container: start.id.as_str().to_owned(), started_at: start.started_at }
    }
}

impl From<Owed> for OwedStart {
    fn from(form: Owed) -> Self {
        Self { id: ContainerId::new(&form.container), started_at: form.started_at }
    }
}

/// How a job ended.
#[derive(Serialize, Deserialize)]
struct Job {
    digest: String,
    code: i64,
    at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    said: Option<String>,
}

impl From<&Noted> for Job {
    fn from(Noted { end, at }: &Noted) -> Self {
        let End { digest, code, said } = end.clone();
        Self { digest: digest.as_str().to_owned(), code, at: *at, said }
    }
}

impl From<Job> for Noted {
    fn from(Job { digest, code, at, said }: Job) -> Self {
        Self { end: End { digest: SpecDigest::from_hex(&digest), code, said }, at }
    }
}

fn ends_of(jobs: BTreeMap<ServiceName, Job>) -> Ends {
    jobs.into_iter().map(|(service, job)| (service, job.into())).collect()
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
    #[serde(default = "not_known", skip_serializing_if = "is_not_known")]
    former_sequence: u64,
}

fn not_known() -> u64 {
    Followed::NOT_KNOWN
}

fn is_not_known(sequence: &u64) -> bool {
    *sequence == not_known()
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
        owed: record.trial.owed.iter().map(|(service, start)| (service.clone(), start.into())).collect(),
        jobs: record.ends.iter().map(|(service, noted)| (service.clone(), noted.into())).collect(),
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
        wanted: form.document.map_or(Wanted::Removed, |bytes| Wanted::Present(bytes.into())),
        trial: Trial {
            ends: form.ends,
            quarantined: form.quarantined,
            owed: form.owed.into_iter().map(|(service, start)| (service, start.into())).collect(),
        },
        ends: ends_of(form.jobs),
    })
}

pub fn seal_followed(followed: &Followed) -> io::Result<Vec<u8>> {
    let form = Bucket {
        v: V,
        incarnation: followed.incarnation.0.clone(),
        last_sequence: followed.last_sequence,
        acted_until: followed.acted_until,
        former_until: followed.former_until,
        former_sequence: followed.former_sequence,
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
        former_sequence: form.former_sequence,
    })
}

#[derive(Serialize, Deserialize)]
struct Images {
    v: u16,
    brought: Vec<Brought>,
    used: Vec<Used>,
}

#[derive(Serialize, Deserialize)]
struct Brought {
    id: String,
    names: BTreeSet<String>,
    deployments: BTreeSet<DeploymentName>,
}

#[derive(Serialize, Deserialize)]
struct Used {
    deployment: DeploymentName,
    service: ServiceName,
    now: String,
    #[serde(default)]
    former: Option<String>,
}

pub fn seal_images(note: &images::Note) -> io::Result<Vec<u8>> {
    let brought = |brought: &images::Brought| {
        let images::Brought { id, names, deployments } = brought.clone();
        Brought { id, names, deployments }
    };
    let used = |(of, used): (&(DeploymentName, ServiceName), &images::Used)| {
        let ((deployment, service), images::Used { now, former }) = (of.clone(), used.clone());
        Used { deployment, service, now, former }
    };
    let (brought, used) = (note.brought.iter().map(brought), note.used.iter().map(used));
    seal(Kind::Images, &Images { v: V, brought: brought.collect(), used: used.collect() })
}

pub fn open_images(sealed: &[u8]) -> Result<images::Note, String> {
    let form: Images = open(Kind::Images, sealed)?;
    check_version(form.v)?;
    let brought = |Brought { id, names, deployments }| images::Brought { id, names, deployments };
    let used =
        |Used { deployment, service, now, former }| ((deployment, service), images::Used { now, former });
    Ok(images::Note {
        brought: form.brought.into_iter().map(brought).collect(),
        used: form.used.into_iter().map(used).collect(),
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
